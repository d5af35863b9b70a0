"""`periscope bench`: the figures that Periscope promises, measured on the machine at hand.

Everything runs against servers of the bench's own in temporary directories; the user's data and
settings are never touched. `docs/how-to/measure.md` says what each row means.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from rich.console import Console

from periscope.bench.chart import draw
from periscope.bench.figures import Figure
from periscope.bench.machine import Machine, look_around
from periscope.bench.plan import Plan
from periscope.bench.pool import sweep_pools
from periscope.bench.pool_table import show_pool
from periscope.bench.readme import put_in
from periscope.bench.report import (
    FORMAT,
    Document,
    brief_of,
    check_place,
    missed,
    read_json,
    show,
    where,
    write_json,
    write_text,
)
from periscope.bench.row_ingest import resident_growth
from periscope.bench.row_queries import growth
from periscope.bench.rows import ROWS, choose
from periscope.bench.seed import seed_figures
from periscope.bench.seed_table import show_seed
from periscope.errors import UsageError

__all__ = ["ROWS", "run", "run_chart", "run_pool", "run_readme", "run_seed"]

PIPED_WIDTH = 160  # of a table that goes into a file: nobody's terminal breaks its lines


async def run(
    scales: list[int],
    rows: list[str] | None = None,
    json_file: Path | None = None,
    runs: int = 3,
    profile: bool = False,
    brief: bool = False,
) -> int:
    """Measure the rows at each scale and print them; return the exit code.

    0: every target that was judged is reached; 1: at least one is missed. `profile` also prints
    where the client's time goes during ingest. Progress goes to stderr, the table to stdout. A
    `brief` file has spreads and ratios, but no samples. Cut short by Ctrl-C or an error, it shows
    and keeps what was measured until then.

    Raises:
        UsageError: an unknown row, a number below 1, or a file that cannot be written.
        StoreError: no server can be started.
    """
    _check(scales, runs, json_file)
    chosen = choose(rows)
    with _kept(await look_around(), scales, runs, json_file, brief, show) as figures:
        for scale in sorted(set(scales)):
            plan = Plan(scale, runs, _say, profile)
            for row in chosen.values():
                figures += await row(plan)
        figures += growth(figures) + resident_growth(figures)
    return 1 if missed(figures) else 0


async def run_seed(
    scales: list[int], json_file: Path | None = None, runs: int = 3, brief: bool = False
) -> int:
    """Measure the seed table and print it; return 0. Cut short it keeps what it has, as `run`.

    Raises:
        UsageError: a number below 1, or a file that cannot be written.
        StoreError: no server can be started.
    """
    _check(scales, runs, json_file)
    with _kept(await look_around(), scales, runs, json_file, brief, _show_seed) as figures:
        for scale in sorted(set(scales)):
            figures += await seed_figures(Plan(scale, runs, _say))
    return 0


async def run_pool(json_file: Path | None, calls: int, runs: int) -> int:
    """Sweep sizes of the pool, print the table and what it recommends; return 0.

    Raises:
        UsageError: a number below 1, or a file that cannot be written.
        StoreError: no server can be started.
    """
    _check([calls], runs, json_file)
    document = await sweep_pools(calls, runs, _say)
    show_pool(_console(), document)
    if json_file is not None:
        write_json(json_file, document)
    return 0


def run_chart(results: Path, out: Path) -> int:
    """Draw the chart of a seed table's results; return 0.

    Raises:
        UsageError: they are no such results, or the chart cannot be written.
    """
    write_text(out, draw(read_json(results)))
    return 0


def run_readme(results: Path, page: Path) -> int:
    """Put the table of these results into a page, between its marks; return 0.

    Raises:
        UsageError: they are no results, or the page has no marks.
    """
    put_in(page, read_json(results))
    return 0


def _check(numbers: list[int], runs: int, json_file: Path | None) -> None:
    if not numbers or min(numbers) < 1 or runs < 1:
        raise UsageError("scales, calls and runs must be whole numbers from 1 on")
    if json_file is not None:
        check_place(json_file)


@contextmanager
def _kept(
    ran_on: Machine,
    scales: list[int],
    runs: int,
    json_file: Path | None,
    brief: bool,
    shown: Callable[[Console, Document], None],
) -> Iterator[list[Figure]]:
    """Show and keep the figures that the body adds, also where it is cut short."""
    figures: list[Figure] = []
    try:
        yield figures
    except BaseException:
        _say("Cut short. What was measured until then:" if figures else "Cut short.")
        raise
    finally:
        if figures:
            document = Document(FORMAT, ran_on, sorted(set(scales)), runs, figures)
            shown(_console(), document)
            if json_file is not None:
                write_json(json_file, brief_of(document) if brief else document)


def _show_seed(console: Console, document: Document) -> None:
    console.print(where(document.ran_on), highlight=False)
    show_seed(console, document.figures)


def _console() -> Console:
    return Console(width=None if sys.stdout.isatty() else PIPED_WIDTH)


def _say(what: str) -> None:
    Console(stderr=True, highlight=False).print(what, style="dim")
