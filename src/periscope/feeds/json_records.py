"""Formats whose records are JSON objects: a line each, in arrays, or wrapped in an envelope.

A format of this kind says how to recognise one record and how to map one; cutting, limits, places
and fingerprints are here.
"""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from itertools import islice
from typing import Any

import msgspec

from periscope.errors import FeedError
from periscope.feeds.envelopes import opened
from periscope.feeds.fingerprint import identified
from periscope.feeds.format import FAMILY, Item, Sample, Skip
from periscope.feeds.inputs import Input
from periscope.feeds.json_split import SPACE, Piece, decode, explained, split_json
from periscope.feeds.lines import BOM, split_lines
from periscope.feeds.options import ReadOptions
from periscope.feeds.problems import EXCERPT_BYTES, BadRecord
from periscope.models import Unreadable

Map = Callable[[Any], Item | list[Item] | None]
"""A record's report, or those of the records inside it; None for one that was skipped and counted.

Raises BadRecord.
"""
Load = Callable[[bytes], Any]
"""Decodes a line; raises one of `FAILURES`."""

FAILURES = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
LOOKED_AT = 20
"""Records of a sample that are asked whether they are of a format."""


class JsonFormat(ABC):
    """A format whose records are JSON objects.

    `members` are the keys of a document under which an array of records may stand, such as
    `alerts`, or `hits.hits` for one inside an object. `marks` are patterns of which each must be in
    the sample where its first record is longer than the sample.
    """

    name: str
    title: str
    one_report_is: str
    rank: int = FAMILY
    example: bytes
    mapping: tuple[tuple[str, str], ...]
    members: tuple[bytes, ...] = ()
    marks: tuple[re.Pattern[bytes], ...] = ()

    @abstractmethod
    def is_one(self, record: dict[str, Any]) -> bool:
        """Whether a record is of this format; never raises, whatever the values are."""

    @abstractmethod
    def mapper(self, options: ReadOptions, skip: Skip) -> Map:
        """What maps one record of a run; called once a run, so that it may prepare."""

    def inside(self, record: dict[str, Any]) -> list[Any] | None:
        """Return the records for which this one is but a wrapper; None if it is none."""
        return opened(record, self.is_one)

    def loader(self, options: ReadOptions) -> Load:
        """Return what decodes a line; what it returns goes to the mapper."""
        return msgspec.json.Decoder().decode

    def recognises(self, sample: Sample) -> bool:
        """Whether one of the sample's first records is of this format."""
        text = sample.data.removeprefix(BOM).lstrip(SPACE)
        if text[:1] not in (b"{", b"["):
            return False
        records = list(islice(first_records(sample, self.members), LOOKED_AT))
        if records:
            return any(map(self._is_or_holds, records))
        if sample.complete or not self.marks:
            return False
        return all(mark.search(sample.data) for mark in self.marks)

    def read(self, source: Input, options: ReadOptions, skip: Skip) -> Iterator[Item]:
        """Yield the records' reports in the order of the input."""
        lines = is_lines(Sample(*source.sample()))
        return self.items(source, options, self.mapper(options, skip), lines=lines)

    def items(
        self, source: Input, options: ReadOptions, report: Map, *, lines: bool
    ) -> Iterator[Item]:
        """Yield what `report` makes of each record, and of each inside a wrapper."""
        report = _opening(identified(report, self.name, options.fingerprint), self.inside)
        if lines:
            return mapped_lines(source, options, report, self.loader(options))
        return mapped(split_json(source.chunks(), options.max_record_bytes, self.members), report)

    def _is_or_holds(self, record: object) -> bool:
        if not isinstance(record, dict):
            return False
        if self.is_one(record):
            return True
        inner = self.inside(record) or ()
        return any(isinstance(one, dict) and self.is_one(one) for one in inner)


def _opening(report: Map, inside: Callable[[dict[str, Any]], list[Any] | None]) -> Map:
    """Let a wrapper give the reports of what is inside it, where one bad record is one."""

    def each(record: Any) -> Item | list[Item] | None:
        inner = inside(record) if type(record) is dict else None
        return report(record) if inner is None else list(_reports(inner, report))

    return each


def _reports(records: list[Any], report: Map) -> Iterator[Item]:
    for record in records:
        try:
            item = report(record)
        except BadRecord as exc:
            item = Unreadable(str(exc), exc.threat_id, None, msgspec.json.encode(record))
        if item is not None and not isinstance(item, list):
            yield item


def is_lines(sample: Sample) -> bool:
    """Whether every record stands on a line of its own, so that a bad one costs that line only."""
    line, newline, _ = sample.data.removeprefix(BOM).lstrip(SPACE).partition(b"\n")
    return bool(newline) and line.startswith(b"{") and is_object(line)


def is_object(line: bytes) -> bool:
    """Whether a line is one whole JSON object."""
    try:
        return isinstance(msgspec.json.decode(line), dict)
    except FAILURES:
        return False


def first_records(sample: Sample, members: tuple[bytes, ...]) -> Iterator[Any]:
    """Decoded records of a sample, as far as they are whole and good; envelopes are none.

    Of bad ones only so many are passed over: every format of JSON looks at every sample.
    """
    pieces: Iterator[Piece] = split_json(iter((sample.data,)), len(sample.data), members)
    bad = 0
    while bad < LOOKED_AT:
        try:
            piece = next(pieces)
            if not piece.envelope:
                yield decode(piece)
        except BadRecord:
            bad += 1
        except (StopIteration, FeedError):
            return


def mapped_lines(source: Input, options: ReadOptions, report: Map, load: Load) -> Iterator[Item]:
    """Decode and map each line; one that fails becomes an `Unreadable` with its place."""
    limit = options.max_record_bytes
    for number, line in enumerate(split_lines(source.chunks(), limit), 1):
        try:
            item = report(load(line)) if line is not None else _too_long(number, limit)
        except BadRecord as exc:
            item = unreadable(f"line {number:,}", exc, line)
        except FAILURES as exc:
            if line is None or not line.strip(SPACE):
                continue
            item = unreadable(f"line {number:,}", BadRecord(explained(exc, line)), line)
        if isinstance(item, list):
            yield from _placed(item, f"line {number:,}")
        elif item is not None:
            yield item


def mapped(pieces: Iterator[Piece], report: Map) -> Iterator[Item]:
    """Decode and map each piece; one that fails becomes an `Unreadable` with its place."""
    for piece in pieces:
        try:
            record = decode(piece)
            item = None if piece.envelope else report(record)
        except BadRecord as exc:
            item = unreadable(piece.place, exc, piece.raw)
        if isinstance(item, list):
            yield from _placed(item, piece.place)
        elif item is not None:
            yield item


def _placed(items: list[Item], place: str) -> Iterator[Item]:
    """Let records inside a wrapper that cannot be used stand where the wrapper stands."""
    for item in items:
        if isinstance(item, Unreadable):
            excerpt = (item.excerpt or b"")[:EXCERPT_BYTES]
            yield Unreadable(f"{place}: {item.reason}", item.threat_id, place, excerpt)
        else:
            yield item


def unreadable(place: str, exc: BadRecord, raw: bytes | None) -> Unreadable:
    """What stands in the place of a record that gives no report."""
    return Unreadable(f"{place}: {exc}", exc.threat_id, place, (raw or b"")[:EXCERPT_BYTES])


def _too_long(number: int, limit: int) -> Unreadable:
    reason = f"line {number:,}: longer than the limit of {limit:,} bytes; raise max_record_bytes"
    return Unreadable(reason, None, f"line {number:,}")
