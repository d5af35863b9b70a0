"""Suricata EVE: what an alert becomes, its versions and shippers, and what is no alert."""

from __future__ import annotations

import base64
import json
from io import BytesIO
from typing import Any

import pytest

from periscope.feeds import open_feed
from periscope.feeds.eve import decode, lenient
from periscope.feeds.formats.suricata import Suricata
from periscope.feeds.testing import check_format
from periscope.models import Report, Severity
from tests.feeds.support import lines, read, read_safely, real_data, reasons, reports, variants

ALERT: dict[str, Any] = {
    "timestamp": "2023-09-18T06:13:41.532140+0200",
    "flow_id": 1959620435402694,
    "in_iface": "eth1",
    "event_type": "alert",
    "src_ip": "198.51.100.7",
    "src_port": 50096,
    "dest_ip": "2001:0db8::0010",
    "dest_port": 8080,
    "proto": "TCP",
    "community_id": "1:abc=",
    "alert": {
        "action": "blocked",
        "gid": 1,
        "signature_id": 2900001,
        "rev": 3,
        "signature": "EXAMPLE EXPLOIT of a logger (CVE-2021-44228)",
        "category": "Attempted Administrator Privilege Gain",
        "severity": 1,
        "metadata": {
            "signature_severity": ["Critical"],
            "cve": ["2021_45046", "CVE_2021_44228"],
            "mitre_technique_id": ["T1190"],
            "mitre_tactic_id": ["TA0001"],
            "created_at": ["2021_12_11"],
        },
        "references": ["https://example.com/advisory"],
    },
    "http": {
        "hostname": "www.Example.com",
        "http_port": 8080,
        "url": "/a?b=c",
        "http_method": "POST",
        "status": 200,
        "xff": "203.0.113.9",
    },
    "files": [
        {"filename": "/tmp/payload.exe", "sha256": "a" * 64},
        {"filename": "/", "md5": "B" * 32},
    ],
    "app_proto": "http",
    "flow": {"start": "2023-09-18T06:13:33.324862+0200"},
    "host": "sensor-1",
}


def one(alert: dict[str, Any], **options: Any) -> Report:
    (found,) = reports(read(lines(alert, alert)[: len(lines(alert))], "suricata", **options))
    return found


def changed(**inner: Any) -> dict[str, Any]:
    return {**ALERT, "alert": {**ALERT["alert"], **inner}}


def values(report: Report, kind: str) -> list[str]:
    found = (report.metadata or {}).get("indicators", [])
    return [item["value"] for item in found if item["type"] == kind]


def test_mapping() -> None:
    found = one(ALERT)
    assert found.threat_id.startswith("suricata:")
    assert found.severity is Severity.CRITICAL
    assert found.source == "sensor-1"
    assert found.observed_at == 1_695_010_421_532
    assert found.content == (
        "EXAMPLE EXPLOIT of a logger (CVE-2021-44228)\n"
        "TCP 198.51.100.7:50096 -> [2001:0db8::0010]:8080 (http)\n"
        "HTTP POST http://www.Example.com:8080/a?b=c"
    )
    metadata = dict(found.metadata or {})
    assert metadata.pop("raw") == json.dumps(ALERT)[:256]
    assert metadata == {
        "title": "EXAMPLE EXPLOIT of a logger (CVE-2021-44228)",
        "type": "alert",
        "tags": [
            "Attempted Administrator Privilege Gain",
            "CVE-2021-44228",
            "CVE-2021-45046",
            "TA0001",
            "T1190",
        ],
        "references": ["https://example.com/advisory"],
        "indicators": [
            {"type": "ipv4-addr", "value": "198.51.100.7"},
            {"type": "ipv6-addr", "value": "2001:db8::10"},
            {"type": "domain-name", "value": "www.example.com"},
            {"type": "url", "value": "http://www.Example.com:8080/a?b=c"},
            {"type": "ipv4-addr", "value": "203.0.113.9"},
            {"type": "file-name", "value": "/tmp/payload.exe"},
            {"type": "sha256", "value": "a" * 64},
            {"type": "md5", "value": "b" * 32},
            {"type": "vulnerability", "value": "CVE-2021-44228"},
            {"type": "vulnerability", "value": "CVE-2021-45046"},
        ],
        "first_observed": "2023-09-18T04:13:33.324Z",
        "last_observed": "2023-09-18T04:13:41.532Z",
        "gid": 1,
        "signature_id": 2900001,
        "rev": 3,
        "action": "blocked",
        "src_ip": "198.51.100.7",
        "src_port": 50096,
        "dest_ip": "2001:0db8::0010",
        "dest_port": 8080,
        "proto": "TCP",
        "app_proto": "http",
        "flow_id": 1959620435402694,
        "interface": "eth1",
        "community_id": "1:abc=",
        "http": {
            "http_method": "POST",
            "hostname": "www.Example.com",
            "url": "/a?b=c",
            "status": 200,
        },
    }


