"""Vendors' alerts inside STIX observed-data: what becomes of them, and what of telemetry."""

from __future__ import annotations

import json
from collections import Counter
from io import BytesIO
from typing import Any

import pytest

from periscope.feeds import open_feed
from periscope.models import Severity, Unreadable
from tests.feeds.support import read, real_data, reports
from tests.feeds.test_stix import AUTHOR, UUID, bundle, only, stix

ALERT: dict[str, Any] = {
    "type": "x-ibm-finding",
    "alert_id": "4711",
    "severity": 80,
    "name": "Port scan",
    "description": "One host asked many others.",
    "finding_type": "alert",
    "time_observed": "2024-01-09T09:19:18.000Z",
    "src_ip_ref": "1",
    "dst_ip_ref": "2",
    "rule_names": ["scan"],
    "x_cve_references": ["2017-0144"],
}
SEEN: dict[str, dict[str, Any]] = {
    "0": ALERT,
    "1": {"type": "ipv4-addr", "value": "192.0.2.1"},
    "2": {"type": "ipv6-addr", "value": "2001:DB8::1"},
    "3": {"type": "file", "name": "a.exe", "hashes": {"MD5": "0" * 32, "SHA-256": "x"}},
    "4": {
        "type": "x-ibm-ttp-tagging",
        "extensions": {"mitre-attack-ext": {"technique_id": "T1046", "tactic_name": "Discovery"}},
    },
}


def observed(**more: Any) -> dict[str, Any]:
    times = {"first_observed": "2024-01-09T09:00:00Z", "last_observed": "2024-01-09T09:30:00Z"}
    return stix("observed-data", created_by_ref=AUTHOR, number_observed=1, **times, **more)


def test_an_alert_in_observed_data() -> None:
    report = only(observed(objects=SEEN), {**stix("identity"), "name": "Sensor"})
    assert (report.threat_id, report.source) == ("stix:4711", "Sensor")
    assert report.severity is Severity.HIGH
    assert report.content == "One host asked many others."
    assert report.observed_at == 1_704_791_958_000
    metadata = report.metadata
    assert (metadata["title"], metadata["type"]) == ("Port scan", "alert")
    assert metadata["tags"] == ["scan", "T1046", "Discovery"]
    assert (metadata["src_ip"], metadata["dst_ip"]) == ("192.0.2.1", "2001:DB8::1")
    assert metadata["first_observed"] == "2024-01-09T09:00:00Z"
    assert [one["value"] for one in metadata["indicators"]] == [
        *("192.0.2.1", "2001:db8::1", "a.exe", "0" * 32, "x", "CVE-2017-0144")
    ]


def test_an_alert_whose_observables_stand_beside_it() -> None:
    ids = {key: f"{one['type']}--{UUID[:-1]}{key}" for key, one in SEEN.items()}
    parts = [{**one, "id": ids[key]} for key, one in SEEN.items()]
    parts[0] |= {"src_ip_ref": ids["1"], "dst_ip_ref": ids["2"]}
    (report,) = read(bundle(*parts, observed(object_refs=list(ids.values()))))
    inside = only(observed(objects=SEEN))
    assert reports([report])[0].metadata == {**inside.metadata, "raw": json_text(parts[0])}


def json_text(record: dict[str, Any]) -> str:
    return json.dumps(record, separators=(",", ":"))


def test_the_same_alert_is_the_same_threat() -> None:
    def again(number: int, alert: dict[str, Any]) -> dict[str, Any]:
        found = observed(objects={**SEEN, "0": alert})
        return {**found, "id": f"observed-data--{UUID[:-1]}{number}"}

    nameless = {key: value for key, value in ALERT.items() if key != "alert_id"}
    items = reports(read(bundle(again(1, ALERT), again(2, ALERT), again(3, nameless))))
    other = {**nameless, "time_observed": "2024-02-02T00:00:00Z"}
    items += reports(read(bundle(again(4, other), again(5, {**nameless, "name": "Other"}))))
    first, second, third, fourth, fifth = (item.threat_id for item in items)
    assert first == second != third == fourth != fifth
    assert third.startswith("stix:")


def test_telemetry_and_closed_alerts_are_skipped() -> None:
    closed = {**SEEN, "0": {**ALERT, "x_alert_status": "Closed"}}
    telemetry = {key: one for key, one in SEEN.items() if key != "0"}
    objects = [observed(objects=closed), observed(objects=telemetry), observed(objects=[1])]
    with open_feed(BytesIO(bundle(*objects, observed(object_refs=["x", 3])))) as feed:
        assert list(feed) == []
    assert feed.skipped == Counter({"closed alert": 1, "observed-data": 3})


@pytest.mark.parametrize(("stated", "severity"), [(0, "LOW"), ("50", "MEDIUM"), ("High", "HIGH"),
    (85, "CRITICAL"), (None, "MEDIUM")])  # fmt: skip
def test_severity_of_alerts(stated: object, severity: str) -> None:
    alert = {**ALERT, "severity": stated}
    assert only(observed(objects={"0": alert})).severity is Severity(severity)


@pytest.mark.parametrize("stated", ["whatever", 101, -1, True, [], {"a": 1}])
def test_an_unknown_severity_of_an_alert_is_no_guess(stated: object) -> None:
    item = only(observed(objects={"0": {**ALERT, "severity": stated}}))
    assert isinstance(item, Unreadable)
    assert "not in the severity table" in item.reason


def test_real_alerts_and_telemetry() -> None:
    alerts = reports(read(real_data("stix", "shifter-nozomi-alerts-2024-02-22.json")))
    assert [alert.severity.value for alert in alerts] == [
        *("HIGH", "CRITICAL", "CRITICAL", "MEDIUM", "HIGH")
    ]
    assert {alert.source for alert in alerts} == {"Nozomi Vantage"}
    assert read(real_data("stix", "kestrel-observed-data-100.json")) == []
