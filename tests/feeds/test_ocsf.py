"""OCSF: findings of every version become reports, activity is skipped by class."""

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


def finding(**changes: Any) -> dict[str, Any]:
    """A detection finding; None leaves a field out."""
    whole = {**json.loads(by_name("ocsf").example), **changes}
    return {key: value for key, value in whole.items() if value is not None}


def only(record: dict[str, Any]) -> Report:
    (report,) = reports(read(lines(record), "ocsf"))
    return report


def skipped(record: dict[str, Any]) -> dict[str, int]:
    with open_feed(BytesIO(lines(record)), format="ocsf") as feed:
        assert list(feed) == []
    return dict(feed.skipped)


def test_a_finding_has_everything_that_it_states() -> None:
    report = only(finding(cloud={"account": {"uid": "1"}, "region": "eu", "provider": "AWS"}))
    assert report.threat_id == "ocsf:5f0c2a1e-7d43-4b7e-9c55-0d6a1b2c3d4e"
    assert report.severity is Severity.HIGH
    assert report.source == "Example EDR"
    assert report.content == "A process calls a server of a known kit."
    assert report.observed_at == 1_714_915_982_000
    metadata = report.metadata or {}
    assert metadata["title"] == "Beacon to a known server"
    assert metadata["tags"] == ["T1071", "Command and Control"]
    assert metadata["indicators"] == [{"type": "ipv4-addr", "value": "203.0.113.7"}]
    assert metadata["account"] == "1"
    assert metadata["provider"] == "AWS"


@pytest.mark.parametrize(
    ("number", "word", "severity"),
    [
        (0, "Unknown", "MEDIUM"),
        (1, None, "LOW"),
        (2, "High", "LOW"),
        (3, None, "MEDIUM"),
        (4, None, "HIGH"),
        (5, None, "CRITICAL"),
        (6, "Fatal", "CRITICAL"),
        ("5", None, "CRITICAL"),
        (99, "Critical", "CRITICAL"),
        (99, "Other", "MEDIUM"),
        (None, "high", "HIGH"),
        (None, None, "MEDIUM"),
    ],
)
def test_severity_by_number_then_word(number: object, word: object, severity: str) -> None:
    assert only(finding(severity_id=number, severity=word)).severity == severity


@pytest.mark.parametrize("stated", [7, -1, "blue", [3], 1e300])
def test_a_severity_beyond_the_standard_is_no_guess(stated: object) -> None:
    (reason,) = reasons(read(lines(finding(severity_id=stated)), "ocsf"))
    assert "severity_id" in reason


@pytest.mark.parametrize("number", [1007, 3002, 4002, 5001, 6003, "4001"])
def test_activity_is_skipped_by_class(number: object) -> None:
    assert skipped(finding(class_uid=number)) == {f"class {number}": 1}


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"status_id": 3}, "suppressed"),
        ({"status_id": 4}, "resolved"),
        ({"status_id": 5}, "archived"),
        ({"status_id": 99, "status": "Resolved"}, "resolved"),
        ({"status_id": None, "status": "suppressed"}, "suppressed"),
        ({"activity_id": 3}, "closed"),
        ({"class_uid": 2005, "status_id": 5}, "closed"),
        ({"class_uid": 2001, "state_id": 4}, "resolved"),
        ({"class_uid": 2003, "compliance": {"status": "Pass", "status_id": 1}}, "passed"),
        ({"status_code": "PASS"}, "passed"),
        ({"class_uid": 2005, "verdict_id": 1}, "false positive"),
    ],
)
def test_what_asks_for_nothing_is_skipped(changes: dict[str, Any], reason: str) -> None:
    assert skipped(finding(**changes)) == {reason: 1}


@pytest.mark.parametrize(
    "changes",
    [
        {"class_uid": 2001, "status_id": 3, "state_id": 1},
        {"class_uid": 2005, "status_id": 3},
        {"class_uid": 2003, "compliance": {"status_id": 3}},
        {"class_uid": 2006},
        {"class_uid": 2007},
        {"class_uid": 102_001},
    ],
)
def test_numbers_mean_what_they_mean_in_their_class(changes: dict[str, Any]) -> None:
    assert only(finding(**changes)).severity is Severity.HIGH


def test_version_1_0_has_its_finding_elsewhere() -> None:
    inner = {
        "uid": "f-1",
        "title": "Old form",
        "src_url": "https://example.com/f-1",
        "remediation": {"desc": "Do it.", "kb_articles": ["https://example.com/kb"]},
    }
    report = only(finding(class_uid=2001, finding_info=None, finding=inner, status_id=-1))
    assert report.threat_id == "ocsf:f-1"
    assert report.content == "Do it."
    metadata = report.metadata or {}
    assert metadata["title"] == "Old form"
    assert metadata["references"] == ["https://example.com/f-1", "https://example.com/kb"]


@pytest.mark.parametrize("uid", [None, "<finding_uid>", ["x"]])
def test_without_an_id_the_same_finding_is_the_same_threat(uid: object) -> None:
    info = {"title": "Beacon", "uid": uid}
    one = finding(finding_info=info, resources=[{"uid": "host-1"}])
    first, again = reports(read(lines(one, {**one, "time": 1_714_999_999_000}), "ocsf"))
    assert first.threat_id == again.threat_id
    assert only({**one, "resources": [{"uid": "host-2"}]}).threat_id != first.threat_id


