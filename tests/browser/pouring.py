"""Reports as fast as asked for: `python -m tests.browser.pouring URL RATE`, a process of its own.

It says `begun`, goes on until its standard input ends, and then says how many it has sent. Most are
of threats that are known already, as in a storm of one cause; each says something new of its own.
"""

from __future__ import annotations

import asyncio
import sys
from time import monotonic, time

from periscope import Periscope
from tests.browser.days import report

BATCH = 1000
THREATS = 20_000
PAUSE_S = 0.005


async def pour(url: str, rate: int) -> int:
    """Send until nobody wants more; return how many."""
    threats = [report(number, "LOW") for number in range(THREATS)]
    sent, begun, at_ms = 0, monotonic(), int(time() * 1000)
    ended = asyncio.create_task(asyncio.to_thread(sys.stdin.read))
    async with Periscope.open(url) as p:
        tell("begun")
        while not ended.done():
            if sent < (monotonic() - begun) * rate:
                some = threats[sent % THREATS :][:BATCH]
                seen = at_ms + sent // THREATS  # one seen at the same moment as before is no news
                await p.add_threats_batch([{**one, "observed_at": seen} for one in some])
                sent += BATCH
            else:
                await asyncio.sleep(PAUSE_S)
    return sent


def tell(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    tell(str(asyncio.run(pour(sys.argv[1], int(sys.argv[2])))))
