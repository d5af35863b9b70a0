"""Threats as a list shows them: a line each, with of a report only what fits a line.

What a report says in its line is read without decoding the rest of it, and remembered as long as
the report stays the same: 100 reports of 64 KiB cost a list as much as 100 short ones.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import msgspec

from periscope.errors import StoreDamaged
from periscope.header import FINGERPRINT, HEADER_BYTES, read_header
from periscope.index.facts import tags, tlp
from periscope.noise.fields import indicators_of, title_of
from periscope.policy import Policy
from periscope.shapes import MainIndicator, ThreatRow
from periscope.threat import Record, Threat

TITLE, TAGS, TAG, WORD, VALUE = 200, 8, 128, 64, 256
"""Characters of a title, how many tags, characters of a tag, of a single word, of an indicator."""
REMEMBERED = 4096
_SPARE = 4  # characters looked at for one that is shown: runs of blanks become one
# Control characters, and what ends or reorders a line: neither has a place in a line of a list.
_UNFIT = re.compile("[\0-\x20\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]+")


class Holder(NamedTuple):
    """Who has a threat claimed, and until when; the empty name: nobody."""

    analyst_id: str = ""
    until_ms: int = 0


NOBODY = Holder()


class Said(NamedTuple):
    """What a row takes from a report."""

    title: str
    source: str
    tlp: str
    industry: str
    tags: list[str]
    indicator: MainIndicator | None
    indicators: int


class _Metadata(msgspec.Struct, frozen=True):
    title: Any = None
    tlp: Any = None
    tags: Any = None
    indicators: msgspec.Raw = msgspec.Raw(b"null")
    industry: Any = None
    industries: Any = None


class _Indicator(msgspec.Struct, frozen=True, gc=False):  # thousands of them wake no collector
    value: Any = None
    type: Any = None


class _Body(msgspec.Struct, frozen=True):
    content: msgspec.Raw
    metadata: _Metadata = _Metadata()
    source: str = ""


_Pairs = list[tuple[str, str]]
_decode = msgspec.json.Decoder(_Body).decode
_decode_indicators = msgspec.json.Decoder(list[_Indicator]).decode


class Rows:
    """Makes rows of records; remembers what the last few thousand reports said."""

    def __init__(self, most: int = REMEMBERED) -> None:
        self._most = most
        self._said: dict[tuple[bytes, bytes], Said] = {}

    def row(self, one: Record, as_of_ms: int, policy: Policy, holder: Holder = NOBODY) -> ThreatRow:
        """Return the row of a record as of one moment.

        Raises:
            StoreDamaged: it cannot be read; says of which threat.
        """
        threat = read_header(one.threat_id, one.record, as_of_ms, policy)
        return _row(threat, self._said_of(one), holder)

    def _said_of(self, one: Record) -> Said:
        # As long as source and fingerprint are the same, so is the report: intake stands on that.
        key = (one.threat_id, one.record[FINGERPRINT])
        said = self._said.get(key)
        if said is None:
            said = _read(one)
            while len(self._said) >= self._most:
                del self._said[next(iter(self._said))]
            self._said[key] = said
        return said


def row_document(threat: Threat, holder: Holder = NOBODY) -> ThreatRow:
    """Return the row of a threat that was read whole."""
    report = {"content": threat.content, "metadata": threat.metadata}
    said = _said(report, threat.source, list(indicators_of(report)))
    return _row(threat, said, holder)


def _row(one: Threat, said: Said, holder: Holder) -> ThreatRow:
    return ThreatRow(
        threat_id=one.threat_id,
        title=said.title,
        severity=one.severity.value,
        score=one.score,
        level=int(one.level),  # type: ignore[arg-type]
        status=one.status.value,
        home=None if one.home is None else int(one.home),  # type: ignore[arg-type]
        outcome=None if one.outcome is None else one.outcome.value,
        source=said.source,
        tlp=said.tlp,
        industry=said.industry,
        tags=said.tags,
        indicator=said.indicator,
        indicators=said.indicators,
        interactions=one.interactions,
        escalations=one.escalations,
        dismissals=one.dismissals,
        views=one.views,
        analysts=one.analysts,
        sightings=one.sightings,
        consolidations=one.consolidations,
        confidence=one.confidence,
        entry_confidence=one.entry_confidence,
        validated=one.validated,
        protected=one.protected,
        latched=one.latched,
        overdue=one.overdue,
        first_seen_ms=one.first_seen_ms,
        last_activity_ms=one.last_activity_ms,
        entered_ms=one.entered_ms or None,
        due_ms=one.due_ms,
        snoozed_until_ms=one.snoozed_until_ms,
        revision=one.revision,
        holder=holder.analyst_id or None,
        holder_until_ms=holder.until_ms or None,
    )


def _read(one: Record) -> Said:
    try:
        body = _decode(memoryview(one.record)[HEADER_BYTES:])
        report = {"content": "", "metadata": msgspec.structs.asdict(body.metadata)}
        if not isinstance(given := body.metadata.title, str) or not given.strip():
            report["content"] = msgspec.json.decode(body.content, type=str)
        return _said(report, body.source, _pairs_in(body.metadata.indicators))
    except msgspec.DecodeError as exc:
        raise StoreDamaged(
            f"the body of threat {one.threat_id.decode(errors='replace')!r} cannot be read: {exc}"
        ) from None


def _pairs_in(packed: msgspec.Raw) -> _Pairs:
    """Return what `indicators_of` finds, at a third of its price where a list is one of objects."""
    try:
        found = _decode_indicators(packed)
    except msgspec.ValidationError:
        given = msgspec.json.decode(packed)
        return list(indicators_of({"metadata": {"indicators": given}}))
    return [
        (one.type if isinstance(one.type, str) else "", one.value)
        for one in found
        if isinstance(one.value, str)
    ]


def _said(report: Mapping[str, Any], source: str, pairs: _Pairs) -> Said:
    """Return what a row says of a report's content and metadata, and of its indicators."""
    first = MainIndicator(pairs[0][0][:WORD], pairs[0][1][:VALUE]) if pairs else None
    shown = [tag[:TAG] for tag in list(tags(report).values())[:TAGS]]
    return Said(
        _title(report),
        source,
        tlp(report)[:WORD],
        next(_industries(report["metadata"]), ""),
        shown,
        first,
        len(pairs),
    )


def _title(report: Mapping[str, Any]) -> str:
    """Return its title in one line; else, as where that is blank, how its content begins."""
    return _line(title_of(report)) or _line(title_of({"content": report["content"]}))


def _line(text: str) -> str:
    return _UNFIT.sub(" ", text.lstrip()[: _SPARE * TITLE]).strip()[:TITLE]


def _industries(metadata: Mapping[str, Any]) -> Iterator[str]:
    """Give the industries of a report as they are written, those that the ranks know."""
    for name in ("industry", "industries"):
        given = metadata.get(name)
        for one in given if isinstance(given, list | tuple) else (given,):
            if isinstance(one, str) and (word := _line(one)) and len(word) <= WORD:
                yield word
