"""Row `interactions`: how fast analysts' work is recorded, beside one redis-py call each."""

from __future__ import annotations

from periscope.bench.acting import interact
from periscope.bench.boards import fill
from periscope.bench.contest import Contest, few, held_contest, many
from periscope.bench.figures import Figure
from periscope.bench.plan import Plan
from periscope.bench.rates import Rates, rate_figure, runs
from periscope.bench.singly import ours, plain_hset, redis_py
from periscope.bench.stand import DURABILITIES, Stand, stand

ROW = "interactions"
WHAT = "record_interaction"
CALLERS = 200
MOST = 100_000
ONE_CALL = "one redis-py call each"


async def interactions_row(plan: Plan) -> list[Figure]:
    """A batch; then one caller and many, each beside as many calls of redis-py."""
    figures = []
    for durability in DURABILITIES:
        async with stand(durability) as on:
            await fill(on, "untouched", plan.scale)
            figures.append(await _batch(plan, on, durability))
            for contest in _contests(plan, on):
                figures += await held_contest(plan, on, contest, durability)
    return figures


async def _batch(plan: Plan, on: Stand, durability: str) -> Figure:
    count, rates = min(plan.scale, MOST), Rates()
    for run in runs(plan, f"{ROW}: batch, {durability}"):
        numbers = range(run * count, (run + 1) * count)
        rates.note(count, await interact(on, numbers, plan.scale))
    return rate_figure(plan, ROW, "batch", "acts/s", rates, on=durability)


def _contests(plan: Plan, on: Stand) -> list[Contest]:
    jobs = {
        "ours": ours(on, plan.scale)[WHAT],
        ONE_CALL: redis_py(on, plan.scale)[WHAT],
        "plain HSET": plain_hset(on, plan.scale),
    }
    return [
        Contest(ROW, "one caller", 1, few(plan), jobs),
        Contest(ROW, f"{CALLERS} callers", CALLERS, many(plan, CALLERS), jobs),
    ]
