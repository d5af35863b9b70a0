"""What is wrapped around records: arrays inside objects while streaming, and `opened`."""

from __future__ import annotations

import json
from typing import Any

import pytest

from periscope.feeds.envelopes import opened
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


def test_opened() -> None:
    one = {"mine": 1}
    text = json.dumps(one)
    assert opened(one, is_one) is None
    assert opened({"hits": [1]}, is_one) is None
    assert opened({"_id": "x", "_source": one}, is_one) == [{"_id": "x", "mine": 1}]
    assert opened({"hits": {"hits": [{"_source": one}, "x", {"no": 1}]}}, is_one) == [
        *(one, "x", {"no": 1})
    ]
    assert opened({"Records": [{"body": json.dumps({"Message": text})}]}, is_one) == [one]
    assert opened({"data": {"mine": 1}}, is_one) is None
    assert opened({"data": {"alerts": [one]}}, is_one) == [one]
    assert opened({"message": "{not json"}, is_one) is None


def test_opening_has_an_end() -> None:
    inner: dict[str, Any] = {"mine": 1}
    for _ in range(40):
        inner = {"result": inner}
    assert opened(inner, is_one) is None
    wide = {"events": [{"events": [{"events": [{"x": 1}] * 10}] * 10}] * 10}
    assert opened(wide, is_one) is None


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
