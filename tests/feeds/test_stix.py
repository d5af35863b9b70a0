"""STIX: bundles, arrays and single objects; authors, markings, severity, what is skipped."""

from __future__ import annotations

import json
from collections import Counter
from io import BytesIO
from typing import Any

import pytest

from periscope.feeds import open_feed
from periscope.models import Severity, Unreadable
from tests.feeds.support import SAMPLES, Pipe, read, real_data, reasons, reports, taken

SAMPLE = SAMPLES / "stix-sample.json"
UUID = "c71482c1-f09c-50fc-a797-878a5aff53ad"
RED = "marking-definition--5e57c739-391a-4eb3-b6be-7d15ca92d5ed"
GREEN2 = "marking-definition--bab4a63c-aed9-4cf5-a766-dfca5abac2bb"
OWN = f"marking-definition--{UUID}"
AUTHOR = f"identity--{UUID}"
TIMES = {"created": "2020-01-01T00:00:00.000Z", "modified": "2020-01-02T00:00:00.5Z"}
MODIFIED_MS = 1_577_923_200_500


def stix(kind: str = "indicator", **more: Any) -> dict[str, Any]:
    return {"type": kind, "spec_version": "2.1", "id": f"{kind}--{UUID}", **TIMES, **more}


def bundle(*objects: object) -> bytes:
    return json.dumps({"type": "bundle", "id": f"bundle--{UUID}", "objects": objects}).encode()


def only(*objects: object, **options: Any) -> Any:
    (item,) = read(bundle(*objects), **options)
    return item


def test_mapping() -> None:
    author = {**stix("identity"), "name": "Franistan"}
    report = only(
        stix(
            "malware",
            name="Zed",
            description="A worm",
            labels=["worm"],
            malware_types=["worm", "bot"],
            kill_chain_phases=[{"kill_chain_name": "mitre-attack", "phase_name": "impact"}],
            external_references=[
                {"source_name": "mitre-attack", "external_id": "S0001", "url": "https://a.example"},
                {"source_name": "blog", "external_id": "x-1"},
            ],
            created_by_ref=AUTHOR,
            object_marking_refs=[GREEN2, RED],
            first_seen="2019-05-05T00:00:00Z",
            confidence=80,
        ),
        author,
    )
    assert (report.threat_id, report.content) == (f"malware--{UUID}", "A worm")
    assert (report.source, report.observed_at) == ("Franistan", MODIFIED_MS)
    assert report.severity is Severity.HIGH
    assert report.metadata.pop("raw").startswith('{"type":"malware","spec_version":"2.1"')
    assert report.metadata == {
        "title": "Zed",
        "type": "malware",
        "tags": ["worm", "bot", "impact", "S0001"],
        "tlp": "RED",
        "references": ["https://a.example", "x-1"],
        "first_observed": "2019-05-05T00:00:00Z",
        "confidence": 80,
    }


def test_content_falls_back() -> None:
    assert only(stix(name="n", pattern="[p]")).content == "n"
    nameless = only(stix(pattern="[p]"))
    assert nameless.content == nameless.metadata["title"] == nameless.metadata["pattern"] == "[p]"
    assert only(stix()).content == f"indicator--{UUID}"
    assert only(stix()).source == "stix"


@pytest.mark.parametrize(
    ("marking", "tlp"),
    [
        ({"definition_type": "tlp", "definition": {"tlp": "white"}}, "CLEAR"),
        ({"definition": {"tlp": "TLP:AMBER+STRICT"}}, "AMBER+STRICT"),
        ({"extensions": {"extension-definition--x": {"tlp_2_0": "green"}}}, "GREEN"),
        ({"definition_type": "statement", "definition": {"statement": "c"}}, None),
        ({"definition": {"tlp": "pink"}}, None),
    ],
)
@pytest.mark.parametrize("later", [True, False])
def test_tlp_of_own_markings(marking: dict[str, Any], tlp: str | None, *, later: bool) -> None:
    defined = {"type": "marking-definition", "id": OWN, "created": TIMES["created"], **marking}
    objects = [stix(object_marking_refs=[OWN]), defined]
    report = only(*(objects if later else reversed(objects)))
    assert report.metadata.get("tlp") == tlp


