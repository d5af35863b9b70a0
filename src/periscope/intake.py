"""From whatever a caller gives to packed reports: validation, encoding, fingerprint.

The common case takes a whole list through msgspec at once. If anything in the list is bad, the list
is taken again item by item, so that the bad one gets its reason and the good ones go in.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime, timedelta
from math import isfinite
from typing import Any, NamedTuple

import msgspec
from xxhash import xxh3_64_digest

from periscope.errors import ReportRejected
from periscope.header import NO_SOURCE, pack_report
from periscope.models import (
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

LATEST_MS = 2**42 - 1
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)
_CONTAINERS = (dict, list, tuple, set, frozenset)


class Packed(NamedTuple):
    """A report ready to be sent: its place in the batch, its id, and header part plus body."""

    number: int
    threat_id: bytes
    payload: bytes


class _Said(msgspec.Struct):
    """What a fingerprint covers: a change in any of these is something new."""

    content: str
    severity: str
    metadata: dict[str, Any]


_encoder = msgspec.json.Encoder(order="deterministic")
_ERRORS = (ReportRejected, TypeError, ValueError, OverflowError, RecursionError)


class Intake:
    """Validates and packs reports for one database; `secret` keys its fingerprints.

    Fingerprints are 64 bits of a fast hash. The key is the database's own, so that whoever writes a
    feed cannot prepare two reports that look the same to us.
    """

    def __init__(self, secret: bytes) -> None:
        self._seed = int.from_bytes(secret[:8], "little")
        self._heads: dict[tuple[str, str], tuple[int, bytes, bytes]] = {}

    def prepare(self, items: Sequence[Any], first: int) -> tuple[list[Packed], list[Rejection]]:
        """Pack `items`, the first of which has index `first` in its batch; never raises for one."""
        try:
            reports = msgspec.convert([_plain(item) for item in items], list[Report])
            return self._pack_all(reports, first), []
        except _ERRORS:
            return self._prepare_each(items, first)

    def one(self, item: Any) -> Packed:
        """Pack a single report.

        Raises:
            ReportRejected: names the field and the rule.
        """
        if isinstance(item, Unreadable):
            raise ReportRejected(item.reason, field="report")
        try:
            report = msgspec.convert(_plain(item), Report)
        except (msgspec.ValidationError, RecursionError) as exc:
            raise _rejected(exc) from None
        _check_texts(report)
        said = _encode_said(report)
        _check_size_and_shape(report, said)
        observed_ms = _observed_ms(report.observed_at)
        return self._pack(0, report, report.threat_id.encode(), said, observed_ms)

    def _prepare_each(
        self, items: Sequence[Any], first: int
    ) -> tuple[list[Packed], list[Rejection]]:
        packed, rejected = [], []
        for index, item in enumerate(items, first):
            try:
                packed.append(self.one(item)._replace(number=index))
            except ReportRejected as exc:
                rejected.append(Rejection(index, _id_of(item), str(exc)))
        return packed, rejected

    def _pack_all(self, reports: list[Report], first: int) -> list[Packed]:
        """Pack valid reports; one that the quick checks cannot clear sends all to the slow way."""
        blob = _encoder.encode_lines(
            [_Said(r.content, r.severity.value, r.metadata or {}) for r in reports]
        )
        # msgspec writes NaN and infinities as null: without one, there is none to look for.
        if b"null" in blob:
            raise ValueError
        packed = []
        for index, (report, said) in enumerate(
            zip(reports, blob.split(b"\n"), strict=False), first
        ):
            threat_id = report.threat_id.encode()
            if (
                not 0 < len(threat_id) <= MAX_ID_BYTES
                or len(said) > MAX_CONTENT_BYTES
                or len(report.source) > MAX_SOURCE_BYTES // 4
                or said.count(b"{") + said.count(b"[") > MAX_METADATA_DEPTH
            ):
                raise ValueError
            observed_ms = 0 if report.observed_at is None else _observed_ms(report.observed_at)
            packed.append(self._pack(index, report, threat_id, said, observed_ms))
        return packed

    def _pack(
        self, index: int, report: Report, threat_id: bytes, said: bytes, observed_ms: int
    ) -> Packed:
        severity, source, tail = self._head(report.severity, report.source)
        fingerprint = xxh3_64_digest(said, self._seed)
        if observed_ms:
            tail = b',"observed_at_ms":%d%s' % (observed_ms, tail)
        part = pack_report(severity, observed_ms, fingerprint, source)
        return Packed(index, threat_id, b"%s%s%s" % (part, said[:-1], tail))

    def _head(self, severity: Severity, source: str) -> tuple[int, bytes, bytes]:
        """Severity rank, source hash and end of the body: the same for most reports of a feed."""
        head = self._heads.get((severity, source))
        if head is None:
            if len(self._heads) > 10_000:  # source names are the feed's: keep none of them for ever
                self._heads.clear()
            hashed = xxh3_64_digest(source.encode(), self._seed) if source else NO_SOURCE
            tail = b',"source":%s}' % msgspec.json.encode(source) if source else b"}"
            head = self._heads[severity, source] = (severity.rank, hashed, tail)
        return head


def _plain(item: Any) -> Any:
    # msgspec takes an instance of Report as it is, whatever it holds: look at its fields instead.
    return msgspec.structs.asdict(item) if type(item) is Report else item


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


def _check_size_and_shape(report: Report, said: bytes) -> None:
    metadata = report.metadata or {}
    _check_values(metadata)
    if len(said) > MAX_METADATA_BYTES and len(_encoder.encode(metadata)) > MAX_METADATA_BYTES:
        raise ReportRejected(
            f"metadata: more than {MAX_METADATA_BYTES:,} bytes as JSON", field="metadata"
        )


def _check_values(metadata: dict[str, Any]) -> None:
    """Walk the metadata level by level: its depth, and that every number is finite."""
    containers: list[Any] = [metadata]
    for _ in range(MAX_METADATA_DEPTH):
        values = [value for container in containers for value in _inside(container)]
        if any(isinstance(value, float) and not isfinite(value) for value in values):
            raise ReportRejected("metadata: NaN and infinity are not numbers", field="metadata")
        containers = [value for value in values if isinstance(value, _CONTAINERS)]
        if not containers:
            return
    raise ReportRejected(f"metadata: nested deeper than {MAX_METADATA_DEPTH}", field="metadata")


def _inside(container: Any) -> Iterable[Any]:
    return container.values() if isinstance(container, dict) else container


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
    found = item.get("threat_id") if isinstance(item, dict) else getattr(item, "threat_id", None)
    return found if isinstance(found, str) else None


_SEVERITY = re.compile(r"(?s)Invalid enum value (.*) - at")
_AT = re.compile(r"(?s)^(.*) - at .*?`\$\.?([A-Za-z_]*).*`$")
_MISSING = re.compile(r"missing required field `(\w+)`")
_UNKNOWN = re.compile(r"contains unknown field `(.*)`", re.DOTALL)


def _explain_missing(found: re.Match[str], text: str) -> tuple[str, str]:
    return found[1], f"{found[1]}: missing"


def _explain_unknown(found: re.Match[str], text: str) -> tuple[str, str]:
    return found[
        1
    ], f"{found[1][:100]}: unknown field; what is not of the report goes into metadata"


def _explain_at(found: re.Match[str], text: str) -> tuple[str, str]:
    return found[2], f"{found[2]}: {found[1][0].lower()}{found[1][1:]}"


def _explain_severity(found: re.Match[str], text: str) -> tuple[str, str]:
    known = ", ".join(reversed(SEVERITIES))
    return "severity", f"severity: unknown {found[1][:100]}; use one of {known}"


_EXPLAIN: tuple[tuple[re.Pattern[str], Callable[[re.Match[str], str], tuple[str, str]]], ...] = (
    (_MISSING, _explain_missing),
    (_UNKNOWN, _explain_unknown),
    (_SEVERITY, _explain_severity),
    (_AT, _explain_at),
)


def _rejected(exc: Exception) -> ReportRejected:
    """A ReportRejected that names the field, for msgspec's wording of the same."""
    text = str(exc)
    for pattern, explain in _EXPLAIN:
        found = pattern.search(text)
        if found:
            field, reason = explain(found, text)
            return ReportRejected(_one_line(reason), field=field)
    if isinstance(exc, RecursionError):
        return ReportRejected(
            f"metadata: nested deeper than {MAX_METADATA_DEPTH}", field="metadata"
        )
    return ReportRejected(_one_line(f"not a report: {text[0].lower()}{text[1:]}"), field="report")


def _one_line(reason: str) -> str:
    return " ".join(reason.split())
