"""What analysts do through HTTP: each act, its refusals, its id, and who acts."""

from __future__ import annotations

import asyncio
from typing import Any
from urllib.parse import quote

import httpx
import pytest

from periscope import Periscope
from periscope.shapes import ActDone, RecallDone, UndoDone
from tests.api.conftest import Served
from tests.api.support import fits, put, refused, to_level_two
from tests.support.nodes import wait_until

BY_ANN = {"analyst_id": "ann"}


async def act(client: httpx.AsyncClient, what: str, threat_id: str = "t", **body: Any) -> Any:
    return await client.post(f"/v1/threats/{threat_id}/{what}", json={**BY_ANN, **body})


async def test_each_act_answers_the_threat_right_after_it(served: Served) -> None:
    await put(served, "t", "u")
    client = await served.key("act")
    done = fits(await act(client, "comment", text="a word"), ActDone)
    assert (done["act"], done["threat_id"], done["analyst_id"]) == ("comment", "t", "ann")
    done = fits(await act(client, "snooze", for_s=3600, note="later"), ActDone)
    assert done["threat"]["status"] == "snoozed"
    assert done["threat"]["snoozed_until_ms"] - done["threat"]["as_of_ms"] == 3_600_000
    done = fits(await act(client, "reopen"), ActDone)
    assert done["threat"]["status"] == "open"
    done = fits(await act(client, "decide", outcome="duplicate", duplicate_of="u"), ActDone)
    assert (done["threat"]["status"], done["threat"]["outcome"]) == ("closed", "duplicate")


async def test_a_snooze_ends_in_exactly_one_way(served: Served) -> None:
    await put(served, "t")
    client = served.admin
    done = fits(await act(client, "snooze", until="2036-01-01T00:00:00+01:00"), ActDone)
    assert done["threat"]["snoozed_until"] == "2035-12-31T23:00:00.000Z"
    assert (
        fits(await act(client, "snooze", until_worse=True), ActDone)["threat"]["snoozed_until"]
        is None
    )
    wrong: list[dict[str, Any]] = [{}, {"for_s": 1, "until_worse": True}]
    for body in wrong:
        refused(await act(client, "snooze", **body), 422, "body-unfit", "until")
    refused(await act(client, "snooze", until="2036-01-01T00:00:00"), 422, "body-unfit", "until")
    refused(await act(client, "snooze", until="2001-01-01T00:00:00Z"), 422, "snooze-end")


async def test_a_recall_says_whence(served: Served) -> None:
    await put(served, "t")
    await to_level_two(served, "t")
    done = fits(await act(served.admin, "recall"), RecallDone)
    assert (done["from_level"], done["threat"]["level"]) == (2, 1)


async def test_an_act_is_taken_back_once(served: Served) -> None:
    await put(served, "t")
    done = fits(await act(served.admin, "decide", outcome="inconclusive"), ActDone)
    body = {**BY_ANN, "interaction_id": done["interaction_id"]}
    undone = fits(await served.admin.post("/v1/undo", json=body), UndoDone)
    assert (undone["undone"], undone["threat"]["status"]) == (done["interaction_id"], "open")
    again = fits(await served.admin.post("/v1/undo", json=body), UndoDone)
    assert again["threat"]["revision"] == undone["threat"]["revision"]
    other = await served.admin.post("/v1/undo", json={**body, "analyst_id": "bob"})
    assert other.status_code == 409
    refused(
        await served.admin.post("/v1/undo", json={**body, "interaction_id": "none"}),
        404,
        "threat-unknown",
    )


@pytest.mark.parametrize(
    ("what", "body", "status", "kind", "field"),
    [
        ("decide", {"outcome": "nonsense"}, 422, "body-unfit", "outcome"),
        ("decide", {}, 422, "body-unfit", "outcome"),
        ("decide", {"outcome": "duplicate"}, 422, "act-invalid", "duplicate_of"),
        ("comment", {"text": ""}, 422, "act-invalid", "text"),
        ("comment", {"text": "x" * 16_385}, 422, "act-invalid", "text"),
        ("comment", {"text": "x", "level": 3}, 422, "body-unfit", "level"),
        ("comment", {"text": 7}, 422, "body-unfit", "text"),
        ("comment", {"text": "x", "analyst_id": "a\r\nb"}, 422, "act-invalid", "analyst_id"),
        ("comment", {"text": "x", "request_id": ""}, 422, "act-invalid", "interaction_id"),
        ("comment", {"text": "x", "analyst_id": None}, 422, "analyst-missing", "analyst_id"),
        ("reopen", {"note": "x" * 16_385}, 422, "act-invalid", "note"),
    ],
)
async def test_what_is_wrong_is_said(
    served: Served, what: str, body: dict[str, Any], status: int, kind: str, field: str
) -> None:
    await put(served, "t")
    refused(await act(served.admin, what, **body), status, kind, field)


