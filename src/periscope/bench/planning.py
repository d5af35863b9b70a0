"""What operations cost client and server, and what that lets one primary and many carry."""

from __future__ import annotations

from typing import NamedTuple

from periscope.bench.figures import Figure
from periscope.bench.report import Document

PRIMARIES = 64


class Operation(NamedTuple):
    """One operation, and the figure that measured it.

    `all_of_one`: it reads the whole of its only partition, which says nothing of many.
    """

    words: str
    row: str
    what: str
    on: str | None
    all_of_one: bool = False


OPERATIONS = (
    Operation("report in a batch, new", "ingest", "new", "durable"),
    Operation("report in a batch, known", "ingest", "100 % known", "durable"),
    Operation("`add_threat`, one of 200 callers", "awaits", "add_threat, 200 callers", "durable"),
    Operation("act in a batch", "interactions", "batch", "durable"),
    Operation("`record_interaction`, one of 200", "interactions", "200 callers", "durable"),
    Operation("`record_interaction`, alone", "interactions", "one caller", "durable"),
    Operation("`claim`, one of 200", "awaits", "claim, 200 callers", "durable"),
    Operation("`get_threat`, one of 200", "awaits", "get_threat, 200 callers", "durable"),
    Operation("`get_threat`, alone", "awaits", "get_threat, one caller", "durable"),
    Operation("top 100, a day's queue", "queries", "top-100", "worked", all_of_one=True),
    Operation("top 100, 64 partitions", "partitions", "top-100", "64 partitions"),
    Operation("page of 100 by severity", "queries", "page by severity", "worked", all_of_one=True),
    Operation("page of 100 in a walk", "pages", "each page", "worked", all_of_one=True),
    Operation("expiry into the archive", "sweep", "expired", None),
)
HEADS = (
    "operation",
    "client, us",
    "server, us",
    "one client process",
    "one primary",
    f"{PRIMARIES} primaries",
)


def cost_rows(document: Document) -> list[tuple[str, ...]]:
    """A row for each operation that was measured, at the largest scale that has it."""
    by_scale = sorted(document.figures, key=lambda one: one.scale)
    found = {(one.row, one.what, one.on): one for one in by_scale}
    return [
        _row(operation, found[operation[1:4]])
        for operation in OPERATIONS
        if operation[1:4] in found and found[operation[1:4]].server_us
    ]


def _row(operation: Operation, one: Figure) -> tuple[str, ...]:
    client_us, server_us = one.client_us or 0.0, one.server_us or 0.0
    many = "" if operation.all_of_one else _rate(PRIMARIES * 1e6 / server_us)
    return (
        operation.words,
        _us(client_us),
        _us(server_us),
        _rate(1e6 / client_us) if client_us else "",
        _rate(1e6 / server_us),
        many,
    )


def _us(number: float) -> str:
    return f"{number:.1f}" if number < 100 else f"{number:,.0f}"


def _rate(number: float) -> str:
    """Two digits: it is an estimate."""
    return f"{float(f'{number:.2g}'):,.0f}/s"
