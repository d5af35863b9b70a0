"""`periscope kpis`: how fast and how well threats are dealt with."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from periscope import kpis as figures
from periscope.cli import grid, output
from periscope.cli.archives import archive_of
from periscope.cli.figures import bar, count, span
from periscope.cli.options import ANY_STORE, FOR_PEOPLE, OutputOptions, StoreOptions
from periscope.cli.when import duration
from periscope.documents import moment

if TYPE_CHECKING:
    from periscope.kpis import Bucket, Kpis, SourceRate, Spread

BAR_CELLS = 16
MOST_ROWS = 24
MOST_SOURCES = 12
DAY_S = 86_400
NOTHING = "-"
OF_TIMES = ("TIME TO", "SEVERITY", "THREATS", "MEAN", "50 % IN", "90 % IN", "95 % IN", "")
OF_SOURCES = ("SOURCE", "DECIDED", "TRUE POSITIVE", "RATE", "")


async def kpis(
    *,
    since: Annotated[
        str,
        Parameter(help="So much of the past: 12h, 7d; at most 366 days.", metavar="SPAN"),
    ] = "1d",
    store: StoreOptions = ANY_STORE,
    out: OutputOptions = FOR_PEOPLE,
) -> int:
    """Show how fast and how well threats are dealt with."""
    past = duration(since, "--since")
    async with store.open() as periscope, archive_of(periscope) as archive:
        found = await figures.kpis(periscope, archive, past)
    if out.as_json:
        output.show_json(figures.document(found))
    else:
        _show(found)
    return 0


def _show(found: Kpis) -> None:
    plain = output.is_plain()
    output.write(f"From {moment(found.since_ms)} until {moment(found.until_ms)}\n\n")
    grid.show(OF_TIMES, list(_times(found, plain=plain)))
    output.write("\n")
    if found.sources:
        grid.show(OF_SOURCES, [_source(one, plain=plain) for one in found.sources[:MOST_SOURCES]])
        output.write("\n")
    grid.show(("FROM", "IN", "OUT", ""), _flow(found, plain=plain))
    output.write(f"\n{''.join(line + chr(10) for line in _ends(found))}")


def _times(found: Kpis, *, plain: bool) -> Iterator[tuple[str, ...]]:
    for name, spreads in found.times.items():
        longest_s = max((one.p90_s or 0.0 for one in spreads.values()), default=0.0)
        for severity, one in spreads.items():
            if one.count or severity == "ALL":
                yield (
                    *(name if severity == "ALL" else "", severity, f"{one.count:,}"),
                    *map(_span, (one.mean_s, one.p50_s, one.p90_s, one.p95_s)),
                    _bar(one, longest_s, plain=plain),
                )


def _span(seconds: float | None) -> str:
    if seconds is None:
        return NOTHING
    return f"{seconds / DAY_S:,.1f} d" if seconds >= 2 * DAY_S else span(seconds)


def _bar(one: Spread, longest_s: float, *, plain: bool) -> str:
    if not one.p90_s or not longest_s:
        return ""
    return bar(one.p90_s / longest_s, BAR_CELLS, plain=plain)


def _source(one: SourceRate, *, plain: bool) -> tuple[str, ...]:
    rate = one.rate
    told = NOTHING if rate is None else f"{100 * rate:.0f} %"
    drawn = "" if rate is None else bar(rate, BAR_CELLS, plain=plain)
    return (one.source or "(none)", f"{one.decided:,}", f"{one.true_positives:,}", told, drawn)


def _flow(found: Kpis, *, plain: bool) -> list[tuple[str, ...]]:
    """The newest stretches of time, with a bar of what came in and one of what went out."""
    shown: Sequence[Bucket] = found.flow[-MOST_ROWS:]
    most = max((max(one.inflow, one.outflow) for one in shown), default=0) or 1
    cells = BAR_CELLS // 2
    return [
        (
            *(moment(one.start_ms)[:16], f"{one.inflow:,}", f"{one.outflow:,}"),
            f"{bar(one.inflow / most, cells, plain=plain)} "
            f"{bar(one.outflow / most, cells, plain=plain)}",
        )
        for one in shown
    ]


def _ends(found: Kpis) -> Iterator[str]:
    left_out = len(found.flow) - MOST_ROWS
    if left_out > 0:
        yield f"{count(left_out, 'earlier row')} of the flow: see --json."
    if len(found.sources) > MOST_SOURCES:
        yield f"{count(len(found.sources) - MOST_SOURCES, 'more source')}: see --json."
    yield f"Waiting for a decision: {found.change:+,} threats."
    if found.truncated:
        yield f"Not all was looked at, there were too many: {', '.join(found.truncated)}."
    if found.unknown:
        yield f"Nothing is left on record of {count(found.unknown, 'threat')} that were acted on."
