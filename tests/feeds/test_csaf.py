"""CSAF: one report an advisory, with its worst score; indexes of advisories are refused."""

from __future__ import annotations

import json
from io import BytesIO
from typing import Any

import pytest

from periscope.errors import FeedError
from periscope.feeds import open_feed
from periscope.feeds.registry import by_name
from periscope.feeds.testing import check_format
from periscope.models import Report, Severity
from tests.feeds.support import read, real_data, reasons, refusal, reports

EXAMPLE = by_name("csaf").example


def advisory(*flaws: object, **changes: Any) -> dict[str, Any]:
    """An advisory on these vulnerabilities; changes are of its document, None leaves one out."""
    whole = json.loads(EXAMPLE)
    document = {**whole["document"], **changes}
    whole["document"] = {key: value for key, value in document.items() if value is not None}
    whole["vulnerabilities"] = list(flaws) if flaws else whole["vulnerabilities"]
    return whole  # type: ignore[no-any-return]


def only(record: dict[str, Any]) -> Report:
    (report,) = reports(read(json.dumps(record).encode(), "csaf"))
    return report


def scored(**cvss: object) -> dict[str, Any]:
    return {"cve": "CVE-2024-0001", "scores": [cvss]}


def test_an_advisory_has_everything_that_it_states() -> None:
    record = advisory(
        {
            "cve": "cve-2024-0001",
            "cwe": {"id": "CWE-78"},
            "scores": [{"cvss_v3": {"baseScore": 7.2}}, {"cvss_v3": {"baseScore": 9.1}}],
            "remediations": [
                {"category": "none_available", "details": "None yet."},
                {"category": "vendor_fix", "details": "Update.", "url": "https://example.com/fix"},
            ],
        },
        notes=[
            {"category": "legal_disclaimer", "text": "As is."},
            {"category": "summary", "text": "Commands can be run."},
        ],
        references=[{"url": "https://example.com/advisory"}],
    )
    record["product_tree"] = {
        "branches": [
            {
                "category": "vendor",
                "name": "Example Inc.",
                "branches": [{"name": "Gateway", "product": {"name": "Gateway 1.0"}}],
            }
        ]
    }
    report = only(record)
    assert report.threat_id == "csaf:EX-INC-7"
    assert report.severity is Severity.CRITICAL
    assert report.source == "Example Inc."
    assert report.content == "Commands can be run."
    metadata = report.metadata or {}
    assert metadata["title"] == "Example Gateway: command injection"
    assert metadata["tlp"] == "CLEAR"
    assert metadata["cvss"] == 9.1
    assert metadata["indicators"] == [{"type": "vulnerability", "value": "CVE-2024-0001"}]
    assert metadata["references"] == ["https://example.com/advisory", "https://example.com/fix"]
    assert metadata["tags"] == ["csaf_security_advisory", "CWE-78"]
    assert metadata["products"] == ["Gateway 1.0"]
    assert metadata["vendors"] == ["Example Inc."]
    assert metadata["remediation"] == "Update."
    assert metadata["version"] == "1.0.0"
    assert metadata["first_observed"] == "2024-01-31T08:00:00Z"


@pytest.mark.parametrize(
    ("flaw", "severity"),
    [
        (scored(cvss_v3={"baseScore": 0}), "LOW"),
        (scored(cvss_v3={"baseScore": 3.9}), "LOW"),
        (scored(cvss_v3={"baseScore": 4.0}), "MEDIUM"),
        (scored(cvss_v3={"baseScore": 7.0}), "HIGH"),
        (scored(cvss_v3={"baseScore": 9.0}), "CRITICAL"),
        (scored(cvss_v2={"baseScore": 10.0}), "CRITICAL"),
        (scored(cvss_v3={"baseSeverity": "HIGH"}), "HIGH"),
        (scored(cvss_v4={"baseScore": 5.1}, cvss_v3={"baseScore": 9.8}), "MEDIUM"),
        ({"metrics": [{"content": {"cvss_v3": {"baseScore": 8}}}]}, "HIGH"),
        ({"scores": "x", "metrics": [7]}, "MEDIUM"),
        ({"threats": [{"category": "impact", "details": "Important"}]}, "HIGH"),
    ],
)
def test_severity_is_the_worst_that_is_stated(flaw: dict[str, Any], severity: str) -> None:
    assert only(advisory(flaw)).severity == severity


