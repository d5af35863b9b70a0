"""Every route there is, asked by everybody who may not: the table comes from the application."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any, get_args
from urllib.parse import quote

import httpx
import pytest

from periscope.access import Limits, Scope
from periscope.api.gate import SESSION_COOKIE
from periscope.api.operations import Operation, operations_of
from tests.api.conftest import Served
from tests.api.described import APP
from tests.api.scenario import ENDLESS, JSON, SAMPLES, STEPS, live
from tests.api.scenario_admin import arrange

ALL = operations_of(APP, hidden=True)
CLOSED = [one for one in ALL if one.scopes]
BODIES = {step.operation: step.body for step in STEPS}
PATHS = {
    step.operation: {name: text for name, text in step.path.items() if isinstance(text, str)}
    for step in STEPS
}
QUERIES = {step.operation: dict(step.query) for step in STEPS}
CHANGING = [one for one in CLOSED if one.method not in ("GET", "HEAD")]
ABOUT_ONE = [one for one in CLOSED if "{" in one.path]


MOMENT = re.compile(r"\d{4}-\d\d-\d\dT[\d:.]+Z|\d{13}")


def ids_of(one: Operation) -> dict[str, str]:
    """What stands for the parameters of its path: as in the scenario."""
    names = [name for place, name, _ in one.parameters if place == "path"]
    found = {**OTHER_IDS, **SAMPLES, **PATHS.get(one.name, {})}
    assert found.keys() >= set(names), f"give the ids of {one.path} values among the samples"
    return {name: found[name] for name in names}


OTHER_IDS = {"feed": "kev"}


async def ask(client: httpx.AsyncClient, one: Operation, **more: Any) -> httpx.Response:
    """Ask for an operation with sample ids, and the body of the scenario if there is one."""
    path = one.path
    for name, value in ids_of(one).items():
        path = path.replace(f"{{{name}}}", quote(value, safe=""))
    body = BODIES.get(one.name)
    if body is not None and "json" not in more:
        more["json"] = body
    params = QUERIES.get(one.name) or None
    request = client.build_request(one.method, path, params=params, **more)
    answer = await client.send(request, stream=True)
    if one.name in ENDLESS and answer.status_code < 400:
        await answer.aclose()
    else:
        await answer.aread()
    return answer


def told(answer: httpx.Response) -> tuple[int, dict[str, Any]]:
    """What an answer gives away: all but the id of its request."""
    body = answer.json()
    del body["instance"]
    return answer.status_code, body


def is_refused(answer: httpx.Response, status: int, kind: str) -> None:
    assert (answer.status_code, answer.json()["type"].rpartition(":")[2]) == (status, kind), (
        f"{answer.request.method} {answer.request.url}: {answer.status_code} {answer.text}"
    )


def test_there_is_something_to_scan() -> None:
    assert len(CLOSED) > 20
    assert {f"{one.method} {one.path}" for one in ALL if not one.scopes} == OPEN


OPEN = {
    "GET /",
    "GET /console",
    "GET /console/{digest}/{name}",
    "GET /healthz",
    "GET /openapi.json",
    "GET /readyz",
    "GET /v1/session/oidc",
    "GET /v1/session/oidc/callback",
    "POST /v1/session",
    "DELETE /v1/session",
    "POST /v1/ingest/{feed}",  # bears a signature in place of a key
}
"""Open to all; whatever is added here is to be thought about twice."""


async def test_no_key_or_one_that_never_was(served: Served) -> None:
    headers: tuple[dict[str, str], ...] = (
        {},
        {"Authorization": "Bearer psk_unknown"},
        {"Authorization": "Bearer"},
        {"Authorization": "Basic YTpi"},
        {"Authorization": served.secret},
        {"Cookie": f"{SESSION_COOKIE}=unknown", "Origin": served.service.url},
        {"X-API-Key": served.secret},
    )
    client = served.client(None)
    for one in CLOSED:
        for given in headers:
            answer = await ask(client, one, headers=given)
            is_refused(answer, 401, "unauthenticated")
            assert answer.headers["www-authenticate"].startswith("Bearer")


async def test_a_key_that_is_good_no_more(served: Served) -> None:
    access = served.tenant.access
    key, revoked = await access.create_key("revoked", ["admin"], by="tests")
    await access.revoke_key(key.prefix, by="tests")
    soon = timedelta(milliseconds=1)
    _, expired = await access.create_key("expired", ["admin"], by="tests", expires=soon)
    unknown = [told(await ask(served.client("psk_none"), one)) for one in CLOSED]
    for secret in (revoked, expired):
        client = served.client(secret)
        assert [told(await ask(client, one)) for one in CLOSED] == unknown


async def test_a_key_with_any_character_changed(served: Served) -> None:
    """Each character once, at one route; at every other route one of them."""
    secrets = [mutated(served.secret, place) for place in range(len(served.secret))]
    secrets += [served.secret[:-1], served.secret + "a", served.secret.upper()]
    client = served.client(None)
    for number in range(max(len(secrets), len(CLOSED))):
        one, secret = CLOSED[number % len(CLOSED)], secrets[number % len(secrets)]
        answer = await ask(client, one, headers={"Authorization": f"Bearer {secret}"})
        is_refused(answer, 401, "unauthenticated")


def mutated(secret: str, place: int) -> str:
    other = "b" if secret[place] == "a" else "a"
    return f"{secret[:place]}{other}{secret[place + 1 :]}"


async def test_a_key_of_another_scope(served: Served) -> None:
    clients = {}
    for scope in Scope:
        _, secret = await served.tenant.access.create_key(f"a {scope}", [scope], by="tests")
        clients[scope] = served.client(secret)
    for one in CLOSED:
        for scope, client in clients.items():
            if scope not in one.scopes and scope is not Scope.ADMIN:
                is_refused(await ask(client, one), 403, "forbidden")


@pytest.fixture
async def two(
    serve: Callable[..., Awaitable[Served]],
) -> tuple[Served, httpx.AsyncClient]:
    """A service of two tenants, the first of which has had a day of work; a key of the other."""
    served = await serve(serve_namespaces="periscope,other")
    arrange(served)
    of_one_alone = ("sign_in", "list_settings")  # settings name the other tenants
    await live(served.admin, [step for step in STEPS if step.operation not in of_one_alone])
    other = served.service.tenants.all[1]
    _, secret = await other.access.create_key("other", ["admin"], by="tests")
    return served, served.client(secret)


OF_THE_FIRST = ("CVE-2024-0001", "CVE-2024-0002", "host-17", "drill-1", "192.0.2.1", "intranet")
"""What the first tenant has, of every kind."""


async def test_the_ids_of_another_tenant(two: tuple[Served, httpx.AsyncClient]) -> None:
    """What the other tenant has is to a key exactly as what nobody has."""
    served, other = two
    for one in ABOUT_ONE:
        there, nowhere = await ask(other, one), await ask_for_nothing(other, one)
        assert same(one, there, nowhere), f"{one.path}: {there.text} and {nowhere.text}"
    assert (await served.admin.get("/v1/threats/CVE-2024-0001")).status_code == 200


async def test_the_lists_of_another_tenant(two: tuple[Served, httpx.AsyncClient]) -> None:
    """What the other tenant has is in no list, count, export or stream that a key can ask for."""
    _, other = two
    for one in CLOSED:
        if one not in ABOUT_ONE and not names_one(one):
            mine = await ask(other, one)
            if one.name not in ENDLESS:
                assert not any(value in mine.text for value in OF_THE_FIRST), mine.text
    assert (await other.get("/v1/threats")).json()["total"] == 0
    assert (await other.get("/v1/stats")).json()["ledger"]["received"] == 0


def names_one(one: Operation) -> bool:
    """Whether the scenario's request has an id in it, so that the answer may."""
    sent = f"{BODIES.get(one.name)} {QUERIES.get(one.name)}"
    return any(value in sent for value in OF_THE_FIRST)


