"""/v1/session/oidc: people sign in with a real OpenID provider, through the service."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from periscope.errors import SettingInvalid
from periscope.shapes import SessionDocument
from tests.api.conftest import Served
from tests.api.shaped import remarks, shaped
from tests.support.provider import in_the_browser, running_provider

BACK = "https://periscope.example/v1/session/oidc/callback"
PEOPLE = (
    {"sub": "1", "email": "ann@soc.example", "email_verified": True, "groups": ["soc"]},
    {"sub": "2", "email": "bob@soc.example", "groups": ["guests"]},
)
Serve = Callable[..., Awaitable[Served]]


@pytest.fixture(scope="module")
def issuer() -> Iterator[str]:
    with running_provider(PEOPLE) as url:
        yield url


@pytest.fixture
def config(issuer: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("OIDC_SECRET", "anything")
    path = tmp_path / "periscope.toml"
    path.write_text(
        f'[oidc]\nissuer = "{issuer}"\nclient_id = "periscope"\nredirect_url = "{BACK}"\n'
        'client_secret_env = "OIDC_SECRET"\n[oidc.groups]\nsoc = ["read", "act"]\n'
    )
    return path


def cookies(answer: httpx.Response) -> dict[str, str]:
    """Cookies that an answer sets, with their attributes."""
    found = (one.partition("=") for one in answer.headers.get_list("set-cookie"))
    return {name: rest for name, _, rest in found}


async def begun(served: Served) -> tuple[str, str]:
    """Where the browser is sent, and what it must bring back."""
    answer = await served.client(None).get("/v1/session/oidc")
    assert answer.status_code == 303
    pending = cookies(answer)["__Host-periscope-oidc"]
    assert {"HttpOnly", "Secure", "Path=/", "SameSite=lax", "Max-Age=600"} <= set(
        pending.split("; ")
    )
    return answer.headers["location"], pending.partition(";")[0]


async def back(served: Served, pending: str, **params: Any) -> httpx.Response:
    headers = {"Cookie": f"__Host-periscope-oidc={pending}", "Sec-Fetch-Site": "cross-site"}
    client = served.client(None)
    return await client.get("/v1/session/oidc/callback", params=params, headers=headers)


async def test_the_console_offers_the_provider_where_there_is_one(
    serve: Serve, config: Path
) -> None:
    served = await serve(config=str(config))
    page = await served.client(None, event_hooks={}).get("/console/")
    assert '<html lang="en" data-sign-on="yes">' in page.text


async def test_in_through_the_provider(serve: Serve, config: Path) -> None:
    served = await serve(config=str(config))
    url, pending = await begun(served)
    code, state = await in_the_browser(url, "1", BACK)
    answer = await back(served, pending, code=code, state=state, session_state="theirs")
    assert (answer.status_code, answer.headers["location"]) == (303, "/")
    found = cookies(answer)
    assert "Max-Age=0" in found["__Host-periscope-oidc"]
    session = found["__Host-periscope"]
    assert {"HttpOnly", "Secure", "Path=/", "SameSite=strict"} <= set(session.split("; "))
    token = re.match(r"\w{43}", session)
    assert token is not None
    headers = {"Cookie": f"__Host-periscope={token[0]}"}
    told = shaped(await served.client(None).get("/v1/session", headers=headers), SessionDocument)
    assert (told.name, told.scopes) == ("ann@soc.example", ["read", "act"])
    assert [who for who, _ in await remarks(served, "sign_in")] == ["ann@soc.example"]
    again = await back(served, pending, code=code, state=state)
    assert again.status_code == 401


async def test_who_is_not_let_in(serve: Serve, config: Path) -> None:
    served = await serve(config=str(config))
    url, pending = await begun(served)
    code, state = await in_the_browser(url, "2", BACK)
    for given, status in (
        ({}, 401),
        ({"error": "access_denied", "state": state}, 401),
        ({"code": code}, 401),
        ({"code": code, "state": ["x", state]}, 401),
        ({"code": code, "state": "x"}, 401),
        ({"code": code, "state": state}, 403),
    ):
        answer = await back(served, pending, **given)
        assert answer.status_code == status, (given, answer.text)
        assert "set-cookie" not in answer.headers
    _, other = await begun(served)
    assert (await back(served, other, code=code, state=state)).status_code == 401
    assert (await back(served, "", code=code, state=state)).status_code == 401


async def test_without_a_provider_there_is_nothing(served: Served) -> None:
    for path in ("/v1/session/oidc", "/v1/session/oidc/callback?code=x&state=y"):
        assert (await served.client(None).get(path)).status_code == 404


async def test_a_provider_that_is_away(serve: Serve, config: Path, issuer: str) -> None:
    config.write_text(config.read_text().replace(issuer, "http://127.0.0.1:9"))
    served = await serve(config=str(config))
    answer = await served.client(None).get("/v1/session/oidc")
    assert answer.status_code == 401
    assert "127.0.0.1" not in answer.text


async def test_its_people_are_of_one_namespace(serve: Serve, config: Path) -> None:
    with pytest.raises(SettingInvalid, match="not served"):
        await serve(config=str(config), serve_namespaces="one,two")
