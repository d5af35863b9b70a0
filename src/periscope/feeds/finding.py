"""One shape for what every format gives: a report with uniform metadata."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec

from periscope.feeds.fingerprint import fingerprint_id
from periscope.feeds.indicators import Indicator, fitting_bytes, kept
from periscope.feeds.moments import moment_ms, ms_text
from periscope.feeds.options import ReadOptions
from periscope.feeds.problems import BadRecord, kind, quote
from periscope.models import MAX_METADATA_BYTES, Report, Severity

MOST_TAGS = 100
MOST_REFERENCES = 50
LONGEST_TITLE = 500
LONGEST_TAG = 256
LONGEST_REFERENCE = 2048
MOST_TEXT_BYTES = 8 * 1024
"""Bytes of a report's tags, and again of its references."""
LONGEST_CONTENT = 32 * 1024  # bytes
LONGEST_MORE, MOST_MORE = 256, 10
"""What is left of the texts and lists particular to a format where all are too many bytes."""
UNIFORM = frozenset(
    (
        *("title", "type", "tags", "tlp", "references", "indicators", "indicators_total"),
        *("first_observed", "last_observed"),
    )
)
"""Keys of metadata with bounds of their own."""
LONGEST_ID = 400  # bytes, without the word before it
LONGEST_SOURCE = 64  # 256 bytes at most
EMPTY: tuple[Any, ...] = (None, "", [], {})

_encode = msgspec.json.encode


class Finding(msgspec.Struct, kw_only=True, gc=False):
    """What one record of a source says, in uniform words; `report` makes a report of it.

    Times are whatever `moment_ms` reads. `raw` is the record as it came (decoded, or its bytes);
    `more` are keys particular to the format. Whatever is empty is left out.
    """

    threat_id: str
    title: str
    severity: Severity
    source: str
    type: str
    content: str = ""
    observed_at: Any = None
    tags: Iterable[object] = ()
    tlp: str | None = None
    references: Iterable[object] = ()
    indicators: Iterable[Indicator | None] = ()
    first_observed: Any = None
    last_observed: Any = None
    industry: Any = None
    raw: Any = None
    more: dict[str, Any] | None = None

    def report(self, options: ReadOptions) -> Report:
        """Return the report; what is too long is cut. `options.source` replaces the source.

        Raises:
            BadRecord: a time is none; it names the id.

        """
        try:
            return Report(
                threat_id=self.threat_id,
                content=shortened(self.content or self.title, LONGEST_CONTENT) or self.threat_id,
                severity=self.severity,
                metadata=self._metadata(options),
                source=self.source[:LONGEST_SOURCE] if options.source is None else options.source,
                observed_at=time_ms("time", self.observed_at),
            )
        except BadRecord as exc:
            raise BadRecord(str(exc), self.threat_id) from None

    def _metadata(self, options: ReadOptions) -> dict[str, Any]:
        metadata: dict[str, Any] = {
            "title": self.title[:LONGEST_TITLE],
            "type": self.type,
            "tags": texts(self.tags, MOST_TAGS, LONGEST_TAG),
            "tlp": self.tlp,
            "references": texts(self.references, MOST_REFERENCES, LONGEST_REFERENCE),
            **kept(self.indicators),
            "first_observed": time_text("first seen", self.first_observed),
            "last_observed": time_text("last seen", self.last_observed),
            "industry": self.industry,
            **(self.more or {}),
            "raw": excerpt(self.raw, options.raw_bytes),
        }
        found = {
            key: value
            for key, value in metadata.items()
            if value or (value is not None and value not in EMPTY)
        }
        return found if len(_encode(found)) <= MAX_METADATA_BYTES else _fitted(found)


def shortened(text: str, most_bytes: int) -> str:
    """Return the beginning of a text, so many bytes of UTF-8 at most."""
    if len(text) * 4 <= most_bytes:
        return text
    if text.isascii():
        return text[:most_bytes]
    return text.encode("utf-8", "replace")[:most_bytes].decode("utf-8", "ignore")


