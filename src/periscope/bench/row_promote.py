"""Row `promote`: what promotion costs, and that it does not cost more among a million."""

from __future__ import annotations

from functools import partial

from periscope.bench.acting import make_eligible
from periscope.bench.boards import fill
from periscope.bench.effort import Effort
from periscope.bench.figures import Figure, figure, pairs
from periscope.bench.plan import Plan
from periscope.bench.rates import runs
from periscope.bench.stand import Stand, stand
from periscope.errors import BugError

ROW = "promote"
MOST = 10_000
FEW = 100


class Times:
    """Milliseconds of each promotion, and of each call that it made of the server."""

    def __init__(self) -> None:
        self.whole: list[float] = []
        self.calls: list[float] = []
        self.effort = Effort()


async def promote_row(plan: Plan) -> list[Figure]:
    """Up to 10,000 eligible threats among the scale and among themselves, in turns; and 100."""
    count = max(1, min(MOST, plan.scale // (2 * plan.runs)))
    among, small, few = Times(), Times(), Times()
    async with stand() as full:
        await fill(full, "untouched", plan.scale)
        for run in runs(plan, ROW):
            await _promote(full, range(run * count, (run + 1) * count), among)
            async with stand() as fresh:
                await fill(fresh, "untouched", count)
                await _promote(fresh, range(count), small)
            # From the far end: these were not promoted before.
            last = plan.scale - run * min(FEW, count)
            await _promote(full, range(last - min(FEW, count), last), few)
    return _figures(plan, count, among, small, few)


async def _promote(on: Stand, numbers: range, times: Times) -> None:
    await make_eligible(on, numbers)
    await on.record_calls()
    before = times.effort.wall_s
    async with times.effort.measured(on.socket_path, len(numbers)):
        stats = await on.periscope.promote_eligible_threats()
    times.whole.append((times.effort.wall_s - before) * 1000)
    times.calls += await on.recorded_calls("periscope_")
    if stats.promoted != len(numbers):
        raise BugError(f"of {len(numbers):,} threats {stats.promoted:,} were promoted")


def _figures(plan: Plan, count: int, among: Times, small: Times, few: Times) -> list[Figure]:
    on, told = f"{count:,} eligible", partial(figure, ROW, scale=plan.scale, unit="ms")
    ratios = pairs(among.whole, small.whole)
    return [
        told("alone", samples=small.whole, on=on, effort=small.effort),
        told(
            "among the scale",
            samples=among.whole,
            on=on,
            ratios=ratios,
            ratio_to="alone",
            effort=among.effort,
        ),
        told("each call", samples=among.calls, on=on),
        told("100 eligible", samples=few.whole, effort=few.effort),
    ]
