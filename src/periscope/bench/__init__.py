"""`periscope bench`: the figures that Periscope promises, measured on the machine at hand.

Everything runs against servers of the bench's own in temporary directories; the user's data and
settings are never touched. `docs/how-to/measure.md` says what each row means.
"""

from __future__ import annotations

from pathlib import Path

from rich.console import Console

from periscope.bench.figures import Figure
from periscope.bench.machine import look_around
from periscope.bench.plan import Plan
from periscope.bench.report import FORMAT, Document, missed, show, write_json
from periscope.bench.row_queries import growth
from periscope.bench.rows import ROWS, choose
from periscope.errors import UsageError

__all__ = ["ROWS", "run"]


async def run(
    scales: list[int],
    rows: list[str] | None = None,
    json_file: Path | None = None,
    runs: int = 3,
    profile: bool = False,
) -> int:
    """Measure the rows at each scale and print them; return the exit code.

    0: every target that was judged is reached; 1: at least one is missed. `profile` also prints
    where the client's time goes during ingest. Progress goes to stderr, the table to stdout.

    Raises:
        UsageError: an unknown row, a number below 1, or a file that cannot be written.
        StoreError: no server can be started.
    """
    if not scales or min(scales) < 1 or runs < 1:
        raise UsageError("scales and runs must be whole numbers from 1 on")
    chosen = choose(rows)
    ran_on = await look_around()
    figures: list[Figure] = []
    for scale in sorted(set(scales)):
        plan = Plan(scale, runs, _say, profile)
        for row in chosen.values():
            figures += await row(plan)
    figures += growth(figures)
    document = Document(FORMAT, ran_on, sorted(set(scales)), runs, figures)
    show(Console(), document)
    if json_file is not None:
        write_json(json_file, document)
    return 1 if missed(figures) else 0


def _say(what: str) -> None:
    Console(stderr=True, highlight=False).print(what, style="dim")
