"""Analysts at work through the public interface, and the plain call that they are compared with."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from typing import Any

from periscope.bench.effort import Effort
from periscope.bench.stand import Stand
from periscope.bench.threats import Item, blocks, report, threat_id
from periscope.errors import BugError

ANALYSTS = 50
# Of twenty interactions: most look, some work on it, a few judge.
ACTIONS = ("view",) * 9 + ("investigate",) * 4 + ("escalate",) * 3 + ("dismiss",) * 2
MIX = (*ACTIONS, "monitor", "monitor")
STRIDE = 7919  # a prime: neighbours in time are no neighbours in the store

Job = Callable[[int], Awaitable[Any]]


def interaction(number: int, resident: int) -> Item:
    """Interaction `number` with one of `resident` threats, each of them as likely."""
    return {
        "threat_id": threat_id(number * STRIDE % resident),
        "analyst_id": f"analyst-{number % ANALYSTS}",
        "action": MIX[number * 13 % len(MIX)],
    }


async def interact(stand: Stand, numbers: range, resident: int) -> Effort:
    """Record interactions of these numbers as batches; return what it took."""
    effort = Effort()
    for block in blocks(numbers.start, len(numbers)):
        items = [interaction(number, resident) for number in block]
        await record(stand, items, effort)
    return effort


async def record(stand: Stand, items: Sequence[Item], effort: Effort) -> None:
    """Record one batch, all of which must be taken."""
    async with effort.measured(stand.socket_path, len(items)):
        result = await stand.periscope.record_interactions_batch(items)
    if result.recorded != len(items):
        raise BugError(f"of {len(items):,} interactions only {result.recorded:,} were recorded")


async def by_callers(
    stand: Stand, callers: int, numbers: range, job: Job, waits: list[float] | None = None
) -> Effort:
    """Do the job for each number, `callers` of them awaiting one each at any time.

    `waits` receives the milliseconds of each await.
    """
    effort, source, noted = Effort(), iter(numbers), [] if waits is None else waits
    async with effort.measured(stand.socket_path, len(numbers)):
        await asyncio.gather(*(_caller(source, job, noted) for _ in range(callers)))
    return effort


async def _caller(source: Iterator[int], job: Job, waits: list[float]) -> None:
    for number in source:
        begun = time.perf_counter()
        await job(number)
        waits.append((time.perf_counter() - begun) * 1000)


async def make_eligible(stand: Stand, numbers: range) -> None:
    """Have these threats reported as CRITICAL and escalated by two analysts: promotion is next."""
    for block in blocks(numbers.start, len(numbers)):
        changed = [report(number, edition=1) | {"severity": "CRITICAL"} for number in block]
        await stand.periscope.add_threats_batch(changed)
        await record(stand, [_escalation(n, who) for n in block for who in ("a", "b")], Effort())
    promotable = (await stand.periscope.get_holdings())["promotable"]
    if promotable != len(numbers):
        raise BugError(f"of {len(numbers):,} threats {promotable:,} are eligible")


def _escalation(number: int, analyst_id: str) -> Item:
    return {"threat_id": threat_id(number), "analyst_id": analyst_id, "action": "escalate"}
