"""Rows `exists` and `seen`: what the local filter answers, how fast, and how much of it."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import AsyncIterator, Iterable
from itertools import islice

from periscope.bench.boards import fill
from periscope.bench.effort import Effort
from periscope.bench.figures import Figure, figure
from periscope.bench.other_writer import Acknowledged, other_writer
from periscope.bench.plan import Plan
from periscope.bench.rates import Rates, rate_figure, runs
from periscope.bench.stand import Stand, stand
from periscope.bench.threats import threat_id
from periscope.bench.work import FAR
from periscope.errors import BugError
from periscope.membership import Membership

TESTS = 1_000  # of one sample: the clock itself takes a tenth of a microsecond
SAMPLES = 100
AWAITS = 20_000
SEEN = 100_000
WRITTEN = 50_000  # by another process, while this one asks
LOOK = 4_096  # ids at a time: then the filter may follow
HEARD_WITHIN_MS = 1_000
LOCAL = "unknown ids that never reached the server"
WRONG = 'wrong "no", beside another writer'


async def exists_row(plan: Plan) -> list[Figure]:
    """The test itself, the await around it, and answers beside another process that writes."""
    async with stand() as on:
        await fill(on, "untouched", plan.scale)
        await on.periscope.membership_ready()
        return [
            await _test_itself(plan, on),
            *await _unknown(plan, on),
            *await _known(plan, on),
        ]


async def seen_row(plan: Plan) -> list[Figure]:
    """Up to 100,000 ids in one call, every other one unknown."""
    half = min(plan.scale, SEEN // 2)
    ids = [threat_id(n // 2 if n % 2 else 4 * FAR + n) for n in range(2 * half)]
    rates, local = Rates(), 0
    async with stand() as on:
        await fill(on, "untouched", plan.scale)
        await on.periscope.membership_ready()
        for _ in runs(plan, "seen"):
            before, effort = on.periscope.membership.local, Effort()
            async with effort.measured(on.socket_path, len(ids)):
                found = await on.periscope.seen(ids)
            if len(found) != half:
                raise BugError(f"of {half:,} known ids seen() told {len(found):,}")
            rates.note(len(ids), effort)
            local += on.periscope.membership.local - before
    share = 100 * local / (half * plan.runs)
    return [
        rate_figure(plan, "seen", f"{len(ids):,} ids in one call", "ids/s", rates),
        figure("seen", LOCAL, plan.scale, "%", [share]),
    ]


async def _test_itself(plan: Plan, on: Stand) -> Figure:
    """Nanoseconds of the test, without an await; a filter of its own, so that it can be held."""
    p = on.periscope
    membership = Membership(p.functions, p.keyspace, p.settings)
    ids = [threat_id(3 * FAR + number) for number in range(TESTS)]
    samples = []
    try:
        await membership.ready()
        for _ in range(SAMPLES):
            samples.append(_nanoseconds_of(membership, ids))
            await p.threat_exists(ids[0], exact=True)  # lets the filter follow meanwhile
    finally:
        await membership.close()
    return figure("exists", "the test itself, unknown id", plan.scale, "ns", samples)


def _nanoseconds_of(membership: Membership, ids: list[str]) -> float:
    is_absent = membership.is_absent
    begun = time.perf_counter_ns()
    for one in ids:
        is_absent(one)
    return (time.perf_counter_ns() - begun) / len(ids)


async def _unknown(plan: Plan, on: Stand) -> list[Figure]:
    rates, local = Rates(), 0
    ids = [threat_id(3 * FAR + number) for number in range(AWAITS)]
    for _ in runs(plan, "exists"):
        before, effort = on.periscope.membership.local, Effort()
        async with effort.measured(on.socket_path, len(ids)):
            for one in ids:
                if await on.periscope.threat_exists(one):
                    raise BugError("a threat exists that nobody reported")
        rates.note(len(ids), effort)
        local += on.periscope.membership.local - before
    share = 100 * local / (AWAITS * plan.runs)
    return [
        rate_figure(plan, "exists", "awaits of unknown ids, one caller", "calls/s", rates),
        figure("exists", LOCAL, plan.scale, "%", [share]),
    ]


async def _known(plan: Plan, on: Stand) -> list[Figure]:
    """A wrong "no" for any known id would be the end of the promise: all of them are asked for.

    Meanwhile another process writes: what it was told is stored must be known here a second later.
    """
    plan.say(f"exists: {plan.scale:,}, every known id, beside another writer")
    checks = Checks(on)
    count = min(WRITTEN, plan.scale)
    async with other_writer(on.socket_path, FAR, count) as told:
        hearing = asyncio.create_task(checks.hear(told))
        while not hearing.done() or checks.told or not checks.rounds:
            await checks.look_at(range(plan.scale))
            checks.rounds += 1
            await checks.look_at_what_was_told()
        await hearing
    found = len(await on.periscope.seen(map(threat_id, range(plan.scale))))
    found += len(await on.periscope.seen(map(threat_id, range(FAR, FAR + count))))
    known = plan.scale + count
    return [
        figure("exists", "known ids found", plan.scale, "%", [100 * found / known]),
        figure("exists", "known ids tested", plan.scale, "ids", [checks.tested]),
        figure("exists", WRONG, plan.scale, "ids", [checks.wrong]),
    ]


class Checks:
    """Known ids, put to the filter that answers for `threat_exists`; `wrong` counts its "no"s."""

    def __init__(self, on: Stand) -> None:
        self.tested = self.wrong = self.rounds = 0
        self.told: deque[Acknowledged] = deque()
        self._is_absent = on.periscope._membership.is_absent

    async def hear(self, told: AsyncIterator[Acknowledged]) -> None:
        """Keep what the other process was told."""
        async for one in told:
            self.told.append(one)

    async def look_at(self, numbers: Iterable[int]) -> None:
        """Put these to the filter, a few at a time."""
        ids = map(threat_id, numbers)
        while part := list(islice(ids, LOOK)):
            self.wrong += sum(map(self._is_absent, part))
            self.tested += len(part)
            await asyncio.sleep(0)

    async def look_at_what_was_told(self) -> None:
        """What the other process was told more than a second ago."""
        due_ms = time.time_ns() // 1_000_000 - HEARD_WITHIN_MS
        while self.told and self.told[0].at_ms < due_ms:
            one = self.told.popleft()
            await self.look_at(range(one.first, one.last))
