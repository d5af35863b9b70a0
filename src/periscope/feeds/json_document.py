"""JSON: an array of objects, one object, or several documents one after another."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from periscope.feeds.format import Item, Sample, Skip
from periscope.feeds.inputs import Input
from periscope.feeds.json_split import Piece, decode, split_json
from periscope.feeds.lines import BOM
from periscope.feeds.options import ReadOptions
from periscope.feeds.problems import BadRecord, unreadable
from periscope.feeds.records import Mapper

Map = Callable[[Any], Item | None]
"""A record's report; None for one that was skipped and counted. Raises BadRecord."""


class JsonDocument:
    """Elements of top-level arrays and other top-level objects, mapped by `Mapper`."""

    name = "json"

    def recognises(self, sample: Sample) -> bool:
        """Whether the first character opens an object or an array."""
        return sample.data.removeprefix(BOM).lstrip()[:1] in (b"{", b"[")

    def read(self, source: Input, options: ReadOptions, skip: Skip) -> Iterator[Item]:
        """Yield the reports of all documents."""
        return mapped(split_json(source.chunks(), options.max_record_bytes), Mapper(options).report)


def mapped(pieces: Iterator[Piece], report: Map) -> Iterator[Item]:
    """Decode and map each piece; one that fails becomes an `Unreadable` with its place."""
    for piece in pieces:
        try:
            record = decode(piece)
            item = None if piece.envelope else report(record)
        except BadRecord as exc:
            item = unreadable(piece.place, exc, exc.threat_id, piece.raw)
        if item is not None:
            yield item
