"""Cuts CSV into rows while it streams by, each with its line, and names its columns."""

from __future__ import annotations

import csv
import re
from collections import Counter
from collections.abc import Iterator
from itertools import islice
from typing import NamedTuple

import msgspec

from periscope.errors import FeedError
from periscope.feeds.format import Sample
from periscope.feeds.inputs import Input
from periscope.feeds.lines import BOM, keep_ends
from periscope.feeds.options import ReadOptions
from periscope.feeds.problems import EXCERPT_BYTES, BadRecord, Broken
from periscope.models import Unreadable

DELIMITERS = ",;\t|"
RAISE = "raise max_record_bytes"
NOT_UTF8 = re.compile("[\ud800-\udfff]")
MAX_COLUMNS = 10_000
QUOTED = re.compile(rb'"[^"]*(?:"|\Z)')
NOT_CSV = (b"{", b"[", b"<")


class Row(NamedTuple):
    """The cells of one row and the line on which it begins; or what is wrong with it."""

    line: int
    cells: list[str]
    problem: str | None = None


def looks_like_rows(sample: Sample) -> bool:
    """Whether the first rows have the same number of cells, two or more."""
    text = sample.data.removeprefix(BOM)
    if text.lstrip()[:1] in NOT_CSV or b"\0" in text[:1024]:
        return False
    lines = [line for line in text[:8192].splitlines() if line.strip()][:2]
    delimiter = sniff(text)
    counts = {len(row) for row in csv.reader(map(_text, lines), delimiter=delimiter) if row}
    return bool(counts) and min(counts) > 1 and (len(counts) == 1 or _odd_quotes(lines))


def first_cells(sample: Sample, most: int) -> list[list[str]]:
    """Cells of the first whole rows of a sample.

    Raises:
        csv.Error: they are not CSV.

    """
    data = sample.data.removeprefix(BOM)
    if not sample.complete:
        data = data.rpartition(b"\n")[0] or data
    lines = map(_text, data.splitlines(keepends=True))
    rows = csv.reader(lines, delimiter=sniff(data), skipinitialspace=True)
    return list(islice(rows, most))


def bad_row(row: Row, names: list[str], exc: BadRecord) -> Unreadable:
    """What stands in the place of a row that gives no report; its excerpt is a JSON object."""
    place = f"line {row.line:,}"
    known = dict(zip(names, row.cells, strict=False))
    text = msgspec.json.encode({name: _whole(cell) for name, cell in known.items()})
    return Unreadable(f"{place}: {exc}", exc.threat_id, place, text[:EXCERPT_BYTES])


def _whole(cell: str) -> str:
    return cell.encode("utf-8", "replace").decode()


def cells(row: Row, width: int) -> list[str]:
    """Cells of a good row.

    Raises:
        BadRecord: the row was not valid UTF-8 or too long, or has another number of cells.

    """
    if row.problem is not None:
        raise BadRecord(row.problem)
    if len(row.cells) != width:
        raise BadRecord(
            f"{len(row.cells)} cells where the header has {width}; check quotes and delimiter"
        )
    return row.cells


def unique_names(header: list[str]) -> list[str]:
    """Every column keeps a name of its own: nameless and repeated ones are numbered."""
    named = [name.strip() or f"column_{place}" for place, name in enumerate(header, 1)]
    repeated = {name for name, count in Counter(map(str.lower, named)).items() if count > 1}
    seen: Counter[str] = Counter()
    for place, name in enumerate(named):
        seen[name.lower()] += 1
        if name.lower() in repeated and seen[name.lower()] > 1:
            named[place] = f"{name}_{place + 1}"
    return named


def first_row(rows: Iterator[Row], options: ReadOptions) -> list[str] | None:
    """Return the names of the columns: given, or the first row's; None if there is no row.

    Raises:
        FeedError: the header line cannot be read.

    """
    if options.header is not None:
        return list(options.header)
    row = next(rows, None)
    if row is not None and row.problem is not None:
        raise FeedError(f"line {row.line:,}: the header line cannot be read: {row.problem}")
    return None if row is None else row.cells


def read_rows(source: Input, options: ReadOptions, *, spaced: bool = False) -> Iterator[Row]:
    """Rows that are not blank, each with its line; bad ones with their problem.

    `spaced`: blanks after a delimiter are no part of the cell.

    Raises:
        Broken: while iterating, where a quoted cell does not end.

    """
    delimiter = options.delimiter or sniff(source.sample()[0])
    return _Rows(source, options.max_record_bytes, delimiter, spaced).rows()


class _Rows:
    """Feeds lines to `csv.reader` and knows, for each row, the lines and bytes it took."""

    def __init__(self, source: Input, max_bytes: int, delimiter: str, spaced: bool) -> None:
        self._lines = keep_ends(source.chunks(), max_bytes)
        self._max_bytes = max_bytes
        self._delimiter = delimiter.encode()
        self._line = 0
        self._first = 1  # line of the row at hand
        self._held = 0  # bytes of the row at hand
        self._too_long: list[Row] = []
        if csv.field_size_limit() < max_bytes:  # process-wide: raised, never lowered
            csv.field_size_limit(max_bytes)
        self._reader = csv.reader(self._feed(), delimiter=delimiter, skipinitialspace=spaced)

    def rows(self) -> Iterator[Row]:
        while True:
            self._first, self._held = self._line + 1, 0
            row = self._next()
            yield from self._too_long
            self._too_long = []
            if row is None:
                return
            if row.cells or row.problem:
                yield row

    def _next(self) -> Row | None:
        try:
            found = next(self._reader)
        except StopIteration:
            return None
        except csv.Error as exc:
            return Row(self._first, [], f"not CSV: {exc}; check the quotes")
        problem = "not valid UTF-8; convert the file to UTF-8"
        bad = any(map(NOT_UTF8.search, found))
        return Row(self._first, found, problem if bad else None)

    def _feed(self) -> Iterator[str]:
        for line in self._lines:
            self._line += 1
            if line is None:
                self._pass_over(f"longer than the limit of {self._max_bytes:,} bytes; {RAISE}")
                continue
            if not self._held and self._is_too_wide(line):
                self._pass_over(f"more than {MAX_COLUMNS:,} columns: is this CSV?")
                continue
            self._held += len(line)
            if self._held > self._max_bytes:
                raise Broken(
                    f"line {self._first:,}: the row does not end within {self._max_bytes:,} bytes; "
                    f"a quote is open, or {RAISE}"
                )
            yield _text(line)

    def _is_too_wide(self, line: bytes) -> bool:
        """Whether it has too many cells: found before they are made, which takes far more room."""
        if line.count(self._delimiter) < MAX_COLUMNS:
            return False
        return QUOTED.sub(b"", line).count(self._delimiter) >= MAX_COLUMNS

    def _pass_over(self, reason: str) -> None:
        if self._held:
            raise Broken(f"line {self._line:,}: {reason}")
        self._too_long.append(Row(self._line, [], reason))
        self._first = self._line + 1


def sniff(sample: bytes) -> str:
    """Return the delimiter: of , ; tab | the most frequent in the first line, outside quotes."""
    first = sample.removeprefix(BOM).lstrip(b"\r\n")[:8192]
    line = re.split(r"[\r\n]", re.sub(r'"[^"]*"', "", _text(first)), maxsplit=1)[0]
    return max(DELIMITERS, key=line.count)


def _text(line: bytes) -> str:
    return line.decode("utf-8", "surrogateescape")


def _odd_quotes(lines: list[bytes]) -> bool:
    return any(line.count(b'"') % 2 for line in lines)
