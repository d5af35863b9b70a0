"""Rows of the tables SecurityAlert and SecurityIncident of Microsoft Sentinel and Log Analytics.

https://learn.microsoft.com/azure/azure-monitor/reference/tables/securityalert. They come as JSON
rows, as an answer of the query API (columns and rows), as CSV with JSON in its cells, and as the
management API's resources, which hold the same under `properties` with small initials.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

from periscope.feeds.csv_rows import (
    MAX_COLUMNS,
    Row,
    bad_row,
    cells,
    first_row,
    read_rows,
    unique_names,
)
from periscope.feeds.entities import indicators_of, stated_time, walk
from periscope.feeds.envelopes import decoded
from periscope.feeds.finding import (
    Finding,
    dicts_of,
    list_of,
    own_id,
    required,
    severity_of,
    text_of,
)
from periscope.feeds.fingerprint import fingerprint_id, identified
from periscope.feeds.format import PRODUCT, Item, Sample, Skip
from periscope.feeds.inputs import Input
from periscope.feeds.json_records import JsonFormat, Map
from periscope.feeds.lines import BOM
from periscope.feeds.options import ReadOptions
from periscope.feeds.problems import BadRecord
from periscope.models import Report

Fields = dict[str, Any]

RESOURCES = {
    "microsoft.securityinsights/incidents": "IncidentName",
    "microsoft.securityinsights/entities": "SystemAlertId",
    "microsoft.security/locations/alerts": "SystemAlertId",
    "microsoft.security/alerts": "SystemAlertId",
}
"""Types of the management API's resources, and the column that their name stands for."""
NAMED = ("AlertName", "AlertDisplayName", "DisplayName", "AlertType")
CLOSED = {"resolved": "resolved", "dismissed": "dismissed", "closed": "closed"}
TITLES = ("DisplayName", "AlertDisplayName", "Title", "AlertName", "AlertType")
SAME = ("ProviderName", "AlertName", "DisplayName", "CompromisedEntity", "ResourceId")
"""Fields that make the id where there is none."""
UPDATED = ("LastModifiedTime", "LastModifiedTimeUtc", "TimeGenerated", "TimeGeneratedUtc")
FIRST = ("StartTime", "StartTimeUtc", "FirstActivityTime", "FirstActivityTimeUtc")
LAST = ("EndTime", "EndTimeUtc", "LastActivityTime", "LastActivityTimeUtc")
PORTAL_TIME = re.compile(r"\d{1,2}/\d{1,2}/\d{4}, \d{1,2}:\d\d:\d\d(?:\.\d{1,6})? [AP]M")
WORDS = re.compile(r'[\[\]",]+\s*"?')
MORE = {
    "alert_type": ("AlertType",),
    "compromised": ("CompromisedEntity",),
    "resource": ("ResourceId",),
    "vendor": ("VendorName",),
    "status": ("Status",),
    "classification": ("Classification",),
    "incident": ("IncidentNumber",),
    "remediation": ("RemediationSteps",),
    "tenant": ("TenantId",),
}


