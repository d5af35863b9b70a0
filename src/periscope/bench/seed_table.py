"""The seed table: what such a system promised, what is measured here, and one call each."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console
from rich.table import Table

from periscope.bench.figures import Figure
from periscope.bench.seed import INGEST, MEMORY, MIXED, ROW, SCAN, SEVERITY, TOP
from periscope.bench.seed_hits import ANSWERED_HERE, FOUND
from periscope.bench.seed_ways import NAIVE, OURS

# As promised for an indexed, pipelined system of this kind.
PROMISED = {
    (10_000, INGEST): "15,000/s",
    (10_000, TOP): "10 ms",
    (10_000, SEVERITY): "10 ms",
    (10_000, MIXED): "20,000/s",
    (10_000, MEMORY): "60 MB",
    (100_000, INGEST): "12,000/s",
    (100_000, TOP): "50 ms",
    (100_000, SEVERITY): "50 ms",
    (100_000, MIXED): "18,000/s",
    (100_000, MEMORY): "500 MB",
}
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
HEADS = ("threats", "what", "promised", "Periscope", "one redis-py call each", "ratio")
SMALLER_IS_BETTER = (TOP, SEVERITY, MEMORY)


def seed_rows(figures: Sequence[Figure]) -> list[tuple[str, ...]]:
    """The rows of the table, scale by scale."""
    held = {(one.scale, one.what, one.on): one for one in figures if one.row == ROW}
    rows = []
    for scale in sorted({scale for scale, _, _ in held}):
        for what, words in WORDS.items():
            ours, naive = held.get((scale, what, OURS)), held.get((scale, what, NAIVE))
            if ours is not None:
                promised = PROMISED.get((scale, what), "")
                told = naive and _value(naive)
                rows.append(
                    (f"{scale:,}", words, promised, _value(ours), told or "", _ratio(ours, naive))
                )
    return rows


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


def _value(one: Figure) -> str:
    if one.unit == "ms":
        return f"{one.spread.p50:.2f} and {one.spread.p99:.2f} ms"
    if one.unit == "%":
        return f"{one.spread.median:.1f} %"
    digits = 0 if one.spread.median >= 100 else 1
    unit = " MB" if one.unit == "MB" else "/s"
    return f"{one.spread.median:,.{digits}f}{unit}"


def _ratio(ours: Figure, naive: Figure | None) -> str:
    if naive is None or ours.unit == "%":
        return ""
    ratio = ours.spread.median / naive.spread.median
    if ours.what in SMALLER_IS_BETTER:
        return f"{ratio:.2f} of it"
    return f"{ratio:.1f} times"
