"""From whatever a caller gives to packed reports: validation, encoding, fingerprint.

The common case takes a whole list through msgspec at once. If anything in the list is bad, the list
is taken again item by item, so that the bad one gets its reason and the good ones go in.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from itertools import chain, compress, islice
from math import isfinite
from typing import Annotated, Any, Literal

import msgspec
from xxhash import xxh3_64_digest

from periscope.errors import ReportRejected
from periscope.header import NO_SOURCE, SOURCE_BYTES, pack_report
from periscope.marks import Marking, Packed
from periscope.models import (
    LATEST_MS,
    MAX_CONTENT_BYTES,
    MAX_ID_BYTES,
    MAX_METADATA_BYTES,
    MAX_METADATA_DEPTH,
    MAX_SOURCE_BYTES,
    SEVERITIES,
    Rejection,
    Report,
    Severity,
    Unreadable,
)
from periscope.rejections import rejection_for

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)
_CONTAINERS = (dict, list, tuple)
_VALUES = (str, int, float, type(None), *_CONTAINERS)
_PLAIN = {bool, *_VALUES}
_NESTED = frozenset(_CONTAINERS).__contains__
_MOMENTS, _MAPPINGS = {int, type(None)}, {dict, type(None)}
_FLOAT = frozenset((float,)).__contains__


_METADATA_TOO_LARGE = f"metadata: more than {MAX_METADATA_BYTES:,} bytes as JSON"

_UPPER = Literal["CRITICAL", "HIGH", "MEDIUM", "LOW"]
_LOWER = Literal["critical", "high", "medium", "low"]
_TITLE = Literal["Critical", "High", "Medium", "Low"]


class _Wire(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    """A report as it mostly comes. Converting to an enum costs three times all the rest."""

    threat_id: str
    content: str
    severity: _UPPER | _LOWER | _TITLE
    metadata: dict[str, str | int | float | bool | list[Any] | dict[str, Any] | None] | None = None
    source: str = ""
    observed_at: int | Annotated[datetime, msgspec.Meta(tz=True)] | None = None


class _Said(msgspec.Struct, gc=False):
    """What a fingerprint covers: a change in any of these is something new."""

    content: str
    severity: str
    metadata: dict[str, Any]


_encoder = msgspec.json.Encoder(order="deterministic")
_RANKS = {severity.value: severity.rank for severity in SEVERITIES}
_CANONICAL = {
    form: severity.value
    for severity in SEVERITIES
    for form in (severity.value, severity.lower(), severity.capitalize())
}
_BARE_HEADS = {
    form: pack_report(_RANKS[word], 0, bytes(8), NO_SOURCE)[: -(8 + SOURCE_BYTES)]
    for form, word in _CANONICAL.items()
}


class Intake:
    """Validates and packs reports for one database; `secret` keys its fingerprints.

    `marking` puts marks on those that are noise.

    Fingerprints are 64 bits of a fast hash. The key is the database's own, so that whoever writes a
    feed cannot prepare two reports that look the same to us.
    """

    def __init__(self, secret: bytes) -> None:
        self.marking = Marking()
        self._seed = int.from_bytes(secret[:8], "little")
        self._tails: dict[str, tuple[bytes, bytes]] = {}

    def prepare(self, items: Sequence[Any], first: int) -> tuple[list[Packed], list[Rejection]]:
        """Pack `items`, the first of which has index `first` in its batch; never raises for one."""
        try:
            packed = self._pack(items)
        except Exception:  # whatever it was, it was one item's: look at each by itself
            return self._prepare_each(items, first)
        if self.marking.marker is None:
            return packed, []
        return self.marking.all([_plain(item) for item in items], packed), []

    def one(self, item: Any) -> Packed:
        """Pack a single report.

        Raises:
            ReportRejected: names the field and the rule.
        """
        if isinstance(item, Unreadable):
            raise ReportRejected(item.reason, field="report")
        try:
            plain = _plain(item)
            packed = self._pack_one(msgspec.convert(plain, Report))
        except ReportRejected:
            raise
        except Exception as exc:  # an item may be any object, and raise anything when looked at
            raise rejection_for(exc) from None
        return packed if self.marking.marker is None else self.marking.one(plain, packed)

    def _pack_one(self, report: Report) -> Packed:
        _check_texts(report)
        _check_values(report.metadata or {})
        said = _encode_said(report)
        _check_size(report, said)
        observed_ms = _observed_ms(report.observed_at)
        tail = self._tail(report.source)
        payload = _payload(report.severity, observed_ms, tail, said, self._seed)
        return report.threat_id.encode(), payload

    def _prepare_each(
        self, items: Sequence[Any], first: int
    ) -> tuple[list[Packed], list[Rejection]]:
        packed: list[Packed] = []
        rejected = []
        for index, item in enumerate(items, first):
            try:
                packed.append(self.one(item))
            except ReportRejected as exc:
                rejected.append(Rejection(index, _id_of(item), str(exc)))
        return packed, rejected

    def _pack(self, items: Sequence[Any]) -> list[Packed]:
        given = _exact(items)
        if given is not None:
            return self._pack_all(items, given)
        plain = [_plain(item) for item in items]
        given = [item["metadata"] for item in plain if "metadata" in item]
        return self._pack_all(msgspec.convert(plain, list[_Wire]), given)

    def _pack_all(self, wires: Sequence[_Wire | Report], given: list[Any]) -> list[Packed]:
        """Pack valid reports; what the quick checks cannot clear sends all to the slow way.

        `given` is the metadata before it was converted: that makes lists of sets.
        """
        if max(len(w.content) for w in wires) > MAX_CONTENT_BYTES:
            raise ValueError
        blob = _encoder.encode_lines(
            [_Said(w.content, _CANONICAL[w.severity], w.metadata or {}) for w in wires]
        )
        said = blob.split(b"\n")[:-1]
        ids = [w.threat_id.encode() for w in wires]
        _check_quickly(given, blob, said, ids)
        if any(w.source or w.observed_at is not None for w in wires):
            return [
                (threat_id, self._pack_wire(wire, text))
                for threat_id, wire, text in zip(ids, wires, said, strict=True)
            ]
        seed = self._seed
        payloads = [
            _BARE_HEADS[wire.severity] + xxh3_64_digest(text, seed) + NO_SOURCE + text
            for wire, text in zip(wires, said, strict=True)
        ]
        return list(zip(ids, payloads, strict=True))

    def _pack_wire(self, wire: _Wire | Report, said: bytes) -> bytes:
        if len(wire.source) > MAX_SOURCE_BYTES // 4:
            raise ValueError
        observed_ms = 0 if wire.observed_at is None else _observed_ms(wire.observed_at)
        return _payload(
            _CANONICAL[wire.severity], observed_ms, self._tail(wire.source), said, self._seed
        )

    def _tail(self, source: str) -> tuple[bytes, bytes]:
        """The hash of a source and the end of its bodies: the same for all reports of a feed."""
        tail = self._tails.get(source)
        if tail is None:
            if len(self._tails) > 10_000:  # source names are the feed's: keep none of them for ever
                self._tails.clear()
            hashed = (
                xxh3_64_digest(source.encode(), self._seed)[:SOURCE_BYTES] if source else NO_SOURCE
            )
            end = b',"source":%s}' % msgspec.json.encode(source) if source else b"}"
            tail = self._tails[source] = (hashed, end)
        return tail


def _payload(
    severity: str, observed_ms: int, tail: tuple[bytes, bytes], said: bytes, seed: int
) -> bytes:
    """The header's report part, then the body: what was said, and after it when and by whom."""
    source, end = tail
    if observed_ms:
        end = b',"observed_at_ms":%d%s' % (observed_ms, end)
    part = pack_report(_RANKS[severity], observed_ms, xxh3_64_digest(said, seed), source)
    return b"%s%s%s" % (part, said[:-1], end)


