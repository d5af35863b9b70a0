"""STIX: bundles, arrays and single objects; authors, markings, severity, what is skipped."""

from __future__ import annotations

import json
from collections import Counter
from io import BytesIO
from typing import Any

import pytest

from periscope.feeds import open_feed
from periscope.models import Severity, Unreadable
from tests.feeds.support import SAMPLES, Pipe, read, real_data, reasons, reports

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
