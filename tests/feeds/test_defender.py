"""Microsoft Defender: each of its APIs, rows of hunting, and which alerts are done with."""

from __future__ import annotations

import json
from io import BytesIO
from typing import Any

import pytest

from periscope.feeds import open_feed
from periscope.feeds.registry import by_name
from periscope.feeds.testing import check_format
from periscope.models import Report, Severity
from tests.feeds.support import lines, read, real_data, reasons, reports

GRAPH_V1 = {
    "id": "a-1",
    "azureTenantId": "t-1",
    "title": "Rare service group",
    "description": "A rare group was started.",
    "severity": "medium",
    "status": "newAlert",
    "category": "SuspiciousGroup",
    "eventDateTime": "2024-05-04T09:37:54.6939357Z",
    "lastModifiedDateTime": "2024-05-04T09:38:06.7571701Z",
    "vendorInformation": {"provider": "ASC", "vendor": "Microsoft"},
    "fileStates": [
        {
            "name": "x.exe",
            "path": "c:\\temp\\x.exe",
            "fileHash": {"hashType": "sha256", "hashValue": "A" * 64},
        }
    ],
    "networkConnections": [
        {
            "sourceAddress": "192.0.2.1",
            "destinationAddress": "203.0.113.7",
            "destinationDomain": "x",
        }
    ],
    "userStates": [{"userPrincipalName": "alice@example.com", "logonIp": "198.51.100.9"}],
    "sourceMaterials": ["https://example.com/alert"],
}
ENDPOINT = {
    "id": "da1",
    "incidentId": 7,
    "severity": "Low",
    "status": "InProgress",
    "classification": "TruePositive",
    "category": "MalwareDownload",
    "detectionSource": "WindowsDefenderAv",
    "threatFamilyName": "Kit",
    "title": "Kit was found",
    "alertCreationTime": "2024-05-25T16:19:21.84Z",
    "firstEventTime": "2024-05-25T16:17:50Z",
    "lastEventTime": "0001-01-01T00:00:00Z",
    "machineId": "m1",
    "computerDnsName": "pc7.example.com",
    "mitreTechniques": ["T1059"],
    "evidence": [
        {"entityType": "File", "sha1": "b" * 40, "fileName": "kit.exe", "filePath": "C:\\t"},
        {"entityType": "Ip", "ipAddress": "203.0.113.8"},
        {"entityType": "Url", "url": "https://example.com/kit"},
    ],
}
XDR = {
    "incidentId": 9,
    "incidentName": "Several alerts",
    "severity": "High",
    "status": "Active",
    "alerts": [
        {
            "alertId": "x1",
            "incidentId": 9,
            "serviceSource": "MicrosoftDefenderForIdentity",
            "title": "Odd logon",
            "severity": "Informational",
            "status": "New",
            "lastUpdatedTime": "2024-05-25T16:19:21Z",
            "entities": [{"entityType": "Ip", "ipAddress": "203.0.113.9"}],
        }
    ],
}


def graph_v2(**changes: Any) -> dict[str, Any]:
    """An alert of the newer API; None leaves a field out."""
    whole = {**json.loads(by_name("defender").example)["value"][0], **changes}
    return {key: value for key, value in whole.items() if value is not None}


def only(record: dict[str, Any]) -> Report:
    (report,) = reports(read(lines(record)))
    return report


def indicators(report: Report) -> set[tuple[str, str]]:
    return {(one["type"], one["value"]) for one in (report.metadata or {})["indicators"]}


def test_graph_v2() -> None:
    report = only(graph_v2())
    assert report.threat_id == "defender:5f0c2a1e-7d43-4b7e-9c55-0d6a1b2c3d4e"
    assert report.severity is Severity.HIGH
    assert report.source == "microsoftDefenderForEndpoint"
    metadata = report.metadata or {}
    assert metadata["title"] == "Hidden file was run"
    assert metadata["tags"] == ["T1564.001", "DefenseEvasion"]
    assert indicators(report) == {("ipv4-addr", "203.0.113.7")}


def test_graph_v1_nested_and_flat() -> None:
    report = only(GRAPH_V1)
    assert report.threat_id == "defender:a-1"
    assert report.source == "ASC"
    assert (report.metadata or {})["first_observed"] == "2024-05-04T09:37:54.693Z"
    assert (report.metadata or {})["references"] == ["https://example.com/alert"]
    assert indicators(report) == {
        ("file-name", "x.exe"),
        ("sha256", "a" * 64),
        ("ipv4-addr", "192.0.2.1"),
        ("ipv4-addr", "203.0.113.7"),
        ("ipv4-addr", "198.51.100.9"),
        ("user-account", "alice@example.com"),
    }
    flat = {**GRAPH_V1, "vendorInformation_provider": "ASC"}
    del flat["vendorInformation"]
    assert only(flat).source == "ASC"


