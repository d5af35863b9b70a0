"""Elastic: alerts of Kibana in all their spellings, old signals, and ECS events that are alerts."""

from __future__ import annotations

import json
from io import BytesIO
from typing import Any

import pytest

from periscope.feeds import open_feed
from periscope.feeds.formats.ecs import Ecs
from periscope.feeds.testing import check_format
from periscope.models import Report
from tests.feeds.support import lines, read, read_safely, real_data, reasons, reports, variants

THREAT = [
    {
        "framework": "MITRE ATT&CK",
        "tactic": {"id": "TA0002", "name": "Execution", "reference": "https://example.com"},
        "technique": [
            {
                "id": "T1059",
                "name": "Interpreter",
                "subtechnique": [{"id": "T1059.001", "name": "PowerShell"}],
            }
        ],
    }
]
DOTTED: dict[str, Any] = {
    "@timestamp": "2024-05-17T07:30:11.251Z",
    "event": {"kind": "signal", "category": ["process"], "module": "sysmon"},
    "kibana.alert.uuid": "5f3a2c1e8d4b",
    "kibana.alert.rule.name": "Encoded command line",
    "kibana.alert.rule.rule_id": "r-1",
    "kibana.alert.rule.description": "Somebody hides what they run.",
    "kibana.alert.rule.tags": ["Windows"],
    "kibana.alert.rule.references": ["https://example.com/rule"],
    "kibana.alert.rule.threat": THREAT,
    "kibana.alert.severity": "high",
    "kibana.alert.risk_score": 73,
    "kibana.alert.status": "active",
    "kibana.alert.workflow_status": "open",
    "kibana.alert.original_time": "2024-05-17T07:29:00.000Z",
    "kibana.alert.reason": "process event by alice on pc-1 created high alert.",
    "host": {"name": "pc-1"},
    "user": {"name": "alice"},
    "process": {
        "executable": "C:\\Temp\\a.exe",
        "hash": {"sha256": "a" * 64},
        "command_line": "a.exe -enc x",
    },
    "source": {"ip": "192.0.2.10", "port": 4000},
    "destination": {"ip": "203.0.113.7", "domain": "c2.example.net"},
    "ecs.version": "8.11.0",
}


def nested(flat: dict[str, Any]) -> dict[str, Any]:
    """The same document without a dot in its keys."""
    found: dict[str, Any] = {}
    for path, value in flat.items():
        at = found
        *parents, last = path.split(".")
        for key in parents:
            at = at.setdefault(key, {})
        at[last] = value
    return found


def as_fields(flat: dict[str, Any]) -> dict[str, Any]:
    """The same document as the search API gives its `fields`: dotted, every value in a list."""
    found: dict[str, Any] = {}
    for key, value in flat.items():
        if isinstance(value, dict):
            found |= {f"{key}.{inner}": part for inner, part in as_fields(value).items()}
        else:
            found[key] = value if isinstance(value, list) else [value]
    return found


SIGNAL: dict[str, Any] = {
    "@timestamp": "2021-05-17T07:30:11.251Z",
    "event": {"kind": "signal"},
    "signal": {
        "rule": {"id": "u-1", "name": "Old rule", "severity": "medium", "risk_score": 47},
        "status": "open",
        "original_time": "2021-05-17T07:29:00.000Z",
    },
    "host": {"name": "pc-1"},
}
EVENT: dict[str, Any] = {
    "@timestamp": "2024-05-17T07:30:11.251Z",
    "event": {"kind": "alert", "module": "endpoint", "severity": 73, "id": "e-1"},
    "rule": {"name": "Malware", "id": "m-1"},
    "message": "Malware detection alert",
    "host": {"name": "pc-1", "id": "h-1"},
    "agent": {"name": "agent-1"},
    "file": {"path": "C:\\a.exe", "hash": {"sha256": "b" * 64}},
    "ecs": {"version": "8.11.0"},
}