@pytest.mark.parametrize(
    ("text", "severity"),
    [("Critical", "CRITICAL"), ("moderate", "MEDIUM"), ("hoch", "HIGH"), ("", "MEDIUM")],
)
def test_the_publisher_rates_where_no_score_does(text: str, severity: str) -> None:
    assert only(advisory({}, aggregate_severity={"text": text})).severity == severity
    both = advisory(scored(cvss_v3={"baseScore": 2}), aggregate_severity={"text": text})
    assert only(both).severity is Severity.LOW


@pytest.mark.parametrize("score", [10.1, -1, 1e300, [9]])
def test_a_score_off_the_scale_is_no_guess(score: object) -> None:
    data = json.dumps(advisory(scored(cvss_v3={"baseScore": score}))).encode()
    (reason,) = reasons(read(data, "csaf"))
    assert "cvss" in reason


@pytest.mark.parametrize(
    ("record", "reason"),
    [
        (advisory(category="csaf_withdrawn"), "withdrawn"),
        (advisory(category="csaf_superseded"), "superseded"),
        (advisory({"product_status": {"known_not_affected": ["P1"]}}), "not affected"),
    ],
)
def test_what_is_no_threat_is_skipped(record: dict[str, Any], reason: str) -> None:
    with open_feed(BytesIO(json.dumps(record).encode())) as feed:
        assert list(feed) == []
        assert feed.skipped == {reason: 1}


def test_a_vex_that_affects_one_product_is_a_threat() -> None:
    status = {"known_not_affected": ["P1"], "known_affected": ["P2"]}
    report = only(advisory({"product_status": status}, category="csaf_vex"))
    assert (report.metadata or {})["type"] == "vex"


def test_a_new_version_is_the_same_threat() -> None:
    old = advisory()
    new = advisory(tracking={**old["document"]["tracking"], "current_release_date": "2024-03-01"})
    first, second = reports(read(json.dumps([old, new]).encode(), "csaf"))
    assert first.threat_id == second.threat_id
    assert first.observed_at < second.observed_at  # type: ignore[operator]


@pytest.mark.parametrize(
    ("index", "words"),
    [
        (
            {"feed": {"id": "x", "category": [{"scheme": "urn:ietf:params:rolie:category"}]}},
            "ROLIE",
        ),
        (
            {"service": {"workspace": [{"scheme": "urn:ietf:params:rolie:category"}]}},
            "ROLIE",
        ),
        ({"canonical_url": "https://example.com", "aggregator_version": "2.0"}, "aggregator"),
        ({"canonical_url": "https://example.com", "metadata_version": "2.0"}, "provider-metadata"),
    ],
)
def test_indexes_of_advisories_are_refused_with_a_reason(index: object, words: str) -> None:
    with pytest.raises(FeedError) as caught:
        open_feed(BytesIO(json.dumps(index).encode()))
    assert words in refusal(caught.value)


def test_hostile_documents_cost_nothing() -> None:
    tree: dict[str, Any] = {"branches": []}
    for _ in range(25):
        tree = {"branches": [tree, [[]], 7], "product": [1, {"name": ["x"]}]}
    record = {**advisory(title=7, publisher=[1], notes={"text": 1}), "product_tree": tree}
    assert only(record).severity is Severity.CRITICAL
    (reason,) = reasons(read(json.dumps(advisory(tracking={"id": None})).encode(), "csaf"))
    assert "no document.tracking.id" in reason


REAL = {
    "icsa-17-243-01.json": "HIGH",
    "icsa-17-325-01.json": "MEDIUM",
    "icsa-20-240-01.json": "CRITICAL",
    "icsa-23-234-01.json": "CRITICAL",
    "icsa-24-137-09.json": "HIGH",
    "icsma-23-061-01.json": "MEDIUM",
    "va-24-201-01.json": "CRITICAL",
}


@pytest.mark.parametrize("name", REAL)
def test_real_advisories(name: str) -> None:
    (report,) = check_format(by_name("csaf"), real_data("csaf", name).read_bytes())
    assert report.severity == REAL[name]
    assert report.threat_id == f"csaf:{name.removesuffix('.json').upper()}"
    assert report.source == "CISA"
    metadata = report.metadata or {}
    assert metadata["tlp"] == "CLEAR"
    assert {one["type"] for one in metadata["indicators"]} == {"vulnerability"}
    assert metadata["products"]


def test_a_real_index_is_refused() -> None:
    with pytest.raises(FeedError, match="ROLIE"):
        open_feed(real_data("csaf", "rolie-feed-it.json"))