async def test_a_threat_that_is_not_there(served: Served) -> None:
    for what in ("reopen", "recall", "claim"):
        refused(await act(served.admin, what, "nobody"), 404, "threat-unknown")
    refused(await act(served.admin, "reopen", "%FF"), 404, "threat-unknown")


async def test_the_same_id_again_changes_nothing(served: Served) -> None:
    await put(served, "t", "u")
    client, headers = served.admin, {"Idempotency-Key": "k1"}
    body = {**BY_ANN, "text": "once"}
    first = await client.post("/v1/threats/t/comment", json=body, headers=headers)
    again = await client.post("/v1/threats/t/comment", json=body, headers=headers)
    assert first.json()["interaction_id"] == again.json()["interaction_id"] == "k1"
    same = {**body, "request_id": "k1"}
    assert (await client.post("/v1/threats/t/comment", json=same, headers=headers)).is_success
    other = await client.post("/v1/threats/t/reopen", json=BY_ANN, headers=headers)
    refused(other, 409, "request-reused")
    elsewhere = await client.post("/v1/threats/u/comment", json=body, headers=headers)
    refused(elsewhere, 409, "request-reused")
    two = {**body, "request_id": "k2"}
    refused(
        await client.post("/v1/threats/t/comment", json=two, headers=headers),
        *(422, "idempotency-key-unfit", "Idempotency-Key"),
    )
    trail = await served.tenant.periscope.get_recent_audit()
    assert [one.action for one in trail if one.threat_id == "t"] == ["comment"]


async def test_a_key_that_stands_for_an_analyst_acts_as_nobody_else(served: Served) -> None:
    await put(served, "t")
    client = await served.key("act", analyst="ann")
    done = await client.post("/v1/threats/t/reopen")
    assert fits(done, ActDone)["analyst_id"] == "ann"
    assert (await act(client, "reopen")).json()["analyst_id"] == "ann"
    refused(await act(client, "reopen", analyst_id="bob"), 403, "forbidden")
    interaction = {"threat_id": "t", "action": "view", "analyst_id": "bob"}
    refused(await client.post("/v1/interactions", json=interaction), 403, "forbidden")


async def test_acts_need_their_scope(served: Served) -> None:
    await put(served, "t")
    client = await served.key("read", "ingest")
    refused(await act(client, "reopen"), 403, "forbidden")
    refused(await act(served.client(None), "reopen"), 401, "unauthenticated")


async def test_a_decision_of_what_another_holds_is_refused(served: Served) -> None:
    await put(served, "t")
    assert (await act(served.admin, "claim", analyst_id="bob")).is_success
    detail = refused(await act(served.admin, "decide", outcome="inconclusive"), 409, "claimed")
    assert "'bob'" in detail


@pytest.mark.parametrize(
    "threat_id",
    [
        "a/b",
        "a\r\nb",
        "a\0b",
        "\U0001f575/\u202e",
        "100%",
        "lookup",
        "{x}:*",
        "../..",
        "a?b=c#d",
        " ",
    ],
)
async def test_ids_of_any_text_in_a_path(served: Served, threat_id: str) -> None:
    await put(served, threat_id)
    path = "/v1/threats/" + quote(threat_id, safe="").replace(".", "%2E")
    shown = await served.admin.get(path)
    assert shown.json()["threat_id"] == threat_id
    done = await served.admin.post(f"{path}/comment", json={**BY_ANN, "text": "seen"})
    assert fits(done, ActDone)["threat_id"] == threat_id
    assert (await served.admin.get(f"{path}/history")).json()["items"][0]["threat_id"] == threat_id
    assert (await served.admin.get(f"{path}/interactions")).json()["threat_id"] == threat_id


async def test_acts_that_come_together_travel_together(served: Served) -> None:
    ids = [f"t{number}" for number in range(50)]
    await put(served, *ids)
    p = served.tenant.periscope

    server = p.functions.connections.client
    bodies = [{"threat_id": one, "analyst_id": "ann", "action": "view"} for one in ids]
    async with served.client(served.secret, limits=httpx.Limits(max_connections=50)) as client:
        before = await chunks_of_acts(p)
        await server.client_pause(60_000, all=False)
        posts = [asyncio.create_task(client.post("/v1/interactions", json=one)) for one in bodies]

        async def all_are_in_hand() -> bool:
            return served.service._app._in_hand == len(ids)

        await wait_until(all_are_in_hand, "all requests are in hand")
        await server.client_unpause()
        answers = await asyncio.gather(*posts)
    assert await chunks_of_acts(p) - before <= 10
    assert [fits(one, ActDone)["threat_id"] for one in answers] == ids


async def chunks_of_acts(p: Periscope) -> int:
    """How many calls have written something: each leaves one entry in the audit stream."""
    return int(await p.functions.connections.client.xlen(p.keyspace.partitions[0].audit))
