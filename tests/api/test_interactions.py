"""Interactions through HTTP: one, and many at once with exact counts."""

from __future__ import annotations

import json
from typing import Any

import pytest

from periscope.access import Limits
from periscope.shapes import ActDone, InteractionsTaken
from tests.api.conftest import Served
from tests.api.support import fits, put, refused

NDJSON = {"content-type": "application/x-ndjson"}
BATCH = "/v1/interactions/batch"


def view(threat_id: str, analyst: str | None = "ann", **more: Any) -> dict[str, Any]:
    named = {} if analyst is None else {"analyst_id": analyst}
    return {"threat_id": threat_id, "action": "view", **named, **more}


async def test_one_interaction(served: Served) -> None:
    await put(served, "t")
    body = view("t", interaction_id="i1")
    done = fits(await served.admin.post("/v1/interactions", json=body), ActDone)
    assert (done["act"], done["interaction_id"], done["threat"]["views"]) == ("view", "i1", 1)
    again = fits(await served.admin.post("/v1/interactions", json=body), ActDone)
    assert again["threat"]["views"] == 1
    other = await served.admin.post("/v1/interactions", json={**body, "action": "escalate"})
    refused(other, 409, "request-reused")
    refused(await served.admin.post("/v1/interactions", json=view("x")), 404, "threat-unknown")
    wrong = {**body, "action": "delete"}
    refused(await served.admin.post("/v1/interactions", json=wrong), 422, "body-unfit", "action")


@pytest.mark.parametrize("name", ["key:first", "KEY:first", "periscope"])
async def test_nobody_acts_under_the_name_of_a_key(served: Served, name: str) -> None:
    await put(served, "t")
    answer = await served.admin.post("/v1/interactions", json=view("t", name))
    refused(answer, 422, "body-unfit", "analyst_id")
    told = fits(await served.admin.post(BATCH, json=[view("t", name)]), InteractionsTaken)
    assert (told["recorded"], told["rejected"]) == (0, 1)


@pytest.mark.parametrize("form", ["array", "lines"])
async def test_many_with_exact_counts(served: Served, form: str) -> None:
    await put(served, "t", "u")
    items = [
        *(view("t", interaction_id=f"i{number}") for number in range(700)),
        *(view("u", interaction_id="i0"), view("x"), view("u", None), view("u", score=1), [1]),
        view("u", interaction_id="i700"),
        view("u", interaction_id="i700"),
    ]
    lines = "\n".join(map(json.dumps, items)).encode()
    for round_ in range(2):
        if form == "array":
            answer = await served.admin.post(BATCH, json=items)
        else:
            answer = await served.admin.post(BATCH, content=lines, headers=NDJSON)
        told = fits(answer, InteractionsTaken)
        assert told["received"] == len(items)
        assert told["received"] == told["recorded"] + told["repeated"] + told["rejected"]
        assert told["recorded"] == (0 if round_ else 701)
        assert [one["index"] for one in told["rejections"]] == [700, 701, 702, 703, 704]
    threat = await served.tenant.periscope.get_threat("t")
    assert threat is not None
    assert threat.views == 700


async def test_a_line_that_is_none_costs_itself(served: Served) -> None:
    await put(served, "t")
    body = b'{"threat_id":\n\n' + json.dumps(view("t")).encode() + b"\n\xff\n" + b"[" * 5000
    answer = await served.admin.post(BATCH, content=body, headers=NDJSON)
    told = fits(answer, InteractionsTaken)
    assert (told["recorded"], told["rejected"]) == (1, 3)
    assert told["rejections"][0]["reason"].startswith("line 1: not valid JSON")


async def test_a_key_that_stands_for_an_analyst(served: Served) -> None:
    await put(served, "t")
    client = await served.key("act", analyst="ann")
    items = [view("t", None), view("t"), view("t", "bob"), 7]
    told = fits(await client.post(BATCH, json=items), InteractionsTaken)
    assert (told["recorded"], told["rejected"]) == (2, 2)
    assert told["rejections"][0]["reason"] == (
        "analyst_id: you act as 'ann', and cannot act for others"
    )
    desk = await served.tenant.periscope.get_desk("t")
    assert [one.analyst_id for one in desk.acts] == ["ann"]


async def test_a_limited_key_acts_on_what_it_sees(served: Served) -> None:
    await put(served, "mine", source="ids")
    await put(served, "theirs", source="edr")
    client = await served.key("act", limits=Limits(sources=("ids",)))
    items = [view("mine"), view("theirs"), view("nobody"), 7]
    told = fits(await client.post(BATCH, json=items), InteractionsTaken)
    assert told["recorded"] == 1
    reasons = [one["reason"] for one in told["rejections"]]
    assert reasons[:2] == ["no such threat"] * 2
    one = await client.post("/v1/interactions", json=view("theirs"))
    other = await client.post("/v1/interactions", json=view("nobody"))
    assert refused(one, 404, "threat-unknown") == refused(other, 404, "threat-unknown")


@pytest.mark.parametrize(
    ("body", "headers", "status", "kind"),
    [
        (b"{}", {}, 422, "body-unfit"),
        (b"[", {}, 400, "body-unreadable"),
        (b"[" * 100_000, {}, 400, "body-unreadable"),
        (b"x", {"content-type": "text/csv"}, 415, "media-type-unknown"),
        (b"x", {"content-encoding": "br"}, 415, "encoding-unknown"),
    ],
)
async def test_bodies_that_are_none(
    served: Served, body: bytes, headers: dict[str, str], status: int, kind: str
) -> None:
    given = {"content-type": "application/json", **headers}
    answer = await served.admin.post(BATCH, content=body, headers=given)
    assert answer.status_code == status, answer.text
    assert answer.json()["type"].endswith(kind)
