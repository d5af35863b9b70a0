"""Generic objects (NDJSON, JSON, CSV rows) into reports, by native names and by aliases."""

from __future__ import annotations

from typing import Any

from periscope.feeds.fingerprint import field_of, fingerprint_id
from periscope.feeds.moments import moment_ms
from periscope.feeds.options import UNIFORM_FIELDS, ReadOptions
from periscope.feeds.problems import BadRecord, kind, quote
from periscope.feeds.uniform import uniform
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

GENERIC_MAPPING = (
    *((field, ", ".join(f"`{name}`" for name in names)) for field, names in ALIASES.items()),
    ("metadata", "all other keys; a `metadata` object as it is"),
)


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
        self._mapped = {
            field: options.columns[field] for field in UNIFORM_FIELDS if field in options.columns
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
                metadata=self._metadata(record, rest) or None,
            )
        except BadRecord as exc:
            raise BadRecord(str(exc), threat_id) from None

    def _metadata(self, record: Record, rest: Record) -> Record:
        """What the mapping says of uniform keys, and all that has no meaning of its own."""
        if not self._mapped:
            return _metadata(rest)
        for name in self._mapped.values():
            rest.pop(name, None)
        said = {field: field_of(record, name) for field, name in self._mapped.items()}
        return {**uniform(said), **_metadata(rest)}

    def _threat_id(self, rest: Record) -> str:
        if self._options.fingerprint:
            values = [field_of(rest, name) for name in self._options.fingerprint]
            return fingerprint_id(self._options.source or "report", values)
        names = self._names["threat_id"]
        for name in names:
            value = field_of(rest, name)
            if isinstance(value, str) and value:
                rest.pop(name, None)
                return value
            if isinstance(value, int) and not isinstance(value, bool):
                rest.pop(name, None)
                return str(value)
            if name in self._firm and value not in (None, ""):
                raise BadRecord(f"{name} is {kind(value)}; an id is text or a whole number")
        raise BadRecord(missing_id(names))

    def _severity(self, rest: Record) -> Severity:
        names = self._names["severity"]
        for name in names:
            value = field_of(rest, name)
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
            value = field_of(rest, name)
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
        value = field_of(rest, name)
        if isinstance(value, str):
            rest.pop(name, None)
            return value
        if "source" in self._options.columns and value is not None:
            raise BadRecord(f"{name} is {kind(value)}; a source is text")
        return ""

    def _observed_at(self, rest: Record) -> int | None:
        for name in self._names["observed_at"]:
            value = field_of(rest, name)
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


def _metadata(rest: Record) -> Record:
    own = rest.get("metadata")
    if isinstance(own, dict):
        del rest["metadata"]
        return {**rest, **own}
    if own is None:
        rest.pop("metadata", None)
    return rest
