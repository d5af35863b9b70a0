"""Ingest through the public interface, block by block, with the making of dicts off the clock."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from periscope.bench.effort import Effort
from periscope.bench.stand import Stand
from periscope.bench.threats import Item, blocks, is_known, report
from periscope.errors import BugError

FAR = 10**12

Make = Callable[[int], Item]


async def ingest(stand: Stand, first: int, count: int, make: Make = report) -> Effort:
    """Give reports `first` and on to `add_threats_batch`; return what it took."""
    effort = Effort()
    for block in blocks(first, count):
        items = [make(number) for number in block]
        async with effort.measured(stand.socket_path, len(items)):
            result = await stand.periscope.add_threats_batch(items)
        if result.committed != len(items):
            raise BugError(f"of {len(items):,} reports only {result.committed:,} were stored")
    return effort


async def ingest_known(stand: Stand, count: int, percent: int) -> Effort:
    """Ingest `count` reports of which `percent` in every hundred are known already."""
    mixed = partial(_known_or_new, percent=percent)
    known = [number for number in range(count) if is_known(number, percent)]
    for block in blocks(0, len(known)):
        await stand.periscope.add_threats_batch([report(known[at]) for at in block])
    before = await stand.periscope.get_ledger()
    effort = await ingest(stand, 0, count, mixed)
    after = await stand.periscope.get_ledger()
    if after.duplicates - before.duplicates != len(known):
        raise BugError("known reports were not counted as duplicates")
    return effort


def _known_or_new(number: int, percent: int) -> Item:
    return report(number if is_known(number, percent) else FAR + number)
