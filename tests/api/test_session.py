"""/v1/session and /v1/accounts: people sign in, are known, change passwords, and sign out."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from typing import Any

import httpx
import pytest

from periscope.access.passwords import Passwords
from periscope.access.tokens import digest_of
from periscope.access_keys import AccessKeys
from periscope.shapes import AccountDocument, AccountList, SessionDocument
from tests.api.conftest import Served
from tests.api.shaped import remarks, shaped
from tests.support.nodes import wait_until

PASSWORD = "correct horse battery"
ANN = {"name": "ann@example.com", "password": PASSWORD, "scopes": ["read", "act"]}
HERS = "/v1/accounts/ann%40example.com"


async def added(served: Served, **change: Any) -> None:
    answer = await served.admin.post("/v1/accounts", json={**ANN, **change})
    assert answer.status_code == 201, answer.text


def browser(served: Served) -> httpx.AsyncClient:
    """A client that says where its pages are from, as browsers do."""
    client = served.client(None)
    client.headers["Origin"] = served.service.url
    return client


async def sign_in(served: Served, **change: Any) -> tuple[httpx.AsyncClient, httpx.Response]:
    """A browser that has signed in, and carries the cookie (over plain loopback, as told to)."""
    client = browser(served)
    given = {"name": ANN["name"], "password": PASSWORD, **change}
    answer = await client.post("/v1/session", json=given)
    found = re.match(r"__Host-periscope=(\w+);", answer.headers.get("set-cookie", ""))
    if found is not None:
        client.headers["Cookie"] = f"__Host-periscope={found[1]}"
    return client, answer


async def test_in_and_out(served: Served) -> None:
    await added(served)
    client, answer = await sign_in(served)
    told = shaped(answer, SessionDocument)
    assert (told.name, told.kind, told.analyst) == (ANN["name"], "account", ANN["name"])
    assert told.scopes == ["read", "act"]
    cookie = answer.headers["set-cookie"].split("; ")
    assert re.fullmatch(r"__Host-periscope=\w{43}", cookie[0])
    assert {part.lower() for part in cookie[1:]} == {
        *("httponly", "secure", "samesite=strict", "path=/")
    }
    again = shaped(await client.get("/v1/session"), SessionDocument)
    assert again == told
    out = await client.delete("/v1/session")
    assert out.status_code == 204
    assert "max-age=0" in out.headers["set-cookie"].lower()
    assert (await client.get("/v1/session")).status_code == 401
    assert (await client.delete("/v1/session")).status_code == 204
    assert [who for who, _ in await remarks(served, "sign_in")] == [ANN["name"]]
    assert [who for who, _ in await remarks(served, "sign_out")] == [ANN["name"]]


async def test_a_key_learns_who_it_is(served: Served) -> None:
    told = shaped(await served.admin.get("/v1/session"), SessionDocument)
    assert (told.name, told.kind, told.expires) == ("key:first", "key", None)
    assert told.scopes == ["ingest", "read", "act", "admin"]


async def test_unknown_and_wrong_are_answered_alike_and_remarked(served: Served) -> None:
    await added(served)
    wrong = await sign_in(served, password="wrong horse battery")
    unknown = await sign_in(served, name="bob@example.com")
    for _, answer in (wrong, unknown):
        assert answer.status_code == 401
        assert "set-cookie" not in answer.headers
    bodies = [{**answer.json(), "instance": ""} for _, answer in (wrong, unknown)]
    assert bodies[0] == bodies[1]

    async def remarked() -> bool:
        return bool(await remarks(served, "failed_sign_in"))

    await wait_until(remarked, "the failure is in the audit trail")
    assert await remarks(served, "failed_sign_in") == [("periscope", {"subject": ANN["name"]})]


@pytest.mark.parametrize("name", [ANN["name"], "nobody"])
async def test_locked_out_after_five(served: Served, name: str) -> None:
    await added(served)
    for _ in range(5):
        _, answer = await sign_in(served, name=name, password="wrong horse battery")
        assert answer.status_code == 401
    _, answer = await sign_in(served, name=name)
    assert (answer.status_code, answer.json()["type"]) == (429, "urn:periscope:problem:locked-out")
    assert 0 < int(answer.headers["retry-after"]) <= 60


async def test_a_page_of_another_origin_signs_nobody_in_or_out(served: Served) -> None:
    await added(served)
    client, _ = await sign_in(served)
    elsewhere: list[dict[str, str]] = [
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Origin": "null", "Host": ""},
        {"Origin": "http://["},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site", "Origin": served.service.url},
    ]
    given = {"name": ANN["name"], "password": PASSWORD}
    for headers in elsewhere:
        for answer in (
            await client.post("/v1/session", json=given, headers=headers),
            await client.get("/v1/session", headers={"Origin": "", **headers})
            if "Sec-Fetch-Site" in headers
            else await client.get("/v1/session", headers=headers),
            await client.delete("/v1/session", headers=headers),
            await client.put(f"{HERS}/password", json={"password": "x" * 12}, headers=headers),
        ):
            assert answer.status_code == 403, (headers, answer.text)
            assert answer.json()["type"] == "urn:periscope:problem:other-origin"
    del client.headers["Origin"]
    assert (await client.post("/v1/session", json=given)).status_code == 403
    assert (await client.delete("/v1/session")).status_code == 403
    assert (await client.get("/v1/session")).status_code == 200


async def test_of_two_origins_both_must_be_ours(served: Served) -> None:
    await added(served)
    client, _ = await sign_in(served)
    cookie, ours = client.headers["Cookie"], served.service.url
    evil = "https://evil.example"
    for name, good, bad in (
        ("Origin", ours, evil),
        ("Sec-Fetch-Site", "same-origin", "cross-site"),
    ):
        for first, second in ((good, bad), (bad, good)):
            headers = [("Cookie", cookie), (name, first), (name, second)]
            answer = await served.client(None).delete("/v1/session", headers=headers)
            assert answer.status_code == 403, (first, second)


async def test_an_expired_session_is_none(served: Served) -> None:
    await added(served)
    client, _ = await sign_in(served)
    assert (await client.get("/v1/session")).status_code == 200  # noted as used, for a minute
    token = client.headers["Cookie"].partition("=")[2]
    periscope = served.tenant.periscope
    key = AccessKeys(periscope.settings.namespace).session(digest_of(token))
    await periscope.functions.connections.run("PEXPIRE", key, 1)

    async def refused() -> bool:
        return (await client.get("/v1/session")).status_code == 401

    await wait_until(refused, "the session is over")


async def test_sessions_do_what_their_scopes_say(served: Served) -> None:
    await added(served)
    client, _ = await sign_in(served)
    assert (await client.get("/v1/policy")).status_code == 200
    assert (await client.put("/v1/policy", json={})).status_code == 403
    assert (await client.get("/v1/accounts")).status_code == 403
    scopes = await served.admin.put(f"{HERS}/scopes", json={"scopes": ["admin"]})
    assert shaped(scopes, AccountDocument).scopes == ["admin"]
    assert (await client.get("/v1/session")).status_code == 401
    client, _ = await sign_in(served)
    assert (await client.put("/v1/policy", json={})).status_code == 200


async def test_disabled_and_enabled(served: Served) -> None:
    await added(served)
    client, _ = await sign_in(served)
    gone = shaped(await served.admin.post(f"{HERS}/disable"), AccountDocument)
    assert gone.disabled_ms is not None
    assert (await client.get("/v1/session")).status_code == 401
    assert (await sign_in(served))[1].status_code == 401
    assert shaped(await served.admin.post(f"{HERS}/enable"), AccountDocument).disabled is None
    assert (await sign_in(served))[1].status_code == 200
    found = shaped(await served.admin.get("/v1/accounts"), AccountList)
    assert [one.name for one in found.items] == [ANN["name"]]
    assert (await served.admin.post("/v1/accounts/bob/disable")).status_code == 404


async def test_ones_own_password_with_the_old_one(served: Served) -> None:
    await added(served)
    await added(served, name="bob")
    client, _ = await sign_in(served)
    new = "another horse battery"
    for body in ({"password": new}, {"password": new, "old_password": "wrong horse battery"}):
        answer = await client.put(f"{HERS}/password", json=body)
        assert (answer.status_code, answer.json()["field"]) == (422, "old_password")
    short = await client.put(f"{HERS}/password", json={"password": "x", "old_password": PASSWORD})
    assert (short.status_code, short.json()["field"]) == (422, "password")
    for name in ("bob", "nobody"):
        answer = await client.put(
            f"/v1/accounts/{name}/password", json={"password": new, "old_password": PASSWORD}
        )
        assert answer.status_code == 403
    good = {"password": new, "old_password": PASSWORD}
    assert (await client.put(f"{HERS}/password", json=good)).status_code == 200
    assert (await client.get("/v1/session")).status_code == 401
    assert (await sign_in(served))[1].status_code == 401
    assert (await sign_in(served, password=new))[1].status_code == 200


async def test_an_administrator_gives_another_password(served: Served) -> None:
    await added(served)
    client, _ = await sign_in(served)
    new = "another horse battery"
    answer = await served.admin.put(f"{HERS}/password", json={"password": new})
    assert answer.status_code == 200
    assert new not in answer.text
    assert (await client.get("/v1/session")).status_code == 401
    assert (await sign_in(served, password=new))[1].status_code == 200


@pytest.mark.parametrize(
    "change",
    [
        {"password": "short"},
        {"name": "key:x"},
        {"scopes": []},
        {"x": 1},
    ],
)
async def test_accounts_that_cannot_be(served: Served, change: Any) -> None:
    answer = await served.admin.post("/v1/accounts", json={**ANN, **change})
    assert answer.status_code == 422
    assert (await served.admin.get("/v1/accounts")).json()["items"] == []


async def test_every_refusal_costs_one_hash(
    serve: Callable[..., Awaitable[Served]], monkeypatch: pytest.MonkeyPatch
) -> None:
    served = await serve(serve_namespaces="one,two")
    await added(served)
    await sign_in(served, namespace="one")
    await sign_in(served, namespace="two")
    tried: list[str] = []
    verify = Passwords._verify

    def counted(self: Passwords, hashed: str, password: str) -> bool:
        tried.append(hashed)
        return verify(self, hashed, password)

    monkeypatch.setattr(Passwords, "_verify", counted)
    for change in (
        {"password": "wrong horse battery", "namespace": "one"},
        {"name": "nobody", "namespace": "one"},
        {"namespace": "two"},
        {"namespace": "three"},
    ):
        before = len(tried)
        _, answer = await sign_in(served, **change)
        assert (answer.status_code, len(tried) - before) == (401, 1), change


async def test_namespaces_keep_people_apart(serve: Callable[..., Awaitable[Served]]) -> None:
    served = await serve(serve_namespaces="one,two")
    await added(served)
    _, answer = await sign_in(served)
    assert (answer.status_code, answer.json()["field"]) == (422, "namespace")
    refusals = []
    for namespace in ("two", "three"):
        for _ in range(5):
            _, answer = await sign_in(served, namespace=namespace)
            assert answer.status_code == 401
        refusals.append({**answer.json(), "instance": ""})
        assert (await sign_in(served, namespace=namespace))[1].status_code == 429
    assert refusals[0] == refusals[1]
    client, answer = await sign_in(served, namespace="one")
    assert shaped(answer, SessionDocument).namespace == "one"
    assert (await client.delete("/v1/session")).status_code == 204
    assert (await client.get("/v1/session")).status_code == 401
