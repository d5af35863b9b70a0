"""Rates: runs that are made in turns, and the figures that they become."""

from __future__ import annotations

from collections.abc import Iterator

from periscope.bench.effort import Effort
from periscope.bench.figures import Figure, figure, pairs
from periscope.bench.plan import Plan


class Rates:
    """The runs of one kind of work: a rate for each, and the effort of all."""

    def __init__(self) -> None:
        self.samples: list[float] = []
        self.effort = Effort()

    def note(self, count: int, effort: Effort) -> None:
        """Keep a run that did `count` things."""
        self.samples.append(count / effort.wall_s)
        self.effort.add(effort)


def runs(plan: Plan, what: str) -> Iterator[int]:
    """Number the runs from 0 on, and tell of each."""
    for run in range(plan.runs):
        plan.say(f"{what}: {plan.scale:,}, run {run + 1} of {plan.runs}")
        yield run


def rate_figure(
    plan: Plan,
    row: str,
    what: str,
    unit: str,
    rates: Rates,
    ratio_to: str | None = None,
    to: Rates | None = None,
    on: str | None = None,
) -> Figure:
    """The figure of these runs, as a ratio to the runs beside them if `to` is given."""
    return figure(
        row,
        what,
        plan.scale,
        unit,
        rates.samples,
        on=on,
        ratios=pairs(rates.samples, to.samples) if to else (),
        ratio_to=ratio_to if to else None,
        effort=rates.effort,
    )
