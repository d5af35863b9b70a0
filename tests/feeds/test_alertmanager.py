"""Prometheus alerts: webhooks and APIs of Alertmanager, Prometheus and Grafana."""

from __future__ import annotations

import json
from io import BytesIO
from typing import Any

import pytest

from periscope.feeds import open_feed
from periscope.feeds.formats.alertmanager import Alertmanager
from periscope.feeds.testing import check_format
from periscope.models import Report
from tests.feeds.support import lines, read, read_safely, reasons, reports, variants

ALERT: dict[str, Any] = {
    "status": "firing",
    "labels": {
        "alertname": "HostOutOfDisk",
        "severity": "critical",
        "instance": "192.0.2.10:9100",
        "job": "node",
        "prometheus": "monitoring/k8s",
    },
    "annotations": {
        "summary": "Disk of 192.0.2.10 is full",
        "description": "3 % left. See CVE-2024-12345.",
        "runbook_url": "https://example.com/runbooks/disk",
    },
    "startsAt": "2024-05-17T07:30:11.251Z",
    "endsAt": "0001-01-01T00:00:00Z",
    "generatorURL": "https://prometheus.example.com/graph?g0.expr=up",
    "fingerprint": "c6eadffa33fcdf37",
}
RESOLVED = {**ALERT, "status": "resolved", "endsAt": "2024-05-17T08:00:00Z"}
BODY = {
    "receiver": "triage",
    "status": "firing",
    "alerts": [ALERT, RESOLVED],
    "groupLabels": {"alertname": "HostOutOfDisk"},
    "commonLabels": {"severity": "critical"},
    "commonAnnotations": {},
    "externalURL": "https://alertmanager.example.com",
    "version": "4",
    "groupKey": '{}:{alertname="HostOutOfDisk"}',
    "truncatedAlerts": 0,
}
LISTED = {
    **{key: value for key, value in ALERT.items() if key != "status"},
    "receivers": [{"name": "triage"}],
    "status": {"inhibitedBy": [], "silencedBy": [], "mutedBy": [], "state": "active"},
    "updatedAt": "2024-05-17T09:00:00.000Z",
}


def one(alert: dict[str, Any], **options: Any) -> Report:
    (found,) = reports(read(lines(alert), "alertmanager", **options))
    return found


def labelled(**labels: Any) -> dict[str, Any]:
    return {**ALERT, "labels": {"alertname": "X", **labels}}


def test_mapping() -> None:
    found = one(ALERT)
    assert found.threat_id == "alertmanager:c6eadffa33fcdf37"
    assert found.severity == "CRITICAL"
    assert found.source == "monitoring/k8s"
    assert found.observed_at == 1_715_931_011_251
    title = "HostOutOfDisk: Disk of 192.0.2.10 is full"
    texts = (title, "Disk of 192.0.2.10 is full", "3 % left. See CVE-2024-12345.")
    assert found.content == "\n\n".join(texts)
    metadata = dict(found.metadata or {})
    assert "endsAt" not in metadata.pop("raw")
    assert metadata == {
        "title": title,
        "type": "alert",
        "tags": ["instance:192.0.2.10:9100", "job:node", "prometheus:monitoring/k8s"],
        "references": [
            "https://prometheus.example.com/graph?g0.expr=up",
            "https://example.com/runbooks/disk",
        ],
        "indicators": [
            {"type": "ipv4-addr", "value": "192.0.2.10"},
            {"type": "vulnerability", "value": "CVE-2024-12345"},
        ],
        "first_observed": "2024-05-17T07:30:11.251Z",
        "last_observed": "2024-05-17T07:30:11.251Z",
        "labels": ALERT["labels"],
    }


@pytest.mark.parametrize(
    "body",
    [
        BODY,
        [BODY],
        [LISTED],
        {"status": "success", "data": [ALERT]},
        {"status": "success", "data": {"alerts": [ALERT]}},
    ],
    ids=["webhook", "webhooks", "API v2", "API v1", "wrapped"],
)
@pytest.mark.parametrize("indent", [None, 2])
def test_envelopes(body: Any, indent: int | None) -> None:
    with open_feed(BytesIO(json.dumps(body, indent=indent).encode() + b"\n")) as feed:
        (found,) = reports(feed)
    assert feed.format == "alertmanager"
    assert found.threat_id == "alertmanager:c6eadffa33fcdf37"