def _fitted(metadata: dict[str, Any]) -> dict[str, Any]:
    """Return metadata with what is particular to a format, and the excerpt, cut to what fits.

    What is uniform has bounds of its own, which leave 16 KiB to all else.
    """
    found = {key: value for key, value in metadata.items() if key in UNIFORM}
    left = MAX_METADATA_BYTES - len(_encode(found))
    for key, value in metadata.items():
        if key in UNIFORM:
            continue
        cut = value[:LONGEST_MORE] if isinstance(value, str) else value
        cut = cut[:MOST_MORE] if isinstance(cut, list) else cut
        size = len(_encode({key: cut}))
        if size <= left:
            found[key] = cut
            left -= size
    return found


def excerpt(raw: object, most: int) -> str:
    """Return the first bytes of a record as text; a record that was decoded is encoded again."""
    if not most or raw is None:
        return ""
    data = raw if isinstance(raw, bytes) else _encode(raw)
    return data[:most].decode("utf-8", "ignore")


def own_id(prefix: str, text: str) -> str:
    """Return a source's own id with the word of its format; of one too long, a fingerprint."""
    if len(text) <= LONGEST_ID // 4 or len(text.encode()) <= LONGEST_ID:
        return f"{prefix}:{text}"
    return fingerprint_id(prefix, (text,))


def texts(values: Iterable[object], most: int, longest: int) -> list[str]:
    """Texts among the values, stripped, each once, at most so many and so long; 8 KiB in all."""
    found: dict[str, None] = {}
    for value in values:
        if isinstance(value, str) and (text := value.strip()[:longest]):
            found[text] = None
            if len(found) >= most:
                break
    ones = list(found)
    return ones[: fitting_bytes(ones, MOST_TEXT_BYTES)]


def text_of(record: dict[str, Any], *keys: str) -> str:
    """Return the first text among these keys; numbers count as text, whatever else does not."""
    for key in keys:
        value = record.get(key)
        if value is None:
            continue
        if isinstance(value, str):
            if value := value.strip():
                return value
        elif isinstance(value, int | float) and not isinstance(value, bool):
            return str(value)
    return ""


def dict_of(record: object, *keys: str) -> dict[str, Any]:
    """Return the object under a path of keys; an empty one if there is none."""
    value: Any = record
    for key in keys:
        if not isinstance(value, dict):
            return {}
        value = value.get(key)
    return value if isinstance(value, dict) else {}


def list_of(value: object) -> list[Any]:
    """Return a list as it is, nothing as an empty one, and any other value as its only element."""
    return value if isinstance(value, list) else [] if value is None else [value]


def dicts_of(value: object) -> list[dict[str, Any]]:
    """Objects among the elements of a list, or the object itself."""
    if isinstance(value, list):
        return [one for one in value if isinstance(one, dict)]
    return [value] if isinstance(value, dict) else []


def time_ms(name: str, value: object) -> int | None:
    """Return a time in milliseconds; None without one.

    Raises:
        BadRecord: it is none.

    """
    if value is None or value == "":
        return None
    try:
        return moment_ms(value)
    except ValueError:
        raise BadRecord(f"{name} {quote(value)} is not a time; use RFC 3339") from None


def time_text(name: str, value: object) -> str | None:
    """Return a time as RFC 3339 text; None without one.

    Raises:
        BadRecord: it is none.

    """
    ms = time_ms(name, value)
    return None if ms is None else ms_text(ms)


def is_true(value: object) -> bool:
    """Say whether it is true; some exporters write booleans as text."""
    return value is True or (isinstance(value, str) and value.strip().lower() == "true")


def required(record: object, what: str) -> dict[str, Any]:
    """Return a record that is an object.

    Raises:
        BadRecord: it is something else.

    """
    if not isinstance(record, dict):
        raise BadRecord(f"{kind(record)} instead of {what}")
    return record


def severity_of(
    options: ReadOptions, format_name: str, stated: Iterable[tuple[str, object]]
) -> Severity:
    """Return what the first field that states a severity means, by the table of the format.

    Where none does: the severity that the caller wants for such records, else the table's.

    Raises:
        BadRecord: the table does not know the word or number, or there is none and none is given.

    """
    table = options.severity_map.formats[format_name]
    for field, value in stated:
        if value is None:
            continue
        try:
            severity = table.fields[field].look_up(value)
        except KeyError:
            raise BadRecord(
                f"{field} {quote(value)} is not in the severity table: add it to "
                f"[formats.{format_name}.{field}] of a --severity-map"
            ) from None
        if severity is not None:
            return severity
    found = options.default_severity or table.missing
    if found is None:
        raise BadRecord("no severity is stated; give --severity for such records")
    return found