def test_defender_for_endpoint() -> None:
    report = only(ENDPOINT)
    assert report.threat_id == "defender:da1"
    assert report.severity is Severity.LOW
    metadata = report.metadata or {}
    assert metadata["device"] == "pc7.example.com"
    assert metadata["threat_family"] == "Kit"
    assert metadata["first_observed"] == "2024-05-25T16:17:50Z"
    assert "last_observed" not in metadata
    assert indicators(report) == {
        ("sha1", "b" * 40),
        ("file-name", "kit.exe"),
        ("ipv4-addr", "203.0.113.8"),
        ("url", "https://example.com/kit"),
    }


@pytest.mark.parametrize("page", [XDR, {"value": [XDR]}])
def test_an_incident_gives_its_alerts(page: dict[str, Any]) -> None:
    with open_feed(BytesIO(json.dumps(page).encode())) as feed:
        assert feed.format == "defender"
        (report,) = reports(feed)
    assert report.threat_id == "defender:x1"
    assert report.severity is Severity.LOW
    assert indicators(report) == {("ipv4-addr", "203.0.113.9")}


def test_an_incident_without_its_alerts_is_one_report() -> None:
    report = only({**XDR, "alerts": []})
    assert report.threat_id == "defender:incident-9"
    assert (report.metadata or {})["type"] == "incident"
    assert report.severity is Severity.HIGH


@pytest.mark.parametrize(
    ("word", "severity"),
    [
        ("informational", "LOW"),
        ("Medium", "MEDIUM"),
        ("unknown", "MEDIUM"),
        ("UnSpecified", "MEDIUM"),
        ("unknownFutureValue", "MEDIUM"),
        (None, "MEDIUM"),
    ],
)
def test_severity(word: object, severity: str) -> None:
    (report,) = reports(read(lines(graph_v2(severity=word)), "defender"))
    assert report.severity == severity


def test_an_unknown_severity_is_no_guess() -> None:
    (reason,) = reasons(read(lines(graph_v2(severity="purple")), "defender"))
    assert "formats.defender.severity" in reason


@pytest.mark.parametrize(
    ("record", "reason"),
    [
        (graph_v2(status="resolved"), "resolved"),
        ({**ENDPOINT, "status": "Resolved"}, "resolved"),
        (graph_v2(status="dismissed"), "dismissed"),
        (graph_v2(classification="falsePositive"), "false positive"),
        ({"Timestamp": "2024-05-01", "DeviceId": "d", "ReportId": 5, "FileName": "x"}, "telemetry"),
        (
            {"category": "AdvancedHunting-DeviceEvents", "properties": {"DeviceId": "d"}},
            "telemetry",
        ),
    ],
)
def test_what_is_no_open_alert_is_skipped(record: dict[str, Any], reason: str) -> None:
    with open_feed(BytesIO(lines(record))) as feed:
        assert feed.format == "defender"
        assert list(feed) == []
        assert feed.skipped == {reason: 1}


@pytest.mark.parametrize("streamed", [True, False])
def test_rows_of_hunting_that_list_alerts(streamed: bool) -> None:
    row = {
        "Timestamp": "2024-05-01T00:00:00Z",
        "AlertId": "h1",
        "Title": "Odd logon",
        "Category": "InitialAccess",
        "Severity": "High",
        "ServiceSource": "Microsoft Defender for Identity",
        "AttackTechniques": '["Valid Accounts (T1078)"]',
    }
    event = {"category": "AdvancedHunting-AlertInfo", "properties": row} if streamed else row
    report = only(event)
    assert report.threat_id == "defender:h1"
    assert report.severity is Severity.HIGH
    assert (report.metadata or {})["tags"] == ["Valid Accounts (T1078)", "InitialAccess"]


def test_hostile_values_cost_nothing() -> None:
    record = graph_v2(
        evidence=[[{"ipAddress": ["203.0.113.1", 7, None]}], 5], title=[], mitreTechniques={"a": 1}
    )
    assert indicators(only(record)) == {("ipv4-addr", "203.0.113.1")}


def test_it_keeps_its_promises_on_every_form() -> None:
    forms = [lines(one) for one in (graph_v2(), GRAPH_V1, ENDPOINT)]
    assert (
        len(check_format(by_name("defender"), *forms, json.dumps({"value": [XDR]}).encode())) == 4
    )


@pytest.mark.parametrize(
    "name", ["azure-sentinel-graph-alert-1.json", "defender-graph-alerts-v2.json"]
)
def test_real_alerts(name: str) -> None:
    (report,) = check_format(by_name("defender"), real_data("edr", name).read_bytes())
    assert report.severity is Severity.LOW
    assert {"file-name", "user-account"} <= {kind for kind, _ in indicators(report)}
