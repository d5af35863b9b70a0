"""Records inside the objects in which clouds deliver them: buses, queues, functions, APIs.

EventBridge has a record under `detail` or a list under `detail.findings`, SNS and SQS a text under
`Message` or `body`, a function's input and a stream to storage a list under `Records` or `records`,
an API's page a list under a word of its own. A format says what one of its records looks like;
here it is looked for inside.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from periscope.feeds.json_records import JsonFormat

KEYS = (
    *("detail", "findings", "Findings", "records", "Records", "value", "alerts", "results"),
    *("data", "hits", "_source", "Sns", "Message", "message", "body", "Body", "Items", "object"),
)
"""Members under which records are looked for, in this order; the first that has any counts."""
ANY_KEY = frozenset(KEYS)
DEEPEST = 5
"""Layers: a function's input, SQS, SNS, EventBridge, and its list of findings."""

Test = Callable[[dict[str, Any]], bool]


class Delivered(JsonFormat):
    """A format whose records are also read where a cloud has put something around them."""

    def inside(self, record: dict[str, Any]) -> list[Any] | None:
        """Return the records inside one that is none itself; None if there are none."""
        return None if self.is_one(record) else opened(record, self.is_one) or None


def opened(record: dict[str, Any], is_one: Test, depth: int = DEEPEST) -> list[Any]:
    """Return the records inside an object, with whatever stands beside them; empty if none.

    Texts that hold JSON are decoded. Elements beside a record are returned as well, so that none
    of them is lost without a word.
    """
    if ANY_KEY.isdisjoint(record):
        return []
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
