"""CSV: a header line (or `header`), then one report a row."""

from __future__ import annotations

from collections.abc import Iterator

from periscope.errors import FeedError
from periscope.feeds.csv_rows import (
    Row,
    bad_row,
    cells,
    first_row,
    looks_like_rows,
    read_rows,
    unique_names,
)
from periscope.feeds.format import GENERAL, Item, Sample, Skip
from periscope.feeds.inputs import Input
from periscope.feeds.options import ReadOptions
from periscope.feeds.problems import BadRecord, quote
from periscope.feeds.records import (
    ALIASES,
    GENERIC_MAPPING,
    Mapper,
    missing_id,
    missing_severity,
)

SHOWN_COLUMNS = 30


class CsvRows:
    """Columns are found by name as keys are in JSON, upper and lower case alike."""

    name = "csv"
    title = "CSV and TSV"
    one_report_is = "a row"
    rank = GENERAL + 2
    example = b"id,severity,message\nINC-7,high,beacon to 203.0.113.7\n"
    mapping = GENERIC_MAPPING

    def recognises(self, sample: Sample) -> bool:
        """Whether the first rows have the same number of cells, two or more."""
        return looks_like_rows(sample)

    def read(self, source: Input, options: ReadOptions, skip: Skip) -> Iterator[Item]:
        """Yield the rows' reports; the header is read, and judged, at once."""
        rows = read_rows(source, options)
        header = first_row(rows, options)
        if header is None:
            return iter(())
        names = _canonical(header, options)
        return _reports(rows, names, Mapper(options))


def _reports(rows: Iterator[Row], names: list[str], mapper: Mapper) -> Iterator[Item]:
    for row in rows:
        try:
            yield mapper.report(_record(row, names))
        except BadRecord as exc:
            yield bad_row(row, names, exc)


def _record(row: Row, names: list[str]) -> dict[str, str]:
    return {name: cell for name, cell in zip(names, cells(row, len(names)), strict=True) if cell}


def _canonical(header: list[str], options: ReadOptions) -> list[str]:
    """Return the column names; those that reports know, in the spelling that `Mapper` wants."""
    unique = unique_names(header)
    wanted = {name.lower(): name for names in ALIASES.values() for name in names}
    wanted |= {name.lower(): name for name in options.columns.values()}
    names = [wanted.get(name.lower(), name) for name in unique]
    _check(names, unique, options)
    return names


def _check(names: list[str], shown: list[str], options: ReadOptions) -> None:
    listed = ", ".join(map(quote, shown[:SHOWN_COLUMNS])) + ", ..." * (len(shown) > SHOWN_COLUMNS)
    for field, column in options.columns.items():
        if column not in names:
            raise FeedError(f"--map {field}={column}: no such column; there are {listed}")
    if "threat_id" not in options.columns and not set(ALIASES["threat_id"]) & set(names):
        reason = missing_id(ALIASES["threat_id"], "COLUMN")
        raise FeedError(
            f"{reason}; the columns are {listed} (no header line? --columns names them)"
        )
    has_severity = "severity" in options.columns or set(ALIASES["severity"]) & set(names)
    if not has_severity and options.default_severity is None:
        reason = missing_severity(ALIASES["severity"], "COLUMN")
        raise FeedError(f"{reason}; the columns are {listed}")
