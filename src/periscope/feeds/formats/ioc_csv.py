"""CSV and TSV of indicators: with a header in many words, in a comment, or without one."""

from __future__ import annotations

import csv
import re
from collections import Counter
from collections.abc import Iterator
from itertools import chain
from typing import Any, NamedTuple

from periscope.errors import FeedError
from periscope.feeds.csv_rows import Row, bad_row, cells, first_cells, read_rows, unique_names
from periscope.feeds.finding import time_text
from periscope.feeds.format import FAMILY, Item, Sample, Skip
from periscope.feeds.indicators import Indicator, classified
from periscope.feeds.inputs import Input
from periscope.feeds.ioc import TYPE_OF, WORDS, ioc_report, plain_word, read_indicators
from periscope.feeds.markings import tlp_word
from periscope.feeds.moments import moment_ms
from periscope.feeds.options import ReadOptions
from periscope.feeds.problems import BadRecord
from periscope.feeds.records import ALIASES

LOOKED_AT = 20
ENOUGH = 0.8
COLUMNS: dict[str, tuple[str, ...]] = {
    "value": ("indicator", "ioc", "ioc value", "value", "indicator value", "observable", "iocs"),
    "type": ("type", "ioc type", "indicator type", "entity type", "observable type"),
    "description": (
        *("description", "notes", "note", "comment", "comments", "threat", "malware printable"),
        *("malware", "signature", "listingreason", "reason", "context", "details", "title"),
    ),
    "tags": (
        *("tags", "tag", "labels", "category", "threat type", "malware", "signature", "threat"),
        *("file type guess", "malware family", "campaign", "actor", "family"),
    ),
    "first": (
        *("first seen utc", "first seen", "firstseen", "firstseen utc", "dateadded", "date added"),
        *("listingdate", "date", "created", "created at", "first observed", "timestamp"),
    ),
    "last": ("last seen utc", "last seen", "lastseen", "last online", "last observed", "updated"),
    "reference": ("reference", "references", "urlhaus link", "source url", "report", "permalink"),
    "confidence": ("confidence", "confidence level"),
    "severity": ("severity", "threat level", "risk", "risk level", "criticality"),
    "tlp": ("tlp", "tlp marking"),
    "reporter": ("reporter", "user", "submitter", "author", "provider"),
    "industry": ("industry", "sector", "targeted industry"),
}
"""Words for columns; the first column that has one of them is taken."""
TYPED = ("sha256", "sha512", "sha1", "md5", "url", "domain-name", "ipv4-addr", "email-addr")
"""Types whose words may name a column; the first of them is the threat, the others belong to it."""
NOT_LISTS = frozenset(("epss", "cvss3", "cveid", "threat id"))
FIRST_CHARACTERS = (b"{", b"[", b"<", b"")
UUID = re.compile(r"[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}", re.IGNORECASE)


class Plan(NamedTuple):
    """Which column is what: `at` by the names of COLUMNS, `typed` by type."""

    names: list[str]
    at: dict[str, int]
    typed: list[tuple[str, int]]
    has_header: bool

    @property
    def usable(self) -> bool:
        """Is there a column with indicators?"""
        return "value" in self.at or bool(self.typed)


