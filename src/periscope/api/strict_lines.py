"""NDJSON in Periscope's own fields, strictly: what is none of them is refused, line by line."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, BinaryIO, cast

import msgspec

from periscope.api.bodies import check_values, slices
from periscope.feeds import Feed
from periscope.feeds.inputs import Input
from periscope.feeds.json_split import explained
from periscope.feeds.lines import split_lines
from periscope.feeds.options import MAX_RECORD_BYTES
from periscope.feeds.problems import EXCERPT_BYTES
from periscope.models import Report, Unreadable

MOST_LINES = 200_000
"""Of a body that is here as a whole: twice as many as reports fit into it."""
ENDLESS = 2**62
FAILURES = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
_report = msgspec.json.Decoder(Report).decode
_any = msgspec.json.Decoder().decode


def open_lines(stream: Any) -> Feed:
    """Return the lines of a stream of bytes, packed or not, as a feed without end."""
    source = Input.open(cast(BinaryIO, stream), max_bytes=ENDLESS, name="the body")
    feed = Feed(source, "ndjson")
    feed.begin(_items(source))
    return feed


def lines_of(body: bytes) -> Iterator[Any]:
    """Give what the lines of a body are, as they are asked for.

    Raises:
        RequestRefused: they are so many that most must be empty or junk.
    """
    check_values(body, b"\n", MOST_LINES)
    return _each(slices(body))


def _items(source: Input) -> Iterator[Any]:
    yield from _each(source.chunks())


def _each(chunks: Iterator[bytes]) -> Iterator[Any]:
    for number, line in enumerate(split_lines(chunks, MAX_RECORD_BYTES), 1):
        if line is None or not line.isspace():
            if line:
                yield _item(line, number)
            elif line is None:
                yield Unreadable(f"line {number:,}: longer than {MAX_RECORD_BYTES:,} bytes")


def _item(line: bytes, number: int) -> Any:
    """A report; what may be one, for the engine to say what is wrong with it; or nothing at all."""
    try:
        return _report(line)
    except FAILURES:
        pass
    place = f"line {number:,}"
    try:
        found = _any(line)
    except FAILURES as exc:
        return Unreadable(f"{place}: {explained(exc, line)}", None, place, line[:EXCERPT_BYTES])
    if isinstance(found, dict):
        return found
    return Unreadable(f"{place}: not an object", None, place, line[:EXCERPT_BYTES])
