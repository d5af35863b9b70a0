"""What the store says at one moment: partition by partition, so that none waits for another."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable
from dataclasses import dataclass, field
from time import perf_counter
from typing import TypeVar

from periscope.calls import Calls
from periscope.connection import Capacity
from periscope.errors import PeriscopeError
from periscope.functions import PartitionStats
from periscope.keys import PartitionKeys
from periscope.ledger import Stats, add_up
from periscope.metrics.watch import Watch, WatchPart, read_part, watch_of
from periscope.models import SEVERITIES
from periscope.periscope import Periscope
from periscope.reader import over, steady
from periscope.rules import Rules
from periscope.suppressed import SuppressedCalls

MOST_S = 2.0
T = TypeVar("T")
log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Part:
    """What one partition says."""

    latency_s: float
    stats: PartitionStats
    watch: WatchPart
    holdings: dict[str, int]
    suppressed: int


@dataclass(frozen=True, slots=True)
class Reading:
    """What those partitions say that answered, at least one; `missing` is how many did not.

    `overdue` is by severity; None where not all answered, or counting took too long: of threats
    that were reported again, each has to be looked at.
    """

    missing: int
    parts: list[Part]
    capacity: Capacity | None
    overdue: dict[str, int] | None
    stats: Stats = field(init=False)
    watch: Watch = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "stats", add_up([part.stats for part in self.parts]))
        object.__setattr__(self, "watch", watch_of([part.watch for part in self.parts]))

    @property
    def is_whole(self) -> bool:
        """Did every partition answer?"""
        return not self.missing

    @property
    def latency_s(self) -> float:
        """One round trip, of the slowest."""
        return max(part.latency_s for part in self.parts)

    @property
    def holdings(self) -> dict[str, int]:
        """See `Periscope.get_holdings`."""
        return {name: sum(p.holdings[name] for p in self.parts) for name in self.parts[0].holdings}

    @property
    def suppressed(self) -> int:
        """How many ids are set aside as noise."""
        return sum(part.suppressed for part in self.parts)


async def read(periscope: Periscope, most_s: float = MOST_S) -> Reading | None:
    """Ask all partitions; None if none of them has answered within `most_s` seconds."""
    partitions = periscope.keyspace.partitions
    found = await asyncio.gather(*(within(most_s, _part(periscope, one)) for one in partitions))
    parts = [part for part in found if part is not None]
    if not parts:
        return None
    there = [keys for keys, part in zip(partitions, found, strict=True) if part is not None]
    missing, as_of_ms = len(found) - len(parts), parts[0].stats.now_ms
    capacity = await within(most_s, _room(periscope, there))
    overdue = None if missing else await within(most_s, count_overdue(periscope, as_of_ms))
    return Reading(missing, parts, capacity, overdue)


async def within(most_s: float, call: Awaitable[T]) -> T | None:
    """What a call answers; None if it fails, or takes too long."""
    try:
        async with asyncio.timeout(most_s):
            return await call
    except (TimeoutError, PeriscopeError) as exc:
        log.debug("metrics: %s", exc)
        return None


async def _part(periscope: Periscope, keys: PartitionKeys) -> Part:
    """All that a partition says, under one policy."""
    functions = periscope.functions
    calls, began = Calls(functions), perf_counter()
    await functions.connections.guarded(functions.connections.run("EXISTS", keys.meta))
    latency_s = perf_counter() - began

    async def read(_: Rules) -> Part:
        stats = await functions.stats(keys)
        causes = await SuppressedCalls(functions).causes(keys)
        watch, holdings = await read_part(functions, keys), await calls.holdings(keys)
        return Part(latency_s, stats, watch, holdings, sum(causes.values()))

    return await steady(functions, read)


async def _room(periscope: Periscope, partitions: list[PartitionKeys]) -> Capacity:
    """How full the servers of these partitions are."""
    probes = [keys.reply(b"probe") for keys in partitions]
    return await periscope.functions.connections.capacity(probes)


async def count_overdue(periscope: Periscope, as_of_ms: int) -> dict[str, int]:
    """How many open, unseen threats are past their target, by severity.

    Of threats that were reported again each has to be looked at, in bounded steps.

    Raises:
        PartitionsMissing: some are away.
    """
    calls, partitions = Calls(periscope.functions), periscope.keyspace.partitions

    async def count(rules: Rules) -> dict[str, int]:
        async def count_in(keys: PartitionKeys) -> list[int]:
            ranks = range(len(SEVERITIES))
            return [await calls.count_overdue(keys, rules, rank, as_of_ms) for rank in ranks]

        counts = await over(partitions, count_in)
        return {one.value: sum(part[one.rank] for part in counts) for one in SEVERITIES}

    return await steady(periscope.functions, count)
