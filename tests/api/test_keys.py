"""/v1/keys: made, shown once, listed, revoked, refused everywhere within a second."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from periscope.access import Limits
from periscope.shapes import KeyCreated, KeyDocument, KeyList
from tests.api.conftest import Served
from tests.api.shaped import remarks, shaped


async def test_made_listed_used_revoked(served: Served) -> None:
    wanted = {
        "name": "siem",
        "scopes": ["ingest", "read"],
        "limits": {"sources": ["siem"], "severities": ["HIGH"], "tlp": ["AMBER"]},
        "analyst": "ann",
        "expires_in_s": 3600,
        "rate_per_s": 5.5,
    }
    made = shaped(await served.admin.post("/v1/keys", json=wanted), KeyCreated, 201)
    assert (made.key.name, made.key.state, made.key.burst) == ("siem", "good", 6)
    assert made.key.created_by == "key:first"
    assert made.key.limits.severities == ["HIGH"]
    client = served.client(made.secret)
    assert (await client.get("/v1/policy")).status_code == 200
    listed = await served.admin.get("/v1/keys")
    assert [one.name for one in shaped(listed, KeyList).items] == ["first", "siem"]
    assert made.secret not in listed.text
    gone = shaped(await served.admin.delete(f"/v1/keys/{made.key.prefix}"), KeyDocument)
    assert (gone.state, gone.revoked_by) == ("revoked", "key:first")
    assert (await client.get("/v1/policy")).status_code == 401
    assert [who for who, _ in await remarks(served, "revoke_key")] == ["key:first"]


async def test_a_revoked_key_is_refused_by_every_service_within_a_second(
    serve: Callable[..., Awaitable[Served]],
) -> None:
    one, other = await serve(), await serve()
    made = (await one.admin.post("/v1/keys", json={"name": "k", "scopes": ["read"]})).json()
    client = other.client(made["secret"])
    async with asyncio.timeout(5):
        while (await client.get("/v1/policy")).status_code != 200:
            await asyncio.sleep(0.02)
    await one.admin.delete(f"/v1/keys/{made['key']['prefix']}")
    async with asyncio.timeout(1):
        while (await client.get("/v1/policy")).status_code != 401:
            await asyncio.sleep(0.02)


@pytest.mark.parametrize(
    "change",
    [
        {"scopes": []},
        {"scopes": ["root"]},
        {"name": ""},
        {"name": "a\nb"},
        {"burst": 5},
        {"expires_in_s": 0},
        {"prefix": "mine"},
        {"created_by": "root"},
        {"limits": {"all": True}},
    ],
)
async def test_what_cannot_be(served: Served, change: dict[str, Any]) -> None:
    body = {"name": "k", "scopes": ["read"], **change}
    answer = await served.admin.post("/v1/keys", json=body)
    assert answer.status_code == 422, answer.text
    assert len((await served.admin.get("/v1/keys")).json()["items"]) == 1


async def test_only_administrators_of_everything(served: Served) -> None:
    limited = await served.key("admin", limits=Limits(("siem",)))
    for client in (limited, await served.key("ingest", "read", "act")):
        assert (await client.get("/v1/keys")).status_code == 403
        asked = {"name": "more", "scopes": ["admin"]}
        assert (await client.post("/v1/keys", json=asked)).status_code == 403
        assert (await client.delete("/v1/keys/12345678")).status_code == 403
    assert (await served.admin.delete("/v1/keys/12345678")).status_code == 404
    assert (await served.admin.delete("/v1/keys/%FF")).status_code == 404