def one(document: dict[str, Any], **options: Any) -> Report:
    (found,) = reports(read(lines(document), "ecs", **options))
    return found


def of_event(**inner: Any) -> dict[str, Any]:
    return {**EVENT, "event": {"kind": "alert", **inner}}


def test_mapping() -> None:
    found = one(DOTTED)
    assert found.threat_id == "ecs:5f3a2c1e8d4b"
    assert found.severity == "HIGH"
    assert found.source == "pc-1"
    assert found.observed_at == 1_715_931_011_251
    assert found.content.split("\n\n") == [
        "Encoded command line",
        "process event by alice on pc-1 created high alert.",
        "Somebody hides what they run.",
    ]
    metadata = dict(found.metadata or {})
    assert metadata.pop("raw")
    assert metadata == {
        "title": "Encoded command line",
        "type": "alert",
        "tags": [
            *("Windows", "process", "TA0002", "Execution", "T1059", "Interpreter"),
            *("T1059.001", "PowerShell"),
        ],
        "references": ["https://example.com/rule"],
        "indicators": [
            {"type": "ipv4-addr", "value": "192.0.2.10"},
            {"type": "ipv4-addr", "value": "203.0.113.7"},
            {"type": "domain-name", "value": "c2.example.net"},
            {"type": "sha256", "value": "a" * 64},
            {"type": "process", "value": "C:\\Temp\\a.exe"},
            {"type": "process", "value": "a.exe -enc x"},
            {"type": "user-account", "value": "alice"},
        ],
        "first_observed": "2024-05-17T07:29:00Z",
        "last_observed": "2024-05-17T07:30:11.251Z",
        "rule_id": "r-1",
        "risk_score": "73",
        "workflow_status": "open",
        "module": "sysmon",
        "host": "pc-1",
        "user": "alice",
        "process": "C:\\Temp\\a.exe",
        "command": "a.exe -enc x",
        "src_ip": "192.0.2.10",
        "src_port": "4000",
        "dest_ip": "203.0.113.7",
    }


@pytest.mark.parametrize(
    "body",
    [
        nested(DOTTED),
        [DOTTED],
        {"hits": {"hits": [{"_id": "d", "_source": DOTTED}]}},
        {"_index": ".alerts-security.alerts-default", "_id": "d", "_source": nested(DOTTED)},
        {"_index": "x", "_id": "d", "fields": as_fields(DOTTED)},
        {"rule": {"name": "action"}, "alerts": [DOTTED]},
    ],
    ids=["nested", "array", "page", "hit", "fields", "action"],
)
@pytest.mark.parametrize("indent", [None, 2])
def test_spellings_and_envelopes(body: Any, indent: int | None) -> None:
    with open_feed(BytesIO(json.dumps(body, indent=indent).encode() + b"\n")) as feed:
        (found,) = reports(feed)
    assert feed.format == "ecs"
    plain = one(DOTTED)
    assert (found.threat_id, found.content, found.severity) == (
        plain.threat_id,
        plain.content,
        plain.severity,
    )
    tags, expected = (set((item.metadata or {})["tags"]) for item in (found, plain))
    assert tags == expected
    kinds = [(item.metadata or {})["indicators"] for item in (found, plain)]
    assert kinds[0] == kinds[1]


def test_old_signals_have_the_id_of_their_document() -> None:
    with open_feed(BytesIO(lines({"_index": "x", "_id": "abc", "_source": SIGNAL}))) as feed:
        (found,) = reports(feed)
    assert (found.threat_id, found.severity) == ("ecs:abc", "MEDIUM")
    assert (found.metadata or {})["title"] == "Old rule"


