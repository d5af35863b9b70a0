"""One kind of work done in several ways, in turns, by one caller or by many at once."""

from __future__ import annotations

from typing import NamedTuple

from periscope.bench.acting import Job, by_callers
from periscope.bench.figures import Figure, figure
from periscope.bench.plan import Plan
from periscope.bench.rates import Rates, rate_figure, runs
from periscope.bench.stand import Stand

UNIT = "calls/s"
TURNS = 4  # of each run: many short turns, side by side, spread the noise over both


class Contest(NamedTuple):
    """What is compared: `calls` awaits in each turn, by `callers`; ours is the first of `jobs`."""

    row: str
    what: str
    callers: int
    calls: int
    jobs: dict[str, Job]


async def held_contest(plan: Plan, on: Stand, contest: Contest, on_what: str) -> list[Figure]:
    """Do the work in every way; rates of each, ours as a ratio to the others, and our latency."""
    rates = {name: Rates() for name in contest.jobs}
    waits: list[float] = []
    first = 0
    for _ in runs(plan, f"{contest.row}: {contest.what}, {on_what}"):
        for turn in range(TURNS):
            # In turn the other way round: whoever comes first has it no easier.
            for name in list(contest.jobs)[:: -1 if turn % 2 else 1]:
                numbers = range(first, first + contest.calls)
                mine = waits if name == next(iter(contest.jobs)) else None
                job = contest.jobs[name]
                effort = await by_callers(on, contest.callers, numbers, job, mine)
                rates[name].note(contest.calls, effort)
                first += contest.calls
    return _figures(plan, contest, rates, waits, on_what)


def _figures(
    plan: Plan, contest: Contest, rates: dict[str, Rates], waits: list[float], on_what: str
) -> list[Figure]:
    (_, ours), (other, theirs), *more = rates.items()
    row, what = contest.row, contest.what
    found = [
        rate_figure(plan, row, what, UNIT, ours, other, theirs, on_what),
        figure(row, f"{what}, each await", plan.scale, "ms", waits, on=on_what),
        rate_figure(plan, row, f"{what}, {other}", UNIT, theirs, on=on_what),
    ]
    for name, rated in more:
        told = f"{what}, {name}"
        found.append(rate_figure(plan, row, told, UNIT, rated, "ours", ours, on_what))
    return found


def few(plan: Plan) -> int:
    """Awaits of a turn for a single caller."""
    return max(20, min(500, plan.scale // 100))


def many(plan: Plan, callers: int) -> int:
    """Awaits of a turn for many callers."""
    return max(callers, min(4_000, plan.scale // 20))
