"""The nouns of the archive: what left, what is about to leave, and what analysts did."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

from periscope.threat import Threat

MAX_TITLE = 200
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


def departing(threat: Threat, record: bytes, extra: bytes, actor: str, note: str) -> Departure:
    """The row of a threat that is about to leave: removed by `actor`, or expired."""
    seen = "expired_seen" if threat.interactions else "expired_unseen"
    title = threat.metadata.get("title")
    text = title if isinstance(title, str) and title else threat.content
    return Departure(
        threat_id=threat.threat_id,
        reason="removed" if actor else seen,
        departed_at_ms=threat.as_of_ms,
        severity=threat.severity.value,
        source=threat.source,
        title=text.split("\n")[0][:MAX_TITLE],
        level=int(threat.level),
        first_seen_ms=threat.first_seen_ms,
        last_activity_ms=threat.last_activity_ms,
        interactions=threat.interactions,
        escalations=threat.escalations,
        dismissals=threat.dismissals,
        views=threat.views,
        sightings=threat.sightings,
        analysts=threat.analysts,
        consolidations=threat.consolidations,
        confidence=threat.confidence,
        outcome=threat.outcome.value if threat.outcome else None,
        record=record,
        extra=extra,
        actor=actor,
        note=note,
    )


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
