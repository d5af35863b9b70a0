"""`periscope list`: the queue page by page, or all of it as a stream."""

from __future__ import annotations

import shlex
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

from cyclopts import Group, Parameter, validators

from periscope.cli import documents, output
from periscope.cli.figures import count as counted
from periscope.cli.figures import moment
from periscope.cli.options import ANY_STORE, FOR_PEOPLE, OutputOptions, StoreOptions
from periscope.errors import UsageError

if TYPE_CHECKING:
    from periscope.models import Page
    from periscope.periscope import Periscope

PART = Group("Which threats", sort_key=10)
STREAM_PAGE = 500
LOWEST, HIGHEST = -1e6, 1e6
"""Bounds beyond any score, for a range that is open on one side."""

ReadPage = Callable[[str | None, int], Awaitable["Page"]]


@Parameter(name="*")
@dataclass(frozen=True)
class FilterOptions:
    """Which part of the queue, as it is asked for."""

    severity: Annotated[
        str | None,
        Parameter(name="--severity", group=PART, help="Only this: CRITICAL, HIGH, MEDIUM or LOW."),
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
        bounds = (self.minimum, self.maximum)
        if self.score is not None:
            if bounds != (None, None):
                raise UsageError("--score says the same as --min and --max; give one of them")
            bounds = _range(self.score)
        if bounds == (None, None):
            return Part(severity=self.severity)
        if self.severity is not None:
            raise UsageError("--severity and scores cannot be combined; give one of them")
        low, high = bounds
        return Part(scores=(LOWEST if low is None else low, HIGHEST if high is None else high))


EVERYTHING = FilterOptions()


async def listing(
    *,
    wanted: FilterOptions = EVERYTHING,
    cursor: Annotated[
        str | None,
        Parameter(help="Go on where a page ended: its next cursor.", allow_leading_hyphen=True),
    ] = None,
    count: Annotated[
        int, Parameter(help="Threats a page.", validator=validators.Number(gte=1, lte=1000))
    ] = 100,
    everything: Annotated[
        bool,
        Parameter(
            name="--all",
            help="Stream all pages; with --json one line a threat.",
            show_default=False,
        ),
    ] = False,
    store: StoreOptions = ANY_STORE,
    out: OutputOptions = FOR_PEOPLE,
) -> int:
    """Go through the queue page by page."""
    part = wanted.part()
    async with store.open() as periscope:
        read = part.reader(periscope)
        if everything:
            await _stream(read, cursor, as_json=out.as_json)
            return 0
        page = await read(cursor, count)
    if out.as_json:
        output.show_json(documents.page(page))
    else:
        _print(page, part, count, store)
    return 0


@dataclass(frozen=True)
class Part:
    """A part of the queue; at most one of the two is set."""

    severity: str | None = None
    scores: tuple[float, float] | None = None

    def reader(self, periscope: Periscope) -> ReadPage:
        """Return the call that reads a page of this part."""
        if self.severity is not None:
            wanted = self.severity
            return lambda cursor, count: periscope.get_by_severity(wanted, cursor, count)
        if self.scores is not None:
            low, high = self.scores
            return lambda cursor, count: periscope.get_by_score_range(low, high, cursor, count)
        return periscope.get_active_paginated

    def words(self) -> list[str]:
        """Return the options that say the same."""
        if self.severity is not None:
            return ["--severity", self.severity]
        if self.scores is None:
            return []
        low, high = self.scores
        return [
            *(["--min", f"{low:g}"] if low != LOWEST else []),
            *(["--max", f"{high:g}"] if high != HIGHEST else []),
        ]


def _range(text: str) -> tuple[float | None, float | None]:
    low, dots, high = text.partition("..")
    try:
        if not dots or not (low.strip() or high.strip()):
            raise ValueError
        return float(low) if low.strip() else None, float(high) if high.strip() else None
    except ValueError:
        raise UsageError(
            f"--score {text} is no range; write it as 0.7..1.0, 0.7.. or ..0.5"
        ) from None


async def _pages(read: ReadPage, cursor: str | None) -> AsyncIterator[Page]:
    while True:
        page = await read(cursor, STREAM_PAGE)
        yield page
        if (cursor := page.next_cursor) is None:
            return


async def _stream(read: ReadPage, cursor: str | None, *, as_json: bool) -> None:
    """All pages; memory stays that of one."""
    if as_json:
        async for page in _pages(read, cursor):
            lines = [output.as_json(documents.threat(one)) + "\n" for one in page.items]
            output.write("".join(lines))
    else:
        await _stream_table(read, cursor)


async def _stream_table(read: ReadPage, cursor: str | None) -> None:
    from periscope.cli.queue import QueueTable

    table, rank = None, 1
    async for page in _pages(read, cursor):
        if table is None:
            width, plain = output.console().width, output.is_plain()
            table = QueueTable(page.items, width, ranks=page.total, plain=plain)
            output.show_lines([table.header()])
        if page.items:
            output.show_lines(table.rows(page.items, rank))
        rank += len(page.items)


def _print(page: Page, part: Part, count: int, store: StoreOptions) -> None:
    from rich.text import Text

    from periscope.cli.queue import QueueTable

    summary = f"{len(page):,} of {counted(page.total, 'threat')}, as of {moment(page.as_of_ms)}"
    if not page.items:
        output.write(f"{summary}\n")
        return
    table = QueueTable(page.items, output.console().width, plain=output.is_plain())
    output.show_lines([table.header(), *table.rows(page.items), Text(summary, style="dim")])
    if page.next_cursor is not None:
        output.write(f"Next page: {_next_command(page.next_cursor, part, count, store)}\n")


def _next_command(cursor: str, part: Part, count: int, store: StoreOptions) -> str:
    """Return the command for the next page; a URL may hold a password and is left out."""
    words = ["periscope", "list", *part.words(), "--count", str(count)]
    if store.data_dir is not None:
        words += ["--data-dir", store.data_dir]
    if store.namespace is not None:
        words += ["--namespace", store.namespace]
    if store.url is not None:
        words += ["--url", "..."]
    return shlex.join([*words, f"--cursor={cursor}"])
