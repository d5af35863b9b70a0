"""What shippers, stores, buses and APIs wrap around a product's own records, and how it comes off.

Pages of APIs, Elasticsearch's hits, log entries whose text is JSON, messages of queues, events of
clouds (EventBridge has a record under `detail`, SNS and SQS a text under `Message` and `body`, a
function's input a list under `Records`), and any of these inside each other. A format says what one
of its records looks like; here it is looked for inside.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

MOST_LAYERS = 5
"""Wrappers in the outermost: in the input of a function SQS, SNS, EventBridge, its findings."""
KEYS = (
    *("detail", "findings", "Findings", "hits", "entries", "records", "Records", "logEvents"),
    *("events", "value", "results", "result", "alerts", "affected_items", "Items", "raw_logs"),
    *("_source", "fields", "all_fields", "data", "Sns", "Message", "message", "body", "Body"),
    *("object", "log", "_raw", "event"),
)
"""Members under which records are looked for, as a list, an object, or as the JSON text of one of
these; the first that has any counts."""
ANY_KEY = frozenset(KEYS)
DOCUMENTS = ("_source", "fields")
"""An index's documents: what identifies them stands beside them."""

_decode = msgspec.json.Decoder().decode

IsOne = Callable[[dict[str, Any]], bool]


def opened(record: dict[str, Any], is_one: IsOne) -> list[Any] | None:
    """Return the records inside a wrapper in their order; None where it holds none of this kind.

    Of a wrapper that holds some, whatever is beside them in the same list comes along, so that
    nothing is lost without a word.
    """
    return None if is_one(record) else _inside(record, is_one, MOST_LAYERS)


def _inside(record: dict[str, Any], is_one: IsOne, layers: int) -> list[Any] | None:
    if ANY_KEY.isdisjoint(record):
        return None
    for key in KEYS:
        if key in record and (found := _among(_members(record, key), is_one, layers)):
            return found
    return None


def _among(ones: list[Any], is_one: IsOne, layers: int) -> list[Any] | None:
    found: list[Any] = []
    any_known = False
    for one in ones:
        inner = None
        if isinstance(one, dict):
            known = is_one(one)
            inner = None if known or not layers else _inside(one, is_one, layers - 1)
            any_known = any_known or known or inner is not None
        found += [one] if inner is None else inner
    return found if any_known else None


def _members(record: dict[str, Any], key: str) -> list[Any]:
    value = record[key]
    if key == "data" and isinstance(value, dict) and not _is_content(record, value):
        return []
    value = decoded(value)
    if isinstance(value, list):
        return value
    if not isinstance(value, dict):
        return []
    if key in DOCUMENTS and isinstance(record.get("_id"), str):
        return [{"_id": record["_id"], **value}]
    return [value]


def _is_content(record: dict[str, Any], data: dict[str, Any]) -> bool:
    """Whether this is an API's answer or an event's content, and no product's particulars.

    Wazuh's `data`, for one, may hold another product's whole event, of which it is the alert.
    """
    return "specversion" in record or any(isinstance(data.get(key), list) for key in KEYS)


def decoded(value: object) -> object:
    """Return what a text of JSON holds, None if it is not JSON; any other value as it is."""
    if not isinstance(value, str):
        return value
    try:
        return _decode(value) if value.lstrip()[:1] in ("{", "[") else None
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        return None