def test_what_does_not_fire_is_skipped() -> None:
    muted = {**LISTED, "status": {"state": "suppressed", "silencedBy": ["x"]}}
    pending = {"labels": {"alertname": "A"}, "state": "pending", "activeAt": "2024-01-01T00:00:00Z"}
    with open_feed(BytesIO(lines(BODY, muted, pending))) as feed:
        assert len(reports(feed)) == 1
    assert feed.skipped == {"resolved": 1, "suppressed": 1, "pending": 1}


def test_api_of_prometheus() -> None:
    alert = {
        "labels": {"alertname": "A", "severity": "page", "cluster": "eu-1"},
        "annotations": {},
        "state": "firing",
        "activeAt": "2024-05-17T07:30:11.251Z",
        "value": "1e+00",
    }
    with open_feed(BytesIO(json.dumps({"data": {"alerts": [alert]}}, indent=1).encode())) as feed:
        (found,) = reports(feed)
    assert feed.format == "alertmanager"
    assert (found.severity, found.source) == ("CRITICAL", "eu-1")
    assert found.observed_at == 1_715_931_011_251
    assert (found.metadata or {})["value"] == "1e+00"


def test_grafana() -> None:
    alert = {
        **ALERT,
        "values": {"B": 22.5},
        "valueString": "[ var='B' value=22.5 ]",
        "silenceURL": "https://grafana.example.com/silence",
        "dashboardURL": "https://grafana.example.com/d/1",
        "panelURL": "",
    }
    body = {**BODY, "alerts": [alert], "orgId": 1, "title": "[FIRING:1]", "state": "alerting"}
    (found,) = reports(read(lines(body, body)[: len(lines(body))]))
    assert "https://grafana.example.com/d/1" in (found.metadata or {})["references"]
    assert (found.metadata or {})["value"] == "[ var='B' value=22.5 ]"


def test_told_again_it_is_the_same_report() -> None:
    later = {**LISTED, "updatedAt": "2024-05-17T10:00:00.000Z", "endsAt": "2024-05-17T11:00:00Z"}
    assert one(later) == one(LISTED)
    fired_again = {**ALERT, "startsAt": "2024-06-01T00:00:00Z"}
    assert one(fired_again).threat_id == one(ALERT).threat_id
    assert one(fired_again) != one(ALERT)


def test_without_a_fingerprint_the_labels_make_the_id() -> None:
    bare = {key: value for key, value in ALERT.items() if key != "fingerprint"}
    turned = {**bare, "labels": dict(reversed(ALERT["labels"].items()))}
    other = {**bare, "labels": {**ALERT["labels"], "job": "x"}}
    assert one(bare).threat_id == one(turned).threat_id != one(other).threat_id


@pytest.mark.parametrize(
    ("labels", "severity"),
    [
        ({"severity": "critical"}, "CRITICAL"),
        ({"severity": "Page"}, "CRITICAL"),
        ({"severity": "high"}, "HIGH"),
        ({"severity": "error"}, "HIGH"),
        ({"severity": "warning"}, "MEDIUM"),
        ({"severity": "info"}, "LOW"),
        ({"severity": "none"}, "LOW"),
        ({"priority": "P2"}, "HIGH"),
        ({}, "MEDIUM"),
    ],
)
def test_severity(labels: dict[str, str], severity: str) -> None:
    assert one(labelled(**labels)).severity == severity


def test_a_word_that_nobody_knows_is_no_guess() -> None:
    items = read(lines({**BODY, "alerts": [labelled(severity="urgentish"), ALERT]}))
    assert "urgentish" in reasons(items)[0]
    assert len(reports(items)) == 1


def test_any_value_anywhere() -> None:
    for data in variants(500, ALERT, LISTED):
        read_safely(data, "alertmanager")


def test_promises() -> None:
    check_format(Alertmanager(), lines(BODY), json.dumps([LISTED], indent=1).encode())
