"""A process that writes: `python -m periscope.bench.other_process SOCKET FIRST COUNT`.

It says `TIME FIRST LAST` for each batch: these reports were acknowledged at TIME (ms). Nobody may
import it: a module that is run as a program would otherwise be there twice.
"""

from __future__ import annotations

import asyncio
import sys
import time

from periscope.bench.stand import NAMESPACE
from periscope.bench.threats import report
from periscope.periscope import Periscope
from periscope.settings import Settings

BATCH = 200


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
