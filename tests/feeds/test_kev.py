"""CISA's catalogue: mapping, both forms the same, and entries that are none."""

from __future__ import annotations

import csv
import io
import json
from typing import Any

import pytest

from periscope.feeds import SeverityTable, open_feed
from periscope.models import Report, Severity
from tests.feeds.support import SAMPLES, read, real_data, reasons, reports

SAMPLE = SAMPLES / "kev-sample.json"
ENTRY: dict[str, Any] = {
    "cveID": "CVE-2025-48384",
    "vendorProject": "Git",
    "product": "Git",
    "vulnerabilityName": "Git Link Following Vulnerability",
    "dateAdded": "2025-08-25",
    "shortDescription": "Git contains a link following vulnerability.",
    "requiredAction": "Apply mitigations.",
    "dueDate": "2025-09-15",
    "knownRansomwareCampaignUse": "Unknown",
    "notes": "https://a.example/x ; https://b.example/y",
    "cwes": ["CWE-59", "CWE-436"],
}


def catalogue(*entries: object) -> bytes:
    return json.dumps({"title": "t", "count": len(entries), "vulnerabilities": entries}).encode()


def as_csv(entries: list[dict[str, Any]]) -> bytes:
    text = io.StringIO()
    writer = csv.DictWriter(text, entries[0])
    writer.writeheader()
    writer.writerows({**entry, "cwes": ", ".join(entry["cwes"])} for entry in entries)
    return text.getvalue().encode()


def test_mapping() -> None:
    assert read(catalogue(ENTRY)) == [
        Report(
            threat_id="CVE-2025-48384",
            content="Git contains a link following vulnerability.\n\nApply mitigations.",
            severity=Severity.HIGH,
            source="cisa-kev",
            observed_at=1_756_080_000_000,
            metadata={
                "title": "Git Link Following Vulnerability",
                "type": "vulnerability",
                "tags": ["known-exploited", "CWE-59", "CWE-436"],
                "tlp": "CLEAR",
                "references": ["https://a.example/x", "https://b.example/y"],
                "indicators": [{"type": "vulnerability", "value": "CVE-2025-48384"}],
                "first_observed": "2025-08-25T00:00:00Z",
                "vendor": "Git",
                "product": "Git",
                "cwes": ["CWE-59", "CWE-436"],
                "due_date": "2025-09-15",
                "ransomware": False,
            },
        )
    ]


def test_ransomware_and_notes() -> None:
    entry = {**ENTRY, "knownRansomwareCampaignUse": "Known", "notes": "See https://a.example/x"}
    (report,) = reports(read(catalogue(entry)))
    assert report.severity is Severity.CRITICAL
    assert report.metadata is not None
    assert report.metadata["ransomware"] is True
    assert "ransomware" in report.metadata["tags"]
    assert report.metadata["notes"] == "See https://a.example/x"


def test_the_sample() -> None:
    with open_feed(SAMPLE) as feed:
        items = list(feed)
    assert feed.format == "kev"
    assert feed.bytes_read == feed.bytes_total == SAMPLE.stat().st_size
    assert len(items) == len(reports(items)) == json.loads(SAMPLE.read_bytes())["count"] >= 55
    assert sum(report.severity is Severity.CRITICAL for report in reports(items)) >= 20
    assert len({report.threat_id for report in reports(items)}) == len(items)


def test_json_and_csv_give_the_same_reports() -> None:
    entries = json.loads(SAMPLE.read_bytes())["vulnerabilities"]
    data = as_csv(entries)
    with open_feed(io.BytesIO(data)) as feed:
        assert feed.format == "kev"
        assert list(feed) == read(SAMPLE)


def test_real_catalogues_give_the_same_reports() -> None:
    first = read(real_data("kev", "kev-2025-08-25.json"))
    assert len(first) == len(reports(first)) == 1404
    assert first == read(real_data("kev", "kev-2025-08-25.csv"))


@pytest.mark.parametrize(
    ("entry", "words"),
    [
        ({"cveID": "no"}, "'NO' is no CVE id"),
        ({}, "is no CVE id"),
        ("text", "text instead of a catalogue entry"),
        ({**ENTRY, "dateAdded": "yesterday"}, "dateAdded 'yesterday' is no date"),
        ({**ENTRY, "product": 3}, "product is a number"),
    ],
)
def test_entries_that_are_none(entry: object, words: str) -> None:
    items = read(catalogue(entry, ENTRY), "kev")
    assert len(reports(items)) == 1
    assert reasons(items)[0].startswith("record 1 (byte ")
    assert words in reasons(items)[0]


def test_a_catalogue_cut_short() -> None:
    data = SAMPLE.read_bytes()
    items = read(data[: len(data) // 2])
    assert len(reports(items)) > 20
    assert reasons(items)[-1].endswith("the file is cut short: fetch it again")
    assert items[:20] == read(data)[:20]


def test_options() -> None:
    (report,) = reports(read(catalogue(ENTRY), source="mine", severity_map=SeverityTable.load()))
    assert report.source == "mine"
