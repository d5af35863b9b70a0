"""CISA's catalogue of known exploited vulnerabilities, as JSON and as CSV.

https://www.cisa.gov/known-exploited-vulnerabilities-catalog: the two forms of one catalogue give
the same reports, so reading one after the other brings duplicates only.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from periscope.feeds.csv_rows import Row, bad_row, cells, first_row, read_rows
from periscope.feeds.finding import (
    LONGEST_CONTENT,
    LONGEST_REFERENCE,
    LONGEST_TAG,
    LONGEST_TITLE,
    MOST_REFERENCES,
    MOST_TAGS,
    shortened,
    texts,
)
from periscope.feeds.format import PRODUCT, Item, Sample, Skip
from periscope.feeds.inputs import Input
from periscope.feeds.json_records import mapped
from periscope.feeds.json_split import split_json
from periscope.feeds.lines import BOM
from periscope.feeds.moments import moment_ms, rfc3339
from periscope.feeds.options import ReadOptions
from periscope.feeds.problems import BadRecord, kind, quote
from periscope.models import Report

MEMBER = b"vulnerabilities"
SOURCE = "cisa-kev"
CVE = re.compile(r"CVE-\d{4}-\d{4,19}")
CWE = re.compile(r"CWE-\d+")
LONGEST_NAME, LONGEST_NOTES = 500, 8 * 1024
URL = re.compile(r"https?://[^\s;,]+")
COLUMNS = ("cveID", "dateAdded", "shortDescription")


class Kev:
    """One report a catalogue entry; its id is the CVE."""

    name = "kev"
    title = "CISA KEV, as JSON and as CSV"
    one_report_is = "an entry of the catalogue"
    rank = PRODUCT
    example = (
        b'{"vulnerabilities": [{"cveID": "CVE-2024-0001", "vendorProject": "Example", '
        b'"product": "Gateway", "vulnerabilityName": "Example Gateway command injection", '
        b'"dateAdded": "2024-01-31", "shortDescription": "Runs commands.", '
        b'"knownRansomwareCampaignUse": "Known"}]}\n'
    )
    mapping = (
        ("threat_id", "`cveID`"),
        ("content", "`shortDescription`, an empty line, `requiredAction`"),
        ("severity", "CRITICAL if `knownRansomwareCampaignUse` is Known, else HIGH"),
        ("source", "`cisa-kev`"),
        ("observed_at", "`dateAdded`, midnight UTC"),
        ("metadata.title", "`vulnerabilityName`"),
        ("metadata.type", "`vulnerability`"),
        ("metadata.tags", "`known-exploited`, `ransomware` where Known, and `cwes`"),
        ("metadata.tlp", "CLEAR: the catalogue is public"),
        ("metadata.references", "the links in `notes`"),
        ("metadata.indicators", "the CVE"),
        ("metadata.first_observed", "`dateAdded`"),
        ("metadata.vendor, .product", "`vendorProject`, `product`"),
        ("metadata.cwes, .due_date", "`cwes`, `dueDate`"),
        ("metadata.ransomware", "true or false"),
        ("metadata.notes", "`notes`, where it holds more than links"),
    )

    def recognises(self, sample: Sample) -> bool:
        """Whether it has the catalogue's member and keys, or its header line."""
        text = sample.data.removeprefix(BOM).lstrip()
        if text[:1] == b"{":
            has_entries = b'"vulnerabilities"' in text and b'"cveID"' in text
            return has_entries and b'"$schema"' not in text  # the schema names them as well
        header = text.splitlines()[0] if text else b""
        return b"{" not in header and all(name.encode() in header for name in COLUMNS)

    def read(self, source: Input, options: ReadOptions, skip: Skip) -> Iterator[Item]:
        """Yield the entries' reports, in the order of the catalogue."""
        if source.sample()[0].removeprefix(BOM).lstrip()[:1] in (b"{", b"["):
            pieces = split_json(source.chunks(), options.max_record_bytes, (MEMBER,))
            return mapped(pieces, lambda entry: report(entry, options))
        rows = read_rows(source, options)
        header = first_row(rows, options)
        return _rows(rows, [name.strip() for name in header or []], options)


