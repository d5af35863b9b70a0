"""Falco and Sysdig Secure: what an event becomes."""

from __future__ import annotations

import json
from io import BytesIO
from typing import Any

import pytest

from periscope.feeds import open_feed
from periscope.feeds.formats.falco import Falco
from periscope.feeds.testing import check_format
from periscope.models import Report
from tests.feeds.support import lines, read, read_safely, real_data, reasons, reports, variants

EVENT: dict[str, Any] = {
    "uuid": "5f3a2c1e-8d4b-4b6e-9c0a-000000000001",
    "hostname": "node-1",
    "output": "09:30:11.251547000: Error Outbound connection (user=root command=nc)",
    "priority": "Error",
    "rule": "Unexpected outbound connection",
    "source": "syscall",
    "tags": ["network", "mitre_exfiltration", "T1041"],
    "time": "2024-05-17T07:30:11.251547000Z",
    "output_fields": {
        "evt.time": 1715931011251547000,
        "fd.name": "192.0.2.10:40000->203.0.113.7:4444",
        "proc.name": "nc",
        "proc.cmdline": "nc 203.0.113.7 4444",
        "proc.pid": 4711,
        "user.name": "root",
        "container.id": "0123456789ab",
        "container.name": "shop",
        "k8s.ns.name": "prod",
        "k8s.pod.name": None,
        "user.loginname": "<NA>",
    },
}
SYSDIG: dict[str, Any] = {
    "id": "1780",
    "timestamp": 1691864298823377041,
    "originator": "policy",
    "category": "runtime",
    "source": "syscall",
    "name": "Runtime policy",
    "description": "What we watch.",
    "severity": 3,
    "machineId": "00:00:00:00:00:11",
    "content": {
        "falsePositive": "false",
        "fields": {"proc.name": "tuned", "user.name": "root", "proc.exepath": "/usr/sbin/tuned"},
        "output": "Possible backdoor",
        "policyId": 1,
        "ruleName": "Backdoor using BPF",
        "ruleTags": ["network", "MITRE_T1040_network_sniffing", "MITRE_TA0007_discovery"],
    },
    "labels": {"host.hostName": "node-9", "kubernetes.pod.name": "tuned-1"},
    "clientIpv4": "203.0.113.7",
}


def one(event: dict[str, Any], **options: Any) -> Report:
    (found,) = reports(read(lines(event), "falco", **options))
    return found


def test_mapping() -> None:
    found = one(EVENT)
    assert found.threat_id.startswith("falco:")
    assert found.severity == "HIGH"
    assert found.source == "node-1"
    assert found.observed_at == 1_715_931_011_251
    assert found.content == "Outbound connection (user=root command=nc)"
    metadata = dict(found.metadata or {})
    assert json.loads(metadata.pop("raw")) == EVENT
    assert metadata == {
        "title": "Unexpected outbound connection",
        "type": "alert",
        "tags": ["network", "mitre_exfiltration", "T1041"],
        "indicators": [
            {"type": "ipv4-addr", "value": "192.0.2.10"},
            {"type": "ipv4-addr", "value": "203.0.113.7"},
            {"type": "user-account", "value": "root"},
            {"type": "process", "value": "nc"},
            {"type": "process", "value": "nc 203.0.113.7 4444"},
        ],
        "last_observed": "2024-05-17T07:30:11.251Z",
        "priority": "Error",
        "rule_source": "syscall",
        "event_id": EVENT["uuid"],
        "container": "shop",
        "container_id": "0123456789ab",
        "namespace": "prod",
        "process": "nc",
        "command": "nc 203.0.113.7 4444",
        "user": "root",
        "file": "192.0.2.10:40000->203.0.113.7:4444",
    }


@pytest.mark.parametrize(
    ("priority", "severity"),
    [
        ("Emergency", "CRITICAL"),
        ("Alert", "CRITICAL"),
        ("Critical", "CRITICAL"),
        ("Error", "HIGH"),
        ("Warning", "MEDIUM"),
        ("Notice", "LOW"),
        ("Informational", "LOW"),
        ("DEBUG", "LOW"),
    ],
)
def test_priorities(priority: str, severity: str) -> None:
    assert one({**EVENT, "priority": priority}).severity == severity


