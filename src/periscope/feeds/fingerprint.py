"""Ids for records that have none of their own: the same fields, the same threat."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from hashlib import blake2b
from typing import Any

import msgspec

from periscope.feeds.problems import BadRecord
from periscope.models import Report

ID_BYTES = 12
_encode = msgspec.json.Encoder(order="deterministic").encode


def fingerprint_id(prefix: str, values: Iterable[object]) -> str:
    """Return an id made of values of JSON's kinds: the same for the same ones, in every process."""
    return f"{prefix}:{blake2b(_encode(list(values)), digest_size=ID_BYTES).hexdigest()}"


def identified(
    report: Callable[[Any], Any], prefix: str, fields: tuple[str, ...]
) -> Callable[[Any], Any]:
    """Let the report of a record have the fingerprint of these fields of the record as its id.

    A field is a key, or a path of keys with dots between them. Without fields nothing changes.
    """
    if not fields:
        return report

    def with_fingerprint(record: Any) -> Any:
        item = report(record)
        if not isinstance(item, Report):
            return item
        values = [field_of(record, name) for name in fields]
        if all(value is None for value in values):
            raise BadRecord(f"none of the fingerprint's fields is here: {', '.join(fields)}")
        return msgspec.structs.replace(item, threat_id=fingerprint_id(prefix, values))

    return with_fingerprint


def field_of(record: Any, name: str) -> Any:
    """Return the value under a key, or under a path of keys with dots between them; else None."""
    if isinstance(record, dict) and name in record:
        return record[name]
    value: Any = record
    for key in name.split("."):
        value = value.get(key) if isinstance(value, dict) else None
    return value
