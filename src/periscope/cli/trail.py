"""The audit trail, whole: what is in the archive, and what is still on its way there."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from periscope import documents

if TYPE_CHECKING:
    from periscope.archive import Archive, AuditEntry
    from periscope.periscope import Periscope

READ_FIRST = 1000
READ_MORE = 8

Place = tuple[int, int, tuple[int, ...], int]


@dataclass(frozen=True)
class Wanted:
    """Which entries of the trail; what is None does not matter."""

    analyst_id: str | None = None
    threat_id: str | None = None
    since_ms: int | None = None

    def matches(self, entry: AuditEntry) -> bool:
        """Say whether it is one of them."""
        return (
            self.analyst_id in (None, entry.analyst_id)
            and self.threat_id in (None, entry.threat_id)
            and entry.at_ms >= (self.since_ms or 0)
        )


async def read_trail(
    periscope: Periscope, archive: Archive, wanted: Wanted, count: int
) -> list[AuditEntry]:
    """Return the newest `count` entries that are wanted, oldest first, each once.

    What moves into the archive meanwhile is met in both, and told by its name: the store is read
    first, so that nothing can slip between the two.
    """
    waiting = await _still_in_store(periscope, wanted, count)
    archived = await archive.audit(
        analyst_id=wanted.analyst_id,
        threat_id=wanted.threat_id,
        since_ms=wanted.since_ms,
        limit=count,
    )
    # The archive's word is the later one: it may have been erased there.
    entries = {_name(one): one for one in (*waiting, *(one for _, one in archived))}
    return sorted(entries.values(), key=_place)[-count:]


def describe(entry: AuditEntry) -> str:
    """Return what an entry says besides who did what: its outcome, note, comment, as one text."""
    if entry.erased:
        return "(erased)"
    detail = documents.detail(entry)
    if not isinstance(detail, dict):
        return "" if detail is None else str(detail)
    shown = {name: value for name, value in detail.items() if value and name != "until_ms"}
    return "; ".join(f"{name}: {value}" for name, value in shown.items())


async def _still_in_store(periscope: Periscope, wanted: Wanted, count: int) -> list[AuditEntry]:
    most = max(READ_FIRST, count)
    while True:
        entries = await periscope.get_recent_audit(most)
        back_to_ms = read_back_to(entries, most)
        sure = [one for one in entries if wanted.matches(one) and one.at_ms > back_to_ms]
        if back_to_ms < 0 or len(sure) >= count:
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


def _place(entry: AuditEntry) -> Place:
    numbers = tuple(int(part) for part in entry.stream_id.split("-"))
    return entry.at_ms, entry.partition, numbers, entry.position