@pytest.mark.parametrize(
    ("found", "severity"),
    [
        (stix("malware"), "HIGH"),
        (stix("indicator"), "MEDIUM"),
        (stix("tool"), "LOW"),
        (stix("malware", confidence=10), "MEDIUM"),
        (stix("tool", confidence=0), "LOW"),
        (stix("malware", confidence=30), "HIGH"),
        (stix("indicator", x_opencti_score=90), "CRITICAL"),
        (stix("indicator", extensions={"e": {"score": 35}}), "MEDIUM"),
        (stix("malware", x_opencti_score=5), "LOW"),
        (stix("malware", x_opencti_score=500), "HIGH"),
        (stix("attack-pattern", x_capec_typical_severity="Very High"), "CRITICAL"),
        (stix("attack-pattern", x_capec_typical_severity="Low"), "LOW"),
    ],
)
def test_severity(found: dict[str, Any], severity: str) -> None:
    assert only(found).severity is Severity(severity)


def test_skipped_objects_are_counted() -> None:
    objects = [
        stix(revoked=True),
        stix(revoked="True"),
        stix(revoked="False"),
        stix("attack-pattern", x_mitre_deprecated=True),
        stix("relationship"),
        stix("identity", name="i"),
        {"type": "ipv4-addr", "id": f"ipv4-addr--{UUID}", "value": "192.0.2.1"},
    ]
    with open_feed(BytesIO(bundle(*objects))) as feed:
        assert len(reports(list(feed))) == 1
    assert feed.skipped == Counter(
        {"revoked": 2, "deprecated": 1, "relationship": 1, "identity": 1, "ipv4-addr": 1}
    )
    assert feed.read == 7


def test_reasons_to_skip_are_bounded() -> None:
    objects = [{"type": f"x-{n}", "id": f"x-{n}--{UUID}"} for n in range(1000)]
    with open_feed(BytesIO(bundle(*objects))) as feed:
        assert list(feed) == []
    assert len(feed.skipped) <= 101
    assert feed.skipped.total() == feed.read == 1000


@pytest.mark.parametrize(
    ("found", "words"),
    [
        ({"id": f"indicator--{UUID}"}, "no type"),
        ({"type": "indicator"}, "without an id"),
        ({**stix(), "id": "indicator--7"}, "does not fit type"),
        ({**stix(), "id": f"malware--{UUID}"}, "does not fit type"),
        ({**stix(), "modified": "2019-01-01T00:00:00Z"}, "modified lies before created"),
        ({**stix(), "modified": "never"}, "modified 'never' is not a time"),
        ({**stix(), "created": 3}, "created 3 is not a time"),
        ({**stix(), "valid_until": "x"}, "valid_until 'x' is not a time"),
        (
            {"type": "indicator", "id": f"indicator--{UUID}", "created": TIMES["created"]},
            "is missing",
        ),
        (["list"], "a list instead of a STIX object"),
    ],
)
def test_invalid_objects(found: Any, words: str) -> None:
    items = read(bundle(stix("tool"), found, stix("malware")), "stix")
    assert len(reports(items)) == 2
    (bad,) = (item for item in items if isinstance(item, Unreadable))
    assert bad.reason.startswith("record 2 (byte ")
    assert words in bad.reason
    assert bad.threat_id == (found.get("id") if isinstance(found, dict) else None)


