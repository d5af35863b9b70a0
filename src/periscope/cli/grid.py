"""Plain tables for the screen: lines of cells, as wide as they need and no wider than there is."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from periscope.cli import output
from periscope.cli.text import fit, safe, width_of

if TYPE_CHECKING:
    from rich.text import Text

GAP = 2
NARROWEST = 3
TEXT_KEEPS = 16


def show(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Print a table; cells may hold anything, each is made safe and stays on its line."""
    cells = [[safe(cell) for cell in row] for row in rows]
    widths = fitted([heads, *cells], output.console().width)
    plain = output.is_plain()
    output.show_lines(
        [_line(heads, widths, "bold", plain=plain)]
        + [_line(row, widths, "", plain=plain) for row in cells]
    )


def fitted(rows: Sequence[Sequence[str]], width: int) -> list[int]:
    """Return a width for each column: that of its widest cell, cut until all fit.

    The last column holds free text and gives way first, then the widest of all, again and again.
    """
    widths = [max(map(width_of, column)) for column in zip(*rows, strict=True)]
    excess = sum(widths) + GAP * (len(widths) - 1) - width
    given = max(0, min(excess, widths[-1] - TEXT_KEEPS))
    widths[-1] -= given
    for _ in range(excess - given):
        widest = max(range(len(widths)), key=widths.__getitem__)
        widths[widest] = max(NARROWEST, widths[widest] - 1)
    return widths


def _line(cells: Sequence[str], widths: Sequence[int], style: str, *, plain: bool) -> Text:
    from rich.text import Text

    shown = [fit(cell, size, plain=plain) for cell, size in zip(cells, widths, strict=True)]
    return Text((" " * GAP).join(shown).rstrip(), style=style, no_wrap=True)
