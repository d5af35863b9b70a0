"""Microsoft Sentinel: rows as JSON, as tables, as CSV and as resources."""

from __future__ import annotations

import csv
import io
import json
from collections import Counter
from io import BytesIO
from typing import Any

import pytest

from periscope.feeds import open_feed
from periscope.feeds.registry import by_name
from periscope.feeds.testing import check_format
from periscope.models import Report, Severity
from tests.feeds.support import lines, read, real_data, reasons, reports

ID = "fac479ec-3566-4ce6-8ae3-a90c4af39175"
INCIDENT = {
    "IncidentName": "b7b8a8f0-0000-4000-8000-000000000001",
    "IncidentNumber": 77,
    "Title": "Several alerts",
    "Description": "They belong together.",
    "Severity": "Medium",
    "Status": "Active",
    "TimeGenerated": "2024-05-01T10:00:00Z",
    "LastModifiedTime": "2024-05-01T11:00:00Z",
    "FirstActivityTime": "2024-05-01T08:00:00Z",
    "Labels": '[{"labelName": "vip"}]',
    "AdditionalData": '{"tactics": ["Persistence"], "techniques": ["T1098"]}',
    "IncidentUrl": "https://example.com/incident/77",
}


def alert(**changes: Any) -> dict[str, Any]:
    """A row of SecurityAlert; None leaves a column out."""
    whole = {**json.loads(by_name("sentinel").example), **changes}
    return {key: value for key, value in whole.items() if value is not None}


def table(*rows: dict[str, Any]) -> dict[str, Any]:
    """An answer of the query API."""
    columns = [{"name": name, "type": "string"} for name in rows[0]]
    cells = [[row.get(name) for name in rows[0]] for row in rows]
    return {"tables": [{"name": "PrimaryResult", "columns": columns, "rows": cells}]}


def as_csv(*rows: dict[str, Any], suffix: str = "") -> bytes:
    """What an export writes: an unnamed first column, and JSON in cells."""
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(["", *(name + suffix * name.startswith("Time") for name in rows[0])])
    for number, row in enumerate(rows):
        writer.writerow([number, *row.values()])
    return text.getvalue().encode()


def only(data: bytes, **options: Any) -> Report:
    (report,) = reports(read(data, **options))
    return report


def indicators(report: Report) -> list[tuple[str, str]]:
    return [(one["type"], one["value"]) for one in (report.metadata or {})["indicators"]]


def test_an_alert_has_everything_that_it_states() -> None:
    report = only(lines(alert(AlertLink="https://example.com/a", CompromisedEntity="vm7")))
    assert report.threat_id == f"sentinel:{ID}"
    assert report.severity is Severity.HIGH
    assert report.source == "Azure Security Center"
    assert report.content == "A process mines."
    metadata = report.metadata or {}
    assert metadata["title"] == "Digital currency mining"
    assert metadata["tags"] == ["T1059", "Execution"]
    assert metadata["references"] == ["https://example.com/a"]
    assert metadata["compromised"] == "vm7"
    assert indicators(report) == [("ipv4-addr", "203.0.113.7")]


def test_an_incident() -> None:
    report = only(lines(INCIDENT))
    assert report.threat_id == f"sentinel:{INCIDENT['IncidentName']}"
    assert report.severity is Severity.MEDIUM
    metadata = report.metadata or {}
    assert metadata["type"] == "incident"
    assert metadata["tags"] == ["T1098", "Persistence", "vip"]
    assert metadata["first_observed"] == "2024-05-01T08:00:00Z"
    assert metadata["incident"] == "77"


def test_every_form_of_a_row_gives_the_same_report() -> None:
    row = alert()
    wanted = only(lines(row), raw_bytes=0)
    forms = (table(row), {"value": [row]}, {"records": [row]}, [row])
    for form in forms:
        assert only(json.dumps(form).encode(), raw_bytes=0) == wanted
    assert only(as_csv(row), raw_bytes=0) == wanted
    assert only(as_csv(row, suffix=" [UTC]"), raw_bytes=0) == wanted


@pytest.mark.parametrize(
    "kind", ["Microsoft.SecurityInsights/Incidents", "microsoft.securityinsights/incidents"]
)
def test_resources_of_the_management_api(kind: str) -> None:
    inner = {key[0].lower() + key[1:]: value for key, value in INCIDENT.items()}
    del inner["incidentName"]
    resource = {"type": kind, "name": INCIDENT["IncidentName"], "properties": inner}
    wanted = only(lines(INCIDENT), raw_bytes=0)
    for form in ({"value": [resource]}, {"object": resource}, resource):
        assert only(json.dumps(form).encode(), raw_bytes=0) == wanted


@pytest.mark.parametrize(
    ("word", "severity"),
    [
        ("Informational", "LOW"),
        ("low", "LOW"),
        ("Medium", "MEDIUM"),
        ("100", "CRITICAL"),
        ("70", "HIGH"),
        (40, "MEDIUM"),
        ("0", "LOW"),
        ("", "MEDIUM"),
    ],
)
def test_severity_is_a_word_or_a_number(word: object, severity: str) -> None:
    assert only(lines(alert(AlertSeverity=word))).severity == severity
    assert only(lines(alert(AlertSeverity=None, Severity=word))).severity == severity


