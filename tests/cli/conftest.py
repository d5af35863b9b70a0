"""The real program as a child process, against one embedded server that the session holds."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from periscope.server import EmbeddedServer
from tests.support.patience import PATIENCE

ROOT = Path(__file__).parents[2]
TIMEOUT_S = 10 * PATIENCE
NUMBERS = count()

HOSTILE_ID = "evil\x1b[2Jid"
HOSTILE = {
    "threat_id": HOSTILE_ID,
    "content": "\x1b]0;owned\x07first\nsecond \u202etxet\u200b [bold red]markup[/] :smile:\x9b31m",
    "severity": "CRITICAL",
    "source": "\x1b[31msrc\r\n",
    "metadata": {"k\u202e": "v\x9b31m", "title": "[link=http://x]t\x1b[0m" + "\u0301" * 30},
}


@dataclass
class Done:
    """How a run ended."""

    code: int
    out: str
    err: str

    @property
    def document(self) -> Any:
        return json.loads(self.out)

    @property
    def error(self) -> Any:
        (line,) = self.err.splitlines()
        return json.loads(line)


class Running:
    """A run beside the test."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stderr is not None
        self.process = process
        self.stdin, self.stdout, self.stderr = process.stdin, process.stdout, process.stderr

    def give(self, text: str) -> None:
        self.stdin.write(text.encode())
        self.stdin.flush()

    def until(self, words: bytes) -> None:
        """Read lines of standard error up to one with these words."""
        for line in self.stderr:
            if words in line:
                return
        raise AssertionError(f"it ended without {words!r}")

    def ended(self, given: str = "") -> Done:
        out, err = self.process.communicate(given.encode(), timeout=TIMEOUT_S)
        return Done(self.process.returncode, out.decode(), err.decode())


@dataclass
class Program:
    """`periscope`, called with some variables set."""

    variables: dict[str, str] = field(default_factory=dict)

    @property
    def environment(self) -> dict[str, str]:
        own = {name: value for name, value in os.environ.items() if not _meddles(name)}
        return {
            **own,
            "PYTHONPATH": str(ROOT / "src"),
            "PYTHONWARNINGS": "error",
            "PERISCOPE_MIN_FREE_MB": "0",
            **self.variables,
        }

    def with_(self, **variables: str) -> Program:
        return Program({**self.variables, **variables})

    def __call__(self, *arguments: str, given: str | bytes = b"") -> Done:
        done = subprocess.run(
            [sys.executable, "-m", "periscope", *arguments],
            input=given.encode() if isinstance(given, str) else given,
            capture_output=True,
            env=self.environment,
            cwd=ROOT,
            timeout=TIMEOUT_S,
            check=False,
        )
        return Done(done.returncode, done.stdout.decode(), done.stderr.decode())

    @contextmanager
    def start(self, *arguments: str) -> Iterator[Running]:
        """Run it beside the test, with pipes; it never outlives the block."""
        process = subprocess.Popen(
            [sys.executable, "-m", "periscope", *arguments],
            env=self.environment,
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        with process:
            try:
                yield Running(process)
            finally:
                process.kill()


def _meddles(name: str) -> bool:
    return name.startswith("PERISCOPE_") or name in ("COLUMNS", "LINES", "NO_COLOR", "FORCE_COLOR")


@pytest.fixture(scope="session")
def place() -> Iterator[Path]:
    """A directory with a short path: a socket has to fit below it."""
    directory = Path(tempfile.mkdtemp(prefix="pcli-", dir="/tmp"))
    yield directory
    shutil.rmtree(directory, ignore_errors=True)


@pytest.fixture(scope="session")
def held(place: Path) -> Iterator[Program]:
    """The program, beside an embedded server that lives until the session ends."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_RUNTIME_DIR", str(place))
        server = asyncio.run(EmbeddedServer.join(place / "data"))
    yield Program({"XDG_RUNTIME_DIR": str(place), "PERISCOPE_DATA_DIR": str(place / "data")})
    asyncio.run(server.leave())


@pytest.fixture
def program(held: Program) -> Program:
    """The program with an empty database of this test's own."""
    return held.with_(PERISCOPE_NAMESPACE=f"test{next(NUMBERS)}")


@pytest.fixture(scope="session")
def filled(held: Program) -> Program:
    """The program with the samples and one hostile threat in its database; only to be read."""
    program = held.with_(PERISCOPE_NAMESPACE="filled")
    samples = ("samples/kev-sample.json", "samples/ndjson-sample.ndjson")
    assert program("ingest", *samples).code == 0
    assert program("ingest", "-", given=json.dumps(HOSTILE)).code == 0
    return program
