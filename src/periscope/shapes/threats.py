"""Threats and pages of them, as `documents.py` makes them."""

from __future__ import annotations

from typing import Any, Literal

import msgspec


class ThreatDocument(msgspec.Struct, frozen=True):
    """A threat as of one moment: where it stands, and what was said of it last."""

    threat_id: str
    severity: Literal["CRITICAL", "HIGH", "MEDIUM", "LOW"]
    score: float
    level: Literal[1, 2, 3]
    status: Literal["open", "dismissed", "snoozed", "closed"]
    home: Literal[1, 2, 3] | None
    outcome: str | None
    memory_type: Literal["validated", "false_positive", "pattern"]
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
    withdrawn: bool
    latched: bool
    protected: bool
    overdue: bool
    revision: int
    first_seen: str
    first_seen_ms: int
    last_activity: str
    last_activity_ms: int
    entered: str | None
    entered_ms: int | None
    snoozed_until: str | None
    snoozed_until_ms: int | None
    consolidated: str | None
    consolidated_ms: int | None
    due: str
    due_ms: int
    observed_at: str | None
    observed_at_ms: int | None
    as_of: str
    as_of_ms: int
    source: str
    content: str
    metadata: dict[str, Any]


class ThreatPage(msgspec.Struct, frozen=True):
    """A stretch of a ranking that stands still at `as_of`.

    `next_cursor` is null on the last page; `total` counts all matches when the page was read.
    """

    items: list[ThreatDocument]
    next_cursor: str | None
    total: int
    as_of: str
    as_of_ms: int