async def ask_for_nothing(client: httpx.AsyncClient, one: Operation) -> httpx.Response:
    """The same about ids that nobody has, of the same length."""
    path = one.path
    for name, value in ids_of(one).items():
        path = path.replace(f"{{{name}}}", "x" * len(value))
    answer = await client.request(one.method, path, json=BODIES.get(one.name))
    await answer.aread()
    return answer


def same(one: Operation, there: httpx.Response, nowhere: httpx.Response) -> bool:
    """Equal but for the id of the request, moments, and the names that were asked for."""
    return bool(_blank(one, there) == _blank(one, nowhere))


def _blank(one: Operation, answer: httpx.Response) -> Any:
    text = answer.text
    for value in ids_of(one).values():
        text = text.replace(value, "x" * len(value))
    text = MOMENT.sub("", text.replace(answer.headers["x-request-id"], ""))
    return answer.status_code, text


async def test_a_limited_key_sees_nothing_beyond(served: Served) -> None:
    """To a key of another source a threat is as one that is not there; what mixes all is barred."""
    arrange(served)
    await live(served.admin)
    limits = Limits(sources=("elsewhere", "nowhere"))
    client = await served.key("admin", limits=limits)
    for one in CLOSED:
        answer = await ask(client, one)
        if one in ABOUT_ONE and "threat_id" in one.path:
            nothing = await ask_for_nothing(client, one)
            assert answer.status_code in (403, 404), f"{one.method} {one.path}: {answer.text}"
            assert same(one, answer, nothing), f"{one.path}: {answer.text} and {nothing.text}"
    for path in ("/v1/threats", "/v1/knowledge", "/v1/overdue", "/v1/export?level=2"):
        answer = await client.get(path)
        assert "CVE-2024-0001" not in answer.text
        assert "host-17" not in answer.text


