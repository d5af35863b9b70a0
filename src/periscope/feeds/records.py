"""Generic objects (NDJSON, JSON, CSV rows) into reports, by native names and by aliases."""

from __future__ import annotations

from hashlib import sha256
from typing import Any

import msgspec

from periscope.feeds.moments import moment_ms
from periscope.feeds.options import ReadOptions
from periscope.feeds.problems import BadRecord, kind, quote
from periscope.models import Report, Severity

Record = dict[str, Any]

ALIASES: dict[str, tuple[str, ...]] = {
    "threat_id": ("threat_id", "id", "uuid"),
    "content": ("content", "description", "message", "summary", "title", "name"),
    "severity": ("severity", "level", "priority"),
    "source": ("source",),
    "observed_at": ("observed_at", "timestamp", "time", "created", "@timestamp"),
}
"""Keys in the order in which they are tried; the first with a usable value wins."""


def missing_id(names: tuple[str, ...], what: str = "FIELD") -> str:
    """Return the words for a record or header without an id."""
    tried = ", ".join(names)
    return f"no id under {tried}; --map threat_id={what} names the one that holds it"


def missing_severity(names: tuple[str, ...], what: str = "FIELD") -> str:
    """Return the words for a record or header without a severity."""
    tried = ", ".join(names)
    return f"no severity under {tried}; give --severity for all, or --map severity={what}"


class Mapper:
    """Turns one generic record into a report; the same record always gives the same report."""

    def __init__(self, options: ReadOptions) -> None:
        self._options = options
        self._names = {
            field: (options.columns[field],) if field in options.columns else names
            for field, names in ALIASES.items()
        }
        self._firm = {names[0] for names in self._names.values()}

    def report(self, record: object) -> Report:
        """Return the report that a record states; keys without a meaning of their own are metadata.

        Raises:
            BadRecord: it is no object, or has no usable id or severity, or a bad time.

        """
        if not isinstance(record, dict):
            raise BadRecord(f"{kind(record)} instead of an object")
        rest = dict(record)
        threat_id = self._threat_id(rest)
        try:
            return Report(
                threat_id=threat_id,
                severity=self._severity(rest),
                content=self._text("content", rest) or threat_id,
                source=self._source(rest),
                observed_at=self._observed_at(rest),
                metadata=_metadata(rest) or None,
            )
        except BadRecord as exc:
            raise BadRecord(str(exc), threat_id) from None

    def _threat_id(self, rest: Record) -> str:
        if self._options.fingerprint:
            return self._fingerprint(rest)
        names = self._names["threat_id"]
        for name in names:
            value = _find(rest, name)
            if isinstance(value, str) and value:
                rest.pop(name, None)
                return value
            if isinstance(value, int) and not isinstance(value, bool):
                rest.pop(name, None)
                return str(value)
            if name in self._firm and value not in (None, ""):
                raise BadRecord(f"{name} is {kind(value)}; an id is text or a whole number")
        raise BadRecord(missing_id(names))

    def _fingerprint(self, rest: Record) -> str:
        """Make an id of the values of the named fields; it begins with the source."""
        values = [_find(rest, name) for name in self._options.fingerprint]
        if all(value is None for value in values):
            raise BadRecord(
                f"none of {', '.join(self._options.fingerprint)} is there to make an id"
            )
        said = msgspec.json.encode(values, order="deterministic")
        source = self._options.source or "feed"
        return f"{source[:200]}:{sha256(said).hexdigest()[:32]}"

    def _severity(self, rest: Record) -> Severity:
        names = self._names["severity"]
        for name in names:
            value = _find(rest, name)
            if value is None or (isinstance(value, dict | list) and name not in self._firm):
                continue
            try:
                severity = self._options.severity_map.look_up(value, name)
            except KeyError:
                raise BadRecord(_unknown_severity(name, value)) from None
            rest.pop(name, None)
            if severity is not None:
                return severity
        if self._options.default_severity is None:
            raise BadRecord(missing_severity(names))
        return self._options.default_severity

    def _text(self, field: str, rest: Record) -> str:
        for name in self._names[field]:
            value = _find(rest, name)
            if isinstance(value, str) and value:
                rest.pop(name, None)
                return value
            if name in self._firm and value not in (None, "") and not isinstance(value, str):
                raise BadRecord(f"{name} is {kind(value)}; it must be text")
        return ""

    def _source(self, rest: Record) -> str:
        if self._options.source is not None:
            return self._options.source
        name = self._names["source"][0]
        value = _find(rest, name)
        if isinstance(value, str):
            rest.pop(name, None)
            return value
        if "source" in self._options.columns and value is not None:
            raise BadRecord(f"{name} is {kind(value)}; a source is text")
        return ""

    def _observed_at(self, rest: Record) -> int | None:
        for name in self._names["observed_at"]:
            value = _find(rest, name)
            if value in (None, ""):
                continue
            try:
                moment = _native_ms(value) if name == "observed_at" else moment_ms(value)
            except ValueError:
                if name in self._firm:
                    raise BadRecord(f"{name} {quote(value)} is not a time; use RFC 3339") from None
                continue
            rest.pop(name, None)
            return moment
        return None


def _native_ms(value: object) -> int:
    """Periscope's own field states whole milliseconds, whatever their size."""
    whole = isinstance(value, int) and not isinstance(value, bool)
    return value if whole else moment_ms(value)  # type: ignore[return-value]


def _unknown_severity(name: str, value: object) -> str:
    if isinstance(value, str | int | float) and not isinstance(value, bool):
        return (
            f"{name} {quote(value)} is not in the severity table; add it with --severity-map, "
            "or --map severity=FIELD names another field"
        )
    return f"{name} is {kind(value)}; a severity is a word or a number"


def _find(record: Record, name: str) -> Any:
    """Return the value under a key, or under a path of keys with dots between them; else None."""
    if name in record or "." not in name:
        return record.get(name)
    value: Any = record
    for key in name.split("."):
        value = value.get(key) if isinstance(value, dict) else None
    return value


def _metadata(rest: Record) -> Record:
    own = rest.get("metadata")
    if isinstance(own, dict):
        del rest["metadata"]
        return {**rest, **own}
    if own is None:
        rest.pop("metadata", None)
    return rest
