"""The record on the server: a packed header of 88 bytes, then the report as JSON.

The same layout stands in `lua/00_prelude.lua`; a test packs with one and unpacks with the other.
Numbers are little-endian and unsigned; times are milliseconds in 6 bytes (to the year 10889).
"""

from __future__ import annotations

from struct import Struct
from typing import Any, NamedTuple

import msgspec

from periscope.errors import StoreDamaged
from periscope.models import DECISIONS, SEVERITIES, STATUSES, Level, Status
from periscope.policy import Policy
from periscope.threat import Threat

FORMAT = 1
HEADER_BYTES = 88
REPORT_BYTES = 21
SOURCE_BYTES = 6
FLAG_LATCHED = 1
FLAG_ESCALATED = 2
FLAG_PROTECTED = 4
FLAG_SOURCES = 8
NO_SOURCE = bytes(SOURCE_BYTES)
FINGERPRINT = slice(HEADER_BYTES - 8 - SOURCE_BYTES, HEADER_BYTES)  # of the report and its source
SNOOZED = STATUSES.index(Status.SNOOZED)

_LAYOUT = Struct("<7B6I2H" + "IH" * 4 + "dB" + "IH" + "8s6s")
_REPORT = Struct("<BIH8s6s")


class Header(NamedTuple):
    """The fields of a header, in the order in which they are packed."""

    format: int
    level: int
    home: int
    status: int
    status_severity: int
    flags: int
    outcome: int
    revision: int
    interactions: int
    escalations: int
    dismissals: int
    views: int
    sightings: int
    analysts: int
    consolidations: int
    first_seen: int
    last_activity: int
    entered: int
    consolidated: int
    confidence: float
    severity: int
    observed_at: int
    fingerprint: bytes
    source: bytes


class Body(msgspec.Struct, frozen=True):
    """The report as stored behind the header; `threat_id` is in the key."""

    content: str
    severity: str
    metadata: dict[str, Any] = {}
    source: str = ""
    observed_at_ms: int | None = None


_decode_body = msgspec.json.Decoder(Body).decode
_NOTHING_SAID = Body("", "")
_new = object.__new__
_set = object.__setattr__
_LEVELS = {int(level): level for level in Level}
_HOMES = {0: None, **_LEVELS}
_OUTCOMES = (None, *DECISIONS)


def pack_report(severity: int, observed_at_ms: int, fingerprint: bytes, source: bytes) -> bytes:
    """The part of a header that the client knows; the server puts its own part before it."""
    return _REPORT.pack(
        severity, observed_at_ms & 0xFFFFFFFF, observed_at_ms >> 32, fingerprint, source
    )


def pack_header(header: Header) -> bytes:
    """All 88 bytes of a header."""
    values: list[Any] = []
    for name, value in header._asdict().items():
        if name in _TIMES:
            values += (value & 0xFFFFFFFF, value >> 32)
        else:
            values.append(value)
    return _LAYOUT.pack(*values)


def unpack_header(record: bytes) -> Header:
    """The header of a record.

    Raises:
        StoreDamaged: the record is too short, or of a format that this program does not know.
    """
    v = unpack(record)
    times = [v[i] | v[i + 1] << 32 for i in range(15, 23, 2)]
    observed_at = v[25] | v[26] << 32
    return Header._make((*v[:15], *times, v[23], v[24], observed_at, *v[27:]))


def unpack(record: bytes) -> tuple[Any, ...]:
    """The numbers of a header as they are packed, times in two parts each.

    Raises:
        StoreDamaged: as `unpack_header`.
    """
    if len(record) < HEADER_BYTES:
        raise StoreDamaged("a record is shorter than its header; see `periscope ledger --deep`")
    v = _LAYOUT.unpack_from(record)
    if v[0] != FORMAT:
        raise StoreDamaged(
            f"a record has format {v[0]}, this program reads {FORMAT}; use a newer one"
        )
    return v


def read_threat(
    threat_id: bytes,
    record: bytes,
    as_of_ms: int,
    policy: Policy,
    interaction_id: str | None = None,
) -> Threat:
    """A record as a Threat; `interaction_id` is that of the act that answers with it.

    Raises:
        StoreDamaged: header or body cannot be read.
    """
    v = unpack(record)
    try:
        body = _decode_body(record[HEADER_BYTES:])
    except msgspec.DecodeError as exc:
        raise StoreDamaged(
            f"the body of threat {threat_id.decode(errors='replace')!r} cannot be read: {exc}"
        ) from None
    return _threat(threat_id, v, body, as_of_ms, policy, interaction_id)


def read_header(threat_id: bytes, record: bytes, as_of_ms: int, policy: Policy) -> Threat:
    """A record as a Threat without its report: content, source and metadata are empty.

    Raises:
        StoreDamaged: the header cannot be read.
    """
    return _threat(threat_id, unpack(record), _NOTHING_SAID, as_of_ms, policy, None)


def _threat(
    threat_id: bytes,
    v: tuple[Any, ...],
    body: Body,
    as_of_ms: int,
    policy: Policy,
    interaction_id: str | None,
) -> Threat:
    try:
        fields = _fields(v, body)
    except (ValueError, LookupError) as exc:
        raise StoreDamaged(
            f"the header of threat {threat_id.decode(errors='replace')!r} cannot be read: {exc}"
        ) from None
    fields["threat_id"] = threat_id.decode()
    fields["as_of_ms"], fields["policy"] = as_of_ms, policy
    fields["interaction_id"] = interaction_id
    threat = _new(Threat)
    # What __init__ would do one by one, at five times the price: reading is mostly this.
    _set(threat, "__dict__", fields)
    return threat


def _fields(v: tuple[Any, ...], body: Body) -> dict[str, Any]:
    """What a header (as in `_LAYOUT`) and a body say of a threat; a test compares the names."""
    fields = {
        "severity": SEVERITIES[v[24]],
        "level": _LEVELS[v[1]],
        "status": STATUSES[v[3]],
        "home": _HOMES[v[2]],
        "interactions": v[8],
        "escalations": v[9],
        "dismissals": v[10],
        "views": v[11],
        "analysts": v[13],
        "sightings": v[12],
        "consolidations": v[14],
        "entry_confidence": v[23],
        "outcome": _OUTCOMES[v[6]],
        "latched": bool(v[5] & FLAG_LATCHED),
        "protected": bool(v[5] & FLAG_PROTECTED),
        "revision": v[7],
        "first_seen_ms": v[15] | v[16] << 32,
        "last_activity_ms": v[17] | v[18] << 32,
        "entered_ms": v[19] | v[20] << 32,
        "snoozed_until_ms": None,
        "consolidated_ms": (v[21] | v[22] << 32) or None,
        "content": body.content,
        "metadata": body.metadata,
        "source": body.source,
        "observed_at_ms": body.observed_at_ms,
    }
    if v[3] == SNOOZED:  # `entered` is when that ends, 0 if only a raise ends it: decision 22
        fields["snoozed_until_ms"], fields["entered_ms"] = fields["entered_ms"] or None, 0
    return fields


_TIMES = frozenset(("first_seen", "last_activity", "entered", "consolidated", "observed_at"))
assert _LAYOUT.size == HEADER_BYTES  # noqa: S101
