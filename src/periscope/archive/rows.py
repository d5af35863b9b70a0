"""Between the nouns and their rows: texts as bytes, words checked, numbers plain."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from math import isfinite
from typing import Any

from periscope.archive.departure import REASONS, AuditEntry, Departure
from periscope.archive.session import Row
from periscope.errors import BugError, UsageError

DEPARTURE_COLUMNS = tuple(Departure.__dataclass_fields__)
DEPARTURE_FIELDS = ", ".join(DEPARTURE_COLUMNS)
AUDIT_FIELDS = (
    "partition_number, stream_ms, stream_sequence, position, at_ms, action, threat_id, "
    "analyst_id, request_id, detail, erased"
)

WORD = re.compile(r"[!-~]{1,64}")
STREAM_ID = re.compile(r"([0-9]{1,18})-([0-9]{1,18})")


def to_bytes(text: str) -> bytes:
    """Text as UTF-8; a lone surrogate, which JSON can smuggle in, survives both ways."""
    return text.encode("utf-8", "surrogatepass")


def to_text(data: bytes) -> str:
    """The text that `to_bytes` made bytes of."""
    return data.decode("utf-8", "surrogatepass")


def to_word(text: str) -> str:
    """A word of a closed set, as plain text.

    Raises:
        BugError: not 1 to 64 printable ASCII characters without a space.
    """
    if not WORD.fullmatch(text):
        raise BugError(f"archive: {text[:64]!r} is not a word that can be stored")
    return str(text)


def departure_row(departure: Departure) -> Row:
    """The values of `DEPARTURE_FIELDS`.

    Raises:
        BugError: a reason that is none, a word that is none, a confidence that is not finite.
    """
    d = departure
    if d.reason not in REASONS:
        raise BugError(f"archive: {d.reason[:64]!r} is not a reason to depart")
    if not isfinite(d.confidence):
        raise BugError(f"archive: a confidence of {d.confidence} cannot be stored")
    return (
        *(to_bytes(d.threat_id), str(d.reason), d.departed_at_ms, to_word(d.severity)),
        *(to_bytes(d.source), to_bytes(d.title), int(d.level), d.first_seen_ms),
        *(d.last_activity_ms, d.interactions, d.escalations, d.dismissals, d.views, d.sightings),
        *(d.analysts, d.consolidations, float(d.confidence)),
        None if d.outcome is None else to_word(d.outcome),
        *(bytes(d.record), bytes(d.extra), to_bytes(d.actor), to_bytes(d.note), int(d.erased)),
    )


_TEXTS = frozenset({"threat_id", "source", "title", "actor", "note"})
_READERS: tuple[Callable[[Any], Any] | None, ...] = tuple(
    to_text if name in _TEXTS else bool if name == "erased" else None for name in DEPARTURE_COLUMNS
)


def departure_of(row: Sequence[Any]) -> Departure:
    """The departure whose `DEPARTURE_FIELDS` are given."""
    return Departure(
        *(value if read is None else read(value) for read, value in zip(_READERS, row, strict=True))
    )


def audit_row(entry: AuditEntry) -> Row:
    """The values of `AUDIT_FIELDS`.

    Raises:
        UsageError: a stream id that is none.
        BugError: an action that is not a word.
    """
    e = entry
    return (
        *(e.partition, *stream_place(e.stream_id), e.position, e.at_ms, to_word(e.action)),
        *(to_bytes(e.threat_id), to_bytes(e.analyst_id), to_bytes(e.request_id)),
        *(to_bytes(e.detail), int(e.erased)),
    )


def audit_of(row: Sequence[Any]) -> AuditEntry:
    """The entry whose `AUDIT_FIELDS` are given."""
    partition, ms, sequence, position, at_ms, action, *texts, erased = row
    threat_id, analyst_id, request_id, detail = map(to_text, texts)
    return AuditEntry(
        *(partition, f"{ms}-{sequence}", position, at_ms, action),
        *(threat_id, analyst_id, request_id, detail, bool(erased)),
    )


def stream_place(stream_id: str) -> tuple[int, int]:
    """A stream id as two numbers, which sort as the stream does."""
    found = STREAM_ID.fullmatch(stream_id)
    if found is None:
        raise UsageError(f"archive: {stream_id[:64]!r} is not the id of a stream entry")
    return int(found[1]), int(found[2])
