"""What shippers, stores and queues wrap around a product's own records, and how it comes off.

Elasticsearch's hits and pages, log entries whose text is JSON, messages of queues: a format calls
`opened` from its `inside`, and gets back the records that it knows.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import msgspec

MOST_LAYERS = 5
LISTS = (
    *("hits", "entries", "records", "Records", "logEvents", "events", "results", "alerts", "data"),
    "affected_items",
)
OBJECTS = ("hits", "raw_logs", "_source", "fields", "result", "all_fields", "Sns")
TEXTS = ("message", "Message", "data", "log", "_raw", "body", "event")
"""Members of a wrapper that may hold what is wrapped: as a list, an object, or as its JSON text."""

_decode = msgspec.json.Decoder().decode

IsOne = Callable[[dict[str, Any]], bool]


def opened(record: dict[str, Any], is_one: IsOne) -> list[Any] | None:
    """Return the records inside a wrapper in their order; None where it holds none of this kind.

    Of a wrapper that holds some, whatever is beside them in the same list comes along.
    """
    if is_one(record):
        return None
    found = list(_inside(record, is_one, MOST_LAYERS))
    return found if any(isinstance(one, dict) and is_one(one) for one in found) else None


def _inside(record: dict[str, Any], is_one: IsOne, layers: int) -> Iterator[Any]:
    for inner in _candidates(record):
        known = not isinstance(inner, dict) or is_one(inner)
        deeper = [] if known or not layers else list(_inside(inner, is_one, layers - 1))
        yield from deeper or [inner]


def _candidates(record: dict[str, Any]) -> Iterator[Any]:
    """Members of the first kind that the record has; an index's id goes with its document."""
    for key in LISTS:
        if isinstance(value := record.get(key), list):
            yield from value
            return
    for key in OBJECTS:
        if isinstance(value := record.get(key), dict):
            named = key in ("_source", "fields") and isinstance(record.get("_id"), str)
            yield {"_id": record["_id"], **value} if named else value
            return
    if isinstance(value := record.get("data"), dict) and _holds_list(value):
        yield value
        return
    for key in TEXTS:
        if isinstance(value := record.get(key), str) and (inner := _object(value)) is not None:
            yield inner
            return


def _holds_list(answer: dict[str, Any]) -> bool:
    """Whether this is an API's answer: `data` is also what products call the particulars."""
    return any(isinstance(answer.get(key), list) for key in LISTS)


def _object(text: str) -> dict[str, Any] | None:
    if text.lstrip()[:1] != "{":
        return None
    try:
        value = _decode(text)
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        return None
    return value if isinstance(value, dict) else None
