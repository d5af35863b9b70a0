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


class Term(msgspec.Struct, frozen=True):
    """One term of a score: `weight * factor`, the factor from `input`."""

    name: str
    weight: float
    factor: float
    value: float
    input: str


class ScoreExplanation(msgspec.Struct, frozen=True):
    """A score and the terms that it is the sum of."""

    score: float
    terms: list[Term]


class ClaimDocument(msgspec.Struct, frozen=True):
    """That one analyst has a threat for a while; `token` grows with each new holder."""

    threat_id: str
    analyst_id: str
    token: int
    until: str
    until_ms: int


class DoneLast(msgspec.Struct, frozen=True):
    """What an analyst did to a threat last, and how many interactions they have with it."""

    analyst_id: str
    action: str
    at: str
    at_ms: int
    interactions: int
    interaction_id: str | None


class DeskDocument(msgspec.Struct, frozen=True):
    """Who holds a threat now (null: nobody), and what each analyst did to it last, latest first."""

    claim: ClaimDocument | None
    acts: list[DoneLast]


class ThreatShown(ThreatDocument, frozen=True):
    """A threat with its score taken apart, and who is at work on it."""

    explanation: ScoreExplanation
    desk: DeskDocument


class ThreatPage(msgspec.Struct, frozen=True):
    """A stretch of a ranking that stands still at `as_of`.

    `next_cursor` is null on the last page; `total` counts all matches when the page was read. To a
    key with limits `total` is null, and a page may hold fewer than were asked for, or none, and
    still have a `next_cursor`. With `fields` each item has those only.

    Pages of what the read index found may be short as well. They say up to which event the index
    had come: `position`, and the time of that event (`indexed`). What is on them is as it stood in
    the store at `as_of`.
    """

    items: list[ThreatDocument]
    next_cursor: str | None
    total: int | None
    as_of: str
    as_of_ms: int
    position: str | msgspec.UnsetType | None = msgspec.UNSET
    indexed: str | msgspec.UnsetType | None = msgspec.UNSET
    indexed_ms: int | msgspec.UnsetType | None = msgspec.UNSET
