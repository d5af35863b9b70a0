"""GitHub: alerts of every kind as webhooks and APIs give them, what is over, and no secret kept."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from periscope.feeds import open_feed
from periscope.feeds.format import Item
from periscope.feeds.registry import by_name
from periscope.models import Report, Severity
from tests.feeds.support import read, real_data, reasons, reports

EXAMPLE: dict[str, Any] = json.loads(by_name("github").example)
CODE: dict[str, Any] = {
    "number": 7,
    "state": "open",
    "html_url": "https://github.com/Example/Shop/security/code-scanning/7",
    "rule": {
        "id": "py/sql-injection",
        "severity": "warning",
        "security_severity_level": "critical",
        "description": "Query built from input",
        "tags": ["external/cwe/cwe-089"],
    },
    "tool": {"name": "CodeQL"},
    "most_recent_instance": {"location": {"path": "shop/db.py", "start_line": 3}},
    "created_at": "2024-01-31T08:00:00Z",
}
SECRET: dict[str, Any] = {
    "number": 9,
    "state": "open",
    "html_url": "https://github.com/example/shop/security/secret-scanning/9",
    "secret_type": "example_api_key",
    "secret_type_display_name": "Example API key",
    "secret": "hunter2-hunter2",
    "validity": "active",
    "created_at": "2024-01-31T08:00:00Z",
}


def items(*records: Any) -> list[Item]:
    return read(json.dumps(records[0] if len(records) == 1 else list(records)).encode(), "github")


def one(record: dict[str, Any]) -> Report:
    (report,) = reports(items(record))
    return report


def metadata(report: Report) -> dict[str, Any]:
    assert isinstance(report.metadata, dict)
    return report.metadata


def test_a_vulnerable_dependency() -> None:
    report = one(EXAMPLE)
    said = metadata(report)
    assert report.threat_id == "github:example/web-1/dependabot/20"
    assert (report.severity, report.source) == (Severity.HIGH, "dependabot")
    assert said["title"] == "example-lib runs commands in example/web-1"
    assert said["indicators"] == [{"type": "vulnerability", "value": "CVE-2024-0001"}]
    assert (said["package"], said["manifest"]) == ("npm:example-lib", "package-lock.json")
    assert "CWE-78" in said["tags"]
    assert len(said["references"]) == 2


def test_code_scanning_counts_what_it_means_for_security() -> None:
    report = one(CODE)
    assert report.threat_id == "github:example/shop/code-scanning/7"
    assert (report.severity, report.source) == (Severity.CRITICAL, "CodeQL")
    assert metadata(report)["indicators"] == [{"type": "file-name", "value": "shop/db.py"}]
    less = {**CODE, "rule": {"id": "x", "severity": "warning", "security_severity_level": None}}
    assert one(less).severity is Severity.MEDIUM


@pytest.mark.parametrize(
    ("validity", "severity"),
    [("active", "CRITICAL"), ("unknown", "HIGH"), ("inactive", "LOW"), (None, "HIGH")],
)
def test_a_secret_is_reported_and_never_kept(validity: str | None, severity: str) -> None:
    report = one({"action": "created", "alert": {**SECRET, "validity": validity}})
    assert report.severity.value == severity
    assert "hunter2" not in repr(report)
    assert metadata(report)["title"] == "Secret: Example API key in example/shop"


def test_an_api_and_a_webhook_tell_of_the_same_threat() -> None:
    around = {"action": "created", "repository": {"full_name": "example/shop"}}
    alone, told = one(CODE), one({**around, "alert": CODE})
    assert alone.threat_id == told.threat_id
    page = [{**CODE, "number": number} for number in range(5)]
    assert len({report.threat_id for report in reports(items(*page))}) == 5


@pytest.mark.parametrize(
    ("action", "state", "kept"),
    [
        ("fixed", "fixed", False),
        ("dismissed", "dismissed", False),
        ("auto_dismissed", "auto_dismissed", False),
        ("resolved", "resolved", False),
        ("closed_by_user", "dismissed", False),
        ("assigned", "fixed", False),
        ("reopened", "resolved", True),
        ("appeared_in_branch", "open", True),
    ],
)
def test_what_is_over_is_skipped_by_its_state(action: str, state: str, *, kept: bool) -> None:
    record = {**EXAMPLE, "action": action, "alert": {**EXAMPLE["alert"], "state": state}}
    found = items(record)
    assert len(reports(found)) == len(found) == kept


def test_an_advisory_that_was_withdrawn_is_skipped() -> None:
    advisory = {
        "ghsa_id": "GHSA-aaaa-bbbb-cccc",
        "summary": "It runs commands",
        "severity": "moderate",
        "vulnerabilities": [{"package": {"ecosystem": "pip", "name": "example"}}],
        "published_at": "2024-01-31T08:00:00Z",
    }
    told = one({"action": "published", "security_advisory": advisory})
    assert told == one(advisory)
    assert (told.threat_id, told.severity) == ("github:GHSA-aaaa-bbbb-cccc", Severity.MEDIUM)
    assert items({**advisory, "withdrawn_at": "2024-02-01T08:00:00Z"}) == []


def test_other_events_are_skipped_and_what_is_none_is_told() -> None:
    assert items({"action": "opened", "issue": {}}) == []
    assert "neither an alert nor an advisory" in reasons(items({"x": 1}))[0]
    nameless = {key: value for key, value in CODE.items() if key != "html_url"}
    assert "of which repository" in reasons(items({"action": "created", "alert": nameless}))[0]
    odd = {**CODE, "rule": {"security_severity_level": "dire"}}
    assert "severity table" in reasons(items(odd))[0]


REAL = {
    "dependabot_alert-created": ("github:wolfy1339/pika-pack/dependabot/20", "MEDIUM"),
    "code_scanning_alert-created": ("github:codertocat/hello-world/code-scanning/10", "HIGH"),
    "secret_scanning_alert-reopened": ("github:codertocat/hello-world/secret-scanning/191", "HIGH"),
    "security_advisory-published": ("github:GHSA-rf4j-j272-fj86", "MEDIUM"),
    "repository_vulnerability_alert-create": (
        "github:codertocat/hello-world/vulnerability/2",
        "MEDIUM",
    ),
}


@pytest.mark.parametrize("name", REAL)
def test_real_payloads(name: str) -> None:
    path: Path = real_data("github", f"{name}.payload.json")
    with open_feed(path) as feed:
        (report,) = reports(list(feed))
    assert feed.format == "github"
    assert (report.threat_id, report.severity.value) == REAL[name]