@pytest.mark.parametrize(
    ("number", "severity"),
    [*((n, "HIGH") for n in range(4)), (4, "MEDIUM"), (5, "MEDIUM"), (6, "LOW"), (7, "LOW")],
)
def test_numbers_of_sysdig(number: int, severity: str) -> None:
    assert one({**SYSDIG, "severity": number}).severity == severity


def test_what_nobody_knows_is_no_guess() -> None:
    data = lines({**EVENT, "priority": "Bad"}, {**SYSDIG, "severity": 8}, {"rule": "x"}, EVENT)
    items = read(data, "falco")
    assert len(reasons(items)) == 3
    assert len(reports(items)) == 1


def test_what_fires_again_is_the_same_threat() -> None:
    fields = {**EVENT["output_fields"], "proc.pid": 1, "fd.name": "192.0.2.10:1->203.0.113.7:4444"}
    fields["container.id"] = "another start of the same container"
    again = {**EVENT, "uuid": "x", "time": "2025-01-01T00:00:00Z", "output_fields": fields}
    assert one(again).threat_id == one(EVENT).threat_id
    others = [
        {**EVENT, "rule": "another"},
        {**EVENT, "hostname": "node-2"},
        {**EVENT, "output_fields": {**fields, "proc.name": "curl"}},
        {**EVENT, "output_fields": {**fields, "container.name": "till"}},
        {**EVENT, "output_fields": None},
    ]
    assert len({one(item).threat_id for item in [EVENT, *others]}) == 6
    assert one({**SYSDIG, "id": "2", "timestamp": 1}).threat_id == one(SYSDIG).threat_id


def test_sysdig() -> None:
    found = one(SYSDIG)
    assert found.source == "node-9"
    assert found.observed_at == 1_691_864_298_823
    assert found.content == "Possible backdoor\n\nWhat we watch."
    metadata = found.metadata or {}
    assert metadata["title"] == "Backdoor using BPF"
    assert {"T1040", "TA0007", "network"} <= set(metadata["tags"])
    assert metadata["pod"] == "tuned-1"
    assert {"type": "ipv4-addr", "value": "203.0.113.7"} in metadata["indicators"]
    wrong = {**SYSDIG, "content": {**SYSDIG["content"], "falsePositive": "true"}}
    with open_feed(BytesIO(lines(SYSDIG, wrong))) as feed:
        assert len(reports(feed)) == 1
    assert feed.skipped == {"false positive": 1}


@pytest.mark.parametrize(
    "body",
    [
        [EVENT],
        {"page": {"total": 1}, "data": [EVENT]},
        {"log": json.dumps(EVENT) + "\n", "stream": "stdout", "time": "2024-05-17T07:30:11Z"},
        {"logEvents": [{"id": "1", "timestamp": 1, "message": json.dumps(EVENT)}]},
        {"Records": [{"Sns": {"Message": json.dumps(EVENT)}}]},
        {"_index": "falco-2024.05.17", "_source": {**EVENT, "@timestamp": "x"}},
    ],
    ids=["array", "page", "container", "CloudWatch", "SNS", "hit"],
)
@pytest.mark.parametrize("indent", [None, 2])
def test_envelopes(body: Any, indent: int | None) -> None:
    with open_feed(BytesIO(json.dumps(body, indent=indent).encode() + b"\n")) as feed:
        (found,) = reports(feed)
    assert feed.format == "falco"
    assert found.threat_id == one(EVENT).threat_id


def test_any_value_anywhere() -> None:
    for data in variants(500, EVENT, SYSDIG):
        read_safely(data, "falco")


def test_promises() -> None:
    check_format(Falco(), lines(EVENT, SYSDIG), json.dumps({"data": [SYSDIG]}, indent=1).encode())


@pytest.mark.parametrize(
    ("name", "severities"),
    [
        ("falcosidekick-events.ndjson", ["HIGH", "LOW", "LOW"]),
        ("sysdig-event-1.json", ["HIGH"]),
        ("sysdig-api-page.json", ["HIGH"]),
    ],
)
def test_real_events(name: str, severities: list[str]) -> None:
    with open_feed(real_data("falco", name)) as feed:
        found = reports(feed)
    assert feed.format == "falco"
    assert [item.severity for item in found] == severities
