"""Columns of the tables beside the queue's own: overdue, snoozed, and what has been learned."""

from __future__ import annotations

from periscope.cli.figures import age, bar
from periscope.cli.queue import Cell, Column, severity_columns, title
from periscope.cli.text import safe
from periscope.documents import moment
from periscope.models import MemoryType
from periscope.threat import Threat

STYLES = {
    MemoryType.VALIDATED: "bold red",
    MemoryType.PATTERN: "yellow",
    MemoryType.FALSE_POSITIVE: "cyan",
}


def overdue_columns(id_cells: int, plain: bool) -> list[Column]:
    """Return the columns of what is overdue: since when, first."""
    return [
        Column("OVERDUE", 7, lambda _, threat: Cell(_overdue(threat), "bold red"), right=True),
        *severity_columns(),
        Column("TITLE", 0, lambda _, threat: Cell(title(threat))),
        Column("SOURCE", 12, lambda _, threat: Cell(safe(threat.source)), rank=4),
        Column("ID", id_cells, lambda _, threat: Cell(safe(threat.threat_id))),
        Column("SEEN", 4, lambda _, threat: Cell(_seen(threat)), rank=3, right=True),
        Column("SCORE", 5, lambda _, threat: Cell(f"{threat.score:.3f}"), rank=1),
    ]


def snoozed_columns(id_cells: int, plain: bool) -> list[Column]:
    """Return the columns of what is snoozed: for how long still, first."""
    return [
        Column("WAKES IN", 8, lambda _, threat: Cell(_wakes(threat)), right=True),
        *severity_columns(),
        Column("TITLE", 0, lambda _, threat: Cell(title(threat))),
        Column("SOURCE", 12, lambda _, threat: Cell(safe(threat.source)), rank=4),
        Column("ID", id_cells, lambda _, threat: Cell(safe(threat.threat_id))),
        Column("UNTIL", 20, lambda _, threat: Cell(_until(threat)), rank=3),
        Column("SCORE", 5, lambda _, threat: Cell(f"{threat.score:.3f}"), rank=1),
    ]


def knowledge_columns(id_cells: int, plain: bool) -> list[Column]:
    """Return the columns of levels 2 and 3: the confidence as it is now, first."""
    return [
        Column("CONF", 5, lambda _, threat: Cell(f"{threat.confidence:.3f}")),
        Column("", 6, lambda _, one: Cell(bar(one.confidence, 6, plain=plain), "blue"), rank=5),
        *severity_columns(),
        Column("TITLE", 0, lambda _, threat: Cell(title(threat))),
        Column("TYPE", 14, lambda _, threat: _type(threat), rank=3),
        Column("ID", id_cells, lambda _, threat: Cell(safe(threat.threat_id))),
        Column("HERE", 4, lambda _, threat: Cell(_here(threat)), right=True),
        Column("CONS", 4, lambda _, one: Cell(str(one.consolidations)), rank=4, right=True),
    ]


def _overdue(threat: Threat) -> str:
    return age(threat.as_of_ms - threat.due_ms)


def _seen(threat: Threat) -> str:
    return age(threat.as_of_ms - threat.first_seen_ms)


def _wakes(threat: Threat) -> str:
    until_ms = threat.snoozed_until_ms
    return "if worse" if until_ms is None else age(until_ms - threat.as_of_ms)


def _until(threat: Threat) -> str:
    until_ms = threat.snoozed_until_ms
    return "it gets worse" if until_ms is None else f"{moment(until_ms)[:19]}Z"


def _here(threat: Threat) -> str:
    return age(threat.as_of_ms - threat.entered_ms)


def _type(threat: Threat) -> Cell:
    return Cell(threat.memory_type.value, STYLES[threat.memory_type])
