"""Another process that writes beside this one, and what it was told: `other_process.py`."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import NamedTuple

from periscope.bench.ending import to_the_end
from periscope.errors import BugError


class Acknowledged(NamedTuple):
    """Reports that another process was told are stored."""

    at_ms: int
    first: int
    last: int


@asynccontextmanager
async def other_writer(
    socket_path: Path, first: int, count: int
) -> AsyncIterator[AsyncIterator[Acknowledged]]:
    """A process that writes so many reports while the body runs; what it is told, as it comes."""
    words = (str(socket_path), str(first), str(count))
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "periscope.bench.other_process", *words),
        stdout=asyncio.subprocess.PIPE,
    )
    try:
        yield _told_by(process)
    finally:
        if process.returncode is None:
            process.kill()
        await to_the_end(process.wait())


async def _told_by(process: asyncio.subprocess.Process) -> AsyncIterator[Acknowledged]:
    if process.stdout is None:
        raise BugError("the other writer has no output")
    async for line in process.stdout:
        yield Acknowledged(*map(int, line.split()))
    if await process.wait():
        raise BugError(f"the other writer ended with {process.returncode}")
