"""GuardDuty: the API's spelling and that of EventBridge, and what each finding becomes."""

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

ID = "0ab1c2d3e4f5061728394a5b6c7d8e9f"


def finding(**changes: Any) -> dict[str, Any]:
    """A finding as EventBridge and S3 spell it; None leaves a field out."""
    whole = {**json.loads(by_name("guardduty").example), **changes}
    return {key: value for key, value in whole.items() if value is not None}


def capitals(value: Any) -> Any:
    """The same as the API's command line spells it."""
    if isinstance(value, dict):
        return {key[0].upper() + key[1:]: capitals(inner) for key, inner in value.items()}
    return [capitals(one) for one in value] if isinstance(value, list) else value


def only(data: bytes, **options: Any) -> Report:
    (report,) = reports(read(data, "guardduty", **options))
    return report


def test_a_finding_has_everything_that_it_states() -> None:
    report = only(json.dumps(finding()).encode())
    assert report.threat_id == f"guardduty:{ID}"
    assert report.severity is Severity.MEDIUM
    assert report.source == "guardduty"
    metadata = report.metadata or {}
    assert metadata["title"] == "203.0.113.7 is performing SSH brute force attacks."
    assert metadata["tags"] == ["UnauthorizedAccess:EC2/SSHBruteForce", "UnauthorizedAccess"]
    assert metadata["indicators"] == [{"type": "ipv4-addr", "value": "203.0.113.7"}]
    assert metadata["first_observed"] == "2024-05-05T05:59:51Z"
    assert metadata["last_observed"] == "2024-05-05T13:08:11Z"
    assert metadata["resources"] == ["i-0123456789abcdef0"]
    assert metadata["count"] == 43
    assert metadata["direction"] == "INBOUND"
    assert metadata["raw"].startswith('{"schemaVersion":"2.0"')


def test_both_spellings_give_the_same_report() -> None:
    small, large = lines(finding()), lines(capitals(finding()))
    assert only(small, raw_bytes=0) == only(large, raw_bytes=0)


@pytest.mark.parametrize(
    ("number", "severity"),
    [
        (0.5, "LOW"),
        (1, "LOW"),
        (3.9, "LOW"),
        (4, "MEDIUM"),
        (6.9, "MEDIUM"),
        (7.0, "HIGH"),
        (8.9, "HIGH"),
        (9, "CRITICAL"),
        (10.0, "CRITICAL"),
        ("8", "HIGH"),
        (None, "MEDIUM"),
    ],
)
def test_bands_of_severity(number: object, severity: str) -> None:
    assert only(lines(finding(severity=number))).severity == severity


@pytest.mark.parametrize("stated", [10.1, -1, "urgent", [5], True, 1e300])
def test_a_severity_off_the_scale_is_no_guess(stated: object) -> None:
    (reason,) = reasons(read(lines(finding(severity=stated)), "guardduty"))
    assert "severity" in reason


@pytest.mark.parametrize("archived", [True, "true"])
def test_archived_findings_are_skipped(archived: object) -> None:
    service = {**finding()["service"], "archived": archived}
    with open_feed(BytesIO(lines(finding(service=service), finding()))) as feed:
        assert len(list(feed)) == 1
        assert feed.skipped == {"archived": 1}


@pytest.mark.parametrize(
    "wrapped",
    [
        lambda one: {"Findings": [capitals(one)]},
        lambda one: {"detail-type": "GuardDuty Finding", "detail": one},
        lambda one: {"Type": "Notification", "Message": json.dumps({"detail": one})},
        lambda one: {"Records": [{"body": json.dumps({"Message": json.dumps({"detail": one})})}]},
        lambda one: {"Records": [{"Sns": {"Message": json.dumps(one)}}]},
        lambda one: {"hits": {"hits": [{"_id": "x", "_source": one}]}},
        lambda one: [one],
    ],
)
def test_findings_are_found_in_what_delivers_them(wrapped: Any) -> None:
    data = json.dumps(wrapped(finding())).encode()
    assert by_name("guardduty").name == open_feed(BytesIO(data)).format
    assert only(data).threat_id == f"guardduty:{ID}"


def test_an_alert_that_fires_again_is_the_same_threat() -> None:
    again = finding(updatedAt="2024-05-06T13:13:02Z")
    first, second = reports(read(lines(finding(), again), "guardduty"))
    assert first.threat_id == second.threat_id
    assert first.observed_at < second.observed_at  # type: ignore[operator]
    nameless = finding(id=None)
    first, second = reports(read(lines(nameless, {**nameless, "updatedAt": "2024-06-01"})))
    assert first.threat_id == second.threat_id
    other, _ = reports(read(lines({**nameless, "region": "us-east-1"}, nameless), "guardduty"))
    assert other.threat_id != first.threat_id


def test_users_keys_domains_and_malware_are_indicators() -> None:
    record = finding(
        type="Execution:EC2/MaliciousFile",
        resource={
            "resourceType": "AccessKey",
            "accessKeyDetails": {"accessKeyId": "AKIAEXAMPLE", "userName": "alice"},
            "kubernetesDetails": {
                "kubernetesUserDetails": {"username": "system:anonymous"},
                "kubernetesWorkloadDetails": {"name": "web-pod"},
            },
            "s3BucketDetails": [{"name": "example-bucket", "arn": "arn:aws:s3:::example-bucket"}],
        },
        service={
            "action": {"dnsRequestAction": {"domain": "bad.example.com", "protocol": "UDP"}},
            "ebsVolumeScanDetails": {
                "scanDetections": {"filePaths": [{"filePath": "tmp/x.sh", "hash": "a" * 64}]}
            },
            "evidence": {"threatIntelligenceDetails": [{"threatNames": ["Kit"]}]},
        },
    )
    metadata = only(lines(record)).metadata or {}
    found = {(one["type"], one["value"]) for one in metadata["indicators"]}
    assert found == {
        ("domain-name", "bad.example.com"),
        ("file-name", "x.sh"),
        ("sha256", "a" * 64),
        ("other", "AKIAEXAMPLE"),
        ("user-account", "alice"),
        ("user-account", "system:anonymous"),
    }
    assert "Kit" in metadata["tags"]
    assert {"web-pod", "arn:aws:s3:::example-bucket"} <= set(metadata["resources"])


def test_hostile_values_cost_nothing() -> None:
    record = finding(
        title=["x"], description={"a": 1}, resource=[1], region=7, createdAt=None, id=5
    )
    report = only(lines(record))
    assert report.threat_id == "guardduty:5"
    damaged = finding(service="x", resource=None, type="UnauthorizedAccess:EC2/SSHBruteForce")
    (reason,) = reasons(read(lines(damaged, finding()), "guardduty"))
    assert "no GuardDuty finding" in reason


@pytest.mark.parametrize(
    "name", ["finding-1.json", "finding-3.json", "contenthub-finding-details.json"]
)
def test_real_findings(name: str) -> None:
    (report,) = check_format(by_name("guardduty"), real_data("guardduty", name).read_bytes())
    assert report.severity is Severity.LOW
    metadata = report.metadata or {}
    assert "ipv4-addr" in {one["type"] for one in metadata["indicators"]}
    assert metadata["title"]
    assert metadata["last_observed"]
