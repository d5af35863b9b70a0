"""The figures as a table for people and as JSON for programs."""

from __future__ import annotations

import os
from pathlib import Path

import msgspec
from rich.console import Console
from rich.table import Table

from periscope.bench.figures import Figure
from periscope.bench.machine import Machine
from periscope.errors import UsageError

FORMAT = 1


class Document(msgspec.Struct, frozen=True):
    """What `--json` writes."""

    format: int
    ran_on: Machine
    scales: list[int]
    runs: int
    figures: list[Figure]


def read_json(file: Path) -> Document:
    """Read a document that `--json` wrote.

    Raises:
        UsageError: it cannot be read, or is none.
    """
    try:
        document = msgspec.json.decode(file.read_bytes(), type=Document)
    except OSError as exc:
        raise UsageError(f"cannot read {file}: {exc.strerror}") from exc
    except msgspec.DecodeError as exc:
        raise UsageError(f"{file} holds no results of the bench: {exc}") from exc
    if document.format != FORMAT:
        raise UsageError(f"{file} has format {document.format}, not {FORMAT}; measure again")
    return document


def brief_of(document: Document) -> Document:
    """The document without its samples, which are most of it: spreads and ratios say enough."""
    figures = [msgspec.structs.replace(one, samples=[], ratios=[]) for one in document.figures]
    return msgspec.structs.replace(document, figures=figures)


def write_json(file: Path, document: msgspec.Struct) -> None:
    """Write a document.

    Raises:
        UsageError: the file cannot be written.
    """
    text = msgspec.json.format(msgspec.json.encode(document), indent=1).decode()
    write_text(file, text + "\n")


def check_place(file: Path) -> None:
    """Refuse, before an hour of measuring, a file that cannot be written at its end.

    Raises:
        UsageError: it is a directory, or stands in none that may be written to.
    """
    place = file if file.exists() else file.parent
    if file.is_dir() or not place.exists() or not os.access(place, os.W_OK):
        raise UsageError(f"cannot write {file}: name a file in a directory that you may write to")


def write_text(file: Path, text: str) -> None:
    """Write a text.

    Raises:
        UsageError: the file cannot be written.
    """
    try:
        file.write_text(text, encoding="utf-8")
    except OSError as exc:
        raise UsageError(f"cannot write {file}: {exc.strerror}") from exc


def show(console: Console, document: Document) -> None:
    """Print the table, with what it ran on above and what was missed below."""
    table = Table()
    for heading in (
        "row",
        "scale",
        "figure",
        "ratio",
        "target",
        "reached?",
        "CPU: client + server, each",
    ):
        table.add_column(heading, justify="right" if heading in ("scale", "ratio") else "left")
    last = ""
    for one in document.figures:
        if last not in ("", one.row):
            table.add_section()
        last = one.row
        table.add_row(*_cells(one))
    console.print(where(document.ran_on), highlight=False)
    console.print(table)
    console.print(_verdict(document.figures), highlight=False)


def missed(figures: list[Figure]) -> list[Figure]:
    """The figures that do not reach their target."""
    return [one for one in figures if one.reached is False]


def _cells(one: Figure) -> tuple[str, ...]:
    name = f"{one.row}: {one.what}" + (f" [{one.on}]" if one.on else "")
    ratio = "" if one.ratio is None else f"{one.ratio:.2f} of {one.ratio_to}"
    marks = {None: "", True: "[green]✓ reached[/]", False: "[red]✗ missed[/]"}
    plain = name.replace("[", r"\[")
    return (
        plain,
        f"{one.scale:,}",
        _value(one),
        ratio,
        one.target or "",
        marks[one.reached],
        _cpu(one),
    )


def _cpu(one: Figure) -> str:
    if one.client_us is None:
        return ""
    return (
        f"{one.client_us:.1f} + {one.server_us:.1f} us "
        f"({one.client_share:.0%} + {one.server_share:.0%})"
    )


def _value(one: Figure) -> str:
    spread = one.spread
    if one.unit == "ms" and len(one.samples) > 1:
        tail = f"p50 {spread.p50:.2f}, p99 {spread.p99:.2f}, p99.9 {spread.p999:.2f}"
        return f"{tail}, max {spread.highest:.2f} ms"
    digits = 0 if spread.median >= 1000 else 2
    median = f"{spread.median:,.{digits}f} {one.unit}"
    if len(one.samples) == 1:
        return median
    return f"{median} ({spread.lowest:,.{digits}f} to {spread.highest:,.{digits}f})"


def where(machine: Machine) -> str:
    """What it ran on, in one line."""
    memory = f"{machine.memory_bytes / 2**30:.0f} GiB"
    return (
        f"Periscope {machine.periscope} on {machine.server}, {machine.durability}; "
        f"{machine.cpu}, {machine.cores} cores, {memory}, {machine.os}, Python {machine.python}; "
        f"load before: {machine.load_1m}"
    )


def _verdict(figures: list[Figure]) -> str:
    judged = [one for one in figures if one.reached is not None]
    lacking = missed(figures)
    if not lacking:
        return f"All {len(judged)} targets reached."
    names = sorted({f"{one.row} ({one.what}, {one.scale:,})" for one in lacking})
    return f"{len(lacking)} of {len(judged)} targets missed: {', '.join(names)}."