def test_what_fires_again_is_the_same_threat() -> None:
    again = {**ALERT, "timestamp": "2024-01-01T00:00:00+0000", "src_port": 1, "flow_id": 2}
    newer = changed(rev=4, signature="the rule was given another name")
    assert one(again).threat_id == one(ALERT).threat_id == one(newer).threat_id
    assert one(again).observed_at != one(ALERT).observed_at
    assert one(ALERT, source="another").threat_id == one(ALERT).threat_id
    others = [
        changed(signature_id=2900002),
        changed(gid=3),
        {**ALERT, "src_ip": "198.51.100.8"},
        {**ALERT, "dest_ip": "2001:db8::11"},
        {**ALERT, "host": "sensor-2"},
    ]
    assert len({one(item).threat_id for item in [ALERT, *others]}) == 6


@pytest.mark.parametrize(
    ("inner", "severity"),
    [
        ({"severity": 1}, "HIGH"),
        ({"severity": 2}, "MEDIUM"),
        ({"severity": 3}, "LOW"),
        ({"severity": 4}, "LOW"),
        ({"severity": 255}, "LOW"),
        ({"severity": "1"}, "HIGH"),
        ({"severity": 2.0}, "MEDIUM"),
        ({}, "LOW"),
        ({"severity": None}, "LOW"),
        ({"severity": 3, "metadata": {"signature_severity": ["Major"]}}, "HIGH"),
        ({"severity": 1, "metadata": {"signature_severity": "Minor"}}, "LOW"),
        ({"severity": 1, "metadata": {"signature_severity": ["Informational"]}}, "LOW"),
        ({"severity": 2, "metadata": {"signature_severity": ["Unknown"]}}, "MEDIUM"),
        ({"severity": 2, "metadata": {"signature_severity": []}}, "MEDIUM"),
        ({"severity": 2, "metadata": ["odd"]}, "MEDIUM"),
    ],
)
def test_severity(inner: dict[str, Any], severity: str) -> None:
    alert = {"signature_id": 1, "gid": 1, **inner}
    assert one({**ALERT, "alert": alert}).severity == severity


@pytest.mark.parametrize("stated", [0, 256, -1, "worst", True, [1], {"a": 1}, 1e300])
def test_a_severity_that_nobody_knows_is_no_guess(stated: Any) -> None:
    (reason,) = reasons(read(lines(changed(severity=stated, metadata={})), "suricata"))
    assert "severity" in reason
    assert "line 1" in reason


def test_a_bad_record_names_its_threat() -> None:
    (item,) = read(lines({**ALERT, "timestamp": "yesterday"}), "suricata")
    assert not isinstance(item, dict)
    assert item.threat_id == one(ALERT).threat_id
    assert "yesterday" in reasons([item])[0]


def test_other_events_are_skipped_by_type() -> None:
    data = lines(ALERT, {**ALERT, "event_type": "flow"}, {**ALERT, "event_type": "dns"}, ALERT)
    with open_feed(BytesIO(data)) as feed:
        items = list(feed)
    assert feed.format == "suricata"
    assert len(items) == 2
    assert feed.skipped == {"flow": 1, "dns": 1}