def test_every_shape_gives_the_same_reports() -> None:
    objects = [
        stix("malware", created_by_ref=AUTHOR),
        stix("tool"),
        {**stix("identity"), "name": "A"},
    ]
    expected = read(bundle(*objects))
    assert len(expected) == 2
    shapes = [
        json.dumps(objects).encode(),
        b"\n".join(json.dumps(one, indent=1).encode() for one in objects),
        json.dumps(
            {"objects": objects, "id": f"bundle--{UUID}", "type": "bundle"}, indent=3
        ).encode(),
        b"\xef\xbb\xbf" + bundle(objects[0]) + bundle(*objects[1:]),
        json.dumps({"more": False, "objects": objects}).encode(),
    ]
    for shape in shapes:
        assert read(shape) == expected
        assert read(Pipe(shape)) == expected


def test_bundles_without_objects() -> None:
    assert read(b'{"type": "bundle", "id": "bundle--x", "objects": []}') == []
    empty = {"type": "bundle", "id": f"bundle--{UUID}"}
    with open_feed(BytesIO(json.dumps(empty).encode())) as feed:
        assert list(feed) == []
    assert feed.skipped == Counter({"bundle without objects": 1})
    (reason,) = reasons(read(json.dumps({**empty, "objects": {"0": 1}}).encode()))
    assert "objects is an object" in reason


def test_the_sample() -> None:
    with open_feed(SAMPLE) as feed:
        items = list(feed)
    assert feed.format == "stix"
    assert feed.bytes_read == feed.bytes_total
    assert feed.skipped == Counter({"identity": 1, "marking-definition": 1})
    assert len(items) == len(reports(items)) == 12
    assert {report.source for report in reports(items)} == {"TweetFeed"}, "named at the end"
    assert {(report.metadata or {})["tlp"] for report in reports(items)} == {"CLEAR"}


def test_real_bundles() -> None:
    for path in sorted(real_data("stix").iterdir()):
        items = read(path)
        assert not reasons(items), path.name
        assert items == read(path)


