"""MISP: events in every wrapping, their attributes as indicators, and what is refused by name."""

from __future__ import annotations

import json
import time
from io import BytesIO
from typing import Any

import pytest

from periscope.errors import FeedError
from periscope.feeds import open_feed
from periscope.feeds.registry import by_name
from periscope.feeds.testing import check_format
from periscope.models import Report, Severity
from tests.feeds.support import lines, read, real_data, reasons, refusal, reports, taken
from tests.support.patience import PATIENCE

UUID = "5f2b9c1e-3a44-4d0e-9d15-0a8c1d2e3f40"
SHA1 = "0123456789abcdef0123456789abcdef01234567"
MD5 = "0123456789abcdef0123456789abcdef"


def attribute(kind: str, value: object, **more: Any) -> dict[str, Any]:
    return {"type": kind, "value": value, "to_ids": True, "uuid": UUID, **more}


def event(*attributes: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {
        "uuid": UUID,
        "info": "Phishing kit",
        "date": "2024-01-31",
        "timestamp": "1706688000",
        "publish_timestamp": "0",
        "threat_level_id": "2",
        "analysis": "2",
        "Orgc": {"name": "Example CERT"},
        "Attribute": list(attributes),
        **more,
    }


def only(found: dict[str, Any], **options: Any) -> Report:
    (report,) = reports(read(json.dumps({"Event": found}).encode(), **options))
    return report


def values(found: dict[str, Any]) -> list[str]:
    indicators = (only(found).metadata or {}).get("indicators", [])
    return [f"{one['type']} {one['value']}" for one in indicators]


def test_mapping() -> None:
    report = only(
        event(
            attribute("domain", "Login.example.com", comment="landing page", Tag=[{"name": "x"}]),
            attribute("link", "https://blog.example.org/1", to_ids=False),
            Tag=[
                {"name": "TLP:GREEN"},
                {"name": 'misp-galaxy:mitre-attack-pattern="Phishing - T1566.002"'},
                {"name": 'misp-galaxy:sector="Finance"'},
            ],
            Galaxy=[{"type": "threat-actor", "GalaxyCluster": [{"value": "Some Group"}]}],
            publish_timestamp="1706689000",
            extends_uuid="e",
            distribution="3",
        )
    )
    assert (report.threat_id, report.source) == (f"misp:{UUID}", "Example CERT")
    assert report.severity is Severity.MEDIUM
    assert report.observed_at == 1_706_688_000_000
    assert report.content == (
        "Phishing kit\n\nAttributes: 2 (1 domain, 1 link)\n"
        "domain: Login.example.com  (landing page)\nlink: https://blog.example.org/1"
    )
    metadata = dict(report.metadata or {})
    assert UUID in metadata.pop("raw")
    assert metadata == {
        "title": "Phishing kit",
        "type": "report",
        "tags": [
            "TLP:GREEN",
            'misp-galaxy:mitre-attack-pattern="Phishing - T1566.002"',
            'misp-galaxy:sector="Finance"',
            "x",
            "T1566.002",
            "Some Group",
        ],
        "tlp": "GREEN",
        "references": ["https://blog.example.org/1"],
        "indicators": [{"type": "domain-name", "value": "login.example.com"}],
        "first_observed": "2024-01-31T00:00:00Z",
        "industry": ["Finance"],
        "analysis": "completed",
        "published": "2024-01-31T08:16:40Z",
        "distribution": "3",
        "extends": "e",
        "attributes": 2,
    }


@pytest.mark.parametrize(
    ("kind", "value", "expected"),
    [
        ("ip-dst", "203.0.113.9", ["ipv4-addr 203.0.113.9"]),
        ("ip-src", "2001:DB8::1", ["ipv6-addr 2001:db8::1"]),
        ("ip-dst", "198.51.100.0/24", ["ipv4-addr 198.51.100.0/24"]),
        ("ip-dst|port", "203.0.113.9|443", ["ipv4-addr 203.0.113.9"]),
        ("ip-dst|port", "203.0.113.9:443", ["ipv4-addr 203.0.113.9"]),
        ("ip-dst|port", "2001:db8::1|443", ["ipv6-addr 2001:db8::1"]),
        ("hostname|port", "a.example.com|80", ["domain-name a.example.com"]),
        ("domain|ip", "a.example|192.0.2.1", ["domain-name a.example", "ipv4-addr 192.0.2.1"]),
        ("domain", "192.0.2.1", ["ipv4-addr 192.0.2.1"]),
        ("url", "http://a.example/x", ["url http://a.example/x"]),
        ("email-src", "A@example.org", ["email-addr a@example.org"]),
        ("sha1", SHA1.upper(), [f"sha1 {SHA1}"]),
        ("sha1", "abc", ["other abc"]),
        ("ssdeep", "3:a:b", ["other 3:a:b"]),
        ("filename|sha1", f"a b.exe|{SHA1}", ["file-name a b.exe", f"sha1 {SHA1}"]),
        ("filename|imphash", "a.exe|1", ["file-name a.exe", "other 1"]),
        ("malware-sample", f"a.exe|{MD5}", ["file-name a.exe", f"md5 {MD5}"]),
        ("filename", "a.exe", ["file-name a.exe"]),
        ("mutex", "Global\\x", ["mutex Global\\x"]),
        ("regkey|value", "HKLM\\Run|evil", ["registry-key HKLM\\Run"]),
        ("AS", "64500", ["asn AS64500"]),
        ("mac-address", "00:00:5E:00:53:01", ["mac-addr 00:00:5e:00:53:01"]),
        ("vulnerability", "cve-2024-12345", ["vulnerability CVE-2024-12345"]),
        ("user-agent", "curl/8", ["other curl/8"]),
        ("text", "nothing to look for", []),
        ("yara", "rule x { }", []),
        ("comment", "192.0.2.1", []),
        ("ip-dst", "no address", []),
        ("size-in-bytes", 7, []),
        (["list"], {"a": 1}, []),
    ],
)
def test_types(kind: Any, value: object, expected: list[str]) -> None:
    assert values(event(attribute(kind, value))) == expected


def test_what_is_for_detection_and_what_is_deleted() -> None:
    seen = attribute("ip-dst", "192.0.2.1", to_ids=False)
    cve = attribute("vulnerability", "CVE-2024-12345", to_ids="0")
    flagged = attribute("ip-dst", "192.0.2.2", to_ids="1")
    gone = [attribute("ip-dst", "192.0.2.3", deleted=flag) for flag in (True, "1", 1, "true")]
    there = attribute("ip-dst", "192.0.2.4", deleted="0")
    assert values(event(seen, cve, flagged, *gone, there)) == [
        *("ipv4-addr 192.0.2.2", "ipv4-addr 192.0.2.4", "vulnerability CVE-2024-12345")
    ]
    assert values(event(seen, cve)) == ["ipv4-addr 192.0.2.1", "vulnerability CVE-2024-12345"]
    parts = [
        {"name": "file", "Attribute": [attribute("md5", MD5, object_relation="md5"), *gone]},
        {"name": "pe-section", "Attribute": [attribute("md5", "f" * 32)]},
        {"name": "file", "deleted": True, "Attribute": [seen]},
        {"name": 5, "Attribute": {"type": "sha1", "value": SHA1}},
        "no object",
    ]
    found = event(Object=parts)
    assert values(found) == [f"md5 {MD5}", f"other {'f' * 32}", f"sha1 {SHA1}"]
    assert "file md5: " + MD5 in only(found).content


@pytest.mark.parametrize(
    ("tags", "tlp"),
    [
        (["tlp:white"], "CLEAR"),
        (["TLP:AMBER"], "AMBER"),
        (["tlp:amber+strict", "tlp:green"], "AMBER+STRICT"),
        (['cert-fr:TLP="clear"'], "CLEAR"),
        (["PAP:RED", "tlp:ex:chr", "tlpfoo"], None),
    ],
)
def test_tlp(tags: list[str], tlp: str | None) -> None:
    found = event(Tag=[{"name": name} for name in tags])
    assert (only(found).metadata or {}).get("tlp") == tlp
    inner = event(attribute("text", "x", Tag=tags))
    assert (only(inner).metadata or {}).get("tlp") == tlp


@pytest.mark.parametrize(
    ("level", "severity"),
    [("1", "HIGH"), (2, "MEDIUM"), ("3", "LOW"), (4, "LOW"), ("High", "HIGH"), (None, "MEDIUM"),
     ("", "MEDIUM")],
)  # fmt: skip
def test_severity(level: object, severity: str) -> None:
    assert only(event(threat_level_id=level)).severity is Severity(severity)


def test_a_severity_for_events_that_state_none() -> None:
    assert only(event(threat_level_id=None), default_severity=Severity.LOW).severity == "LOW"


@pytest.mark.parametrize("level", ["5", "0", 9, "grave", True, ["1"], {"id": "1"}])
def test_an_unknown_level_is_no_guess(level: object) -> None:
    (reason,) = reasons(read(json.dumps({"Event": event(threat_level_id=level)}).encode()))
    assert "threat_level_id" in reason
    assert "not in the severity table" in reason


def test_times() -> None:
    first = attribute("ip-dst", "192.0.2.1", first_seen="2023-05-05T10:00:00+02:00")
    last = attribute("ip-dst", "192.0.2.2", first_seen="never", last_seen="1706688000")
    metadata = only(event(first, last)).metadata or {}
    assert metadata["first_observed"] == "2023-05-05T08:00:00Z"
    assert metadata["last_observed"] == "2024-01-31T08:00:00Z"
    assert only(event(timestamp=0)).observed_at == 1_706_659_200_000
    assert only(event(timestamp=1706688001)).observed_at == 1_706_688_001_000
    (reason,) = reasons(read(json.dumps({"Event": event(timestamp="soon")}).encode()))
    assert "time 'soon' is not a time" in reason


def test_ids_without_a_uuid_are_of_what_makes_the_event() -> None:
    first = only(event(uuid="none"))
    assert first.threat_id == only(event(uuid="", timestamp="1706689999")).threat_id
    assert first.threat_id != only(event(uuid="", info="Another")).threat_id


def test_every_wrapping_gives_the_same_reports() -> None:
    first, second = event(attribute("ip-dst", "192.0.2.1")), event(uuid=UUID.replace("5", "6"))
    expected = reports(read(json.dumps([{"Event": first}, {"Event": second}]).encode()))
    assert len(expected) == 2
    wrapped = [{"Event": first}, {"Event": second}]
    shapes: list[bytes] = [
        json.dumps({"response": wrapped}, indent=1).encode(),
        json.dumps({"response": [first, second]}).encode(),
        json.dumps({"response": {"Event": [first, second]}}).encode(),
        json.dumps([first, second]).encode(),
        lines(*wrapped),
        lines(first, second),
        json.dumps(wrapped[0], indent=2).encode() + json.dumps(wrapped[1], indent=2).encode(),
        lines({"response": wrapped}, {"response": []}),
        b"\xef\xbb\xbf" + json.dumps({"response": wrapped}).encode(),
    ]
    for shape in shapes:
        with open_feed(BytesIO(shape)) as feed:
            assert feed.format == "misp", shape[:60]
            assert list(feed) == expected, shape[:60]
    for single in ({"Event": first}, {"response": {"Event": first}}, {"response": first}, first):
        assert reports(read(json.dumps(single).encode())) == expected[:1]


def test_answers_to_searches_of_attributes() -> None:
    one = attribute("sha1", SHA1, category="Payload delivery", comment="dropper",
                    timestamp="1706688000", Tag=[{"name": "tlp:red"}])  # fmt: skip
    for answer in ({"response": {"Attribute": [one, one]}}, [{"Attribute": one}] * 2):
        report = reports(read(json.dumps(answer).encode()))[1]
        metadata = report.metadata or {}
        assert report.threat_id == f"misp:{UUID}"
        assert (metadata["type"], metadata["tlp"]) == ("indicator", "RED")
        assert report.content == f"sha1: {SHA1}\ndropper\nPayload delivery"
        assert metadata["indicators"] == [{"type": "sha1", "value": SHA1}]
        assert report.severity is Severity.MEDIUM
    inside = {**one, "Event": {"info": "Kit", "threat_level_id": "1", "Orgc": {"name": "X"}}}
    (report,) = reports(read(json.dumps({"response": {"Attribute": [inside]}}).encode()))
    assert (report.severity, report.source) == (Severity.HIGH, "X")
    assert (report.metadata or {})["event"] == "Kit"


def test_attachments_cost_nothing_and_go_nowhere() -> None:
    data = "QUFB" * 250_000
    sample = attribute("malware-sample", f"a.exe|{MD5}", data=data)
    began = time.process_time()
    report = only(event(sample, attribute("attachment", "b.doc", data=data), data=data))
    assert time.process_time() - began < PATIENCE
    assert data[:40] not in json.dumps([report.content, report.metadata])


def test_a_big_event_is_recognised_and_stays_within_bounds() -> None:
    many = [attribute("url", f"http://a.example/{'y' * 300}{n}", comment="c" * 999)
            for n in range(1500)]  # fmt: skip
    data = json.dumps({"response": [{"Event": event(*many, Tag=["t" * 300] * 500)}]}).encode()
    assert len(data) > 1_500_000
    with open_feed(BytesIO(data)) as feed:
        assert feed.format == "misp"
        (report,) = reports(list(feed))
    metadata = report.metadata or {}
    assert metadata["indicators_total"] == 1500
    assert 50 < len(metadata["indicators"]) <= 200
    assert len(json.dumps(metadata)) < 64 * 1024
    assert len(report.content.encode()) <= 64 * 1024
    assert "and 1,440 more" in report.content


@pytest.mark.parametrize(
    ("found", "words"),
    [
        ({UUID: {"info": "x", "Orgc": {"name": "y"}, "timestamp": "1"}}, 'kind = "misp"'),
        ({"name": "l", "type": "cidr", "version": 1, "list": ["10.0.0.0/8"]}, "warninglist"),
        ({"name": "l", "matching_attributes": ["ip-dst"], "list": []}, "warninglist"),
        ({"Warninglists": [{"Warninglist": {"name": "x"}}]}, "warninglist"),
        ([{"SharingGroup": {"name": "x"}, "Organisation": {}}], "sharing groups"),
        ({"response": [{"SharingGroup": {"name": "x"}}]}, "sharing groups"),
        ({"name": "RAT", "type": "rat", "authors": ["x"], "values": [{"value": "y"}]}, "galaxy"),
        ([{"Galaxy": {"name": "x"}}], "galaxy"),
        ({"namespace": "tlp", "predicates": [{"value": "red"}]}, "taxonomy"),
        ([{"Feed": {"name": "x", "url": "https://feed.example.org"}}], "list of feeds"),
        ([{"uuid": UUID, "info": "x", "orgc_id": "1", "attribute_count": "2", "EventTag": []}],
         "/events/restSearch"),
    ],
)  # fmt: skip
def test_what_else_misp_writes_is_refused_by_name(found: Any, words: str) -> None:
    with pytest.raises(FeedError) as caught, open_feed(BytesIO(json.dumps(found).encode())):
        pass
    assert words in refusal(caught.value)


@pytest.mark.parametrize(
    ("found", "words"),
    [
        ({UUID[:-4] + f"{n:04}": {"info": "x" * 99, "Orgc": {"name": "y"}} for n in range(1000)},
         "manifest"),
        ({"description": "d", "list": ["a.example"] * 9000, "type": "string"}, "warninglist"),
        ({"authors": ["x"], "category": "c", "values": [{"value": "y" * 99}] * 900}, "galaxy"),
    ],
)  # fmt: skip
def test_they_may_be_larger_than_what_is_looked_at(found: Any, words: str) -> None:
    data = json.dumps(found).encode()
    assert len(data) > 64 * 1024
    with pytest.raises(FeedError) as caught, open_feed(BytesIO(data)):
        pass
    assert words in refusal(caught.value)


def test_one_stub_among_events_costs_that_one_only() -> None:
    stub = {"uuid": UUID, "info": "x", "attribute_count": "2"}
    odd: list[Any] = [5, {"Event": {}}, {"Event": 7}, {"Event": event(info=" ")}]
    items = read(json.dumps({"response": [event(), stub, *odd]}).encode(), "misp")
    assert len(reports(items)) == 1
    found = reasons(items)
    assert len(found) == 5
    assert "index of events" in found[0]
    assert "a number instead of a MISP event" in found[1]
    assert all("no info" in reason for reason in found[2:])


@pytest.mark.parametrize(
    "other",
    [
        {"Event": {"System": {"EventID": 1}, "EventData": {}}},
        {"uuid": UUID, "info": "text", "severity": "LOW", "id": "7"},
        {"response": [{"id": "1", "severity": "LOW"}]},
        {"type": "ip-dst", "value": "192.0.2.1", "id": "1", "severity": "LOW"},
        {"name": "n", "list": ["a"], "id": "1", "severity": "LOW"},
        {"id": "1", "severity": "LOW", "values": [1], "category": 3},
        {"id": "1", "severity": "LOW", "values": [{"value": 1}], "category": "x"},
    ],
)
def test_what_only_looks_alike_is_left_to_others(other: dict[str, Any]) -> None:
    with open_feed(BytesIO(json.dumps(other).encode())) as feed:
        assert feed.format != "misp"


HOSTILE: list[Any] = [
    None,
    True,
    -1,
    1e300,
    "",
    "\u6e90" * 70_000,
    [],
    [None, [], {}, "x", 5],
    {"a": []},
]


def test_any_field_may_hold_anything() -> None:
    whole = event(
        attribute("domain|ip", "a.example|192.0.2.1", Tag=[{"name": "x"}], comment="c",
                  first_seen="2024-01-01", last_seen="2024-01-01"),
        Tag=[{"name": "tlp:red"}], Galaxy=[{"type": "t", "GalaxyCluster": [{"value": "v"}]}],
        Object=[{"name": "file", "Attribute": [attribute("md5", MD5, object_relation="md5")]}],
        EventReport=[{"name": "n", "content": "c"}], extends_uuid="", distribution="1",
    )  # fmt: skip
    for value in HOSTILE:
        for key in whole:
            items = read(json.dumps({"Event": {**whole, key: value}}).encode(), "misp")
            assert len(items) == 1, key
            taken(items)
        for key in whole["Attribute"][0]:
            changed = {**whole, "Attribute": [{**whole["Attribute"][0], key: value}]}
            assert len(taken(read(json.dumps(changed).encode(), "misp"))) == 1, key
        part = {**whole, "Object": [{"name": value, "deleted": value, "Attribute": value}, value]}
        assert len(taken(read(json.dumps(part).encode(), "misp"))) == 1


def test_real_events() -> None:
    paths = [*real_data("misp").glob("*.json"), *real_data("misp", "feed").glob("*-*-*.json")]
    data = [path.read_bytes() for path in sorted(paths)]
    events = [one for one in data if b"SharingGroupOrg" not in one and b"EventTag" not in one]
    assert len(events) == 19
    found = check_format(by_name("misp"), *events)
    assert len(found) == 19
    assert {one.severity for one in found} == {"HIGH", "MEDIUM", "LOW"}