async def test_a_session_from_another_origin(served: Served) -> None:
    access = served.tenant.access
    await access.create_account("ana", "a long enough password", ["admin"], by="tests")
    token, _ = await access.sign_in("ana", "a long enough password")
    cookie = {"Cookie": f"{SESSION_COOKIE}={token}"}
    origins: tuple[dict[str, str], ...] = (
        {"Origin": "https://elsewhere.example"},
        {"Origin": "null"},
        {"Origin": served.service.url, "Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {},
    )
    client = served.client(None)
    for one in CHANGING:
        for given in origins:
            is_refused(await ask(client, one, headers={**cookie, **given}), 403, "other-origin")
    for one in CLOSED:
        if one not in CHANGING:
            given = {**cookie, "Sec-Fetch-Site": "cross-site"}
            is_refused(await ask(client, one, headers=given), 403, "other-origin")
    own = {**cookie, "Origin": served.service.url}
    assert (await client.get("/v1/threats", headers=own)).status_code == 200


async def test_what_there_is_none_of(served: Served) -> None:
    """Unknown parameters, unknown fields, unknown methods: refused everywhere."""
    for one in CLOSED:
        path = one.path
        for name, value in ids_of(one).items():
            path = path.replace(f"{{{name}}}", quote(value, safe=""))
        answer = await served.admin.request(one.method, path, params={"unheard_of": "1"})
        is_refused(answer, 400, "parameter-unknown")
        answer = await served.admin.request("PROPFIND", path)
        is_refused(answer, 405, "method-not-allowed")
        assert one.method in answer.headers["allow"]
        body = BODIES.get(one.name)
        shape = one.body.get(JSON)
        shapes = get_args(shape) or (shape,)
        if isinstance(body, dict) and all(
            hasattr(part, "__struct_fields__") or part is type(None) for part in shapes
        ):
            answer = await ask(served.admin, one, json={**body, "unheard_of": 1})
            assert answer.status_code == 422, answer.text
            assert answer.json()["field"].endswith("unheard_of"), answer.text
