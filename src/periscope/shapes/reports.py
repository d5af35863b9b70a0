"""What is answered to reports that were sent."""

from __future__ import annotations

import msgspec


class Rejected(msgspec.Struct, frozen=True):
    """A report that was not stored: its index among those sent, its id if it had one, and why."""

    index: int
    threat_id: str | None
    reason: str


class ReportsTaken(msgspec.Struct, frozen=True):
    """Exact counts; `received` is the sum of the five that follow.

    `rejections` holds the first 1,000 of them. `skipped` counts what the format leaves out on
    purpose, by reason.
    """

    received: int
    added: int
    sightings: int
    duplicates: int
    suppressed: int
    rejected: int
    rejections: list[Rejected]
    format: str
    skipped: dict[str, int]
