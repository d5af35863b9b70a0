"""The table of `periscope bench pool`: a row for each pool, a column for each crowd."""

from __future__ import annotations

from rich.console import Console
from rich.table import Table

from periscope.bench.pool import PoolDocument
from periscope.bench.report import where


def show_pool(console: Console, document: PoolDocument) -> None:
    """Print rates and p99 of all cells, and what is recommended."""
    held = {(cell.connections, cell.callers): cell for cell in document.cells}
    crowds = sorted({callers for _, callers in held})
    table = Table()
    table.add_column("connections", justify="right")
    for callers in crowds:
        table.add_column(f"{callers:,} caller{'s' * (callers > 1)}", justify="right")
    for size in sorted({size for size, _ in held}):
        cells = [held[size, callers] for callers in crowds]
        mark = " *" if size == document.recommended else "  "
        table.add_row(
            f"{size}{mark}",
            *(f"{cell.rate:,.0f}/s, p99 {cell.wait_ms.p99:.1f} ms" for cell in cells),
        )
    console.print(where(document.ran_on), highlight=False)
    console.print(table)
    console.print(f"* {document.reason}.", highlight=False)
    if document.caveat:
        console.print(f"But {document.caveat}.", highlight=False)
