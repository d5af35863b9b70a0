"""Row `interactions`: how fast analysts' work is recorded, beside one plain call an await."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial
from typing import get_args

from periscope.bench.acting import awaiting, by_callers, interact, plainly
from periscope.bench.boards import fill
from periscope.bench.effort import Effort
from periscope.bench.figures import Figure
from periscope.bench.plan import Plan
from periscope.bench.rates import Rates, rate_figure, runs
from periscope.bench.stand import Stand, stand
from periscope.settings import Durability

ROW = "interactions"
UNIT = "calls/s"
CALLERS = 200
MOST = 100_000
MOST_ALONE = 2_000
MOST_AT_ONCE = 20_000

BATCH = "batch"
ALONE, PLAIN_ALONE = "one caller", "one caller, plain HSET"
AT_ONCE, PLAIN_AT_ONCE = f"{CALLERS} callers", f"{CALLERS} callers, plain HSET"

Job = Callable[[range], Awaitable[Effort]]


async def interactions_row(plan: Plan) -> list[Figure]:
    """A batch, one caller and many, each beside as many plain calls on the same server."""
    figures = []
    for durability in get_args(Durability):
        async with stand(durability) as on:
            await fill(on, "untouched", plan.scale)
            figures += await _measured(plan, on, durability)
    return figures


async def _measured(plan: Plan, on: Stand, durability: str) -> list[Figure]:
    jobs = _jobs(plan, on)
    rates = {what: Rates() for what in jobs}
    first = 0
    for _ in runs(plan, f"{ROW}, {durability}"):
        for what, (count, job) in jobs.items():
            rates[what].note(count, await job(range(first, first + count)))
            first += count
    return [
        _figure(plan, BATCH, rates, PLAIN_AT_ONCE, durability),
        _figure(plan, ALONE, rates, PLAIN_ALONE, durability),
        _figure(plan, AT_ONCE, rates, PLAIN_AT_ONCE, durability),
        _figure(plan, PLAIN_ALONE, rates, None, durability),
        _figure(plan, PLAIN_AT_ONCE, rates, None, durability),
    ]


def _jobs(plan: Plan, on: Stand) -> dict[str, tuple[int, Job]]:
    """How often each is done in a run, and how; what is compared stands side by side."""
    ours, plain = awaiting(on, plan.scale), plainly(on, plan.scale)
    alone, at_once = partial(by_callers, on, 1), partial(by_callers, on, CALLERS)
    few = max(50, min(MOST_ALONE, plan.scale // 50))
    many = max(CALLERS, min(MOST_AT_ONCE, plan.scale // 5))
    return {
        BATCH: (min(plan.scale, MOST), partial(interact, on, resident=plan.scale)),
        ALONE: (few, partial(alone, job=ours)),
        PLAIN_ALONE: (few, partial(alone, job=plain)),
        AT_ONCE: (many, partial(at_once, job=ours)),
        PLAIN_AT_ONCE: (many, partial(at_once, job=plain)),
    }


def _figure(
    plan: Plan, what: str, rates: dict[str, Rates], to: str | None, durability: str
) -> Figure:
    ratio_to = "plain HSET" if to else None
    beside = rates[to] if to else None
    return rate_figure(plan, ROW, what, UNIT, rates[what], ratio_to, beside, durability)
