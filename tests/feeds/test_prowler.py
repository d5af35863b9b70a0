"""Prowler's CSV: rows that did not pass, whatever the version calls its columns."""

from __future__ import annotations

from io import BytesIO

import pytest

from periscope.feeds import open_feed
from periscope.feeds.registry import by_name
from periscope.feeds.testing import check_format
from periscope.models import Report, Severity
from tests.feeds.support import read, real_data, reasons, reports

HEADER, ROW = by_name("prowler").example.decode().splitlines()


def csv(*rows: str, header: str = HEADER) -> bytes:
    return "\n".join((header, *rows)).encode()


def only(row: str) -> Report:
    (report,) = reports(read(csv(row)))
    return report


def test_a_row_has_everything_that_it_states() -> None:
    report = only(ROW)
    assert report.threat_id == "prowler:prowler-aws-s3_public-5f0c2a1e-7d43-4b7e-9c55-0d6a1b2c3d4e"
    assert report.severity is Severity.HIGH
    assert report.content.startswith("Bucket example is public.")
    metadata = report.metadata or {}
    assert metadata["title"] == "Buckets are not public"
    assert metadata["resource"] == "arn:aws:s3:::example"
    assert metadata["status"] == "FAIL"


@pytest.mark.parametrize(
    ("old", "new", "reason"), [("FAIL", "PASS", "passed"), ("False", "True", "muted")]
)
def test_rows_that_passed_or_are_muted_are_skipped(old: str, new: str, reason: str) -> None:
    with open_feed(BytesIO(csv(ROW.replace(old, new), ROW))) as feed:
        assert len(list(feed)) == 1
        assert feed.skipped == {reason: 1}


@pytest.mark.parametrize(
    ("word", "severity"),
    [("critical", "CRITICAL"), ("Medium", "MEDIUM"), ("informational", "LOW"), ("", "MEDIUM")],
)
def test_severity(word: str, severity: str) -> None:
    assert only(ROW.replace("high", word)).severity == severity


def test_rows_that_cannot_be_used_say_why() -> None:
    items = read(csv(ROW.replace("high", "blue"), "a;b", ROW.replace("2025-02", "soon"), ROW))
    assert len(reports(items)) == 1
    unknown, cells, time = reasons(items)
    assert "line 2" in unknown
    assert "formats.prowler.severity" in unknown
    assert "2 cells" in cells
    assert "is not a time" in time


def test_without_an_id_the_same_check_of_a_resource_is_the_same_threat() -> None:
    nameless = ROW.replace(
        "prowler-aws-s3_public-5f0c2a1e-7d43-4b7e-9c55-0d6a1b2c3d4e", "<finding_uid>"
    )
    again = nameless.replace("2025-02-14", "2025-03-14")
    first, second = reports(read(csv(nameless, again)))
    assert first.threat_id == second.threat_id
    assert only(nameless.replace("arn:aws:s3:::example", "b")).threat_id != first.threat_id


def test_version_3_and_commas() -> None:
    header = (
        "ASSESSMENT_START_TIME,FINDING_UNIQUE_ID,PROVIDER,CHECK_ID,CHECK_TITLE,STATUS,"
        "STATUS_EXTENDED,SEVERITY,ACCOUNT_ID,RESOURCE_ARN"
    )
    row = "2023-05-05 10:00:00,u-1,aws,c,Title,FAIL,It failed.,low,111122223333,arn:aws:iam::1:x"
    (report,) = reports(read(csv(row, header=header)))
    assert report.threat_id == "prowler:u-1"
    assert report.severity is Severity.LOW
    assert report.observed_at == 1_683_280_800_000
    assert (report.metadata or {})["account"] == "111122223333"


@pytest.mark.parametrize(
    ("name", "severities"),
    [("prowler-aws.csv", ["LOW", "MEDIUM", "MEDIUM", "MEDIUM"]), ("prowler-azure.csv", ["HIGH"])],
)
def test_real_rows(name: str, severities: list[str]) -> None:
    found = check_format(by_name("prowler"), real_data("ocsf", name).read_bytes())
    assert sorted(report.severity.value for report in found) == severities
    assert len({report.threat_id for report in found}) == len(found)