def _rows(rows: Iterator[Row], names: list[str], options: ReadOptions) -> Iterator[Item]:
    for row in rows:
        try:
            yield report(dict(zip(names, cells(row, len(names)), strict=True)), options)
        except BadRecord as exc:
            yield bad_row(row, names, exc)


def report(entry: object, options: ReadOptions) -> Report:
    """Return the report of one entry.

    Raises:
        BadRecord: it has no CVE id, or a field of the wrong type, or a bad date.

    """
    if not isinstance(entry, dict):
        raise BadRecord(f"{kind(entry)} instead of a catalogue entry")
    cve = _text(entry, "cveID").upper()
    if not CVE.fullmatch(cve):
        raise BadRecord(f"cveID {quote(cve)} is no CVE id, so this is no catalogue entry")
    try:
        return _mapped(cve, entry, options)
    except BadRecord as exc:
        raise BadRecord(str(exc), cve) from None


def _mapped(cve: str, entry: dict[str, Any], options: ReadOptions) -> Report:
    table = options.severity_map
    ransomware = _text(entry, "knownRansomwareCampaignUse").lower() == "known"
    content = "\n\n".join(
        filter(None, (_text(entry, "shortDescription"), _text(entry, "requiredAction")))
    )
    return Report(
        threat_id=cve,
        content=shortened(content, LONGEST_CONTENT) or _text(entry, "vulnerabilityName") or cve,
        severity=table.kev_ransomware if ransomware else table.kev_otherwise,
        metadata=_metadata(entry, ransomware=ransomware),
        source=SOURCE if options.source is None else options.source,
        observed_at=_moment(entry, "dateAdded", moment_ms),
    )


def _metadata(entry: dict[str, Any], *, ransomware: bool) -> dict[str, Any]:
    cwes = _cwes(entry.get("cwes"))
    notes = _text(entry, "notes")
    found: dict[str, Any] = {
        "title": _text(entry, "vulnerabilityName")[:LONGEST_TITLE],
        "type": "vulnerability",
        "tags": ["known-exploited", *(["ransomware"] if ransomware else []), *cwes],
        "tlp": "CLEAR",
        "references": texts(URL.findall(notes), MOST_REFERENCES, LONGEST_REFERENCE),
        "indicators": [{"type": "vulnerability", "value": _text(entry, "cveID").upper()}],
        "first_observed": _moment(entry, "dateAdded", rfc3339),
        "vendor": _text(entry, "vendorProject")[:LONGEST_NAME],
        "product": _text(entry, "product")[:LONGEST_NAME],
        "cwes": cwes,
        "due_date": _text(entry, "dueDate")[:LONGEST_NAME],
        "notes": shortened(notes, LONGEST_NOTES) if URL.sub("", notes).strip(" ;\n") else "",
    }
    kept = {key: value for key, value in found.items() if value}
    return {**kept, "ransomware": ransomware}


def _text(entry: dict[str, Any], key: str) -> str:
    value = entry.get(key)
    if value is None:
        return ""
    if not isinstance(value, str):
        raise BadRecord(f"{key} is {kind(value)}; the catalogue has text there")
    return value.strip()


def _cwes(value: object) -> list[str]:
    text = " ".join(map(str, value)) if isinstance(value, list) else str(value or "")
    return texts(CWE.findall(text.upper()), MOST_TAGS, LONGEST_TAG)


def _moment(entry: dict[str, Any], key: str, parse: Any) -> Any:
    text = _text(entry, key)
    if not text:
        return None
    try:
        return parse(text)
    except ValueError:
        raise BadRecord(f"{key} {quote(text)} is no date; it should read like 2025-08-25") from None
