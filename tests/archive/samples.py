"""Departures and audit entries made to order."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from periscope.archive import Archive, AuditEntry, Departure

NOW_MS = 1_790_000_000_000
NASTY = "a\0b\r\n\u202e{}:*'\"%s?\U0001f6a8\ud800"

PLAIN = Departure(
    threat_id="t0",
    reason="expired_seen",
    departed_at_ms=NOW_MS,
    severity="HIGH",
    source="feed",
    title="A title",
    level=1,
    first_seen_ms=NOW_MS - 5,
    last_activity_ms=NOW_MS - 4,
    interactions=1,
    escalations=2,
    dismissals=3,
    views=4,
    sightings=5,
    analysts=6,
    consolidations=7,
    confidence=0.1 + 0.2,
    outcome=None,
    record=bytes(range(256)),
    extra=b"\0extra",
)
ACT = AuditEntry(0, f"{NOW_MS}-0", 0, NOW_MS, "escalate", "t0", "ana", "r-1", '{"note":"x"}')


def departure(threat_id: str, **changes: Any) -> Departure:
    return replace(PLAIN, threat_id=threat_id, **changes)


def act(sequence: int, **changes: Any) -> AuditEntry:
    return replace(ACT, stream_id=f"{NOW_MS}-{sequence}", **changes)


async def depart(archive: Archive, *departures: Departure, batch_id: str = "b") -> None:
    await archive.prepare(batch_id, 0, departures)
    await archive.confirm(batch_id, [True] * len(departures))


async def ids(archive: Archive, **wanted: Any) -> list[str]:
    return [d.threat_id for _, d in await archive.history(**wanted)]
