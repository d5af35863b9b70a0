"""What is on record: the audit trail whole, and all that happened to one threat.

What analysts did stands in the store until it has been moved into the archive: the trail is in the
archive, and what is still on its way there.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from periscope import documents
from periscope.archive import AuditEntry, Departure

if TYPE_CHECKING:
    from periscope.archive import Archive
    from periscope.periscope import Periscope

READ_FIRST = 1000
READ_MORE = 8

Past = Departure | AuditEntry


class Place(NamedTuple):
    """Where an entry stands in the trail of all partitions; these compare as the entries do."""

    at_ms: int
    partition: int
    stream_ms: int
    stream_sequence: int
    position: int


@dataclass(frozen=True)
class Wanted:
    """Which entries of the trail; what is None does not matter. `until_ms` is the last moment."""

    analyst_id: str | None = None
    threat_id: str | None = None
    since_ms: int | None = None
    until_ms: int | None = None
    action: str | None = None
    older_than: Place | None = None

    def matches(self, entry: AuditEntry) -> bool:
        """Say whether it is one of them."""
        return (
            self.analyst_id in (None, entry.analyst_id)
            and self.threat_id in (None, entry.threat_id)
            and self.action in (None, entry.action)
            and entry.at_ms >= (self.since_ms or 0)
            and (self.until_ms is None or entry.at_ms <= self.until_ms)
            and (self.older_than is None or place_of(entry) < self.older_than)
        )


async def read_trail(
    periscope: Periscope, archive: Archive, wanted: Wanted, count: int
) -> list[AuditEntry]:
    """Return the newest `count` entries that are wanted, oldest first, each once.

    What moves into the archive meanwhile is met in both, and told by its name: the store is read
    first, so that nothing can slip between the two.
    """
    waiting = await _still_in_store(periscope, wanted, count)
    archived = await archive.trail(
        analyst_id=wanted.analyst_id,
        threat_id=wanted.threat_id,
        action=wanted.action,
        since_ms=wanted.since_ms,
        until_ms=wanted.until_ms,
        older_than=wanted.older_than,
        limit=count,
    )
    # The archive's word is the later one: it may have been erased there.
    entries = {_name(one): one for one in (*waiting, *archived)}
    return sorted(entries.values(), key=place_of)[-count:]


async def read_past(
    periscope: Periscope,
    archive: Archive,
    threat_id: str,
    count: int,
    *,
    since_ms: int | None = None,
    with_acts: bool = True,
    **departures: Any,
) -> list[Past]:
    """Return the newest `count` departures and acts of one threat, in time order.

    `departures` says which of them, as `Archive.history` takes it.
    """
    acts: list[AuditEntry] = []
    if with_acts:
        wanted = Wanted(threat_id=threat_id, since_ms=since_ms)
        acts = await read_trail(periscope, archive, wanted, count)
    rows = await archive.history(threat_id=threat_id, since_ms=since_ms, limit=count, **departures)
    left = [one for _, one in reversed(rows)]
    past: list[Past] = [*acts, *left]
    return sorted(past, key=_when)[-count:]


def past_document(one: Past) -> documents.Document:
    """Return an act or a departure as JSON; `kind` says which."""
    if isinstance(one, AuditEntry):
        return {"kind": "act", **documents.audit_entry(one)}
    return {"kind": "departure", **documents.departure(None, one)}


def place_of(entry: AuditEntry) -> Place:
    """Return where an entry stands."""
    stream_ms, _, sequence = entry.stream_id.partition("-")
    return Place(entry.at_ms, entry.partition, int(stream_ms), int(sequence), entry.position)


async def _still_in_store(periscope: Periscope, wanted: Wanted, count: int) -> list[AuditEntry]:
    most = max(READ_FIRST, count)
    while True:
        entries = await periscope.get_recent_audit(most)
        back_to_ms = read_back_to(entries, most)
        sure = [one for one in entries if wanted.matches(one) and one.at_ms > back_to_ms]
        if back_to_ms < (wanted.since_ms or 0) or len(sure) >= count:
            return sure
        most *= READ_MORE


def read_back_to(entries: Sequence[AuditEntry], most: int) -> int:
    """Return up to when the newest `most` calls of each partition are all there is; -1 if all."""
    calls: dict[int, set[str]] = {}
    oldest: dict[int, int] = {}
    for one in entries:
        calls.setdefault(one.partition, set()).add(one.stream_id)
        oldest[one.partition] = min(one.at_ms, oldest.get(one.partition, one.at_ms))
    cut = [oldest[number] for number, names in calls.items() if len(names) >= most]
    return max(cut, default=-1)


def _name(entry: AuditEntry) -> tuple[int, str, int]:
    return entry.partition, entry.stream_id, entry.position


def _when(one: Past) -> int:
    return one.at_ms if isinstance(one, AuditEntry) else one.departed_at_ms
