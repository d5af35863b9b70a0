"""Analysts at work through the public interface, and the plain call that they are compared with."""

from __future__ import annotations

import asyncio
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


async def by_callers(stand: Stand, callers: int, numbers: range, job: Job) -> Effort:
    """Do the job for each number, `callers` of them awaiting one each at any time."""
    effort, source = Effort(), iter(numbers)
    async with effort.measured(stand.socket_path, len(numbers)):
        await asyncio.gather(*(_caller(source, job) for _ in range(callers)))
    return effort


async def _caller(source: Iterator[int], job: Job) -> None:
    for number in source:
        await job(number)


def awaiting(stand: Stand, resident: int) -> Job:
    """One `record_interaction` an await."""

    async def job(number: int) -> None:
        await stand.periscope.record_interaction(**interaction(number, resident))

    return job


def plainly(stand: Stand, resident: int) -> Job:
    """One redis-py call an await, through the same pool: an HSET, and nothing is checked."""
    client = stand.periscope.functions.connections.client

    async def job(number: int) -> None:
        item = interaction(number, resident)
        key = f"bench:{item['threat_id']}"
        await client.execute_command("HSET", key, item["analyst_id"], item["action"])

    return job


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
