"""NDJSON: one JSON object a line. A line that cannot be used costs that line only."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import msgspec

from periscope.feeds.format import GENERAL, Item, Sample, Skip
from periscope.feeds.inputs import Input
from periscope.feeds.json_records import FAILURES, is_object, unreadable
from periscope.feeds.json_split import explained
from periscope.feeds.lines import BOM, split_lines
from periscope.feeds.options import ReadOptions
from periscope.feeds.problems import BadRecord
from periscope.feeds.records import GENERIC_MAPPING, Mapper
from periscope.models import Report, Unreadable

LOOKED_AT_LINES = 10


class Ndjson:
    """Objects in Periscope's own fields go straight through; others are mapped by `Mapper`."""

    name = "ndjson"
    title = "NDJSON"
    one_report_is = "a line"
    rank = GENERAL
    example = (
        b'{"threat_id": "edr-1", "content": "beacon to 203.0.113.7", "severity": "HIGH"}\n'
        b'{"id": "edr-2", "message": "new service", "priority": 3}\n'
    )
    mapping = GENERIC_MAPPING

    def recognises(self, sample: Sample) -> bool:
        """Whether every line begins an object and one of them is whole.

        Or half of them are whole, the first among them: the others are bad lines, which cost
        themselves only.
        """
        lines = sample.data.removeprefix(BOM).split(b"\n")
        if not sample.complete:
            lines.pop()
        lines = [line for line in map(bytes.strip, lines) if line][:LOOKED_AT_LINES]
        whole = list(map(is_object, lines))
        if all(line.startswith(b"{") for line in lines):
            return any(whole)
        return whole[0] and 2 * sum(whole) >= len(whole)

    def read(self, source: Input, options: ReadOptions, skip: Skip) -> Iterator[Item]:
        """Yield the lines' reports; blank lines are none."""
        native = msgspec.json.Decoder(Report).decode
        slow = _slow_path(options)
        fast = not options.columns and not options.fingerprint
        own_source = options.source
        for number, line in enumerate(split_lines(source.chunks(), options.max_record_bytes), 1):
            try:
                item: Item = native(line) if fast and line else slow(line, number)
                if own_source is not None and isinstance(item, Report):
                    item = msgspec.structs.replace(item, source=own_source)
            except FAILURES:
                if not line or line.isspace():
                    continue
                item = slow(line, number)
            yield item


def _slow_path(options: ReadOptions) -> Callable[[bytes | None, int], Item]:
    mapper = Mapper(options)

    def read(line: bytes | None, number: int) -> Item:
        if line is None:
            limit = f"{options.max_record_bytes:,} bytes; raise max_record_bytes"
            reason = f"line {number:,}: longer than the limit of {limit}"
            return Unreadable(reason, None, f"line {number:,}")
        try:
            return mapper.report(msgspec.json.decode(line))
        except BadRecord as exc:
            return unreadable(f"line {number:,}", exc, line)
        except FAILURES as exc:
            return unreadable(f"line {number:,}", BadRecord(explained(exc, line)), line)

    return read
