"""What is wrapped around records: arrays inside objects while streaming, and `opened`."""

from __future__ import annotations

import json
from typing import Any

import pytest

from periscope.feeds.envelopes import MOST_LAYERS, opened
from periscope.feeds.finding import Finding, shortened
from periscope.feeds.indicators import hashed, hashes_in, host, indicator, kept
from periscope.feeds.json_split import Piece, split_json
from periscope.feeds.options import ReadOptions
from periscope.intake import Intake
from periscope.models import Severity

DOCUMENTS: list[tuple[Any, list[Any]]] = [
    ({"hits": {"hits": [1, {"a": [2]}], "total": 2}}, [1, {"a": [2]}]),
    ({"took": 1, "hits": {"total": {"hits": [9]}, "hits": [1]}, "x": {"hits": [8]}}, [1]),
    ({"hits": {"hits": []}}, []),
    ({"hits": [1, 2]}, [{"hits": [1, 2]}]),
    ({"other": {"hits": [1]}}, [{"other": {"hits": [1]}}]),
    ({"a": {"hits": {"hits": [1]}}}, [{"a": {"hits": {"hits": [1]}}}]),
    ({"alerts": [1], "hits": {"hits": [2]}, "more": {"alerts": [3]}}, [1, 2]),
    ([{"hits": {"hits": [1]}}], [{"hits": {"hits": [1]}}]),
]


@pytest.mark.parametrize(("document", "expected"), DOCUMENTS)
@pytest.mark.parametrize("indent", [None, 1])
@pytest.mark.parametrize("size", [1, 7, 10_000])
def test_members_of_members(
    document: Any, expected: list[Any], indent: int | None, size: int
) -> None:
    data = json.dumps(document, indent=indent).encode()
    chunks = (data[at : at + size] for at in range(0, len(data), size))
    pieces: list[Piece] = list(split_json(chunks, 10_000, (b"alerts", b"hits.hits")))
    found = [json.loads(piece.raw) for piece in pieces if not piece.envelope]
    assert found == expected
    assert all(piece.problem is None for piece in pieces)


def is_one(record: dict[str, Any]) -> bool:
    return "mine" in record


def nested(layers: int) -> dict[str, Any]:
    record: dict[str, Any] = {"mine": 1}
    for _ in range(layers):
        record = {"detail": record}
    return record


ONE = {"mine": 1}
TEXT = json.dumps(ONE)


@pytest.mark.parametrize(
    ("wrapper", "expected"),
    [
        ({"detail": {"findings": [ONE]}}, [ONE]),
        ({"hits": {"hits": [{"_source": ONE}, "x", {"no": 1}]}}, [ONE, "x", {"no": 1}]),
        ({"_id": "x", "_source": ONE}, [{"_id": "x", **ONE}]),
        ({"Records": [{"body": json.dumps({"Message": TEXT})}]}, [ONE]),
        ({"Records": [{"body": TEXT}, {"body": "not JSON"}]}, [ONE, {"body": "not JSON"}]),
        ({"Message": json.dumps([ONE, 7])}, [ONE, 7]),
        ({"value": [], "results": [{"x": 1}], "message": TEXT}, [ONE]),
        ({"data": {"alerts": [ONE]}}, [ONE]),
        ({"data": TEXT}, [ONE]),
        ({"specversion": "1.0", "data": ONE}, [ONE]),
    ],
)
def test_what_is_wrapped_is_found_with_what_stands_beside_it(
    wrapper: dict[str, Any], expected: list[Any]
) -> None:
    assert opened(wrapper, is_one) == expected


@pytest.mark.parametrize(
    "record",
    [ONE, {"hits": [1]}, {"other": ONE}, {"data": ONE}, {"message": "{not JSON"}, {"Records": {}}],
)
def test_what_is_no_wrapper_stays_as_it_is(record: dict[str, Any]) -> None:
    assert opened(record, is_one) is None


def test_layers_are_bounded() -> None:
    assert opened(nested(MOST_LAYERS + 1), is_one) == [ONE]
    assert opened(nested(MOST_LAYERS + 2), is_one) is None
    wide = {"events": [{"events": [{"events": [{"x": 1}] * 10}] * 10}] * 10}
    assert opened(wide, is_one) is None


@pytest.mark.parametrize("text", ["", "{", "x", '{"a": 1e999}', "[" * 100_000, '"{"'])
def test_texts_that_hold_no_record_are_none(text: str) -> None:
    assert opened({"Message": text}, is_one) is None


def test_hosts_and_hashes() -> None:
    assert host("192.0.2.1:80") == {"type": "ipv4-addr", "value": "192.0.2.1"}
    assert host("[2001:DB8::1]") == {"type": "ipv6-addr", "value": "2001:db8::1"}
    assert host("Www.Example.com.:443") == {"type": "domain-name", "value": "www.example.com"}
    for value in ("localhost", "", "a b.com", "x" * 400 + ".com", None, 5, "example.com:http"):
        assert host(value) is None
    assert hashed("AA:" * 19 + "AA") == {"type": "sha1", "value": "aa" * 20}
    assert hashed("zz") is None
    assert hashes_in(f"MD5={'a' * 32},IMPHASH={'b' * 32}") == [{"type": "md5", "value": "a" * 32}]
    assert indicator("url", "http://example.com/\x00") is None
    assert indicator("url", "http://example.com/ä") is not None


def test_what_is_kept_fits_into_a_report() -> None:
    urls = [indicator("url", f"http://example.com/{n}/{'x' * 1000}") for n in range(300)]
    found = kept(urls)
    assert found["indicators_total"] == 300
    assert 10 < len(found["indicators"]) < 30
    assert len(kept(urls[:2])["indicators"]) == 2
    short = kept(indicator("domain-name", f"h{n}.example.com") for n in range(300))
    assert (len(short["indicators"]), short["indicators_total"]) == (200, 300)


def test_any_script_fits() -> None:
    assert shortened("a" * 10, 40) == "a" * 10
    assert len(shortened("\U0001f4a5" * 100_000, 1001).encode()) == 1000
    finding = Finding(
        threat_id="x",
        title="\U0001f4a5" * 600,
        content="\U0001f4a5" * 100_000,
        severity=Severity.LOW,
        source="\U0001f4a5" * 600,
        type="alert",
        raw={"a": "\U0001f4a5" * 10_000},
    )
    packed, rejected = Intake(bytes(16)).prepare([finding.report(ReadOptions())], 0)
    assert packed
    assert not rejected
