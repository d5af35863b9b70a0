"""The CSV of Prowler, versions 3 to 5: a row a check of a resource.

https://docs.prowler.com/: cells are divided by semicolons. Its OCSF output is the format `ocsf`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from periscope.errors import FeedError
from periscope.feeds.csv_rows import (
    MAX_COLUMNS,
    Row,
    bad_row,
    cells,
    first_row,
    read_rows,
    unique_names,
)
from periscope.feeds.finding import Finding, is_true, own_id, severity_of
from periscope.feeds.fingerprint import fingerprint_id, identified
from periscope.feeds.format import PRODUCT, Item, Sample, Skip
from periscope.feeds.inputs import Input
from periscope.feeds.lines import BOM
from periscope.feeds.options import ReadOptions
from periscope.feeds.problems import BadRecord
from periscope.models import Report

Cells = dict[str, str]

NEEDED = (b"CHECK_ID", b"STATUS", b"SEVERITY", b"CHECK_TITLE")
PLACEHOLDER = re.compile(r"<[^<>]*>")
LIST = re.compile(r"\s*\|\s*|,\s+")
IDS = ("FINDING_UID", "FINDING_UNIQUE_ID")
SAME = ("PROVIDER", "CHECK_ID", "ACCOUNT_UID", "ACCOUNT_ID", "REGION", "RESOURCE_UID")
"""Columns that make the id where there is no usable one."""
LINKS = ("REMEDIATION_RECOMMENDATION_URL", "RELATED_URL", "ADDITIONAL_URLS")
MORE = {
    "status": ("STATUS",),
    "check": ("CHECK_ID",),
    "service": ("SERVICE_NAME",),
    "provider": ("PROVIDER",),
    "account": ("ACCOUNT_UID", "ACCOUNT_ID"),
    "region": ("REGION",),
    "resource": ("RESOURCE_UID", "RESOURCE_ARN", "RESOURCE_ID"),
    "resource_type": ("RESOURCE_TYPE",),
}


class Prowler:
    """One report a row that did not pass; rows that passed or are muted are skipped."""

    name = "prowler"
    title = "Prowler, as CSV"
    one_report_is = "a row that neither passed nor is muted"
    rank = PRODUCT
    example = (
        b"TIMESTAMP;ACCOUNT_UID;FINDING_UID;PROVIDER;CHECK_ID;CHECK_TITLE;STATUS;STATUS_EXTENDED;"
        b"MUTED;SEVERITY;RESOURCE_UID;REGION;DESCRIPTION\n"
        b"2025-02-14 14:27:03.913874;111122223333;"
        b"prowler-aws-s3_public-5f0c2a1e-7d43-4b7e-9c55-0d6a1b2c3d4e;aws;s3_public;"
        b"Buckets are not public;FAIL;Bucket example is public.;False;high;arn:aws:s3:::example;"
        b"eu-west-1;Check whether buckets are public.\n"
    )
    mapping = (
        ("threat_id", "`prowler:` and `FINDING_UID` (version 3: `FINDING_UNIQUE_ID`)"),
        (
            "threat_id",
            "without one: a fingerprint of `PROVIDER`, `CHECK_ID`, account, `REGION` and "
            "`RESOURCE_UID`",
        ),
        ("content", "`STATUS_EXTENDED`, `DESCRIPTION`, `RISK`, and the recommendation"),
        ("severity", "`SEVERITY`"),
        ("source", "`prowler`"),
        ("observed_at", "`TIMESTAMP` (version 3: `ASSESSMENT_START_TIME`)"),
        ("metadata.title", "`CHECK_TITLE`"),
        ("metadata.type", "`finding`"),
        ("metadata.tags", "`CHECK_TYPE`, `SERVICE_NAME`, `CATEGORIES`"),
        ("metadata.references", "`REMEDIATION_RECOMMENDATION_URL`, `RELATED_URL`, more URLs"),
        (
            "metadata.check, .service, .provider, .account, .region, .resource, .resource_type",
            "the columns of those names",
        ),
        (
            "metadata.status",
            "`STATUS`: FAIL, or MANUAL where people have to look",
        ),
    )

    def recognises(self, sample: Sample) -> bool:
        """Whether the header line has its columns."""
        lines = sample.data[:16_384].removeprefix(BOM).lstrip().splitlines()
        header = re.split(rb"[;,]", lines[0].upper().replace(b'"', b"")) if lines else []
        return all(name in header for name in NEEDED)

    def read(self, source: Input, options: ReadOptions, skip: Skip) -> Iterator[Item]:
        """Yield the reports of the rows that did not pass; the header is judged at once."""
        rows = read_rows(source, options)
        header = first_row(rows, options)
        if header is None:
            return iter(())
        if len(header) > MAX_COLUMNS:
            raise FeedError(f"{len(header):,} columns; {MAX_COLUMNS:,} is the limit: is this CSV?")
        names = [name.upper() for name in unique_names(header)]
        return _items(rows, names, options, skip)


def _items(
    rows: Iterator[Row], names: list[str], options: ReadOptions, skip: Skip
) -> Iterator[Item]:
    def report(record: Cells) -> Report | None:
        reason = _no_threat(record)
        if reason:
            skip(reason)
            return None
        return _report(record, options)

    mapped = identified(report, "prowler", tuple(map(str.upper, options.fingerprint)))
    for row in rows:
        try:
            item = mapped(dict(zip(names, cells(row, len(names)), strict=True)))
        except BadRecord as exc:
            item = bad_row(row, names, exc)
        if item is not None:
            yield item


def _no_threat(record: Cells) -> str | None:
    if is_true(record.get("MUTED")):
        return "muted"
    return "passed" if record.get("STATUS", "").strip().upper() == "PASS" else None


def _report(record: Cells, options: ReadOptions) -> Report:
    threat_id = _threat_id(record)
    try:
        severity = severity_of(options, "prowler", (("severity", record.get("SEVERITY")),))
    except BadRecord as exc:
        raise BadRecord(str(exc), threat_id) from None
    names = ("STATUS_EXTENDED", "DESCRIPTION", "RISK", "REMEDIATION_RECOMMENDATION_TEXT")
    return Finding(
        threat_id=threat_id,
        title=_first(record, "CHECK_TITLE", "CHECK_ID"),
        content="\n\n".join(dict.fromkeys(filter(None, (_first(record, one) for one in names)))),
        severity=severity,
        source="prowler",
        type="finding",
        observed_at=_first(record, "TIMESTAMP", "ASSESSMENT_START_TIME"),
        tags=[
            tag
            for name in ("CHECK_TYPE", "SERVICE_NAME", "CATEGORIES")
            for tag in LIST.split(record.get(name, ""))
        ],
        references=[
            link
            for name in LINKS
            for link in LIST.split(record.get(name, ""))
            if link.startswith(("https://", "http://"))
        ],
        raw={name: cell for name, cell in record.items() if cell},
        more={key: _first(record, *columns)[:512] for key, columns in MORE.items()},
    ).report(options)


def _threat_id(record: Cells) -> str:
    own = _first(record, *IDS)
    if own and not PLACEHOLDER.fullmatch(own):
        return own_id("prowler", own)
    if not _first(record, "CHECK_ID"):
        raise BadRecord("no FINDING_UID and no CHECK_ID: the row names no check")
    return fingerprint_id("prowler", [record.get(name, "") for name in SAME])


def _first(record: Cells, *names: str) -> str:
    return next((cell for name in names if (cell := record.get(name, "").strip())), "")
