"""A caller's mapping reaches the keys of uniform metadata, in CSV and in JSON alike."""

from __future__ import annotations

import pytest

from periscope.models import Report, Severity
from tests.feeds.support import one, read, reasons

COLUMNS = {
    "threat_id": "no",
    "title": "name",
    "tags": "labels",
    "tlp": "sharing",
    "references": "links",
    "indicator": "ioc",
    "indicator_type": "kind",
    "first_observed": "seen",
    "industry": "sector",
}
METADATA = {
    "title": "Beacon",
    "tags": ["c2", "rat"],
    "tlp": "CLEAR",
    "references": ["https://intel.example.org/1"],
    "indicators": [{"type": "domain-name", "value": "evil.example"}],
    "first_observed": "2024-05-01T10:00:00Z",
    "industry": "energy",
}
CSV = (
    b"no,severity,name,labels,sharing,links,ioc,kind,seen,sector,extra\n"
    b'7,high,Beacon,"c2, rat",tlp:white,https://intel.example.org/1,'
    b"evil[.]example,domain,2024-05-01 10:00:00,energy,x\n"
)


def test_of_csv() -> None:
    (report,) = read(CSV, columns=COLUMNS)
    assert isinstance(report, Report)
    assert report.metadata == {**METADATA, "extra": "x"}
    assert (report.threat_id, report.severity) == ("7", Severity.HIGH)


def test_of_json_with_lists_and_dots() -> None:
    record = {
        "no": 7,
        "severity": "high",
        "about": {"name": "Beacon"},
        "labels": ["c2", "rat"],
        "sharing": "CLEAR",
        "links": ["https://intel.example.org/1"],
        "ioc": ["evil.example"],
        "seen": 1_714_557_600,
        "sector": "energy",
    }
    report = one(record, columns={**COLUMNS, "title": "about.name"})
    assert isinstance(report, Report)
    assert report.metadata == {**METADATA, "about": {"name": "Beacon"}}


@pytest.mark.parametrize(
    ("column", "value", "reason"),
    [
        ("sharing", "TLP:PINK", "tlp 'TLP:PINK' is no TLP label"),
        ("ioc", "nothing", "'nothing' is no address"),
        ("seen", "soon", "first_observed 'soon' is not a time"),
    ],
)
def test_what_is_none_is_rejected(column: str, value: str, reason: str) -> None:
    record = {"no": 7, "severity": "high", column: value}
    assert reason in reasons([one(record, columns=COLUMNS)])[0]
