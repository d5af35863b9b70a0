"""The seed table: what such a system promised, what is measured here, and one call each."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console
from rich.table import Table

from periscope.bench.figures import Figure
from periscope.bench.promises import PROMISED
from periscope.bench.seed import INGEST, MEMORY, MIXED, ROW, SCAN, SEVERITY, TOP
from periscope.bench.seed_hits import ANSWERED_HERE, FOUND
from periscope.bench.seed_ways import NAIVE, OURS

WORDS = {
    INGEST: "ingest",
    TOP: "top 100, p50 and p99",
    SEVERITY: "100 of a severity, p50 and p99",
    SCAN: "scan",
    MIXED: MIXED,
    FOUND: "known ids found",
    ANSWERED_HERE: "unknown ids answered without the server",
    MEMORY: "memory of the server",
}
HEADS = ("threats", "what", "promised", "Periscope", "one redis-py call each", "ratio to it")
UNITS = {"ms": " ms", "MB": " MB", "%": " %"}
SMALLER_IS_BETTER = (TOP, SEVERITY, MEMORY)


def seed_rows(figures: Sequence[Figure]) -> list[tuple[str, ...]]:
    """The rows of the table, scale by scale."""
    held = {(one.scale, one.what, one.on): one for one in figures if one.row == ROW}
    return [
        _row(held[scale, what, OURS], held.get((scale, what, NAIVE)))
        for scale in sorted({scale for scale, _, _ in held})
        for what in WORDS
        if (scale, what, OURS) in held
    ]


def show_seed(console: Console, figures: Sequence[Figure]) -> None:
    """Print the table."""
    table, last = Table(), ""
    for head in HEADS:
        table.add_column(head, justify="left" if head == "what" else "right")
    for row in seed_rows(figures):
        if last not in ("", row[0]):
            table.add_section()
        last = row[0]
        table.add_row(*row)
    console.print(table)


def _row(ours: Figure, naive: Figure | None) -> tuple[str, ...]:
    promised = PROMISED.get((ours.scale, ours.what))
    return (
        f"{ours.scale:,}",
        WORDS[ours.what],
        "" if promised is None else f"{promised:,.0f}{UNITS.get(ours.unit, '/s')}",
        _value(ours),
        "" if naive is None else _value(naive),
        _ratio(ours, naive),
    )


def _value(one: Figure) -> str:
    unit = UNITS.get(one.unit, "/s")
    if one.unit == "ms":
        return f"{one.spread.p50:.2f} and {one.spread.p99:.2f}{unit}"
    digits = 0 if one.spread.median >= 100 else 1
    return f"{one.spread.median:,.{digits}f}{unit}"


def _ratio(ours: Figure, naive: Figure | None) -> str:
    if naive is None or ours.unit == "%":
        return ""
    ratio = ours.spread.median / naive.spread.median
    return f"{ratio:.2f}" if ours.what in SMALLER_IS_BETTER else f"{ratio:.1f}"
