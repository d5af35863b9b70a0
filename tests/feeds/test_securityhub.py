"""Security Hub: what an ASFF finding becomes, and which ask for nothing."""

from __future__ import annotations

import json
from io import BytesIO
from typing import Any

import pytest

from periscope.feeds import open_feed
from periscope.feeds.registry import by_name
from periscope.feeds.testing import check_format
from periscope.models import Report, Severity
from tests.feeds.support import lines, read, reasons, reports


def finding(**changes: Any) -> dict[str, Any]:
    """A finding of Security Hub; None leaves a field out."""
    whole = {**json.loads(by_name("securityhub").example)["Findings"][0], **changes}
    return {key: value for key, value in whole.items() if value is not None}


def only(record: dict[str, Any]) -> Report:
    (report,) = reports(read(lines(record), "securityhub"))
    return report


def test_a_finding_has_everything_that_it_states() -> None:
    report = only(
        finding(
            FirstObservedAt="2024-05-01T00:00:00Z",
            ProductName="Security Hub",
            Region="eu-west-1",
            Remediation={"Recommendation": {"Text": "Do it.", "Url": "https://example.com/fix"}},
        )
    )
    assert report.threat_id.startswith("securityhub:arn:aws:securityhub:eu-west-1:")
    assert report.severity is Severity.HIGH
    assert report.source == "Security Hub"
    assert report.content == "Block it.\n\nDo it."
    metadata = report.metadata or {}
    assert metadata["title"] == "S3 buckets should block public access"
    assert metadata["references"] == ["https://example.com/fix"]
    assert metadata["first_observed"] == "2024-05-01T00:00:00Z"
    assert metadata["resources"] == [{"type": "AwsS3Bucket", "id": "arn:aws:s3:::example"}]
    assert metadata["compliance"] == "FAILED"


@pytest.mark.parametrize(
    ("stated", "severity"),
    [
        ({"Label": "INFORMATIONAL"}, "LOW"),
        ({"Label": "CRITICAL", "Normalized": 0}, "CRITICAL"),
        ({"Normalized": 0}, "LOW"),
        ({"Normalized": 39}, "LOW"),
        ({"Normalized": 40}, "MEDIUM"),
        ({"Normalized": 70}, "HIGH"),
        ({"Normalized": "90"}, "CRITICAL"),
        ({"Product": 8}, "HIGH"),
        ({"Product": 55}, "MEDIUM"),
        ({}, "MEDIUM"),
        ("HIGH", "MEDIUM"),
    ],
)
def test_severity_by_label_then_number(stated: object, severity: str) -> None:
    assert only(finding(Severity=stated)).severity == severity


def test_the_provider_speaks_where_the_finding_does_not() -> None:
    record = finding(Severity=None, FindingProviderFields={"Severity": {"Label": "CRITICAL"}})
    assert only(record).severity is Severity.CRITICAL


def test_an_unknown_label_is_no_guess() -> None:
    (reason,) = reasons(read(lines(finding(Severity={"Label": "SEVERE-ISH"})), "securityhub"))
    assert "formats.securityhub.label" in reason


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"RecordState": "ARCHIVED"}, "archived"),
        ({"Workflow": {"Status": "RESOLVED"}}, "resolved"),
        ({"Workflow": {"Status": "SUPPRESSED"}}, "suppressed"),
        ({"WorkflowState": "RESOLVED"}, "resolved"),
        ({"Compliance": {"Status": "PASSED"}}, "passed"),
        ({"VerificationState": "FALSE_POSITIVE"}, "false positive"),
    ],
)
def test_what_asks_for_nothing_is_skipped(changes: dict[str, Any], reason: str) -> None:
    with open_feed(BytesIO(lines(finding(**changes)))) as feed:
        assert list(feed) == []
        assert feed.skipped == {reason: 1}


@pytest.mark.parametrize(
    "wrapped",
    [
        lambda one: {
            "detail-type": "Security Hub Findings - Imported",
            "detail": {"findings": [one, one]},
        },
        lambda one: {"Findings": [one, one]},
        lambda one: {"Records": [{"body": json.dumps({"detail": {"findings": [one, one]}})}]},
        lambda one: [one, one],
    ],
)
def test_lists_of_findings_in_what_delivers_them(wrapped: Any) -> None:
    data = json.dumps(wrapped(finding())).encode()
    with open_feed(BytesIO(data)) as feed:
        assert feed.format == "securityhub"
        assert len(reports(feed)) == 2


def test_one_bad_finding_of_an_event_costs_that_finding() -> None:
    event = {"detail": {"findings": [finding(), finding(UpdatedAt="soon"), 7, finding(Id="b")]}}
    items = read(lines(event), "securityhub")
    assert len(reports(items)) == 2
    assert len(reasons(items)) == 2
    assert all(reason.startswith("line 1") for reason in reasons(items))


def test_indicators_of_every_kind() -> None:
    record = finding(
        Network={"SourceIpV4": "192.0.2.1", "DestinationIpV6": "2001:db8::1", "Direction": "OUT"},
        Malware=[{"Name": "Stringler", "Path": "/usr/sbin/stringler"}],
        ThreatIntelIndicators=[
            {"Type": "IPV4_ADDRESS", "Value": "203.0.113.7", "SourceUrl": "https://example.com/t"},
            {"Type": "HASH_MD5", "Value": "D41D8CD98F00B204E9800998ECF8427E"},
            {"Type": ["x"], "Value": 1},
        ],
        Vulnerabilities=[{"Id": "CVE-2024-0001", "ReferenceUrls": ["https://example.com/v"]}],
        Action={"AwsApiCallAction": {"RemoteIpDetails": {"IpAddressV4": "198.51.100.9"}}},
    )
    metadata = only(record).metadata or {}
    assert [(one["type"], one["value"]) for one in metadata["indicators"]] == [
        ("ipv4-addr", "203.0.113.7"),
        ("md5", "d41d8cd98f00b204e9800998ecf8427e"),
        ("vulnerability", "CVE-2024-0001"),
        ("file-name", "stringler"),
        ("ipv4-addr", "192.0.2.1"),
        ("ipv6-addr", "2001:db8::1"),
        ("ipv4-addr", "198.51.100.9"),
    ]
    assert metadata["references"] == ["https://example.com/v", "https://example.com/t"]
    assert "Stringler" in metadata["tags"]


def test_without_an_id_the_same_finding_is_the_same_threat() -> None:
    first = finding(Id=None)
    one, two = reports(read(lines(first, {**first, "UpdatedAt": "2024-06-01T00:00:00Z"})))
    assert one.threat_id == two.threat_id
    assert one.threat_id != only({**first, "Resources": [{"Id": "arn:aws:s3:::other"}]}).threat_id


def test_it_keeps_its_promises_on_samples_of_several_forms() -> None:
    event = {"source": "aws.securityhub", "detail": {"findings": [finding()]}}
    found = check_format(by_name("securityhub"), lines(finding()), json.dumps(event).encode())
    assert len(found) == 2
    assert found[0].threat_id == found[1].threat_id
