"""schemathesis, with all checks, over all routes of a real service that has had a day of work."""

from __future__ import annotations

import asyncio
import os
import re
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.api.conftest import Served
from tests.api.described import OPERATIONS
from tests.api.scenario import live
from tests.api.scenario_admin import arrange

ROOT = Path(__file__).parent.parent.parent
CONFIG = ROOT / "schemathesis.toml"
EXAMPLES = int(os.environ.get("EXAMPLES", "60"))
MOST_S = 220 + EXAMPLES


@pytest.mark.timeout(MOST_S + 10)
async def test_the_service_is_as_it_is_described(served: Served, tmp_path: Path) -> None:
    arrange(served)
    await live(served.admin)
    told = await schemathesis(
        served,
        tmp_path,
        *("--checks", "all", "--continue-on-failure", "--phases", "examples,coverage,fuzzing"),
        *("--max-examples", str(max(1, EXAMPLES // 20)), "--no-shrink"),
    )
    count = len(OPERATIONS) - 1  # all but the one that it reads itself
    assert f"{count} selected / {count} total" in told, told


@pytest.mark.timeout(MOST_S + 10)
async def test_one_thing_after_another(served: Served, tmp_path: Path) -> None:
    arrange(served)
    await live(served.admin)
    await schemathesis(
        served,
        tmp_path,
        *("--checks", "all", "--continue-on-failure", "--phases", "stateful"),
        *("--max-examples", str(max(1, EXAMPLES // 20)), "--no-shrink"),
    )


async def schemathesis(served: Served, where: Path, *arguments: str) -> str:
    """Run it; what it says. Nothing may fail."""
    seed = os.environ.get("SEED", "1")
    command: list[Any] = [sys.executable, "-m", "schemathesis.cli", "--config-file", CONFIG]
    command += ["run", f"{served.service.url}/openapi.json", "--seed", seed, *arguments]
    command += ["-H", f"Authorization: Bearer {served.secret}"]
    process = await asyncio.create_subprocess_exec(
        *map(str, command),
        cwd=where,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    try:
        async with asyncio.timeout(MOST_S):
            told = (await process.communicate())[0].decode()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    told = re.sub(r"\x1b\[[0-9;]*m", "", told)
    assert process.returncode == 0, told
    return told
