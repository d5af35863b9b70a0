"""Reports as JSON, a single one or an array of any size, without holding up the event loop.

An array is looked at as a whole first: one that breaks off is refused before any of it goes in. Its
elements are then decoded some at a time, as they are asked for, which also is several times as fast
as at once: the garbage collector has little to look at. What only one element has that nobody can
read, as half a character or a thousand brackets, is that element's fault and no other's.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from typing import Any

import msgspec

from periscope.api.bodies import check_values, slices
from periscope.api.problems import RequestRefused
from periscope.api.strict_lines import FAILURES
from periscope.feeds.json_split import explained, split_json
from periscope.feeds.options import MAX_RECORD_BYTES
from periscope.feeds.problems import EXCERPT_BYTES, Broken
from periscope.models import Report, Unreadable

AT_ONCE = 1000
_elements = msgspec.json.Decoder(list[msgspec.Raw]).decode
_many = msgspec.json.Decoder(list[Report]).decode
_one = msgspec.json.Decoder(Report).decode
_any = msgspec.json.Decoder().decode


def is_array(body: bytes) -> bool:
    """Say whether a body begins as an array does."""
    return body.lstrip()[:1] == b"["


async def array_of(body: bytes) -> Iterator[Any]:
    """Give the elements of an array; what is wrong with one is the engine's to say.

    Several arrays one after the other are taken as one, as feeds are.

    Raises:
        RequestRefused: it is no array, or has more values than are read here.
    """
    check_values(body)
    try:
        return _decoded(_elements(body))
    except FAILURES as exc:
        refused = _no_json(exc, body)
    try:
        parts = await asyncio.to_thread(_parts, body)
    except Broken:
        raise refused from None
    return (
        _item(part, number) if isinstance(part, bytes) else part
        for number, part in enumerate(parts)
    )


def _parts(body: bytes) -> list[bytes | Unreadable]:
    """Cut an array by its brackets, where a parser gives up on all of it.

    Raises:
        Broken: the brackets do not fit.
    """
    return [
        _unread(piece.problem, piece.raw, number) if piece.problem else piece.raw
        for number, piece in enumerate(split_json(slices(body), MAX_RECORD_BYTES))
    ]


def object_of(body: bytes) -> Any:
    """Return a single report, or an object that may still be rejected as one.

    Raises:
        RequestRefused: it is no JSON, or no object.
    """
    try:
        return _one(body)
    except FAILURES:
        check_values(body)
    try:
        found = _any(body)
    except FAILURES as exc:
        raise _no_json(exc, body) from None
    if not isinstance(found, dict):
        raise RequestRefused(422, "body-unfit", "send one report as an object, or many as an array")
    return found


def _decoded(elements: Sequence[msgspec.Raw]) -> Iterator[Any]:
    for start in range(0, len(elements), AT_ONCE):
        some = elements[start : start + AT_ONCE]
        try:
            yield from _many(b"[%s]" % b",".join(some))
        except FAILURES:
            for number, one in enumerate(some, start):
                yield _item(bytes(one), number)


def _item(text: bytes, number: int) -> Any:
    try:
        return _one(text)
    except FAILURES:
        pass
    try:
        return _any(text)
    except FAILURES as exc:  # a number or text that JSON has and nobody can hold
        return _unread(explained(exc, text), text, number)


def _unread(why: str, text: bytes, number: int) -> Unreadable:
    place = f"record {number:,}"
    return Unreadable(f"{place}: {why}", None, place, text[:EXCERPT_BYTES])


def _no_json(exc: Exception, body: bytes) -> RequestRefused:
    detail = f"the body is no JSON: {explained(exc, body)}"
    return RequestRefused(400, "body-unreadable", detail)
