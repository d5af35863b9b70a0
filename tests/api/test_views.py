"""/v1/views: saved for oneself or for all, changed by one at a time, bounded."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import httpx
import msgspec
import pytest

from periscope import StoreDamaged
from periscope.access import Limits
from periscope.client import Client, Conflict, NotFound
from periscope.console_keys import console_keys
from periscope.shapes import ViewDocument, ViewList, ViewRemoved
from periscope.views import Views, new_view
from tests.access.support import plain_client
from tests.api.conftest import Served
from tests.api.shaped import remarks, shaped

Serve = Callable[..., Awaitable[Served]]
MAIL = {"name": "Mail gateways", "query": "tag:mail", "shared": False}
KEY = console_keys("periscope").views


async def saved(client: httpx.AsyncClient, **change: Any) -> ViewDocument:
    return shaped(await client.post("/v1/views", json={**MAIL, **change}), ViewDocument, 201)


async def names(client: httpx.AsyncClient) -> list[str]:
    return [one.name for one in shaped(await client.get("/v1/views"), ViewList).items]


def body(view: ViewDocument, **change: Any) -> dict[str, Any]:
    fields = msgspec.to_builtins(view)
    return {name: fields[name] for name in ("name", "query", "shared", "revision")} | change


async def changed(client: httpx.AsyncClient, view: ViewDocument, **change: Any) -> httpx.Response:
    return await client.put(f"/v1/views/{view.id}", json=body(view, **change))


def kind(answer: httpx.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["type"].rpartition(":")[2]


async def test_saved_listed_changed_removed(served: Served) -> None:
    ann = await served.key("read", "act")
    made = await saved(ann)
    assert (made.name, made.query, made.shared) == ("Mail gateways", "tag:mail", False)
    assert made.owner.startswith("key:test-")
    assert made.changed_ms == made.revision > 1_700_000_000_000
    await saved(ann, name="alpha", query="")
    await saved(ann, name="Zulu")
    assert await names(ann) == ["alpha", "Mail gateways", "Zulu"]
    after = shaped(await changed(ann, made, name="Post", query="tag:post"), ViewDocument)
    assert (after.id, after.owner, after.name) == (made.id, made.owner, "Post")
    assert after.revision > made.revision
    found = shaped(await ann.get("/v1/views"), ViewList).items
    assert after in found
    gone = shaped(await ann.delete(f"/v1/views/{made.id}"), ViewRemoved)
    assert gone.id == made.id
    assert await names(ann) == ["alpha", "Zulu"]
    assert kind(await ann.delete(f"/v1/views/{made.id}")) == (404, "not-found")
    assert kind(await changed(ann, after)) == (404, "not-found")


async def test_two_people(served: Served) -> None:
    ann, bob = await served.key("read", "act"), await served.key("read")
    own = await saved(ann, name="own")
    shared = await saved(ann, name="shared", shared=True)
    await saved(bob, name="bob's")
    assert await names(ann) == ["own", "shared"]
    assert await names(bob) == ["bob's", "shared"]
    for client in (
        bob,
        served.admin,
    ):  # an administrator neither
        assert kind(await changed(client, own)) == (404, "not-found")
        assert kind(await client.delete(f"/v1/views/{own.id}")) == (404, "not-found")
    assert kind(await changed(bob, shared)) == (403, "forbidden")
    assert kind(await bob.delete(f"/v1/views/{shared.id}")) == (403, "forbidden")
    by_admin = shaped(await changed(served.admin, shared, name="ours"), ViewDocument)
    assert by_admin.owner == shared.owner
    hidden = shaped(await changed(ann, by_admin, shared=False), ViewDocument)
    assert await names(bob) == ["bob's"]
    assert kind(await changed(served.admin, hidden)) == (404, "not-found")
    assert len((await served.admin.get("/v1/views")).json()["items"]) == 0


async def test_to_share_needs_the_scope_act(served: Served) -> None:
    reader = await served.key("read")
    assert kind(await reader.post("/v1/views", json={**MAIL, "shared": True})) == (403, "forbidden")
    made = await saved(reader)
    assert kind(await changed(reader, made, shared=True)) == (403, "forbidden")
    assert (await changed(reader, made, name="x")).status_code == 200
    sender = await served.key("ingest")
    assert kind(await sender.get("/v1/views")) == (403, "forbidden")
    assert kind(await sender.post("/v1/views", json=MAIL)) == (403, "forbidden")


async def test_a_limited_key_has_its_own_alone(served: Served) -> None:
    await saved(served.admin, name="secret campaign", shared=True)
    shared = shaped(await served.admin.get("/v1/views"), ViewList).items[0]
    limited = await served.key("read", "act", limits=Limits(("siem",)))
    assert await names(limited) == []
    assert kind(await limited.post("/v1/views", json={**MAIL, "shared": True}))[0] == 403
    assert kind(await changed(limited, shared, shared=False)) == (404, "not-found")
    assert kind(await limited.delete(f"/v1/views/{shared.id}")) == (404, "not-found")
    made = await saved(limited)
    assert (await changed(limited, made, name="mine")).status_code == 200
    assert await names(limited) == ["mine"]


async def test_of_two_who_change_it_at_once_one_looks_again(serve: Serve) -> None:
    first, second = await serve(), await serve()
    other = second.client(first.secret)
    made = await saved(first.admin, shared=True)
    answers = await asyncio.gather(
        *(changed(client, made, name=f"by {n}") for n, client in enumerate((first.admin, other)))
    )
    assert sorted(one.status_code for one in answers) == [200, 409]
    assert [kind(one)[1] for one in answers if one.status_code == 409] == ["view-changed"]
    winner = next(ViewDocument(**one.json()) for one in answers if one.status_code == 200)
    assert shaped(await other.get("/v1/views"), ViewList).items == [winner]
    again = await changed(other, made, name=winner.name)
    assert shaped(again, ViewDocument).revision == winner.revision, "what it is is no change"


async def test_one_person_has_a_hundred(served: Served) -> None:
    ann, bob = await served.key("read"), await served.key("read")
    made = [await saved(ann, name=f"v{number}") for number in range(100)]
    assert kind(await ann.post("/v1/views", json=MAIL)) == (409, "views-full")
    assert (await changed(ann, made[0], name="still changed")).status_code == 200
    await saved(bob)
    await ann.delete(f"/v1/views/{made[0].id}")
    await saved(ann)
    assert len(await names(ann)) == 100


async def test_there_are_a_thousand(served: Served) -> None:
    client = plain_client(served.tenant.periscope)
    others = [new_view(f"analyst {n // 100}", "v", "", shared=False) for n in range(1000)]
    stored = {one.id: '1 1 {"name":"v","query":"","owner":"x","shared":false}' for one in others}
    await client.hset(KEY, mapping=stored)
    answer = await served.admin.post("/v1/views", json=MAIL)
    assert kind(answer) == (409, "views-full")
    assert "1,000" in answer.json()["detail"]
    assert await client.hlen(KEY) == 1000


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("name", ""),
        ("name", "x" * 81),
        ("name", " x"),
        ("name", "a\x00b"),
        ("name", "a\nb"),
        ("name", "a\u202eb"),
        ("name", "a\u200bb"),
        ("name", 7),
        ("query", "x" * 2049),
        ("query", "tag:\x1b[2J"),
        ("query", "a\x85b"),
        ("shared", "yes"),
        ("owner", "somebody else"),
        ("id", "0-0"),
    ],
)
async def test_what_no_view_can_be(served: Served, field: str, value: Any) -> None:
    answer = await served.admin.post("/v1/views", json={**MAIL, field: value})
    assert answer.status_code == 422, answer.text
    assert (answer.json()["field"] or "").startswith(field) or field in answer.json()["detail"]
    made = await saved(served.admin)
    assert (await changed(served.admin, made, **{field: value})).status_code == 422
    assert await names(served.admin) == [MAIL["name"]]


async def test_half_a_character_is_no_name(served: Served) -> None:
    text = b'{"name": "\\ud800", "query": ""}'
    answer = await served.admin.post(
        "/v1/views", content=text, headers={"Content-Type": "application/json"}
    )
    assert answer.status_code in (400, 422)
    assert await names(served.admin) == []


HOSTILE = (
    "<script>alert(1)</script>",
    "javascript:alert(1)",
    "{periscope:control}:access",
    "\"'`;--${}",
    "=cmd|' /C calc'!A0",
    "مرحبا",
    "😀" * 80,
)


@pytest.mark.parametrize("name", HOSTILE)
async def test_hostile_text_comes_back_as_it_was(served: Served, name: str) -> None:
    made = await saved(served.admin, name=name, query=f"{name}\u202e\u200b", shared=True)
    assert (made.name, made.query) == (name, f"{name}\u202e\u200b")
    assert shaped(await served.admin.get("/v1/views"), ViewList).items == [made]
    ((who, told),) = await remarks(served, "add_view")
    assert (who, told["subject"], told["query"]) == ("key:first", name, made.query)
    for unknown in (name, f"{made.id}\n", f"{made.id} ", "x" * 300, "%00"):
        quoted = "".join(f"%{byte:02X}" for byte in unknown.encode())
        assert (await served.admin.delete(f"/v1/views/{quoted}")).status_code == 404


async def test_what_concerns_others_is_on_record(served: Served) -> None:
    own = await saved(served.admin, name="own")
    await changed(served.admin, own, name="still own")
    await served.admin.delete(f"/v1/views/{own.id}")
    made = await saved(served.admin, name="ours", shared=True)
    hidden = shaped(await changed(served.admin, made, shared=False), ViewDocument)
    shown = shaped(await changed(served.admin, hidden, shared=True, query="x" * 2048), ViewDocument)
    await served.admin.delete(f"/v1/views/{shown.id}")
    assert [told["subject"] for _, told in await remarks(served, "add_view")] == ["ours"]
    states = [told["shared"] for _, told in await remarks(served, "change_view")]
    assert states == [False, True]
    ((who, told),) = await remarks(served, "remove_view")
    assert (who, told["id"], told["query"]) == ("key:first", made.id, "x" * 500)


async def test_damage_is_told_and_the_others_are_there(served: Served) -> None:
    client = plain_client(served.tenant.periscope)
    good, bad = await saved(served.admin, name="good"), await saved(served.admin, name="bad")
    await client.hset(KEY, bad.id, "not what it was")
    assert await names(served.admin) == ["good"]
    assert kind(await changed(served.admin, bad)) == (404, "not-found")
    assert (await changed(served.admin, good, name="better")).status_code == 200
    assert await client.hget(KEY, bad.id) == b"not what it was"
    await client.delete(KEY)
    await client.set(KEY, "no hash")
    views = Views(served.tenant.periscope)
    with pytest.raises(StoreDamaged):
        await views.put(new_view("ann", "v", "", shared=False), 0)
    with pytest.raises(StoreDamaged):
        await views.all()
    assert await client.get(KEY) == b"no hash"
    await client.delete(KEY)


@pytest.fixture
async def client(served: Served) -> AsyncIterator[Client]:
    async with Client(served.service.url, served.secret) as opened:
        yield opened


async def test_the_client_has_calls_for_it(served: Served, client: Client) -> None:
    made = await client.save_view("Mail", "tag:mail", shared=True)
    after = await client.change_view(made, name="Post", query="tag:mail", shared=True)
    with pytest.raises(Conflict) as caught:
        await client.change_view(made, name="Letters", query="", shared=True)
    assert caught.value.kind == "view-changed"
    assert await client.views() == [after]
    await client.remove_view(after)
    with pytest.raises(NotFound):
        await client.remove_view(after)
    assert (await client.board()).promotable == 0
    assert (await client.timeline(for_s=60)).every_ms == 60_000
