"""`periscope list`: the queue page by page, or all of it as a stream."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

from cyclopts import Group, Parameter

from periscope.cli.options import ANY_STORE, FOR_PEOPLE, OutputOptions, StoreOptions
from periscope.cli.paging import FIRST_PAGE, PageOptions, ReadPage, Walk
from periscope.cli.words import chosen
from periscope.errors import UsageError
from periscope.models import Status

if TYPE_CHECKING:
    from periscope.cli.queue import Columns
    from periscope.periscope import Periscope

PART = Group("Which threats", sort_key=10)
LOWEST, HIGHEST = -1e6, 1e6
"""Bounds beyond any score, for a range that is open on one side."""


@Parameter(name="*")
@dataclass(frozen=True)
class FilterOptions:
    """Which part of the queue, as it is asked for."""

    severity: Annotated[
        str | None,
        Parameter(name="--severity", group=PART, help="Only this: CRITICAL, HIGH, MEDIUM or LOW."),
    ] = None
    status: Annotated[
        str | None,
        Parameter(
            name="--status",
            group=PART,
            help="Only this of level 1: open, dismissed, snoozed or closed.",
        ),
    ] = None
    score: Annotated[
        str | None,
        Parameter(
            name="--score",
            group=PART,
            help="Only these scores, both included; either side may be left out.",
            metavar="LOW..HIGH",
        ),
    ] = None
    minimum: Annotated[
        float | None, Parameter(name="--min", group=PART, help="Only scores from this on.")
    ] = None
    maximum: Annotated[
        float | None, Parameter(name="--max", group=PART, help="Only scores up to this.")
    ] = None

    def part(self) -> Part:
        """Return the part that the options mean together.

        Raises:
            UsageError: they contradict each other, or the range is none.
        """
        bounds = self._bounds()
        if sum((self.severity is not None, self.status is not None, bounds != (None, None))) > 1:
            raise UsageError("--severity, --status and scores cannot be combined; give one of them")
        if self.severity is not None:
            return Part(severity=self.severity)
        if self.status is not None:
            return Part(status=chosen(Status, self.status, "--status"))
        if bounds == (None, None):
            return Part()
        low, high = bounds
        return Part(scores=(LOWEST if low is None else low, HIGHEST if high is None else high))

    def _bounds(self) -> tuple[float | None, float | None]:
        bounds = (self.minimum, self.maximum)
        if self.score is None:
            return bounds
        if bounds != (None, None):
            raise UsageError("--score says the same as --min and --max; give one of them")
        return read_range(self.score)


EVERYTHING = FilterOptions()


async def listing(
    *,
    wanted: FilterOptions = EVERYTHING,
    paging: PageOptions = FIRST_PAGE,
    store: StoreOptions = ANY_STORE,
    out: OutputOptions = FOR_PEOPLE,
) -> int:
    """Go through the queue page by page."""
    part = wanted.part()
    async with store.open() as periscope:
        walk = Walk(["list", *part.words()], part.reader(periscope), part.columns())
        await walk.go(paging, store, out)
    return 0


@dataclass(frozen=True)
class Part:
    """A part of the queue, or of level 1; at most one of the three is set."""

    severity: str | None = None
    status: Status | None = None
    scores: tuple[float, float] | None = None

    def reader(self, periscope: Periscope) -> ReadPage:
        """Return the call that reads a page of this part."""
        if self.severity is not None:
            wanted = self.severity
            return lambda cursor, count: periscope.get_by_severity(wanted, cursor, count)
        if self.status is not None:
            status = self.status
            return lambda cursor, count: periscope.get_by_status(status, cursor, count)
        if self.scores is not None:
            low, high = self.scores
            return lambda cursor, count: periscope.get_by_score_range(low, high, cursor, count)
        return periscope.get_active_paginated

    def columns(self) -> Columns | None:
        """Return the columns that show it; None for those of the queue."""
        from periscope.cli.columns import snoozed_columns

        return snoozed_columns if self.status is Status.SNOOZED else None

    def words(self) -> list[str]:
        """Return the options that say the same."""
        if self.severity is not None:
            return ["--severity", self.severity]
        if self.status is not None:
            return ["--status", self.status.value]
        if self.scores is None:
            return []
        low, high = self.scores
        return [
            *(["--min", f"{low:g}"] if low != LOWEST else []),
            *(["--max", f"{high:g}"] if high != HIGHEST else []),
        ]


def read_range(text: str) -> tuple[float | None, float | None]:
    """Return the bounds that LOW..HIGH means; None where it is open.

    Raises:
        UsageError: it is no range.
    """
    low, dots, high = text.partition("..")
    try:
        if not dots or not (low.strip() or high.strip()):
            raise ValueError
        return float(low) if low.strip() else None, float(high) if high.strip() else None
    except ValueError:
        raise UsageError(
            f"--score {text} is no range; write it as 0.7..1.0, 0.7.. or ..0.5"
        ) from None