def _check_quickly(given: list[Any], blob: bytes, said: list[bytes], ids: list[bytes]) -> None:
    """Clear a whole list at once; what might break a rule raises, and is looked at closely.

    msgspec writes NaN and infinities as null: without a null there is none to look for. Each line
    opens two braces of its own: without more in all, nothing is nested.
    """
    if (
        max(map(len, said)) > MAX_CONTENT_BYTES
        or not 0 < min(map(len, ids)) <= max(map(len, ids)) <= MAX_ID_BYTES
    ):
        raise ValueError
    openings = len(blob) - len(blob.translate(None, b"{["))
    if openings > 2 * len(said) or b"null" in blob:
        _check_all_values(given)


def _check_all_values(given: list[Any]) -> None:
    """Do what `_check_values` does to the metadata of many, each level of all of them at once."""
    containers: list[Any] = [metadata for metadata in given if metadata]
    for _ in range(MAX_METADATA_DEPTH):
        dicts = [one for one in containers if type(one) is dict]
        values = list(chain.from_iterable(map(dict.values, dicts)))
        if len(dicts) < len(containers):
            values += chain.from_iterable(one for one in containers if type(one) is not dict)
        types = list(map(type, values))
        kinds = set(types)
        if not kinds <= _PLAIN or set(map(type, chain.from_iterable(dicts))) - {str}:
            raise ValueError
        if float in kinds and not all(map(isfinite, compress(values, map(_FLOAT, types)))):
            raise ValueError
        containers = list(compress(values, map(_NESTED, types)))
        if not containers:
            return
    raise ValueError


