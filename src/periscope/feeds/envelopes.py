"""Envelopes: records inside the objects in which queues, buses and APIs deliver them.

EventBridge has a record under `detail`, SNS and SQS as a text under `Message` or `body`, a lambda's
input under `Records`, Elasticsearch under `hits.hits[]._source`, an API's page under a word of its
own. A format says what one of its records looks like; here it is looked for inside.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import msgspec

from periscope.feeds.problems import BadRecord

KEYS = (
    *("detail", "findings", "Findings", "records", "Records", "value", "alerts", "results"),
    *("data", "hits", "_source", "Sns", "Message", "message", "body", "Body", "Items", "object"),
)
"""Members under which records are looked for, in this order; the first that has any counts."""
DEEPEST = 5
"""Envelopes inside envelopes: lambda, SQS, SNS, EventBridge and its list of findings."""

Test = Callable[[dict[str, Any]], bool]
Open = Callable[[dict[str, Any]], list[Any]]


class Failed(NamedTuple):
    """A record inside an envelope that gives no report: why, and its own bytes."""

    problem: BadRecord
    raw: bytes


def opened(record: dict[str, Any], is_one: Test, depth: int = DEEPEST) -> list[Any]:
    """Return the records inside an envelope, with whatever stands beside them; empty if none.

    Texts that hold JSON are decoded. Elements beside a record are returned as well, so that none
    of them is lost without a word.
    """
    for key in KEYS:
        inner = record.get(key)
        if isinstance(inner, str):
            inner = _decoded(inner)
        if isinstance(inner, dict | list) and inner:
            found = _among(inner if isinstance(inner, list) else [inner], is_one, depth)
            if found:
                return found
    return []


def _among(ones: list[Any], is_one: Test, depth: int) -> list[Any]:
    if any(isinstance(one, dict) and is_one(one) for one in ones):
        return ones
    if not depth:
        return []
    found, any_found = [], False
    for one in ones:
        inner = opened(one, is_one, depth - 1) if isinstance(one, dict) else []
        any_found = any_found or bool(inner)
        found += inner or [one]
    return found if any_found else []


def _decoded(text: str) -> object:
    if text.lstrip()[:1] not in ("{", "["):
        return None
    try:
        return msgspec.json.decode(text)
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        return None


def each(report: Callable[[Any], Any], is_one: Test, inside: Open) -> Callable[[Any], Any]:
    """Let a record that is an envelope give a list: an item, None or `Failed` for each inside."""

    def of(record: Any) -> Any:
        if not isinstance(record, dict) or is_one(record):
            return report(record)
        inner = inside(record)
        return [_tried(report, one) for one in inner] if inner else report(record)

    return of


def _tried(report: Callable[[Any], Any], record: Any) -> Any:
    try:
        return report(record)
    except BadRecord as exc:
        return Failed(exc, msgspec.json.encode(record))
