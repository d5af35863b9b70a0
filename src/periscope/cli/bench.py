"""`periscope bench`: the figures, measured here; the benchmark itself is imported when called."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter, validators

from periscope.errors import UsageError

SUFFIXES = {"k": 1_000, "m": 1_000_000}


async def bench(
    *,
    scale: Annotated[
        str, Parameter(help="How many threats, one run for each.", metavar="10k,100k,1m")
    ] = "10k,100k",
    rows: Annotated[
        str | None, Parameter(help="Only these rows of the table.", metavar="ingest,limit,...")
    ] = None,
    json_file: Annotated[
        Path | None,
        Parameter(name="--json", help="Write the results to this file.", metavar="FILE"),
    ] = None,
    runs: Annotated[
        int, Parameter(help="Runs of each row.", validator=validators.Number(gte=1, lte=1000))
    ] = 3,
    debug: Annotated[
        bool, Parameter(help="Show the traceback of an error.", show_default=False)
    ] = False,
) -> int:
    """Measure this machine."""
    try:
        from periscope.bench import run
    except ImportError as exc:
        raise UsageError("this installation has no benchmark") from exc
    chosen = None if rows is None else _words(rows)
    return await run([_scale(word) for word in _words(scale)], chosen, json_file, runs)


def _words(text: str) -> list[str]:
    return [word.strip() for word in text.split(",") if word.strip()]


def _scale(word: str) -> int:
    factor = SUFFIXES.get(word[-1].lower(), 1)
    digits = word[:-1] if factor > 1 else word
    if not (digits.isascii() and digits.isdigit()) or int(digits) < 1:
        raise UsageError(f"--scale {word} is no number of threats; write it like 10k, 100k or 1m")
    return int(digits) * factor
