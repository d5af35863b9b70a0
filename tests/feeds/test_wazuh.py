"""Wazuh: what an alert of each module becomes, and what is no alert."""

from __future__ import annotations

import json
from io import BytesIO
from typing import Any

import pytest

from periscope.feeds import open_feed
from periscope.feeds.formats.wazuh import Wazuh
from periscope.feeds.testing import check_format
from periscope.models import Report
from tests.feeds.support import lines, read, read_safely, reasons, reports, variants

SSH: dict[str, Any] = {
    "timestamp": "2024-05-17T09:30:11.251+0200",
    "rule": {
        "level": 10,
        "description": "sshd: brute force.",
        "id": "5712",
        "firedtimes": 4,
        "mail": False,
        "groups": ["syslog", "sshd"],
        "mitre": {"id": ["T1110"], "tactic": ["Credential Access"], "technique": ["Brute Force"]},
        "pci_dss": ["11.4", "10.2.4"],
        "gdpr": ["IV_35.7.d"],
    },
    "agent": {"id": "003", "name": "web-1", "ip": "192.0.2.10"},
    "manager": {"name": "siem-1"},
    "cluster": {"name": "wazuh", "node": "node01"},
    "id": "1580123327.49031",
    "full_log": "Failed password for root from 203.0.113.7 port 40022 ssh2",
    "predecoder": {"program_name": "sshd", "hostname": "web-1"},
    "decoder": {"parent": "sshd", "name": "sshd"},
    "data": {"srcip": "203.0.113.7", "srcport": "40022", "dstuser": "root"},
    "location": "/var/log/auth.log",
}


def one(alert: dict[str, Any], **options: Any) -> Report:
    (found,) = reports(read(lines(alert), "wazuh", **options))
    return found


def indicators(report: Report) -> set[tuple[str, str]]:
    return {(item["type"], item["value"]) for item in (report.metadata or {}).get("indicators", [])}


