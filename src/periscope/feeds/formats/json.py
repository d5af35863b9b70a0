"""JSON: an array of objects, one object, or several documents one after another."""

from __future__ import annotations

from collections.abc import Iterator

from periscope.feeds.format import GENERAL, Item, Sample, Skip
from periscope.feeds.inputs import Input
from periscope.feeds.json_records import mapped
from periscope.feeds.json_split import split_json
from periscope.feeds.lines import BOM
from periscope.feeds.options import ReadOptions
from periscope.feeds.records import GENERIC_MAPPING, Mapper


class JsonDocument:
    """Elements of top-level arrays and other top-level objects, mapped by `Mapper`."""

    name = "json"
    title = "JSON"
    one_report_is = "an element of an array, or an object"
    rank = GENERAL + 1
    example = b'[{"id": "INC-7", "title": "beacon to 203.0.113.7", "severity": "high"}]\n'
    mapping = GENERIC_MAPPING

    def recognises(self, sample: Sample) -> bool:
        """Whether the first character opens an object or an array."""
        return sample.data.removeprefix(BOM).lstrip()[:1] in (b"{", b"[")

    def read(self, source: Input, options: ReadOptions, skip: Skip) -> Iterator[Item]:
        """Yield the reports of all documents."""
        return mapped(split_json(source.chunks(), options.max_record_bytes), Mapper(options).report)