class Sentinel(JsonFormat):
    """One report an alert or incident that is open; its later rows are sightings."""

    name = "sentinel"
    title = "Microsoft Sentinel alerts and incidents, as JSON and as CSV"
    one_report_is = "a row of SecurityAlert or SecurityIncident that is open"
    rank = PRODUCT
    members = (b"tables", b"value", b"records", b"results")
    marks = (
        re.compile(rb'"(?:SystemAlertId|IncidentNumber)"'),
        re.compile(rb'"(?:AlertName|AlertDisplayName|DisplayName|AlertType|IncidentName)"'),
    )
    example = (
        b'{"TimeGenerated": "2024-03-22T07:27:56Z", "SystemAlertId": '
        b'"fac479ec-3566-4ce6-8ae3-a90c4af39175", "DisplayName": "Digital currency mining", '
        b'"AlertSeverity": "High", "Description": "A process mines.", "ProviderName": "Azure '
        b'Security Center", "Status": "New", "Tactics": "Execution", "Techniques": '
        b'"[\\"T1059\\"]", '
        b'"Entities": "[{\\"Type\\": \\"ip\\", \\"Address\\": \\"203.0.113.7\\"}]"}\n'
    )
    mapping = (
        ("threat_id", "`sentinel:` and `SystemAlertId`, or an incident's `IncidentName`"),
        (
            "threat_id",
            "without one: a fingerprint of `ProviderName`, `AlertName`, `DisplayName`, "
            "`CompromisedEntity` and `ResourceId`",
        ),
        ("content", "`Description`"),
        (
            "severity",
            "`AlertSeverity`, else `Severity`: informational and low LOW, medium MEDIUM, high "
            "HIGH; a number is one of 0 to 100: from 40 MEDIUM, 70 HIGH, 90 CRITICAL",
        ),
        ("source", "`ProductName`, else `ProviderName`, else `sentinel`"),
        ("observed_at", "`LastModifiedTime`, else `TimeGenerated`, else the end"),
        ("metadata.title", "`DisplayName`, `AlertDisplayName`, `Title`, `AlertName`, `AlertType`"),
        ("metadata.type", "`alert` or `incident`"),
        (
            "metadata.tags",
            "`Techniques`, `SubTechniques`, `Tactics`, `Labels`, names of malware among `Entities`",
        ),
        ("metadata.references", "`AlertLink`, `IncidentUrl`, links of `ExtendedLinks`"),
        (
            "metadata.indicators",
            "of `Entities`: addresses, links, domains, files, hashes, accounts, mail addresses, "
            "registry keys",
        ),
        (
            "metadata.first_observed, .last_observed",
            "`StartTime`, `EndTime`; incidents: `FirstActivityTime`, `LastActivityTime`",
        ),
        ("metadata.alert_type, .compromised, .resource", "`AlertType`, `CompromisedEntity` ..."),
        ("metadata.vendor, .status, .classification, .tenant", "the columns of those names"),
        ("metadata.incident, .remediation", "`IncidentNumber`, `RemediationSteps`"),
    )

    def is_one(self, record: dict[str, Any]) -> bool:
        """Whether it has the columns of one of the two tables."""
        if "SystemAlertId" in record:
            return any(name in record for name in NAMED)
        if "IncidentNumber" in record and "IncidentName" in record:
            return True
        inner = record.get("properties")
        if not isinstance(inner, dict) or text_of(record, "type").lower() not in RESOURCES:
            return False
        return bool(inner.keys() & {"severity", "systemAlertId", "incidentNumber"})

    def inside(self, record: dict[str, Any]) -> list[Any] | None:
        """Return the rows of an answer of the query API, or what any delivery holds."""
        if self.is_one(record):
            return None
        for table in dicts_of(record.get("tables")) or [record]:
            rows = _rows(table)
            if rows and self.is_one(rows[0]):
                return rows
        return super().inside(record)

    def recognises(self, sample: Sample) -> bool:
        """Whether it has rows of one of the two tables, as JSON or as CSV."""
        return super().recognises(sample) or _is_csv(sample)

    def read(self, source: Input, options: ReadOptions, skip: Skip) -> Iterator[Item]:
        """Yield the reports of the rows."""
        if not _is_csv(Sample(*source.sample())):
            return super().read(source, options, skip)
        report = identified(self.mapper(options, skip), self.name, options.fingerprint)
        return _csv_items(source, options, report)

    def mapper(self, options: ReadOptions, skip: Skip) -> Map:
        """Map rows; closed ones are skipped by reason, and tables without alerts."""

        def report(record: Any) -> Report | None:
            found = required(record, "a row of SecurityAlert or SecurityIncident")
            if "columns" in found and "rows" in found:
                skip("other table")
                return None
            if not self.is_one(found):
                raise BadRecord("neither SystemAlertId nor IncidentNumber: no row of an alert")
            row = _flat(found)
            reason = CLOSED.get(text_of(row, "Status").lower())
            if reason:
                skip(reason)
                return None
            return _report(row, found, options)

        return report


def _rows(table: dict[str, Any]) -> list[Fields]:
    """Return the rows of a table as objects; empty if it is none."""
    columns = [text_of(one, "name", "ColumnName") for one in dicts_of(table.get("columns"))]
    rows = table.get("rows")
    if not columns or not isinstance(rows, list):
        return []
    return [dict(zip(columns, row, strict=False)) for row in rows if isinstance(row, list)]