def _exact(items: Sequence[Any]) -> list[Any] | None:
    """Return the metadata of reports whose fields have the very types that they should have.

    Those need no converting, which copies: whoever reads a feed has made them of JSON.
    """
    if set(map(type, items)) != {Report}:
        return None
    given = [one.metadata for one in items]
    texts = chain.from_iterable((one.threat_id, one.content, one.source) for one in items)
    if (
        set(map(type, texts)) == {str}
        and {type(one.severity) for one in items} == {Severity}
        and {type(one.observed_at) for one in items} <= _MOMENTS
        and set(map(type, given)) <= _MAPPINGS
    ):
        return given
    return None


def _plain(item: Any) -> Any:
    # msgspec takes an instance of a struct as it is, whatever it holds: look at the fields instead.
    if type(item) is not Report:
        return item
    fields = msgspec.structs.asdict(item)
    if isinstance(item.severity, Severity):
        fields["severity"] = str(item.severity)
    return fields


def _encode_said(report: Report) -> bytes:
    try:
        return _encoder.encode(_Said(report.content, report.severity.value, report.metadata or {}))
    except RecursionError:
        raise ReportRejected(
            f"metadata: nested deeper than {MAX_METADATA_DEPTH}", field="metadata"
        ) from None
    except (TypeError, ValueError, OverflowError) as exc:
        raise ReportRejected(f"metadata: {exc}", field="metadata") from None


def _check_texts(report: Report) -> None:
    for field, limit in (
        ("threat_id", MAX_ID_BYTES),
        ("content", MAX_CONTENT_BYTES),
        ("source", MAX_SOURCE_BYTES),
    ):
        size = _utf8_size(getattr(report, field), field)
        if size > limit:
            raise ReportRejected(f"{field}: {size:,} bytes, more than {limit:,}", field=field)
    if not report.threat_id:
        raise ReportRejected("threat_id: empty", field="threat_id")


def _utf8_size(text: str, field: str) -> int:
    try:
        return len(text.encode())
    except UnicodeEncodeError:
        raise ReportRejected(f"{field}: not valid UTF-8 (a lone surrogate)", field=field) from None


def _check_size(report: Report, said: bytes) -> None:
    if len(said) <= MAX_METADATA_BYTES:
        return
    if len(_encoder.encode(report.metadata or {})) > MAX_METADATA_BYTES:
        raise ReportRejected(_METADATA_TOO_LARGE, field="metadata")


def _check_values(metadata: dict[str, Any]) -> None:
    """Walk the metadata level by level: JSON's own types only, finite numbers, bounded depth.

    Each value is a byte of JSON at least: with more of them on a level, the rest need no look.
    """
    containers: list[Any] = [metadata]
    for _ in range(MAX_METADATA_DEPTH):
        inside = chain.from_iterable(map(_inside, containers))
        values = list(islice(inside, MAX_METADATA_BYTES + 1))
        if len(values) > MAX_METADATA_BYTES:
            raise ReportRejected(_METADATA_TOO_LARGE, field="metadata")
        for value in values:
            _check_value(value)
        containers = [value for value in values if isinstance(value, _CONTAINERS)]
        if not containers:
            return
    raise ReportRejected(f"metadata: nested deeper than {MAX_METADATA_DEPTH}", field="metadata")


def _inside(container: Any) -> Iterator[Any]:
    if not isinstance(container, dict):
        return iter(container)
    if not all(type(key) is str for key in container):
        raise ReportRejected("metadata: every key must be text", field="metadata")
    return iter(container.values())


def _check_value(value: Any) -> None:
    if not isinstance(value, _VALUES):
        kind = type(value).__name__
        raise ReportRejected(f"metadata: {kind} is not JSON; give it as text", field="metadata")
    if isinstance(value, float) and not isfinite(value):
        raise ReportRejected("metadata: NaN and infinity are not numbers", field="metadata")


def _observed_ms(moment: int | datetime | None) -> int:
    """Milliseconds since 1970; 0 for none, so that midnight of that year counts as none.

    Raises:
        ReportRejected: before 1970 or after 2109.
    """
    if moment is None:
        return 0
    ms = moment if isinstance(moment, int) else (moment - _EPOCH) // _MILLISECOND
    if not 0 <= ms <= LATEST_MS:
        raise ReportRejected("observed_at: not between 1970 and 2109", field="observed_at")
    return ms


def _id_of(item: Any) -> str | None:
    try:
        found = item["threat_id"] if isinstance(item, dict) else getattr(item, "threat_id", None)
    except Exception:  # any object may come, and raise anything
        return None
    return found[:MAX_ID_BYTES] if isinstance(found, str) else None
