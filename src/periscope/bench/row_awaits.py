"""Row `awaits`: single reports, reads and claims, beside one redis-py call each."""

from __future__ import annotations

from periscope.bench.boards import fill
from periscope.bench.contest import Contest, few, held_contest, many
from periscope.bench.figures import Figure
from periscope.bench.plan import Plan
from periscope.bench.row_interactions import CALLERS, ONE_CALL
from periscope.bench.singly import ours, redis_py
from periscope.bench.stand import Stand, stand

ROW = "awaits"
CALLS = ("add_threat", "get_threat", "claim")


async def awaits_row(plan: Plan) -> list[Figure]:
    """Every kind of call, by one caller and by many."""
    figures = []
    async with stand() as on:
        await fill(on, "untouched", plan.scale)
        for contest in _contests(plan, on):
            figures += await held_contest(plan, on, contest, "durable")
    return figures


def _contests(plan: Plan, on: Stand) -> list[Contest]:
    contests = []
    for call in CALLS:
        jobs = {"ours": ours(on, plan.scale)[call], ONE_CALL: redis_py(on, plan.scale)[call]}
        contests += [
            Contest(ROW, f"{call}, one caller", 1, few(plan), jobs),
            Contest(ROW, f"{call}, {CALLERS} callers", CALLERS, many(plan, CALLERS), jobs),
        ]
    return contests
