"""A process that prepares and confirms until it is killed, telling what was acknowledged.

    python crasher.py PLACE NAME

Lines: `prepared N`, `confirmed N COUNT`. The answer of the store to batch N is a function of N.
"""

from __future__ import annotations

import asyncio
import sys
from itertools import count

from periscope.archive import Departure, open_archive
from tests.archive.samples import act, departure

SIZE = 20


def batch_of(name: str, n: int) -> list[Departure]:
    reasons = ("expired_seen", "expired_unseen", "removed")
    return [departure(f"{name}-{n}-{i}", reason=reasons[(n + i) % 3]) for i in range(SIZE)]


def answer_of(n: int) -> list[bool]:
    return [(n + i) % 4 != 0 for i in range(SIZE)]


def tell(line: str) -> None:
    """In one write, so that a kill cannot tear it."""
    sys.stdout.write(line)
    sys.stdout.flush()


async def work(place: str, name: str) -> None:
    archive = await open_archive(place)
    for n in count():
        await archive.prepare(f"{name}-{n}", 0, batch_of(name, n))
        tell(f"prepared {n}\n")
        tell(f"confirmed {n} {await archive.confirm(f'{name}-{n}', answer_of(n))}\n")
        await archive.write_audit([act(n, request_id=name, partition=int(name))])


if __name__ == "__main__":
    asyncio.run(work(*sys.argv[1:]))
