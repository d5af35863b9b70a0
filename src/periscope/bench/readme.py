"""The table of the README, written from the bench's own results."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from periscope.bench.figures import Figure
from periscope.bench.report import Document, where, write_text
from periscope.errors import UsageError

BEGIN = "<!-- figures: written by `periscope bench readme`, not by hand -->"
END = "<!-- /figures -->"

Tell = Callable[[Figure], str]


class Line(NamedTuple):
    """A line of the table: its words, which figure, and how it is told."""

    words: str
    row: str
    what: str
    on: str | None
    tell: Tell


def rate(one: Figure) -> str:
    """A rate, with its ratio if it has one."""
    told = f"{_round(one.spread.median)}/s"
    return told if one.ratio is None else f"{told}, {one.ratio:.2f}"


def plain(one: Figure) -> str:
    """A rate alone."""
    return f"{_round(one.spread.median)}/s"


def times(one: Figure) -> str:
    """A rate, and how many times that of redis-py it is."""
    return f"{_round(one.spread.median)}/s, {one.ratio or 0:.1f} times"


def ratio(one: Figure) -> str:
    """The ratio alone."""
    return f"{one.ratio or 0:.2f}"


def tail(one: Figure) -> str:
    """Median and p99 of milliseconds."""
    return f"{one.spread.p50:.2g} and {one.spread.p99:.2g} ms"


def value(one: Figure) -> str:
    """The median with its unit."""
    digits = 0 if one.spread.median >= 100 else 2
    return f"{one.spread.median:,.{digits}f} {one.unit}"


def longest(one: Figure) -> str:
    """The median and the longest of milliseconds."""
    return f"{one.spread.p50:.2g} and {one.spread.highest:.2g} ms"


def whole(one: Figure) -> str:
    """A number of things: the largest that was found."""
    return f"{one.spread.highest:,.0f}"


_QUERY = "top 100 with records, exact: the server's time, p50 and p99"

LINES = (
    Line("ingest, `durable`, and of the limit", "ingest", "new", "durable", rate),
    Line("ingest, `fast`, and of the limit", "ingest", "new", "fast", rate),
    Line("a feed read again, all known", "ingest", "100 % known", "durable", plain),
    Line("all known, all changed", "ingest", "100 % changed", "durable", plain),
    Line(
        "100,000 more into a store that is that full, and of an empty store's rate",
        *("ingest-resident", "into the scale", None, rate),
    ),
    Line(
        "the same, of the rate into 100,000",
        *("ingest-resident", "into the scale, growth", None, ratio),
    ),
    Line("`durable` against `fast`", "durability", "durable", None, ratio),
    Line("`replicated` against `durable`", "replicated", "replicated", None, ratio),
    Line(
        "200 analysts at once; times one redis-py call each",
        *("interactions", "200 callers", "durable", times),
    ),
    Line(
        "one analyst alone, and of one redis-py call each",
        "interactions",
        "one caller",
        "durable",
        rate,
    ),
    Line("`add_threat`, 200 at once", "awaits", "add_threat, 200 callers", "durable", times),
    Line("`get_threat`, 200 at once", "awaits", "get_threat, 200 callers", "durable", times),
    Line("`claim`, 200 at once", "awaits", "claim, 200 callers", "durable", times),
    Line(
        "an unknown id refused by the local filter: the test itself",
        *("exists", "the test itself, unknown id", None, value),
    ),
    Line(_QUERY, "queries", "top-100, server", "untouched", tail),
    Line("the same, worked on by analysts", "queries", "top-100, server", "worked", tail),
    Line("the same, the worst board", "queries", "top-100, server", "every bucket", tail),
    Line("the last pages of 100 against the first", "pages", "last pages", "untouched", ratio),
    Line("memory for a threat, beyond its body", "memory", "beyond the body", None, value),
    Line("promotion of 100 eligible ones", "promote", "100 eligible", None, value),
    Line("expiry into the archive", "sweep", "expired", None, plain),
    Line(
        "a chunk of 500 new reports stops the server for: median, longest",
        *("stop", "ingest, new", None, longest),
    ),
    Line(
        "the server killed: all are back after",
        *("restart", "killed, until all are back", None, value),
    ),
    Line(
        "threats lost, doubled or miscounted after everything at once",
        *("lost", "lost, doubled or miscounted", None, whole),
    ),
    Line(
        'known ids that the filter denied while another process wrote (wrong "no")',
        *("exists", 'wrong "no", beside another writer', None, whole),
    ),
)


def readme_table(document: Document) -> str:
    """The table in Markdown: a line for each figure, a column for each scale."""
    found = {(f.row, f.what, f.on, f.scale): f for f in document.figures}
    heads = ["", *(f"{scale:,} threats" for scale in document.scales)]
    rows = [heads, ["---"] * len(heads)]
    for words, row, what, on, tell in LINES:
        cells = [found.get((row, what, on, scale)) for scale in document.scales]
        if any(cells):
            rows.append([words, *("" if one is None else tell(one) for one in cells)])
    lines = ["| " + " | ".join(cells) + " |" for cells in rows]
    return "\n".join([f"{where(document.ran_on)}.", "", *lines])


def put_in(page: Path, document: Document) -> None:
    """Replace what stands between the marks of a page by the table.

    Raises:
        UsageError: the page cannot be read or written, or has no marks.
    """
    try:
        text = page.read_text(encoding="utf-8")
    except OSError as exc:
        raise UsageError(f"cannot read {page}: {exc.strerror}") from exc
    marked = re.compile(re.escape(BEGIN) + ".*?" + re.escape(END), re.DOTALL)
    if len(marked.findall(text)) != 1:
        raise UsageError(f"{page} needs the marks {BEGIN} and {END}, once, around the table")
    table = f"{BEGIN}\n{readme_table(document)}\n{END}"
    write_text(page, marked.sub(lambda _: table, text))


def _round(number: float) -> str:
    """Three digits are what a noisy machine can tell."""
    return f"{float(f'{number:.3g}'):,.0f}"
