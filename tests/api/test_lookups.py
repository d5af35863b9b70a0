"""Many ids at once: lookup and seen."""

from __future__ import annotations

import time

from periscope.access import Limits
from periscope.shapes import Known, ThreatsFound
from tests.api.conftest import Served
from tests.api.support import fits, put, refused
from tests.support.history import say

IDS = Limits(sources=("ids",))


async def test_many_threats_by_id(served: Served) -> None:
    await put(served, "t", "a/b", "a\0b")
    body = {"ids": ["x", "a/b", "t", "a\0b", "x", ""]}
    found = fits(await served.admin.post("/v1/threats/lookup", json=body), ThreatsFound)
    assert [one["threat_id"] for one in found["items"]] == ["a/b", "t", "a\0b"]
    assert found["missing"] == ["x", ""]
    some = await served.admin.post("/v1/threats/lookup", json={**body, "fields": ["score"]})
    assert [list(one) for one in some.json()["items"]] == [["score"]] * 3
    none = fits(await served.admin.post("/v1/threats/lookup", json={"ids": ["x"]}), ThreatsFound)
    assert none["items"] == []


async def test_what_is_no_lookup(served: Served) -> None:
    for ids in ([], ["x"] * 1001, [7], "x"):
        answer = await served.admin.post("/v1/threats/lookup", json={"ids": ids})
        assert refused(answer, 422, "body-unfit", answer.json().get("field")).startswith("ids")
    body = {"ids": ["x"], "fields": ["x,y"]}
    answer = await served.admin.post("/v1/threats/lookup", json=body)
    refused(answer, 422, "parameters-unfit", "fields")


async def test_seen_of_a_hundred_thousand(served: Served) -> None:
    ids = [f"t{number}" for number in range(20_000)]
    await put(served, *ids, severity="LOW")
    strangers = [f"x{number}" for number in range(80_000)]
    client = await served.key("ingest")
    began = time.monotonic()
    answer = await client.post("/v1/seen", json={"ids": [*strangers, *ids], "exact": True})
    say(f"seen of 100,000 ids, 20,000 known: {time.monotonic() - began:.2f} s")
    told = answer.json()
    assert told["asked"] == 100_000
    assert sorted(one["threat_id"] for one in told["known"]) == sorted(ids)
    too_many = await client.post("/v1/seen", json={"ids": ["x"] * 100_001})
    refused(too_many, 422, "body-unfit", "ids")


async def test_seen_is_for_those_who_send_or_read(served: Served) -> None:
    await put(served, "t")
    for scope in ("ingest", "read"):
        client = await served.key(scope)
        told = fits(await client.post("/v1/seen", json={"ids": ["t", "x"]}), Known)
        assert [one["threat_id"] for one in told["known"]] == ["t"]
    refused(await (await served.key("act")).post("/v1/seen", json={"ids": []}), 403, "forbidden")


async def test_a_limited_key_finds_its_own_only(served: Served) -> None:
    await put(served, "mine", source="ids")
    await put(served, "theirs", source="edr")
    client = await served.key("read", limits=IDS)
    body = {"ids": ["mine", "theirs", "nobody"]}
    found = fits(await client.post("/v1/threats/lookup", json=body), ThreatsFound)
    assert ([one["threat_id"] for one in found["items"]], found["missing"]) == (
        ["mine"],
        ["theirs", "nobody"],
    )
    told = fits(await client.post("/v1/seen", json=body), Known)
    assert [one["threat_id"] for one in told["known"]] == ["mine"]


async def test_a_threat_of_the_name_of_a_route(served: Served) -> None:
    await put(served, "lookup")
    assert (await served.admin.get("/v1/threats/lookup")).json()["threat_id"] == "lookup"