def test_a_file_without_alerts_is_recognised() -> None:
    stats = {"timestamp": "2023-09-18T06:13:41+0000", "event_type": "stats", "stats": {}}
    with open_feed(BytesIO(lines(stats, stats))) as feed:
        assert list(feed) == []
    assert (feed.format, feed.skipped) == ("suricata", {"stats": 2})


def wrapped(alert: dict[str, Any]) -> dict[str, bytes]:
    """The same alert in everything that it really comes in."""
    text = json.dumps(alert)
    hit = {"_index": "logs", "_id": "x", "_source": alert}
    bodies: dict[str, Any] = {
        "an array": [alert],
        "a page of hits": {"took": 1, "hits": {"total": 1, "hits": [hit]}},
        "a list of hits": [hit],
        "Chronicle": {"raw_logs": {"entries": [{"collection_time": "x", "data": text}]}},
        "a log shipper": {"@timestamp": "2023-01-01T00:00:00Z", "message": text},
        "Splunk": {"preview": False, "result": {"_raw": text}},
        "CloudWatch": {"messageType": "DATA_MESSAGE", "logEvents": [{"id": "1", "message": text}]},
        "a queue": {"Records": [{"body": json.dumps({"Message": text})}]},
        "a container's log": {"log": text + "\n", "stream": "stdout"},
    }
    found = {name: json.dumps(body).encode() + b"\n" for name, body in bodies.items()}
    pretty = {
        f"{name}, pretty": json.dumps(body, indent=1).encode() for name, body in bodies.items()
    }
    return {
        **found,
        **pretty,
        "pretty, one after another": json.dumps(alert, indent=2).encode() * 2,
    }


@pytest.mark.parametrize("name", list(wrapped(ALERT)))
def test_envelopes(name: str) -> None:
    with open_feed(BytesIO(wrapped(ALERT)[name])) as feed:
        items = list(feed)
    assert feed.format == "suricata"
    assert not reasons(items)
    plain = one(ALERT)
    for item in items:
        assert isinstance(item, Report)
        assert (item.threat_id, item.content) == (plain.threat_id, plain.content)
        known = {**(item.metadata or {}), "raw": ""}
        assert known == {**(plain.metadata or {}), "raw": ""}


def test_one_bad_event_in_an_envelope_is_one() -> None:
    bad = changed(severity="worst", metadata={})
    page = {"hits": {"hits": [{"_source": ALERT}, {"_source": bad}, "x", {"_source": ALERT}]}}
    for data in (lines(page), json.dumps(page, indent=1).encode()):
        items = read(data)
        assert len(reports(items)) == 2
        assert len(reasons(items)) == 2
        assert all(reason.startswith(("line 1: ", "record ")) for reason in reasons(items))


def test_network_firewall_of_aws() -> None:
    event = {key: value for key, value in ALERT.items() if key != "host"}
    record = {"firewall_name": "edge", "event_timestamp": "1695010421", "event": event}
    with open_feed(BytesIO(lines(record, record))) as feed:
        first, second = reports(feed)
    assert feed.format == "suricata"
    assert first == second
    assert first.source == "edge"


def test_versions_of_dns_and_mail() -> None:
    v1 = {"query": [{"type": "query", "rrname": "one.example.com", "rrtype": "A"}]}
    v2 = {
        "type": "answer",
        "rrname": "two.example.com",
        "answers": [{"rrname": "two.example.com", "rrtype": "A", "rdata": "203.0.113.4"}],
        "grouped": {"AAAA": ["2001:db8::4"]},
    }
    v3 = {"version": 3, "queries": [{"rrname": "three.example.com"}]}
    assert values(one({**ALERT, "http": None, "dns": v1}), "domain-name") == ["one.example.com"]
    second = one({**ALERT, "http": None, "dns": v2})
    assert values(second, "domain-name") == ["two.example.com"]
    assert "203.0.113.4" in values(second, "ipv4-addr")
    assert "2001:db8::4" in values(second, "ipv6-addr")
    assert "DNS two.example.com" in second.content
    third = one({**ALERT, "http": None, "dns": v3})
    assert (third.metadata or {})["dns"] == ["three.example.com"]
    as_list = one({**ALERT, "http": None, "dns": v1["query"]})
    assert values(as_list, "domain-name") == ["one.example.com"]
    mail = one(
        {
            **ALERT,
            "smtp": {"mail_from": "<a@Example.com>", "rcpt_to": ["<b@example.org>"]},
            "email": {
                "from": "A <c@example.net>",
                "attachment": ["x.doc"],
                "url": ["http://e.org"],
            },
        }
    )
    assert values(mail, "email-addr") == ["a@example.com", "b@example.org", "c@example.net"]
    assert "x.doc" in values(mail, "file-name")
    assert "http://e.org" in values(mail, "url")