def test_what_is_over_or_a_mere_part_is_skipped() -> None:
    data = lines(
        DOTTED,
        {**DOTTED, "kibana.alert.workflow_status": "closed"},
        {**DOTTED, "kibana.alert.status": "recovered"},
        {**DOTTED, "kibana.alert.building_block_type": "default"},
        {**SIGNAL, "signal": {**SIGNAL["signal"], "status": "closed"}},
        {**EVENT, "event": {"kind": "event"}},
        {**EVENT, "event": {"dataset": "x"}},
    )
    with open_feed(BytesIO(data)) as feed:
        assert len(reports(feed)) == 1
    assert feed.skipped == {
        "closed": 2,
        "recovered": 1,
        "building block": 1,
        "event": 1,
        "no kind": 1,
    }


@pytest.mark.parametrize(
    ("document", "severity"),
    [
        *(
            ({**DOTTED, "kibana.alert.severity": word}, word.upper())
            for word in ("low", "medium", "high", "critical")
        ),
        ({**DOTTED, "kibana.alert.severity": None, "kibana.alert.risk_score": 21}, "LOW"),
        ({**DOTTED, "kibana.alert.severity": None, "kibana.alert.risk_score": 47.5}, "MEDIUM"),
        ({**DOTTED, "kibana.alert.severity": None, "kibana.alert.risk_score": 99}, "CRITICAL"),
        (of_event(module="endpoint", severity=21), "LOW"),
        (of_event(module="endpoint", severity=47), "MEDIUM"),
        (of_event(severity=73), "HIGH"),
        (of_event(severity=99), "CRITICAL"),
        (of_event(module="suricata", severity=1), "HIGH"),
        (of_event(dataset="suricata.eve", severity=3), "LOW"),
        (of_event(module="other", severity=1), "MEDIUM"),
        (of_event(module="other", severity=1, risk_score=90), "CRITICAL"),
        (of_event(), "MEDIUM"),
    ],
)
def test_severity(document: dict[str, Any], severity: str) -> None:
    assert one(document).severity == severity


def test_a_word_that_nobody_knows_is_no_guess() -> None:
    items = read(lines({**DOTTED, "kibana.alert.severity": "dire"}), "ecs")
    assert "dire" in reasons(items)[0]


def test_an_event_that_fires_again_is_the_same_threat() -> None:
    again = {**EVENT, "@timestamp": "2025-01-01T00:00:00Z", "event": {**EVENT["event"], "id": "x"}}
    assert one(again).threat_id == one(EVENT).threat_id
    others = [
        {**EVENT, "rule": {"name": "Other", "id": "m-2"}},
        {**EVENT, "host": {"name": "pc-2"}},
        {**EVENT, "file": {"path": "C:\\b.exe"}},
    ]
    assert len({one(item).threat_id for item in [EVENT, *others]}) == 4
    assert one(EVENT).source == "agent-1"


def test_attacks_in_plain_fields_and_matched_indicators() -> None:
    document = {
        **EVENT,
        "threat": {
            "technique": {"id": ["T1059"], "name": ["Interpreter"]},
            "tactic": {"id": "TA0002"},
            "enrichments": [
                {"indicator": {"ip": "203.0.113.9", "file": {"hash": {"md5": "c" * 32}}}}
            ],
        },
    }
    metadata = one(document).metadata or {}
    assert {"T1059", "Interpreter", "TA0002"} <= set(metadata["tags"])
    assert {"type": "ipv4-addr", "value": "203.0.113.9"} in metadata["indicators"]
    assert {"type": "md5", "value": "c" * 32} in metadata["indicators"]


def test_any_value_anywhere() -> None:
    for data in variants(500, DOTTED, nested(DOTTED), SIGNAL, EVENT):
        read_safely(data, "ecs")


def test_promises() -> None:
    check_format(Ecs(), lines(DOTTED, EVENT), json.dumps([nested(DOTTED)], indent=1).encode())


@pytest.mark.parametrize("name", ["ecs-apache-access.json", "ecs-sysmon-process.json"])
def test_real_events_are_no_alerts(name: str) -> None:
    with open_feed(real_data("ecs", name)) as feed:
        assert list(feed) == []
    assert feed.format == "ecs"
    assert feed.skipped.total() == 1
