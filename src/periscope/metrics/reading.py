"""What the store says at one moment: in parts, of which one that fails takes no other along."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable
from dataclasses import dataclass, field
from time import perf_counter
from typing import TypeVar

from periscope.calls import Calls
from periscope.errors import PartitionsMissing, PeriscopeError
from periscope.keys import PartitionKeys
from periscope.ledger import Stats
from periscope.metrics.watch import Watch, read_watch
from periscope.models import SEVERITIES
from periscope.periscope import Periscope
from periscope.reader import over, steady
from periscope.rules import Rules

MOST_S = 2.0
T = TypeVar("T")
log = logging.getLogger(__name__)


@dataclass(slots=True)
class Reading:
    """What was read; None is what nobody could say. `missing` are partitions that were away."""

    latency_s: float | None = None
    stats: Stats | None = None
    watch: Watch | None = None
    overdue: dict[str, int] | None = None
    holdings: dict[str, int] | None = None
    missing: set[int] = field(default_factory=set)

    @property
    def is_up(self) -> bool:
        """Did the store answer?"""
        return self.latency_s is not None

    async def part(self, call: Awaitable[T]) -> T | None:
        """Await a part of it: what could be read, None if nothing could."""
        try:
            return await call
        except PartitionsMissing as exc:
            self.missing |= set(exc.missing)
            return exc.partial  # type: ignore[no-any-return]
        except PeriscopeError as exc:
            log.debug("metrics: %s", exc)
            return None


async def read(periscope: Periscope, most_s: float = MOST_S) -> Reading:
    """Ask the store; what it has not said within `most_s` seconds is not known."""
    found = Reading()
    try:
        async with asyncio.timeout(most_s):
            await _fill(found, periscope)
    except TimeoutError:
        found.latency_s = None
    return found


async def _fill(found: Reading, periscope: Periscope) -> None:
    partitions = periscope.keyspace.partitions
    times = await found.part(over(partitions, lambda keys: _round_trip(periscope, keys)))
    if not times:
        return
    found.latency_s = max(times)
    found.stats = await found.part(periscope.get_stats())
    found.watch = await found.part(read_watch(periscope))
    found.holdings = await found.part(periscope.get_holdings())
    if found.stats is not None and not found.missing:
        found.overdue = await found.part(_overdue(periscope, found.stats.as_of_ms))


async def _round_trip(periscope: Periscope, keys: PartitionKeys) -> float:
    connections, began = periscope.functions.connections, perf_counter()
    await connections.guarded(connections.run("EXISTS", keys.meta))
    return perf_counter() - began


async def _overdue(periscope: Periscope, as_of_ms: int) -> dict[str, int]:
    """How many open, unseen threats of each severity are past their target."""
    calls, partitions = Calls(periscope.functions), periscope.keyspace.partitions

    async def count(rules: Rules) -> dict[str, int]:
        async def count_in(keys: PartitionKeys) -> list[int]:
            ranks = range(len(SEVERITIES))
            return [await calls.count_overdue(keys, rules, rank, as_of_ms) for rank in ranks]

        counts = await over(partitions, count_in)
        return {one.value: sum(part[one.rank] for part in counts) for one in SEVERITIES}

    return await steady(periscope.functions, count)
