"""Records as raw pieces of either lines or documents, and reports of records inside records.

For formats that read their input twice, or whose records lie inside wrappers of their own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import msgspec

from periscope.feeds.format import Item
from periscope.feeds.inputs import Input
from periscope.feeds.json_records import FAILURES, unreadable
from periscope.feeds.json_split import Piece, decode, explained, split_json
from periscope.feeds.lines import split_lines
from periscope.feeds.options import ReadOptions
from periscope.feeds.problems import BadRecord

Inside = Callable[[Any], list[Any] | None]
"""The records inside a wrapper; None for what is a record itself. Raises BadRecord."""
SPACE = b" \t\r\n"


def raw_pieces(
    source: Input, options: ReadOptions, members: tuple[bytes, ...], *, lines: bool
) -> Iterator[Piece]:
    """Yield the records of an input that has one on each line, or else of its JSON documents."""
    limit = options.max_record_bytes
    if not lines:
        yield from split_json(source.chunks(), limit, members)
        return
    problem = f"longer than the limit of {limit:,} bytes; raise max_record_bytes"
    for number, line in enumerate(split_lines(source.chunks(), limit), 1):
        if line is None:
            yield Piece(number, 0, b"", problem)
        elif line.strip(SPACE):
            yield Piece(number, 0, line)


def reports(
    pieces: Iterator[Piece], inside: Inside, report: Callable[[Any], Item | None], *, lines: bool
) -> Iterator[Item]:
    """Map each record, and each inside a wrapper; one that fails becomes an `Unreadable`."""
    for piece in pieces:
        if piece.envelope:
            continue
        place = f"line {piece.number:,}" if lines else piece.place
        try:
            record = _decoded_line(piece) if lines else decode(piece)
            within = inside(record)
            if within is None and (item := report(record)) is not None:
                yield item
        except BadRecord as exc:
            yield unreadable(place, exc, piece.raw)
        else:
            for one in within or ():
                yield from _inner(one, report, place)


def _inner(record: Any, report: Callable[[Any], Item | None], place: str) -> Iterator[Item]:
    try:
        item = report(record)
    except BadRecord as exc:
        item = unreadable(place, exc, msgspec.json.encode(record))
    if item is not None:
        yield item


def _decoded_line(piece: Piece) -> Any:
    if piece.problem is not None:
        raise BadRecord(piece.problem)
    try:
        return msgspec.json.decode(piece.raw)
    except FAILURES as exc:
        raise BadRecord(explained(exc, piece.raw)) from None
