"""Sigma: rules as they are written, and matches as the tools write them."""

from __future__ import annotations

import time

import pytest

from periscope.feeds import open_feed
from periscope.feeds.formats.sigma import Sigma
from periscope.models import Report, Severity
from tests.feeds.support import Pipe, lines, read, real_data, reasons, reports
from tests.support.patience import PATIENCE

RULE = Sigma.example


def said(report: Report) -> dict[str, object]:
    assert report.metadata is not None
    return report.metadata


def test_a_rule() -> None:
    (report,) = reports(read(RULE.replace(b"status: test", b"status: test\nmodified: 2024/5/1")))
    assert report.threat_id == "sigma:3ffd6f51-e6c1-47b7-94b4-c1e61d4117c5"
    assert report.severity is Severity.MEDIUM
    assert report.content == "Somebody exports a certificate with its key."
    assert report.observed_at == 1_714_521_600_000
    assert said(report)["tags"] == ["attack.t1552.004", "T1552.004"]
    assert said(report)["logsource"] == {"product": "windows", "category": "process_creation"}


def test_several_documents_and_those_that_are_left_out() -> None:
    old = RULE.replace(b"status: test", b"status: deprecated")
    part = b"action: global\n" + RULE + b"---\nlogsource:\n  product: linux\ndetection:\n  a: b\n"
    with open_feed(Pipe(b"# comment\n---\n" + old + b"---\n" + part + b"...\n")) as feed:
        assert len(list(feed)) == 1
    assert feed.format == "sigma"
    assert feed.skipped == {"deprecated": 1, "part of a collection": 1}


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (b"a: &x 1\nb: *x\n", "YAML alias"),
        (b"a: " + b"[" * 40 + b"]" * 40, "deeper than 32 levels"),
        (b"a: !!python/object/apply:os.system ['true']\n", "no title"),
        (b"a: [\n", "not YAML"),
        (b"\xff: 1\n", "UTF-8"),
        (b"- 1\n", "a list instead of a rule"),
        (b"title: x\nlevel: gruesome\n", "severity table"),
        (b"title: x\ndate: soon\n", "is no date"),
        (b"x: " + b"y" * 300_000, "larger than 262,144 bytes"),
    ],
)
def test_what_is_refused_costs_its_document(text: bytes, reason: str) -> None:
    began = time.process_time()
    items = read(RULE + b"---\n" + text + b"\n---\n" + RULE, "sigma")
    assert time.process_time() - began < PATIENCE
    assert len(reports(items)) == 2
    (told,) = reasons(items)
    assert reason in told
    assert "\n" not in told


def test_aliases_that_would_explode_are_never_built() -> None:
    bomb = b"a0: &a0 [x, x]\n" + b"".join(
        b"a%d: &a%d [*a%d, *a%d]\n" % (n, n, n - 1, n - 1) for n in range(1, 60)
    )
    (told,) = reasons(read(bomb, "sigma"))
    assert "alias" in told


MATCHES = (
    {
        "title": "Certificate exported",
        "id": "3FFD6F51-e6c1-47b7-94b4-c1e61d4117c5",
        "rule_level": "high",
        "tags": ["attack.t1552.004"],
        "count": 2,
        "matches": [
            {"Computer": "ws1.example.net", "UtcTime": "2024-05-01 10:00:00.000", "User": "bob"},
            {
                "Computer": "ws1.example.net",
                "UtcTime": "2024-05-01 11:00:00.000",
                "Hashes": "MD5=" + "A" * 32 + ",IMPHASH=" + "B" * 32,
            },
        ],
    },
    {
        "name": "Certificate exported",
        "id": "3ffd6f51-e6c1-47b7-94b4-c1e61d4117c5",
        "level": "high",
        "timestamp": "2024-05-02T10:00:00Z",
        "document": {
            "data": {
                "Event": {
                    "System": {"Computer": "WS1.example.net"},
                    "EventData": {"DestinationIp": "203.0.113.7"},
                }
            }
        },
    },
    {
        "Timestamp": "2024-05-03 10:00:00.000 +02:00",
        "RuleTitle": "Certificate exported",
        "RuleID": "3ffd6f51-e6c1-47b7-94b4-c1e61d4117c5",
        "Level": "crit",
        "Computer": "ws1.example.net",
        "Details": {"Proc": "certutil.exe"},
    },
)


def test_one_rule_on_one_host_is_one_threat_whichever_tool_says_it() -> None:
    found = reports(read(lines(*MATCHES)))
    assert len(found) == 3
    assert len({report.threat_id for report in found}) == 1
    assert [report.severity for report in found] == [
        Severity.HIGH,
        Severity.HIGH,
        Severity.CRITICAL,
    ]
    first, second, third = map(said, found)
    assert first["title"] == "Certificate exported on ws1.example.net"
    assert first["indicators"] == [
        {"type": "user-account", "value": "bob"},
        {"type": "md5", "value": "a" * 32},
    ]
    assert first["last_observed"] == "2024-05-01T11:00:00Z"
    assert second["indicators"] == [{"type": "ipv4-addr", "value": "203.0.113.7"}]
    assert third["indicators"] == [{"type": "process", "value": "certutil.exe"}]
    assert third["last_observed"] == "2024-05-03T08:00:00Z"


def test_events_without_a_rule_are_no_threats() -> None:
    with open_feed(Pipe(lines({"Event": {"System": {"Computer": "a"}}}))) as feed:
        assert list(feed) == []
    assert feed.skipped == {"event without a rule": 1}


def test_real_rules() -> None:
    levels = {}
    for path in sorted(real_data("sigma").glob("*.yml")):
        with open_feed(path) as feed:
            (report,) = reports(feed)
        assert feed.format == "sigma"
        levels[path.stem] = report.severity
    assert levels["proc_creation_win_apt_turla_commands_critical"] is Severity.CRITICAL
    assert levels["lnx_auditd_system_info_discovery2"] is Severity.LOW
    assert len(levels) >= 30