def test_observables_and_evidence_are_typed() -> None:
    record = finding(
        observables=[
            {"type_id": 1, "value": "mail.example.com"},
            {"type_id": 1, "value": "workstation7"},
            {"type_id": 6, "value": "https://example.com/x"},
            {"type_id": 8, "value": "A" * 64},
            {"type_id": 18, "value": "cve-2024-0001"},
            {"type_id": 10, "value": "arn:aws:s3:::example"},
            {"type_id": "2", "value": ["203.0.113.9"]},
        ],
        evidences=[
            {
                "src_endpoint": {"ip": "192.0.2.1", "hostname": "a.example.org"},
                "dst_endpoint": {"ip": "2001:db8::7"},
                "process": {"name": "x.exe", "file": {"path": "C:\\t\\y.exe"}, "pid": 7},
                "actor": {"user": {"name": "alice"}},
            }
        ],
        malware=[{"name": "Kit", "cves": [{"uid": "CVE-2024-0002"}]}],
    )
    metadata = only(record).metadata or {}
    found = {(one["type"], one["value"]) for one in metadata["indicators"]}
    assert found == {
        ("domain-name", "mail.example.com"),
        ("url", "https://example.com/x"),
        ("sha256", "a" * 64),
        ("vulnerability", "CVE-2024-0001"),
        ("ipv4-addr", "192.0.2.1"),
        ("domain-name", "a.example.org"),
        ("ipv6-addr", "2001:db8::7"),
        ("process", "x.exe"),
        ("file-name", "y.exe"),
        ("user-account", "alice"),
    }
    assert "Kit" in metadata["tags"]


def test_a_vulnerability_names_its_cve_and_links() -> None:
    flaw = {
        "cve": {"uid": "CVE-2024-0001", "references": ["https://example.com/nvd"]},
        "references": ["https://example.com/vendor", "aws s3 rm"],
        "cwe": {"uid": "CWE-79"},
    }
    report = only(finding(class_uid=2002, observables=None, vulnerabilities=[flaw, 7]))
    metadata = report.metadata or {}
    assert metadata["type"] == "vulnerability"
    assert metadata["indicators"] == [{"type": "vulnerability", "value": "CVE-2024-0001"}]
    assert metadata["references"] == ["https://example.com/vendor", "https://example.com/nvd"]
    assert "CWE-79" in metadata["tags"]


def test_an_incident_is_known_by_its_first_finding() -> None:
    incident = finding(
        class_uid=2005,
        finding_info=None,
        desc="Two",
        finding_info_list=[{"uid": "a"}, {"uid": "b"}],
    )
    assert only(incident).threat_id == "ocsf:a"
    assert (only(incident).metadata or {})["type"] == "incident"


@pytest.mark.parametrize(
    "wrapped",
    [
        lambda one: [one],
        lambda one: {"source": "aws.securityhub", "detail": {"findings": [one]}},
        lambda one: {"records": [one]},
        lambda one: {"Records": [{"body": json.dumps(one)}]},
    ],
)
def test_findings_are_found_in_what_delivers_them(wrapped: Any) -> None:
    data = json.dumps(wrapped(finding())).encode()
    with open_feed(BytesIO(data)) as feed:
        assert feed.format == "ocsf"
        assert [report.threat_id for report in reports(feed)] == [
            "ocsf:5f0c2a1e-7d43-4b7e-9c55-0d6a1b2c3d4e"
        ]


def test_pretty_printed_events_one_after_another() -> None:
    data = b"\n".join(json.dumps(finding(), indent=2).encode() for _ in range(3))
    assert len(reports(read(data))) == 3


def test_a_first_event_larger_than_the_sample_is_recognised() -> None:
    record = finding(unmapped={"x": "y" * 100_000})
    with open_feed(BytesIO(json.dumps(record).encode())) as feed:
        assert feed.format == "ocsf"
        assert len(reports(feed)) == 1


REAL = {
    "aws-guardduty-detection-finding.json": ["LOW"],
    "aws-inspector-vulnerability-finding.json": ["MEDIUM"],
    "falco-finding.json": ["MEDIUM"],
    "prowler-aws.ocsf.json": ["LOW", *["MEDIUM"] * 4],
    "prowler-azure.ocsf.json": ["HIGH", "LOW", *["MEDIUM"] * 3],
}


@pytest.mark.parametrize("name", REAL)
def test_real_findings(name: str) -> None:
    found = check_format(by_name("ocsf"), real_data("ocsf", name).read_bytes())
    assert sorted(report.severity.value for report in found) == REAL[name]
    assert all((report.metadata or {})["title"] for report in found)
    assert len({report.threat_id for report in found}) == len(found)


@pytest.mark.parametrize(
    ("name", "reason"), [("aws-waf.json", "class 4002"), ("prowler-finding.json", "passed")]
)
def test_real_events_that_are_no_threat(name: str, reason: str) -> None:
    with open_feed(real_data("ocsf", name)) as feed:
        assert feed.format == "ocsf"
        assert list(feed) == []
        assert feed.skipped == {reason: 1}
