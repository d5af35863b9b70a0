"""Threats as a list shows them: a line each, whatever the size of the report."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

MOST_ROWS = 100
SeverityWord = Literal["CRITICAL", "HIGH", "MEDIUM", "LOW"]


class MainIndicator(msgspec.Struct, frozen=True):
    """The first indicator of a report; `value` in up to 256 characters."""

    type: str
    value: str


class ThreatRow(msgspec.Struct, frozen=True):
    """A threat in one line, as of the page's moment; times are integer milliseconds UTC.

    `title` is one line of up to 200 characters: the report's title, else how its content begins.
    `tlp` is empty where there is no marking, `industry` where none is named; `tags` are the first
    eight. `indicators` counts all of them. `holder` has it claimed until `holder_until_ms` (null:
    nobody).
    """

    threat_id: str
    title: str
    severity: SeverityWord
    score: float
    level: Literal[1, 2, 3]
    status: Literal["open", "dismissed", "snoozed", "closed"]
    home: Literal[1, 2, 3] | None
    outcome: str | None
    source: str
    tlp: str
    industry: str
    tags: list[str]
    indicator: MainIndicator | None
    indicators: int
    interactions: int
    escalations: int
    dismissals: int
    views: int
    analysts: int
    sightings: int
    consolidations: int
    confidence: float
    entry_confidence: float
    validated: bool
    protected: bool
    latched: bool
    overdue: bool
    first_seen_ms: int
    last_activity_ms: int
    entered_ms: int | None
    due_ms: int
    snoozed_until_ms: int | None
    revision: int
    holder: str | None
    holder_until_ms: int | None


class RowPage(msgspec.Struct, frozen=True):
    """A stretch of a ranking that stands still at `as_of_ms`, a line each.

    As a page of threats: `next_cursor` is null on the last one, `total` null where it is not known;
    `position` and `indexed_ms` say how far the read index had come, where it was asked.
    """

    items: list[ThreatRow]
    next_cursor: str | None
    total: int | None
    as_of_ms: int
    position: str | msgspec.UnsetType | None = msgspec.UNSET
    indexed_ms: int | msgspec.UnsetType | None = msgspec.UNSET


class RowsBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Ids of threats whose rows are asked for."""

    threat_ids: Annotated[
        list[Annotated[str, msgspec.Meta(min_length=1)]],
        msgspec.Meta(min_length=1, max_length=MOST_ROWS),
    ]


class RowsFound(msgspec.Struct, frozen=True):
    """Rows in the order that was asked for, and the ids of which there is no threat to be seen."""

    items: list[ThreatRow]
    missing: list[str]
    as_of_ms: int
