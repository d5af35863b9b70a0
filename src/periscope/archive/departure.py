"""The nouns of the archive: what left, what is about to leave, and what analysts did."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

Reason = Literal["expired_seen", "expired_unseen", "removed", "erased"]
REASONS: tuple[str, ...] = get_args(Reason)


@dataclass(frozen=True, slots=True)
class Departure:
    """One threat leaving the store once; a threat that comes back and leaves again has two.

    `record` is the header and body exactly as they were in the store; `extra` is opaque to the
    archive (the analysts' last actions, the sources' last words). `erased` is set by
    `Archive.erase`: the texts and bytes are blank then, the rest stays.
    """

    threat_id: str
    reason: str
    departed_at_ms: int
    severity: str
    source: str
    title: str
    level: int
    first_seen_ms: int
    last_activity_ms: int
    interactions: int
    escalations: int
    dismissals: int
    views: int
    sightings: int
    analysts: int
    consolidations: int
    confidence: float
    outcome: str | None
    record: bytes
    extra: bytes
    actor: str = ""
    note: str = ""
    erased: bool = False


@dataclass(frozen=True, slots=True)
class PendingBatch:
    """A batch that was prepared and not yet confirmed; `threat_ids` in the order prepared."""

    batch_id: str
    partition: int
    threat_ids: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """One act of one analyst; `partition`, `stream_id` and `position` name it for ever.

    `stream_id` is the entry's id in the partition's audit stream (`1790000000000-0`), `detail` a
    JSON text. `erased` is set by `Archive.erase`, which blanks `detail`.
    """

    partition: int
    stream_id: str
    position: int
    at_ms: int
    action: str
    threat_id: str
    analyst_id: str
    request_id: str
    detail: str
    erased: bool = False
