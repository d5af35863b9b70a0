"""One shape for what every format gives: a report with uniform metadata."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec

from periscope.feeds.indicators import Indicator, kept
from periscope.feeds.moments import moment_ms, rfc3339
from periscope.feeds.options import ReadOptions
from periscope.feeds.problems import BadRecord, kind, quote
from periscope.models import Report, Severity

MOST_TAGS = 100
MOST_REFERENCES = 50
LONGEST_TITLE = 500
LONGEST_TAG = 256
LONGEST_REFERENCE = 2048
LONGEST_CONTENT = 32 * 1024
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
                content=(self.content or self.title)[:LONGEST_CONTENT] or self.threat_id,
                severity=self.severity,
                metadata=self._metadata(options),
                source=self.source if options.source is None else options.source,
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
        return {key: value for key, value in metadata.items() if value not in EMPTY}


def excerpt(raw: object, most: int) -> str:
    """Return the first bytes of a record as text; a record that was decoded is encoded again."""
    if not most or raw is None:
        return ""
    data = raw if isinstance(raw, bytes) else _encode(raw)
    return data[:most].decode("utf-8", "ignore")


def texts(values: Iterable[object], most: int, longest: int) -> list[str]:
    """Texts among the values, stripped, each once, at most so many and so long."""
    found: dict[str, None] = {}
    for value in values:
        if isinstance(value, str) and (text := value.strip()[:longest]):
            found[text] = None
            if len(found) >= most:
                break
    return list(found)


def text_of(record: dict[str, Any], *keys: str) -> str:
    """Return the first text among these keys; numbers count as text, whatever else does not."""
    for key in keys:
        value = record.get(key)
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
        value = value.get(key) if isinstance(value, dict) else None
    return value if isinstance(value, dict) else {}


def list_of(value: object) -> list[Any]:
    """Return a list as it is, nothing as an empty one, and any other value as its only element."""
    return value if isinstance(value, list) else [] if value is None else [value]


def dicts_of(value: object) -> list[dict[str, Any]]:
    """Objects among the elements of a list, or the object itself."""
    return [one for one in list_of(value) if isinstance(one, dict)]


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
    return None if time_ms(name, value) is None else rfc3339(value)


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