def test_tls_and_ssh() -> None:
    tls = {
        "sni": "c2.example.net",
        "subject": "CN=c2",
        "fingerprint": ":".join(["5a"] * 20),
        "ja3": {"hash": "c" * 32},
    }
    ssh = {"client": {"software_version": "OpenSSH_9"}, "server": {}}
    found = one({**ALERT, "http": None, "tls": tls, "ssh": ssh})
    assert values(found, "sha1") == ["5a" * 20]
    assert "c2.example.net" in values(found, "domain-name")
    metadata = found.metadata or {}
    assert metadata["tls"]["ja3"] == "c" * 32
    assert metadata["ssh"] == {"client": "OpenSSH_9"}


def test_an_alert_of_hardly_anything() -> None:
    bare = {"event_type": "alert", "flow_id": 1, "timestamp": "2003-12-16T13:21:44", "alert": {}}
    found = one({**bare, "alert": {"signature_id": 0}})
    assert (found.metadata or {})["title"] == "Suricata alert 1:0"
    assert found.severity is Severity.LOW
    assert found.source == "suricata"
    assert reasons(read(lines({**bare, "alert": None}), "suricata"))


def test_any_value_anywhere() -> None:
    for data in variants(500, ALERT):
        read_safely(data, "suricata")


def test_both_ways_of_decoding_agree() -> None:
    for record in (ALERT, json.loads(Suricata.example.split(b"\n")[0])):
        line = json.dumps(record).encode()
        straight, around = decode(line), lenient(record)
        straight.line = around.line
        assert straight == around


def test_a_record_larger_than_the_sample_is_recognised() -> None:
    big = {**ALERT, "payload": base64.b64encode(bytes(90_000)).decode()}
    with open_feed(BytesIO(lines(big, ALERT))) as feed:
        assert len(reports(feed)) == 2
    assert feed.format == "suricata"


def test_a_fingerprint_of_ones_own() -> None:
    by_rule = one(ALERT, fingerprint=("alert.signature_id",))
    other = one({**ALERT, "src_ip": "203.0.113.77"}, fingerprint=("alert.signature_id",))
    assert by_rule.threat_id == other.threat_id
    assert by_rule.threat_id != one(ALERT).threat_id


def test_promises() -> None:
    check_format(Suricata(), *wrapped(ALERT).values())


@pytest.mark.parametrize(
    ("name", "alerts", "skipped"),
    [
        ("honeypot-2018-alerts.json", 44, 0),
        ("honeypot-2018-eve.json", 44, 0),
        ("first-org-conf-2015-alerts.json", 136, 0),
        ("first-org-conf-2015-eve.json", 136, 0),
        ("chronicle-mixed-eve.json", 3, 10),
        ("chronicle-raw-wrapper.json", 3, 10),
    ],
)
def test_real_events(name: str, alerts: int, skipped: int) -> None:
    with open_feed(real_data("suricata", name)) as feed:
        found = reports(feed)
    assert feed.format == "suricata"
    assert (len(found), feed.skipped.total()) == (alerts, skipped)
    assert all((report.metadata or {})["title"] for report in found)


def test_real_severities() -> None:
    found = reports(read(real_data("suricata", "first-org-conf-2015-eve.json")))
    counts = [sum(one.severity == word for one in found) for word in ("HIGH", "MEDIUM", "LOW")]
    assert counts == [71, 42, 23]


def test_the_two_forms_of_real_events_are_the_same() -> None:
    array = reports(read(real_data("suricata", "honeypot-2018-alerts.json")))
    rows = reports(read(real_data("suricata", "honeypot-2018-eve.json")))
    assert array == rows
