"""`periscope bench` and its family; the benchmark itself is imported when one is called."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType
from typing import Annotated

from cyclopts import App, Parameter, validators

from periscope.cli.app import examples_of, register
from periscope.cli.commands import COMMANDS
from periscope.errors import UsageError

SUFFIXES = {"k": 1_000, "m": 1_000_000}
NAME = "bench"

Scale = Annotated[str, Parameter(help="How many threats, one run for each.", metavar="10k,1m")]
JsonFile = Annotated[
    Path | None, Parameter(name="--json", help="Write the results to this file.", metavar="FILE")
]
Runs = Annotated[
    int, Parameter(help="Runs of each row.", validator=validators.Number(gte=1, lte=1000))
]
Brief = Annotated[bool, Parameter(help="Leave the samples out of the file.", show_default=False)]
Debug = Annotated[bool, Parameter(help="Show the traceback of an error.", show_default=False)]
Results = Annotated[Path, Parameter(help="What --json wrote.", show_default=False)]


async def bench(
    *,
    scale: Scale = "10k,100k",
    rows: Annotated[
        str | None, Parameter(help="Only these rows of the table.", metavar="ingest,limit,...")
    ] = None,
    json_file: JsonFile = None,
    runs: Runs = 3,
    brief: Brief = False,
    debug: Debug = False,
) -> int:
    """Measure this machine."""
    chosen = None if rows is None else _words(rows)
    return int(await _benchmark().run(_scales(scale), chosen, json_file, runs, brief=brief))


async def seed(
    *,
    scale: Scale = "10k,100k,1m",
    json_file: JsonFile = None,
    runs: Runs = 3,
    brief: Brief = False,
    debug: Debug = False,
) -> int:
    """Measure the seed table."""
    return int(await _benchmark().run_seed(_scales(scale), json_file, runs, brief))


async def pool(
    *,
    calls: Annotated[
        int, Parameter(help="Calls of each try.", validator=validators.Number(gte=1))
    ] = 4000,
    json_file: JsonFile = None,
    runs: Runs = 5,
    debug: Debug = False,
) -> int:
    """Find the pool size of this machine."""
    return int(await _benchmark().run_pool(json_file, calls, runs))


def chart(
    results: Results,
    /,
    *,
    out: Annotated[Path, Parameter(help="The SVG file to write.", metavar="FILE")],
    debug: Debug = False,
) -> int:
    """Draw the chart of a seed table."""
    return int(_benchmark().run_chart(results, out))


def readme(
    results: Results,
    /,
    *,
    into: Annotated[Path, Parameter(help="The page to write into.", metavar="FILE")],
    debug: Debug = False,
) -> int:
    """Put the table into a page."""
    return int(_benchmark().run_readme(results, into))


def family() -> App:
    """`bench`, which is a command itself and the parent of others: made when it is called for."""
    own = {command.name: command for command in COMMANDS if command.name.split()[0] == NAME}
    app = App(
        name=NAME,
        help_format="plaintext",
        group_commands="Commands",
        help_epilogue=examples_of(own[NAME].examples),
    )
    app.default(bench)
    for name, command in own.items():
        if name != NAME:
            register(app, name.removeprefix(f"{NAME} "), command)
    return app


def _benchmark() -> ModuleType:
    try:
        from periscope import bench as benchmark
    except ImportError as exc:
        raise UsageError("this installation has no benchmark") from exc
    return benchmark


def _words(text: str) -> list[str]:
    return [word.strip() for word in text.split(",") if word.strip()]


def _scales(text: str) -> list[int]:
    return [_scale(word) for word in _words(text)]


def _scale(word: str) -> int:
    factor = SUFFIXES.get(word[-1].lower(), 1)
    digits = word[:-1] if factor > 1 else word
    if not (digits.isascii() and digits.isdigit()) or int(digits) < 1:
        raise UsageError(f"--scale {word} is no number of threats; write it like 10k, 100k or 1m")
    return int(digits) * factor


BENCH = family()
