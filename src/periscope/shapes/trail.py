"""What is on record: acts, departures, and both of one threat."""

from __future__ import annotations

from typing import Any

import msgspec

from periscope.shapes.threats import ClaimDocument, DoneLast


class AuditEntryDocument(msgspec.Struct, frozen=True):
    """One act on record; `detail` is what it says besides, as an object, a text or null.

    What is no act on a threat has an empty `threat_id`. `erased`: its detail was blanked.
    """

    at: str
    at_ms: int
    action: str
    threat_id: str
    analyst_id: str
    request_id: str
    detail: Any
    erased: bool
    entry: str


class AuditPage(msgspec.Struct, frozen=True):
    """Acts, the newest first; `next_cursor` is null on the last page."""

    items: list[AuditEntryDocument]
    next_cursor: str | None


class DepartureDocument(msgspec.Struct, frozen=True):
    """A threat as it stood when it left; `row` is its number in the archive (null: not told)."""

    row: int | None
    threat_id: str
    reason: str
    severity: str
    source: str
    title: str
    level: int
    interactions: int
    escalations: int
    dismissals: int
    views: int
    sightings: int
    analysts: int
    consolidations: int
    confidence: float
    outcome: str | None
    actor: str
    note: str
    erased: bool
    departed_at: str
    departed_at_ms: int
    first_seen: str
    first_seen_ms: int
    last_activity: str
    last_activity_ms: int


class DeparturePage(msgspec.Struct, frozen=True):
    """Departures, the newest first; `next_cursor` is null on the last page."""

    items: list[DepartureDocument]
    next_cursor: str | None


class HistoryAct(AuditEntryDocument, frozen=True, tag_field="kind", tag="act"):
    """An act in the history of a threat."""


class HistoryDeparture(DepartureDocument, frozen=True, tag_field="kind", tag="departure"):
    """A departure in the history of a threat."""


class ThreatHistory(msgspec.Struct, frozen=True):
    """What happened to one threat, oldest first; of more than were asked for, the newest."""

    threat_id: str
    items: list[HistoryAct | HistoryDeparture]


class ThreatDesk(msgspec.Struct, frozen=True):
    """Who holds a threat now (null: nobody), and what each analyst did to it last, latest first."""

    threat_id: str
    claim: ClaimDocument | None
    acts: list[DoneLast]