def test_a_bundle_cut_short() -> None:
    data = SAMPLE.read_bytes()
    items = read(data[: len(data) // 2])
    assert reports(items)
    assert len(reasons(items)) == 1


@pytest.mark.parametrize(
    ("found", "severity"),
    [
        (stix("vulnerability", x_opencti_cvss_base_score=9.8, x_opencti_score=10), "CRITICAL"),
        (stix("vulnerability", x_opencti_cvss_base_severity="HIGH"), "HIGH"),
        (stix("indicator", x_opencti_score="61"), "HIGH"),
        (stix("indicator", severity="critical"), "CRITICAL"),
        (stix("indicator", severity="purple", x_severity=3), "MEDIUM"),
        (stix("incident", severity="low"), "LOW"),
        (stix("incident"), "HIGH"),
        (stix("infrastructure"), "MEDIUM"),
    ],
)
def test_severity_that_is_stated(found: dict[str, Any], severity: str) -> None:
    assert only(found).severity is Severity(severity)


def test_what_relationships_and_reports_say() -> None:
    def at(number: int, kind: str, **more: Any) -> dict[str, Any]:
        return {**stix(kind, **more), "id": f"{kind}--{UUID[:-2]}{number:02}"}

    def to(
        source: dict[str, Any], word: str, target: dict[str, Any], number: int
    ) -> dict[str, Any]:
        ends = {"source_ref": source["id"], "target_ref": target["id"]}
        return at(number, "relationship", relationship_type=word, **ends)

    indicator = at(1, "indicator", pattern="[url:value = 'http://a.example/']")
    malware, bank = at(2, "malware", name="Zed"), at(3, "identity", name="B", sectors=["finance"])
    technique = at(4, "attack-pattern", name="Phish", external_references=[
        {"source_name": "mitre-attack", "external_id": "T1566"}])  # fmt: skip
    host = {"type": "ipv4-addr", "id": f"ipv4-addr--{UUID}", "value": "192.0.2.8"}
    relays = at(5, "infrastructure", name="Relays")
    refs = [one["id"] for one in (indicator, malware, technique, host)] + [5, None, "gone"]
    report = at(6, "report", name="R", object_refs=refs)
    links = [to(indicator, "indicates", malware, 7), to(malware, "targets", bank, 8),
             to(relays, "consists-of", host, 9)]  # fmt: skip
    objects = [report, *links, relays, host, technique, bank, malware, indicator]
    found = {(item.metadata or {})["type"]: item.metadata or {} for item in reports(
        read(bundle(*objects)))}  # fmt: skip
    assert found["indicator"]["tags"] == ["Zed"]
    assert found["malware"]["industry"] == ["finance"]
    assert found["infrastructure"]["indicators"] == [{"type": "ipv4-addr", "value": "192.0.2.8"}]
    assert found["report"]["tags"] == ["Zed", "T1566"]
    assert [one["value"] for one in found["report"]["indicators"]] == [
        "http://a.example/",
        "192.0.2.8",
    ]


def test_the_sectors_of_the_author_count_where_there_are_no_others() -> None:
    author = {**stix("identity"), "name": "Bank", "sectors": ["financial-services"]}
    assert only(stix(created_by_ref=AUTHOR), author).metadata["industry"] == ["financial-services"]
    sector = {**stix("identity"), "name": "Energy", "identity_class": "class"}
    assert only(stix(created_by_ref=AUTHOR), sector).metadata["industry"] == ["Energy"]


def test_a_long_name_of_an_author_is_cut() -> None:
    author = {**stix("identity"), "name": "\u6e90" * 300}
    (report,) = taken(read(bundle(stix(created_by_ref=AUTHOR), author)))
    assert report.source == "\u6e90" * 64


def test_granular_markings_and_labels_never_lower_the_tlp() -> None:
    granular = [{"marking_ref": RED, "selectors": ["name"]}, {"lang": "en"}, "x"]
    marked = stix(object_marking_refs=[GREEN2], granular_markings=granular)
    assert only(marked).metadata["tlp"] == "RED"
    assert (
        only(stix(labels=["tlp:amber", 5], object_marking_refs=[GREEN2])).metadata["tlp"] == "AMBER"
    )
    assert "tlp" not in only(stix(labels=["amber"])).metadata


@pytest.mark.parametrize(
    "marking", [{"name": "TLP:AMBER"}, {"definition": {"statement": "tlp:amber"}}]
)
def test_tlp_in_words(marking: dict[str, Any]) -> None:
    defined = {"type": "marking-definition", "id": OWN, "created": TIMES["created"], **marking}
    assert only(stix(object_marking_refs=[OWN]), defined).metadata["tlp"] == "AMBER"


def test_patterns_of_other_languages_give_no_indicators() -> None:
    pattern = "rule x { strings: $a = '[url:value = 'http://a.example']' }"
    assert "indicators" not in only(stix(pattern=pattern, pattern_type="yara")).metadata
    found = only(stix(pattern="[url:value = 'http://a.example/']", pattern_type="stix"))
    assert found.metadata["indicators"] == [{"type": "url", "value": "http://a.example/"}]


def test_a_pattern_of_thousands_of_values_stays_within_bounds() -> None:
    tests = " OR ".join(f"url:value = 'http://a.example/{'x' * 400}{n}'" for n in range(3000))
    report = only(stix(pattern=f"[{tests}]"))
    assert report.metadata["indicators_total"] == 3000
    assert 50 < len(report.metadata["indicators"]) <= 200
    assert len(json.dumps(report.metadata)) < 64 * 1024
    assert len(report.metadata["pattern"]) == 4096


def test_bundles_inside_bundles() -> None:
    inner = json.loads(bundle(stix("tool", created_by_ref=AUTHOR), stix("malware"), 5))
    outer = bundle(inner, {**stix("identity"), "name": "A"})
    items = read(outer)
    assert [item.source for item in reports(items)] == ["A", "stix"]
    assert reasons(items) == ["record 1 (byte 85): a number instead of a STIX object"]
    deep: Any = inner
    for _ in range(5):
        deep = json.loads(bundle(deep))
    assert "bundles inside each other" in reasons(read(json.dumps([deep]).encode()))[0]
    assert reports(read(json.dumps([inner, inner]).encode(), "stix"))


def test_a_broken_line_costs_that_line_only() -> None:
    rows = [stix("malware", created_by_ref=AUTHOR), {**stix("identity"), "name": "A"}]
    data = b"".join(json.dumps(one).encode() + b"\n" for one in rows)
    data += b'{"type": "tool", "id"\n\n' + json.dumps(stix("tool")).encode() + b"\n"
    items = read(data)
    assert [item.source for item in reports(items)] == ["A", "stix"]
    assert reasons(items)[0].startswith("line 3: not valid JSON")


def test_a_bundle_a_line() -> None:
    author = {**stix("identity"), "name": "A"}
    rows = [bundle(stix("malware", created_by_ref=AUTHOR), stix("tool")), bundle(author)]
    items = read(b"\n".join([*rows, b'{"type": "bundle", ', bundle(stix("campaign"), 5)]))
    assert [item.source for item in reports(items)] == ["A", "stix", "stix"]
    assert [reason[:6] for reason in reasons(items)] == ["line 3", "line 4"]
    alone = read(bundle(*(stix("tool") for _ in range(1000))) + b"\n", max_record_bytes=9_000)
    assert len(reports(alone)) == 1000


@pytest.mark.parametrize(
    "page",
    ['{"more": false}', '{"objects": []}', '{"more": true, "next": "2", "objects": []}', "{}"],
)
def test_pages_without_objects(page: str) -> None:
    assert read(page.encode(), "stix") == []
    if "objects" in page:
        with open_feed(BytesIO(page.encode())) as feed:
            assert feed.format == "stix"


def test_a_first_object_larger_than_what_is_looked_at() -> None:
    long = stix("malware", description="\u6e90" * 70_000)
    for data in (bundle(long, stix("tool")), json.dumps([long]).encode()):
        with open_feed(BytesIO(data)) as feed:
            assert feed.format == "stix"
            assert reports(list(feed))


def test_every_value_in_real_patterns_is_found() -> None:
    for path in sorted(real_data("stix").iterdir()):
        for report in reports(read(path)):
            metadata = report.metadata or {}
            if " MATCHES " not in metadata.get("pattern", " MATCHES "):
                assert metadata["indicators"], metadata["pattern"]


ANYTHING: list[Any] = [
    *(None, True, -1, 1e300, "", "\u6e90" * 70_000, [], {}),
    [None, [], {}, "x", 5, {"marking_ref": []}],
    {"a": [], "b": {"score": "x"}, "0": {"type": "x-ibm-finding", "severity": 5}},
]


def test_any_field_may_hold_anything() -> None:
    whole = stix(
        "report",
        **dict.fromkeys(("name", "description", "pattern", "pattern_type"), "x"),
        **{key: ["x"] for key in ("labels", "object_refs", "sectors", "aliases")},
        **{key: [] for key in ("object_marking_refs", "granular_markings", "extensions")},
        **dict.fromkeys(("valid_from", "valid_until", "published"), TIMES["created"]),
        **dict.fromkeys(("first_seen", "last_seen"), TIMES["created"]),
        **{key: [{"source_name": "cve"}] for key in ("external_references", "kill_chain_phases")},
        **dict.fromkeys(("confidence", "x_opencti_score", "severity", "revoked"), 1),
        **dict.fromkeys(("created_by_ref", "x_capec_typical_severity"), "x"),
    )
    for kind in ("report", "observed-data", "relationship", "marking-definition", "identity"):
        for key in (*whole, "objects", "definition", "source_ref", "identity_class"):
            for value in ANYTHING:
                found = {**whole, "type": kind, "id": f"{kind}--{UUID}", key: value}
                with open_feed(BytesIO(bundle(found, stix("tool"))), format="stix") as feed:
                    items = list(feed)
                assert len(items) + feed.skipped.total() == 2, (kind, key)
                assert taken(items)[-1].threat_id == f"tool--{UUID}", (kind, key)
