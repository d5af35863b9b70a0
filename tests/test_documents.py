"""Every runnable example of the documentation runs."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from periscope.server import stop_server

ROOT = Path(__file__).parent.parent
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
PYTHON = re.compile(r"^```python\n(.*?)^```", re.MULTILINE | re.DOTALL)
CONSOLE = re.compile(r"^```console\n(.*?)^```", re.MULTILINE | re.DOTALL)


def pages_with(pattern: re.Pattern[str]) -> list[Path]:
    return [page for page in PAGES if pattern.search(page.read_text())]


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    data = str(tmp_path / "data")
    return os.environ | {
        "PERISCOPE_DATA_DIR": data,
        "PERISCOPE_MIN_FREE_MB": "0",
        "COLUMNS": "100",
        "PYTHONWARNINGS": "error",
    }


def name_of(page: Path) -> str:
    return str(page.relative_to(ROOT))


@pytest.mark.parametrize("page", pages_with(PYTHON), ids=name_of)
def test_python_examples_run(page: Path, environment: dict[str, str]) -> None:
    for example in PYTHON.findall(page.read_text()):
        done = subprocess.run(
            [sys.executable, "-c", example],
            env=environment,
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == 0, f"{example}\n{done.stderr}"


@pytest.mark.parametrize("page", pages_with(CONSOLE), ids=name_of)
async def test_commands_run(page: Path, environment: dict[str, str]) -> None:
    for block in CONSOLE.findall(page.read_text()):
        for line in block.splitlines():
            if line.startswith("$ periscope"):
                run(line.removeprefix("$ "), environment)
    await stop_server(Path(environment["PERISCOPE_DATA_DIR"]))


def run(line: str, environment: dict[str, str]) -> None:
    """Run a line as a shell would; a comment `# exit N` names another exit code than 0."""
    expected = int(found[1]) if (found := re.search(r"# exit (\d+)$", line)) else 0
    command = f"{shlex.quote(sys.executable)} -m {line}"
    done = subprocess.run(
        ["bash", "-o", "pipefail", "-c", command],
        env=environment,
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == expected, f"{line}\n{done.stdout}\n{done.stderr}"
