"""Another process that writes: `python -m periscope.bench.other_writer SOCKET FIRST COUNT`.

It says `TIME FIRST LAST` for each batch: these reports were acknowledged at TIME (ms).
"""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import NamedTuple

from periscope.bench.ending import to_the_end
from periscope.bench.stand import NAMESPACE
from periscope.bench.threats import report
from periscope.errors import BugError
from periscope.periscope import Periscope
from periscope.settings import Settings

BATCH = 200


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
        *(sys.executable, "-m", "periscope.bench.other_writer", *words),
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


async def _write(socket_path: str, first: int, count: int) -> None:
    settings = Settings(url=f"unix://{socket_path}", namespace=NAMESPACE, filter="off")
    async with Periscope(settings) as p:
        for start in range(first, first + count, BATCH):
            last = min(start + BATCH, first + count)
            await p.add_threats_batch(report(number) for number in range(start, last))
            sys.stdout.write(f"{time.time_ns() // 1_000_000} {start} {last}\n")
            sys.stdout.flush()


if __name__ == "__main__":
    asyncio.run(_write(sys.argv[1], int(sys.argv[2]), int(sys.argv[3])))
