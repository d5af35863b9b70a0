"""What the row `http` measured, as a table for the documentation: a line for each figure."""

from __future__ import annotations

from periscope.bench.figures import Figure
from periscope.bench.report import Document


def serving_heads(document: Document) -> tuple[str, ...]:
    """Return the heads of the table."""
    return ("what", *(f"{scale:,} threats" for scale in document.scales), "asked")


def serving_rows(document: Document) -> list[tuple[str, ...]]:
    """Return its rows, in the order in which the figures were measured."""
    found: dict[str, dict[int, Figure]] = {}
    for one in document.figures:
        found.setdefault(one.what, {})[one.scale] = one
    return [
        (what, *(_told(cells.get(scale)) for scale in document.scales), _asked(cells))
        for what, cells in found.items()
    ]


def _told(one: Figure | None) -> str:
    if one is None:
        return ""
    spread = one.spread
    if one.unit == "ms":
        return f"p50 {spread.p50:.3g}, p99 {spread.p99:.3g}, p99.9 {spread.p999:.3g} ms"
    digits = 0 if spread.median >= 100 or spread.median == int(spread.median) else 1
    told = f"{spread.median:,.{digits}f} {one.unit}"
    if one.client_us is None:
        return told
    return f"{told}; CPU {one.client_us:.1f} + {one.server_us:.1f} us"


def _asked(cells: dict[int, Figure]) -> str:
    return next((one.target for one in cells.values() if one.target), "")