class IocCsv:
    """One report for each row that has an indicator."""

    name = "ioc_csv"
    title = "CSV and TSV of indicators"
    one_report_is = "a row with an indicator"
    rank = FAMILY + 10
    example = (
        b"value,type,description\n203.0.113.7,ip,command and control\n"
        b"login.example.com,hostname,phishing\n"
    )
    mapping = (
        ("threat_id", "type and value (`domain-name:evil.example`): the same from every list"),
        ("content", "description, notes, comment, threat, malware, signature; else the title"),
        ("severity", "severity, threat level or risk; else `--severity`, else MEDIUM"),
        ("source", "`ioc_csv`; give `--source`"),
        ("observed_at", "last seen, else first seen"),
        ("metadata.title", "type, value and description"),
        ("metadata.type", "`indicator`"),
        ("metadata.tags", "tags, category, malware, threat type, campaign"),
        ("metadata.indicators", "indicator, ioc, value; ip, domain, url, hashes, email"),
        ("metadata.tlp, .industry, .confidence, .reporter", "the same"),
        ("metadata.references", "reference, urlhaus link, source url"),
        ("metadata.first_observed, .last_observed", "first seen or date; last seen"),
        ("metadata.raw", "the row's cells"),
    )

    def recognises(self, sample: Sample) -> bool:
        """Whether its header names a column of indicators, or its first rows all have one."""
        text = sample.data.lstrip(b"\xef\xbb\xbf \t\r\n")
        if text[:1] in FIRST_CHARACTERS or b"\0" in text[:1024]:
            return False
        try:
            rows = first_cells(sample, LOOKED_AT + 30)
        except csv.Error:
            return False
        plan = _plan([row for row in rows if row])
        return plan is not None and len(plan.names) > 1 and plan.usable

    def read(self, source: Input, options: ReadOptions, skip: Skip) -> Iterator[Item]:
        """Yield the rows' reports; the columns are chosen, and judged, at once."""
        rows = read_rows(source, options, spaced=True)
        head: list[Row] = []
        for row in rows:
            head.append(row)
            if len(head) >= LOOKED_AT + 30:
                break
        plan = _plan([row.cells for row in head], options.header)
        if plan is None or not plan.usable:
            raise FeedError("no column holds indicators; --format csv and --map name the columns")
        return _reports(chain(head, rows), plan, options)


def _plan(rows: list[list[str]], given: list[str] | None = None) -> Plan | None:
    """Choose the columns by the header: given, first row, or last comment; else by the cells."""
    body = [row for row in rows if not _is_comment(row)]
    if given is not None:
        return _by_names(given, has_header=False)
    if body and NOT_LISTS & set(map(plain_word, body[0])):
        return None
    if body and _is_header(body[0]):
        return _by_names(body[0], has_header=True)
    comments = [_uncommented(row) for row in rows if _is_comment(row)]
    named = next((row for row in reversed(comments) if _is_header(row)), None)
    if named is not None:
        return _by_names(named, has_header=False)
    return _by_cells(body) if body else None


def _is_comment(row: list[str]) -> bool:
    return bool(row) and row[0].lstrip().startswith("#")


def _uncommented(row: list[str]) -> list[str]:
    first = row[0].lstrip("# ").strip()
    return [first.strip('"'), *(cell.strip().strip('"') for cell in row[1:])]


def _is_header(row: list[str]) -> bool:
    """Whether the cells are names, and one of them that of indicators."""
    words = [plain_word(cell) for cell in row]
    if len(words) < 2 or any(map(classified, row)):
        return False
    generic = set(words) & set(ALIASES["threat_id"]) and set(words) & set(ALIASES["severity"])
    strong = set(words) & {*COLUMNS["value"]}
    return _by_names(row, has_header=True).usable and (bool(strong) or not generic)


def _by_names(header: list[str], *, has_header: bool) -> Plan:
    words = [plain_word(cell.removeprefix("(utc)")) for cell in header]
    words = [word.replace("(utc)", "utc") for word in words]
    at = {
        field: next(words.index(word) for word in known if word in words)
        for field, known in COLUMNS.items()
        if set(known) & set(words)
    }
    taken = {at[field] for field in ("reference", "reporter") if field in at}
    kinds = [TYPE_OF.get(word) for word in words]
    typed = [
        (kind, place)
        for kind in TYPED
        for place, found in enumerate(kinds)
        if found == kind and place not in taken
    ]
    return Plan(unique_names(header), at, typed, has_header)