@pytest.mark.parametrize("stated", ["purple", "101", ["High"]])
def test_an_unknown_severity_is_no_guess(stated: object) -> None:
    (reason,) = reasons(read(lines(alert(AlertSeverity=stated))))
    assert "formats.sentinel.severity" in reason


@pytest.mark.parametrize("status", ["Resolved", "Dismissed", "Closed"])
def test_closed_rows_are_skipped(status: str) -> None:
    with open_feed(BytesIO(lines(alert(Status=status), alert()))) as feed:
        assert len(list(feed)) == 1
        assert feed.skipped == {status.lower(): 1}


def test_entities_of_every_kind() -> None:
    entities = [
        {"$id": "1", "Type": "account", "Name": "alice", "UPNSuffix": "example.com"},
        {"$id": "2", "Type": "url", "Url": "https://example.com/x"},
        {"$id": "3", "Type": "dns", "DomainName": "bad.example.org"},
        {
            "$id": "4",
            "Type": "file",
            "Name": "x.exe",
            "FileHashes": [{"Type": "filehash", "Algorithm": "MD5", "Value": "A" * 32}],
        },
        {"$id": "5", "Type": "registry-key", "Hive": "HKLM", "Key": "SOFTWARE\\X"},
        {"$id": "6", "Type": "malware", "Name": "Kit"},
        {"$id": "7", "Type": "mailbox", "MailboxPrimaryAddress": "bob@example.net"},
        {
            "$id": "8",
            "Type": "network-connection",
            "SourceAddress": {"Type": "ip", "Address": "192.0.2.1"},
        },
        {"$id": "9", "Type": "host", "HostName": "vm7"},
        {"$ref": "1"},
        7,
    ]
    report = only(lines(alert(Entities=json.dumps(entities))))
    assert set(indicators(report)) == {
        ("user-account", "alice@example.com"),
        ("url", "https://example.com/x"),
        ("domain-name", "bad.example.org"),
        ("file-name", "x.exe"),
        ("md5", "a" * 32),
        ("registry-key", "HKLM\\SOFTWARE\\X"),
        ("email-addr", "bob@example.net"),
        ("ipv4-addr", "192.0.2.1"),
    }
    assert "Kit" in (report.metadata or {})["tags"]
    by_type = {"ip": [{"Type": "ip", "Address": "192.0.2.2"}]}
    assert indicators(only(lines(alert(Entities=by_type)))) == [("ipv4-addr", "192.0.2.2")]


def test_times_as_the_portal_writes_them() -> None:
    row = alert(TimeGenerated="3/22/2024, 1:27:56.000 PM", StartTime="0001-01-01T00:00:00Z")
    report = only(as_csv(row))
    assert report.observed_at == 1_711_114_076_000
    assert "first_observed" not in (report.metadata or {})


def test_other_tables_and_damaged_cells() -> None:
    both = table(alert())
    both["tables"].insert(0, {"name": "x", "columns": [{"name": "Computer"}], "rows": [["vm7"]]})
    with open_feed(BytesIO(json.dumps(both).encode()), format="sentinel") as feed:
        assert len(reports(feed)) == 1
        assert feed.skipped == {"other table": 1}
    report = only(as_csv(alert(Entities="[{half", Techniques='["T1059"')))
    assert "indicators" not in (report.metadata or {})


def test_a_row_that_cannot_be_used_says_where() -> None:
    items = read(as_csv(alert(SystemAlertId="a"), alert(AlertSeverity="purple"), alert()))
    assert len(reports(items)) == 2
    (reason,) = reasons(items)
    assert reason.startswith("line 3")


def test_without_an_id_the_same_alert_is_the_same_threat() -> None:
    first, second = reports(
        read(lines(alert(SystemAlertId=""), alert(SystemAlertId="", TimeGenerated="2024-06-01")))
    )
    assert first.threat_id == second.threat_id


def test_a_fingerprint_chosen_by_the_user_holds_for_csv_too() -> None:
    rows = (alert(), alert(SystemAlertId="other"))
    for data in (as_csv(*rows), lines(*rows)):
        first, second = reports(read(data, fingerprint=("DisplayName",)))
        assert first.threat_id == second.threat_id


def test_it_keeps_its_promises_on_every_form() -> None:
    forms = (lines(INCIDENT), json.dumps(table(alert())).encode(), as_csv(alert()))
    assert len(check_format(by_name("sentinel"), *forms)) == 3


def test_a_real_row_with_a_number_for_its_severity() -> None:
    data = real_data("edr", "loganalytics-securityalert.json").read_bytes()
    (report,) = check_format(by_name("sentinel"), data)
    assert report.severity is Severity.CRITICAL
    assert ("file-name", "sample.exe") in indicators(report)


def test_a_real_export() -> None:
    data = real_data("edr", "azure-security-alerts.csv").read_bytes()
    found = check_format(by_name("sentinel"), data)
    counts = Counter(report.severity.value for report in found)
    assert counts == {"HIGH": 102, "MEDIUM": 56, "LOW": 31}
    assert len({report.threat_id for report in found}) == 189
