"""GET /v1/events: everything once and in order, resumed where one was, ended when a key is."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import httpx

from periscope.access import Limits
from tests.api.conftest import Served


async def events(answer: httpx.Response) -> AsyncIterator[tuple[str, str, Any]]:
    """(id, kind, data) of each event of a stream."""
    fields: dict[str, str] = {}
    async for line in answer.aiter_lines():
        if line:
            name, _, value = line.partition(":")
            fields[name] = value.removeprefix(" ")
        else:
            if "data" in fields:
                yield fields.get("id", ""), fields.get("event", ""), json.loads(fields["data"])
            fields = {"id": fields["id"]} if "id" in fields else {}


async def add(served: Served, *ids: str, **more: Any) -> None:
    report = {"content": "x", "severity": "HIGH", **more}
    answer = await served.admin.post(
        "/v1/reports", json=[{"threat_id": one, **report} for one in ids]
    )
    assert answer.status_code == 200


async def test_what_happens_is_told_and_resumed(served: Served) -> None:
    async with served.admin.stream("GET", "/v1/events") as answer:
        assert answer.headers["content-type"].startswith("text/event-stream")
        told = events(answer)
        await add(served, "a")
        position, kind, data = await anext(told)
        assert (kind, data["threat_ids"]) == ("added", ["a"])
    await add(served, "b", "c")
    headers = {"Last-Event-ID": position}
    async with served.admin.stream("GET", "/v1/events", headers=headers) as answer:
        _, kind, data = await anext(events(answer))
        assert (kind, data["threat_ids"]) == ("added", ["b", "c"])


async def test_only_what_was_asked_for(served: Served) -> None:
    url = "/v1/events?kinds=added,sighted&threat_id=b"
    async with served.admin.stream("GET", url) as answer:
        told = events(answer)
        await add(served, "a")
        await add(served, "a", "b", content="news")
        _, kind, data = await anext(told)
        assert (kind, data["threat_ids"]) == ("added", ["b"])


async def test_a_revoked_key_ends_its_stream_within_seconds(served: Served) -> None:
    key, secret = await served.tenant.access.create_key("short", ["read"], by="tests")
    async with served.client(secret) as client, client.stream("GET", "/v1/events") as answer:
        await served.tenant.access.revoke_key(key.prefix, by="tests")
        async with asyncio.timeout(5):
            _, kind, data = await anext(events(answer))
    assert (kind, data) == ("ended", {"why": "unauthenticated"})


async def test_a_limited_key_hears_of_nothing_else(served: Served) -> None:
    async with (
        await served.key("read", limits=Limits(sources=("siem",))) as limited,
        limited.stream("GET", "/v1/events") as answer,
    ):
        told = events(answer)
        await add(served, "a", "b", source="edr")
        await add(served, "c", source="siem")
        _, _, data = await anext(told)
        assert data["threat_ids"] == ["c"]


async def test_a_position_that_is_none(served: Served) -> None:
    answer = await served.admin.get("/v1/events?since=zz")
    assert answer.status_code == 422


async def test_streams_end_when_the_service_does(served: Served) -> None:
    async with served.admin.stream("GET", "/v1/events") as answer:
        closing = asyncio.create_task(served.service.close())
        async with asyncio.timeout(5):
            _, kind, data = await anext(events(answer))
        assert (kind, data) == ("ended", {"why": "closed"})
    await closing


async def test_a_tenant_hears_nothing_of_another(serve: Any) -> None:
    one = await serve(serve_namespaces="one,two")
    other = one.service.tenants.named("two")
    _, secret = await other.access.create_key("theirs", ["ingest", "read"], by="tests")
    theirs = one.client(secret)
    async with one.admin.stream("GET", "/v1/events") as answer:
        told = events(answer)
        body = {"threat_id": "theirs", "content": "x", "severity": "HIGH"}
        assert (await theirs.post("/v1/reports", json=body)).status_code == 200
        await add(one, "mine")
        position, _, data = await anext(told)
        assert data["threat_ids"] == ["mine"]
    assert (await theirs.get("/v1/threats/mine")).status_code == 404
    headers = {"Last-Event-ID": position}
    async with theirs.stream("GET", "/v1/events?since=0-0", headers=headers) as answer:
        if (
            answer.status_code == 200
        ):  # a place of another stream shows what is one's own, or nothing
            await theirs.post("/v1/reports", json={**body, "content": "news"})
            async with asyncio.timeout(10):
                async for _, _, data in events(answer):
                    assert "mine" not in str(data)
                    if "theirs" in str(data) or "why" in data:
                        break