def _by_cells(rows: list[list[str]]) -> Plan | None:
    """Choose the columns of a list without header by what stands in the first rows."""
    width = Counter(map(len, rows)).most_common(1)[0][0]
    rows = [row for row in rows if len(row) == width][:LOOKED_AT]
    columns = list(zip(*rows, strict=True))
    at: dict[str, int] = {}
    for field, fits in (("type", _is_type), ("first", _is_time), ("tags", _is_tags)):
        place = next((n for n, column in enumerate(columns) if _mostly(fits, column)), None)
        if place is not None:
            at[field] = place
    values = [n for n, column in enumerate(columns) if _mostly(_is_value, column)]
    if not values or width < 2 or _is_index(rows) or not _is_value(rows[0][values[0]]):
        return None  # where the first row is unlike the others, it names columns we do not know
    at["value"] = values[0]
    links = [n for n in values[1:] if _mostly(_is_link, columns[n])]
    if links:
        at["reference"] = links[-1]
    rest = sorted(set(range(width)) - set(at.values()), key=lambda n: -len("".join(columns[n])))
    if rest:
        at["description"] = rest[0]
    return Plan([f"column_{n + 1}" for n in range(width)], at, [], False)


def _mostly(fits: Any, column: tuple[str, ...]) -> bool:
    return sum(bool(fits(cell)) for cell in column) >= ENOUGH * len(column)


def _is_type(cell: str) -> bool:
    return plain_word(cell) in TYPE_OF


def _is_value(cell: str) -> bool:
    first = re.split(r"[,|]", cell, maxsplit=1)[0]
    return classified(first.strip()) is not None


def _is_link(cell: str) -> bool:
    return cell.startswith(("http://", "https://"))


def _is_time(cell: str) -> bool:
    try:
        return len(cell) >= 10 and "-" in cell and bool(moment_ms(cell))
    except ValueError:
        return False


def _is_tags(cell: str) -> bool:
    return cell.startswith("#")


def _is_index(rows: list[list[str]]) -> bool:
    """A MISP feed's hashes.csv: md5 of a value, and the event it is in."""
    return all(len(row) == 2 and UUID.fullmatch(row[1]) for row in rows)


def _reports(rows: Iterator[Row], plan: Plan, options: ReadOptions) -> Iterator[Item]:
    header_seen = not plan.has_header
    for row in rows:
        if _is_comment(row.cells):
            continue
        if not header_seen:
            header_seen = True
            continue
        try:
            yield _report(cells(row, len(plan.names)), plan, options)
        except BadRecord as exc:
            yield bad_row(row, plan.names, exc)


def _report(row: list[str], plan: Plan, options: ReadOptions) -> Item:
    def cell(field: str) -> str:
        text = row[plan.at[field]].strip() if field in plan.at else ""
        return "" if text.lower() in ("none", "null", "n/a", "-") else text

    first, last = _time(cell("first")), _time(cell("last"))
    return ioc_report(
        options,
        IocCsv.name,
        _indicators(row, cell, plan),
        severity=[("severity", cell("severity") or None)],
        description=cell("description"),
        observed_at=last or first,
        tags=_tags(cell("tags")),
        tlp=tlp_word(cell("tlp")),
        references=re.findall(r"https?://\S+", cell("reference")),
        first_observed=first,
        last_observed=last,
        industry=cell("industry") or None,
        more={"confidence": cell("confidence"), "reporter": cell("reporter")},
        raw=", ".join(row).encode("utf-8", "replace"),
    )


def _indicators(row: list[str], cell: Any, plan: Plan) -> list[Indicator]:
    found = read_indicators(cell("value"), cell("type")) if cell("value") else []
    for kind, place in plan.typed:
        if row[place].strip():
            found += _typed(row[place], kind)
    if not found:
        raise BadRecord("no indicator in this row")
    return found


def _typed(text: str, kind: str) -> list[Indicator]:
    try:
        return read_indicators(text, WORDS[kind][0])
    except BadRecord:
        return []


def _tags(text: str) -> list[str]:
    parts = re.split(r"[\s,;]+", text) if "#" in text else re.split(r"[,;|]", text)
    return [part.strip().lstrip("#") for part in parts]


def _time(text: str) -> str | None:
    """A time in a form that we read, as lists write it with blanks and zones; else none."""
    try:
        return time_text("time", text.removesuffix(" UTC")) if text else None
    except BadRecord:
        return None
