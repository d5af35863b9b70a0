"""Claims through HTTP: one threat, one holder, whoever asks at the same moment."""

from __future__ import annotations

import asyncio

from periscope.access import Limits
from periscope.shapes import ClaimDocument, Next, Released
from tests.api.conftest import Served
from tests.api.support import fits, put, refused, to_level_two

ANN, BOB = {"analyst_id": "ann"}, {"analyst_id": "bob"}


async def test_a_claim_is_given_and_given_back(served: Served) -> None:
    await put(served, "t")
    client = await served.key("act", "read")
    got = fits(await client.post("/v1/threats/t/claim", json={**ANN, "lease_s": 60}), ClaimDocument)
    shown = (await client.get("/v1/threats/t")).json()
    assert shown["desk"]["claim"] == got
    body = {**ANN, "token": got["token"], "request_id": "r1"}
    given_back = fits(await client.post("/v1/threats/t/release", json=body), Released)
    assert given_back == {"released": "t", "analyst_id": "ann"}
    again = await client.post("/v1/threats/t/release", json=body)
    assert fits(again, Released) == given_back
    late = await client.post("/v1/threats/t/release", json={**body, "request_id": "r2"})
    refused(late, 409, "claim-lost")


async def test_two_analysts_race_for_a_threat(served: Served) -> None:
    for number in range(10):
        await put(served, f"t{number}")
        path = f"/v1/threats/t{number}/claim"
        answers = await asyncio.gather(
            *(served.admin.post(path, json={"analyst_id": who}) for who in ("ann", "bob"))
        )
        assert sorted(one.status_code for one in answers) == [200, 409]
        won, lost = sorted(answers, key=lambda one: one.status_code)
        assert won.json()["analyst_id"] in refused(lost, 409, "claimed")


async def test_a_claim_is_taken_over(served: Served) -> None:
    await put(served, "t")
    first = await served.admin.post("/v1/threats/t/claim", json=ANN)
    body = {**BOB, "take_over": True}
    second = fits(await served.admin.post("/v1/threats/t/claim", json=body), ClaimDocument)
    assert second["analyst_id"] == "bob"
    assert second["token"] > first.json()["token"]


async def test_what_cannot_be_claimed(served: Served) -> None:
    await put(served, "t")
    client = served.admin
    for lease_s in (0, -1, 2_592_001):
        body = {**ANN, "lease_s": lease_s}
        refused(await client.post("/v1/threats/t/claim", json=body), 422, "body-unfit", "lease_s")
    await to_level_two(served, "t")
    refused(await client.post("/v1/threats/t/claim", json=ANN), 409, "act-refused")


async def test_next_comes_in_rank_order_until_nothing_is_left(served: Served) -> None:
    await put(served, "low", severity="LOW")
    await put(served, "high")
    client = await served.key("act", analyst="ann")
    first = fits(await client.post("/v1/next"), Next)
    assert (first["threat"]["threat_id"], first["claim"]["threat_id"]) == ("high", "high")
    assert first["threat"]["desk"]["claim"] == first["claim"]
    other = await client.post("/v1/next", json={"severity": "HIGH"})
    assert (other.status_code, other.content) == (204, b"")
    assert fits(await client.post("/v1/next"), Next)["threat"]["threat_id"] == "low"
    assert (await client.post("/v1/next")).status_code == 204


async def test_no_two_pull_the_same(served: Served) -> None:
    ids = [f"t{number}" for number in range(20)]
    await put(served, *ids)
    answers = await asyncio.gather(
        *(served.admin.post("/v1/next", json={"analyst_id": f"a{n}"}) for n in range(24))
    )
    got = [one.json()["claim"]["threat_id"] for one in answers if one.status_code == 200]
    assert sorted(got) == sorted(ids)


async def test_the_same_request_gets_the_same_threat(served: Served) -> None:
    await put(served, "t", "u")
    headers = {"Idempotency-Key": "pull 1"}
    first = fits(await served.admin.post("/v1/next", json=ANN, headers=headers), Next)
    again = fits(await served.admin.post("/v1/next", json=ANN, headers=headers), Next)
    assert again["claim"] == first["claim"]
    other = await served.admin.post("/v1/next", json=BOB, headers=headers)
    refused(other, 409, "request-reused")
    assert (await served.admin.post("/v1/next", json=ANN)).json()["claim"] != first["claim"]


async def test_a_limited_key_pulls_what_it_sees(served: Served) -> None:
    await put(served, "theirs", severity="CRITICAL", source="edr")
    await put(served, "a", "b", source="ids")
    limits = Limits(sources=("ids",))
    client = await served.key("act", analyst="ann", limits=limits)
    got = [(await client.post("/v1/next")).json()["claim"]["threat_id"] for _ in range(2)]
    assert sorted(got) == ["a", "b"]
    assert (await client.post("/v1/next")).status_code == 204
    assert (await served.tenant.periscope.get_desk("theirs")).claim is None