def _flat(found: Fields) -> Fields:
    """Return a resource of the management API as a row; a row as it is."""
    inner = found.get("properties")
    if not isinstance(inner, dict) or "SystemAlertId" in found:
        return found
    row = {key[:1].upper() + key[1:]: value for key, value in inner.items()}
    own = RESOURCES[text_of(found, "type").lower()]
    return {own: found.get("name"), **row}


def _report(row: Fields, raw: Fields, options: ReadOptions) -> Report:
    incident = "IncidentNumber" in row
    threat_id = _threat_id(row)
    stated = (("severity", row.get("AlertSeverity")), ("severity", row.get("Severity")))
    try:
        severity = severity_of(options, "sentinel", stated)
    except BadRecord as exc:
        raise BadRecord(str(exc), threat_id) from None
    entities = list(walk(row.get("Entities")))
    return Finding(
        threat_id=threat_id,
        title=text_of(row, *TITLES) or threat_id,
        content=text_of(row, "Description"),
        severity=severity,
        source=text_of(row, "ProductName", "ProviderName") or "sentinel",
        type="incident" if incident else "alert",
        observed_at=_time(row, (*UPDATED, *LAST)),
        first_observed=_time(row, FIRST),
        last_observed=_time(row, LAST),
        tags=_tags(row, entities),
        references=_references(row),
        indicators=(one for entity in entities for one in indicators_of(*entity)),
        raw=raw,
        more={key: text_of(row, *names)[:2048] for key, names in MORE.items()},
    ).report(options)


def _threat_id(row: Fields) -> str:
    own = text_of(row, "SystemAlertId", "IncidentName", "IncidentNumber")
    if own:
        return own_id("sentinel", own)
    return fingerprint_id("sentinel", [text_of(row, name) for name in SAME])


def _time(row: Fields, names: tuple[str, ...]) -> object:
    """Return the first of these times; the portal's own way of writing them is understood."""
    value = stated_time(row, names)
    if isinstance(value, str) and PORTAL_TIME.fullmatch(value):
        return _portal_time(value) or value
    return value


def _portal_time(text: str) -> str | None:
    form = "%m/%d/%Y, %I:%M:%S.%f %p" if "." in text else "%m/%d/%Y, %I:%M:%S %p"
    try:
        return datetime.strptime(text, form).replace(tzinfo=UTC).isoformat()
    except ValueError:
        return None


def _tags(row: Fields, entities: list[tuple[str, Fields]]) -> Iterator[object]:
    also = decoded(row.get("AdditionalData"))
    for part in (row, also if isinstance(also, dict) else {}):
        for name in ("Techniques", "SubTechniques", "Tactics", "techniques", "tactics"):
            value = part.get(name)
            yield from WORDS.split(value) if isinstance(value, str) else list_of(value)
    for label in list_of(decoded(row.get("Labels"))):
        yield label.get("labelName") if isinstance(label, dict) else label
    yield from (entity.get("name") for kind, entity in entities if kind == "malware")


def _references(row: Fields) -> Iterator[object]:
    yield from (row.get(name) for name in ("AlertLink", "AlertUri", "IncidentUrl"))
    for one in dicts_of(decoded(row.get("ExtendedLinks"))):
        yield one.get("Href") or one.get("href")


def _is_csv(sample: Sample) -> bool:
    """Whether the header line has the columns that make a row one of ours."""
    text = sample.data[:16_384].removeprefix(BOM).lstrip(b"\r\n")
    if text[:1] in (b"{", b"[") or not text:
        return False
    header = re.split(rb"[,;\t]", text.splitlines()[0].replace(b'"', b""))
    names = {name.decode("utf-8", "replace").strip(): True for name in header}
    return len(names) > 1 and Sentinel().is_one(names)


def _csv_items(source: Input, options: ReadOptions, report: Map) -> Iterator[Item]:
    rows = read_rows(source, options)
    header = first_row(rows, options) or []
    names = [name.removesuffix(" [UTC]") for name in unique_names(header[:MAX_COLUMNS])]
    for row in rows:
        item = _csv_item(row, names, report)
        if item is not None:
            yield item


def _csv_item(row: Row, names: list[str], report: Map) -> Any:
    try:
        filled = zip(names, cells(row, len(names)), strict=True)
        return report(dict(filled))
    except BadRecord as exc:
        return bad_row(row, names, exc)