def with_data(data: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {**SSH, "data": data, **more}


def test_mapping() -> None:
    found = one(SSH)
    assert found.threat_id.startswith("wazuh:")
    assert found.severity == "MEDIUM"
    assert found.source == "web-1"
    assert found.observed_at == 1_715_931_011_251
    assert found.content == f"sshd: brute force.\n\n{SSH['full_log']}"
    metadata = dict(found.metadata or {})
    assert json.loads(metadata.pop("raw") or "{}") == SSH
    assert metadata == {
        "title": "sshd: brute force.",
        "type": "alert",
        "tags": [
            *("syslog", "sshd", "T1110", "Credential Access", "Brute Force"),
            *("pci_dss:11.4", "pci_dss:10.2.4", "gdpr:IV_35.7.d"),
        ],
        "indicators": [
            {"type": "ipv4-addr", "value": "192.0.2.10"},
            {"type": "ipv4-addr", "value": "203.0.113.7"},
            {"type": "user-account", "value": "root"},
        ],
        "last_observed": "2024-05-17T07:30:11.251Z",
        "rule_id": "5712",
        "level": 10,
        "fired": 4,
        "agent": "web-1",
        "agent_id": "003",
        "agent_ip": "192.0.2.10",
        "manager": "siem-1",
        "cluster": "wazuh",
        "node": "node01",
        "decoder": "sshd",
        "location": "/var/log/auth.log",
        "program": "sshd",
        "alert_id": "1580123327.49031",
    }


@pytest.mark.parametrize(
    ("level", "severity"),
    [
        *((level, "LOW") for level in range(7)),
        *((level, "MEDIUM") for level in range(7, 12)),
        *((level, "HIGH") for level in range(12, 15)),
        (15, "CRITICAL"),
        ("12", "HIGH"),
    ],
)
def test_severity(level: Any, severity: str) -> None:
    assert one({**SSH, "rule": {**SSH["rule"], "level": level}}).severity == severity


@pytest.mark.parametrize("level", [16, -1, "high", None, True, [1]])
def test_a_level_that_is_none(level: Any) -> None:
    (reason,) = reasons(read(lines({**SSH, "rule": {**SSH["rule"], "level": level}}), "wazuh"))
    assert "severity" in reason


def test_what_fires_again_is_the_same_threat() -> None:
    again = {**SSH, "timestamp": "2025-01-01T00:00:00.000+0000", "id": "1.1", "full_log": "other"}
    again["rule"] = {**SSH["rule"], "firedtimes": 900, "level": 12}
    assert one(again).threat_id == one(SSH).threat_id
    others = [
        {**SSH, "agent": {"id": "004", "name": "web-2"}},
        {**SSH, "rule": {**SSH["rule"], "id": "5713"}},
        {**SSH, "manager": {"name": "siem-2"}},
        with_data({"srcip": "203.0.113.8", "dstuser": "root"}),
        {**SSH, "syscheck": {"path": "/etc/passwd"}},
    ]
    assert len({one(item).threat_id for item in [SSH, *others]}) == 6
    assert one(SSH, source="x").threat_id == one(SSH).threat_id


def test_integrity_of_files() -> None:
    syscheck = {
        "path": "/etc/passwd",
        "event": "modified",
        "sha256_after": "a" * 64,
        "md5_after": "B" * 32,
        "md5_before": "c" * 32,
        "audit": {"user": {"name": "mallory"}, "process": {"name": "/usr/bin/vi"}},
    }
    found = one({**SSH, "data": None, "syscheck": syscheck})
    assert indicators(found) >= {
        ("file-name", "/etc/passwd"),
        ("sha256", "a" * 64),
        ("md5", "b" * 32),
        ("user-account", "mallory"),
        ("process", "/usr/bin/vi"),
    }
    assert ("md5", "c" * 32) not in indicators(found)
    assert (found.metadata or {})["syscheck_event"] == "modified"
    key = {"path": "HKEY_LOCAL_MACHINE\\Software\\Run", "event": "added"}
    assert ("registry-key", key["path"]) in indicators(one({**SSH, "syscheck": key}))


def test_windows() -> None:
    windows = {
        "win": {
            "system": {"eventID": "1", "computer": "pc-1", "message": "Process Create"},
            "eventdata": {
                "image": "C:\\Temp\\a.exe",
                "commandLine": "a.exe -x",
                "hashes": f"SHA1={'a' * 40},MD5={'b' * 32},IMPHASH={'c' * 32}",
                "targetUserName": "alice",
                "destinationIp": "203.0.113.4",
                "destinationHostname": "c2.example.net",
                "targetObject": "HKLM\\Software\\Run\\a",
            },
        }
    }
    found = one(with_data(windows))
    assert indicators(found) >= {
        ("process", "C:\\Temp\\a.exe"),
        ("sha1", "a" * 40),
        ("md5", "b" * 32),
        ("user-account", "alice"),
        ("ipv4-addr", "203.0.113.4"),
        ("domain-name", "c2.example.net"),
        ("registry-key", "HKLM\\Software\\Run\\a"),
    }
    assert ("md5", "c" * 32) not in indicators(found)
    assert (found.metadata or {})["event_id"] == "1"
    assert "Process Create" in found.content


def test_vulnerabilities_and_what_is_over() -> None:
    stated = {
        "cve": "CVE-2021-44228",
        "title": "CVE-2021-44228 affects log4j",
        "status": "Active",
        "package": {"name": "log4j"},
        "reference": "https://example.com/cve",
    }
    found = one(with_data({"vulnerability": stated}))
    assert (found.metadata or {})["type"] == "vulnerability"
    assert (found.metadata or {})["references"] == ["https://example.com/cve"]
    assert ("vulnerability", "CVE-2021-44228") in indicators(found)
    assert "CVE-2021-44228" in (found.metadata or {})["tags"]
    data = lines(
        with_data({"vulnerability": {**stated, "status": "Solved"}}),
        with_data({"sca": {"check": {"id": "1", "result": "passed"}}}),
        with_data({"sca": {"check": {"id": "1", "result": "failed"}}}),
    )
    with open_feed(BytesIO(data)) as feed:
        assert len(reports(feed)) == 1
    assert feed.skipped == {"solved": 1, "passed": 1}


def test_events_without_a_rule_are_archived_ones() -> None:
    archived = {key: value for key, value in SSH.items() if key != "rule"}
    with open_feed(BytesIO(lines(archived, SSH, archived))) as feed:
        assert len(reports(feed)) == 1
    assert (feed.format, feed.skipped) == ("wazuh", {"no rule": 2})


def test_an_alert_of_suricata_that_wazuh_passes_on_is_one_of_wazuh() -> None:
    eve = {
        "event_type": "alert",
        "timestamp": "2024-05-17T09:30:11+0200",
        "flow_id": "1",
        "src_ip": "203.0.113.7",
        "alert": {"signature_id": "2900001", "signature": "x", "severity": "1"},
    }
    with open_feed(BytesIO(lines(with_data(eve), with_data(eve)))) as feed:
        found = reports(feed)
    assert feed.format == "wazuh"
    assert len(found) == 2


@pytest.mark.parametrize(
    "body",
    [
        [SSH],
        {"hits": {"total": {"value": 1}, "hits": [{"_id": "x", "_source": SSH}]}},
        [{"_index": "wazuh-alerts-4.x", "_source": SSH}],
        {"_index": "wazuh-alerts-4.x", "_id": "x", "_source": {**SSH, "@timestamp": "x"}},
        {"severity": 2, "title": "t", "text": "t", "all_fields": SSH},
    ],
    ids=["array", "page", "list of hits", "hit", "integration"],
)
@pytest.mark.parametrize("indent", [None, 2])
def test_envelopes(body: Any, indent: int | None) -> None:
    with open_feed(BytesIO(json.dumps(body, indent=indent).encode() + b"\n")) as feed:
        (found,) = reports(feed)
    assert feed.format == "wazuh"
    assert found.threat_id == one(SSH).threat_id


def test_any_value_anywhere() -> None:
    for data in variants(500, SSH):
        read_safely(data, "wazuh")


def test_promises() -> None:
    check_format(Wazuh(), lines(SSH), json.dumps([SSH, SSH], indent=1).encode())
