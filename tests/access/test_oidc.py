"""Signing in with a real OpenID provider, and with one that lies in every way that it can."""

from __future__ import annotations

import asyncio
import hmac
import json
import logging
import time
from base64 import urlsafe_b64encode
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from aiohttp import web
from joserfc import jwt
from joserfc.jwk import RSAKey

from periscope import Forbidden, SettingInvalid, Settings, Unauthenticated
from periscope.access import Access, Scope
from periscope.access.oidc import OidcLogin
from periscope.access.oidc_settings import OidcSettings, checked_oidc, oidc_of
from tests.polling.web import Web
from tests.support.provider import in_the_browser as at_the_provider
from tests.support.provider import running_provider
from tests.support.servers import free_port

BACK = "https://periscope.example/v1/session/oidc/callback"
GROUPS = {"soc": ["read", "act"], "leads": ["admin"]}
PEOPLE = (
    {"sub": "1", "email": "ann@soc.example", "email_verified": True, "groups": ["soc"]},
    {"sub": "2", "email": "bob@soc.example", "groups": ["guests"]},
    {"sub": "3", "email": "eve@soc.example", "email_verified": False, "groups": ["leads"]},
    {"sub": "4", "email": "key:siem", "groups": ["leads"]},
    {"sub": "5", "email": "dora@soc.example", "groups": "leads"},
)


def settings(issuer: str, **more: Any) -> OidcSettings:
    given = {"issuer": issuer, "client_id": "periscope", "redirect_url": BACK, "groups": GROUPS}
    return checked_oidc({**given, **more}, "test")


@pytest.fixture
def of_real(issuer: str, monkeypatch: pytest.MonkeyPatch) -> Callable[..., OidcSettings]:
    """Settings for the real provider, which wants a secret (any)."""
    monkeypatch.setenv("OIDC_SECRET", "anything")
    return partial(settings, issuer, client_secret_env="OIDC_SECRET")


@pytest.fixture(scope="module")
def issuer() -> Any:
    """The provider as a process of its own."""
    with running_provider(PEOPLE) as url:
        yield url


async def in_the_browser(url: str, subject: str) -> tuple[str, str]:
    """What somebody does at the provider; the code and state that come back."""
    return await at_the_provider(url, subject, BACK)


async def test_somebody_signs_in_and_has_a_session(
    issuer: str, of_real: Any, access: Access
) -> None:
    async with OidcLogin(of_real()) as login:
        url, pending = await login.begin()
        asked = parse_qs(urlsplit(url).query)
        assert asked["code_challenge_method"] == ["S256"]
        assert {"state", "nonce", "code_challenge"} <= set(asked)
        assert asked["redirect_uri"] == [BACK]
        claims = await login.finish(*await in_the_browser(url, "1"), pending)
    assert (claims.issuer, claims.subject, claims.name) == (issuer, "1", "ann@soc.example")
    assert claims.scopes == {Scope.READ, Scope.ACT}
    token, _ = await access.sign_in_as(claims.name, claims.scopes, issuer=claims.issuer)
    assert (await access.identify_session(token)).name == "ann@soc.example"


@pytest.mark.parametrize(
    ("subject", "more", "error"),
    [
        ("2", {}, Forbidden),
        ("3", {}, Unauthenticated),
        ("4", {}, Unauthenticated),
        ("1", {"name_claim": "upn"}, Unauthenticated),
        ("1", {"groups_claim": "roles"}, Forbidden),
        ("1", {"groups": {}}, Forbidden),
    ],
)
async def test_who_may_do_nothing_here(
    issuer: str, of_real: Any, subject: str, more: dict[str, Any], error: type[Exception]
) -> None:
    async with OidcLogin(of_real(**more)) as login:
        url, pending = await login.begin()
        back = await in_the_browser(url, subject)
        with pytest.raises(error):
            await login.finish(*back, pending)


async def test_a_group_may_be_one_word(issuer: str, of_real: Any) -> None:
    async with OidcLogin(of_real(name_claim="sub")) as login:
        url, pending = await login.begin()
        claims = await login.finish(*await in_the_browser(url, "5"), pending)
    assert claims.name == "5"
    assert claims.scopes == {Scope.ADMIN}


async def test_what_comes_back_must_be_of_the_browser_that_began(issuer: str, of_real: Any) -> None:
    async with OidcLogin(of_real()) as login:
        url, pending = await login.begin()
        _, other = await login.begin()
        code, state = await in_the_browser(url, "1")
        for given in (
            (code, state, other),
            (code, "x", pending),
            (code, "", pending),
            (code, state, ""),
            (code, state, "x" * 10_000),
            (code, "é" * 43, pending),
            (code, state, pending[:-8]),
            ("", state, pending),
            ("x", state, pending),
            ("x" * 5000, state, pending),
            (None, state, pending),
        ):
            with pytest.raises(Unauthenticated):
                await login.finish(*given)
        assert (await login.finish(code, state, pending)).name == "ann@soc.example"
        with pytest.raises(Unauthenticated):  # a code is good once
            await login.finish(code, state, pending)


async def test_a_nonce_that_is_another_ones(issuer: str, of_real: Any) -> None:
    """Somebody's own code in another one's sign-in: the state fits, the nonce cannot."""
    async with OidcLogin(of_real()) as login:
        url, _ = await login.begin()
        code, _ = await in_the_browser(url, "1")
        other_url, other = await login.begin()
        state = parse_qs(urlsplit(other_url).query)["state"][0]
        with pytest.raises(Unauthenticated):
            await login.finish(code, state, other)


async def test_after_ten_minutes_it_is_too_late(
    issuer: str, of_real: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with OidcLogin(of_real()) as login:
        url, pending = await login.begin()
        back = await in_the_browser(url, "1")
        monkeypatch.setattr("periscope.access.oidc.time", lambda: time.time() + 601)
        with pytest.raises(Unauthenticated):
            await login.finish(*back, pending)


@dataclass
class Liar:
    """A provider on loopback that signs whatever it is told to."""

    site: Web
    key: RSAKey = field(default_factory=lambda: RSAKey.generate_key(2048, {"kid": "one"}))
    signer: Any = None
    header: dict[str, Any] = field(default_factory=lambda: {"alg": "RS256", "kid": "one"})
    claims: Callable[[dict[str, Any]], dict[str, Any]] = lambda honest: honest
    change: Callable[[str], str] = lambda token: token
    nonce: str = ""
    redeemed: list[dict[str, Any]] = field(default_factory=list)

    @property
    def issuer(self) -> str:
        return self.site.url("")

    def describe(self, **more: Any) -> dict[str, Any]:
        return {
            "issuer": self.issuer,
            "authorization_endpoint": self.site.url("/authorize"),
            "token_endpoint": self.site.url("/token"),
            "jwks_uri": self.site.url("/keys"),
            **more,
        }

    def begin(self) -> None:
        self.site.says("/.well-known/openid-configuration", json.dumps(self.describe()))
        self.site.says("/keys", json.dumps({"keys": [self.key.as_dict(private=False)]}))
        self.site.on("/token", self.redeem)

    async def redeem(self, request: web.Request) -> web.StreamResponse:
        self.redeemed.append({**dict(await request.post()), **dict(request.headers)})
        now = int(time.time())
        honest = {
            "iss": self.issuer,
            "sub": "1",
            "aud": "periscope",
            "exp": now + 60,
            "iat": now,
            "nonce": self.nonce,
            "email": "ann@soc.example",
            "groups": ["soc"],
        }
        algorithms = ["RS256", "HS256", "none"]
        signer = self.signer or self.key
        token = jwt.encode(self.header, self.claims(honest), signer, algorithms=algorithms)
        return web.json_response({"access_token": "a", "id_token": self.change(token)})

    async def signs_in(self, **more: Any) -> Any:
        async with OidcLogin(settings(self.issuer, **more)) as login:
            url, pending = await login.begin()
            asked = parse_qs(urlsplit(url).query)
            self.nonce = asked["nonce"][0]
            return await login.finish("code", asked["state"][0], pending)


@pytest.fixture
async def liar() -> AsyncIterator[Liar]:
    async with Web() as site:
        found = Liar(site)
        found.begin()
        yield found


async def test_an_honest_token_is_taken(liar: Liar) -> None:
    assert (await liar.signs_in()).name == "ann@soc.example"
    (asked,) = liar.redeemed
    assert asked["client_id"] == "periscope"
    assert asked["grant_type"] == "authorization_code"
    assert len(asked["code_verifier"]) >= 43


CLAIMS: dict[str, Callable[[dict[str, Any]], dict[str, Any]]] = {
    "another issuer": lambda c: {**c, "iss": "https://other.example"},
    "issuer with a slash": lambda c: {**c, "iss": c["iss"] + "/"},
    "another audience": lambda c: {**c, "aud": "somebody"},
    "many audiences and no party": lambda c: {**c, "aud": ["periscope", "somebody"]},
    "another party": lambda c: {**c, "aud": ["periscope", "somebody"], "azp": "somebody"},
    "expired": lambda c: {**c, "exp": c["exp"] - 200},
    "not yet": lambda c: {**c, "nbf": c["iat"] + 1000},
    "issued in the future": lambda c: {**c, "iat": c["iat"] + 1000},
    "no expiry": lambda c: {k: v for k, v in c.items() if k != "exp"},
    "expiry as text": lambda c: {**c, "exp": "tomorrow"},
    "expiry as a list": lambda c: {**c, "exp": [1]},
    "no issuer": lambda c: {k: v for k, v in c.items() if k != "iss"},
    "no audience": lambda c: {k: v for k, v in c.items() if k != "aud"},
    "no subject": lambda c: {k: v for k, v in c.items() if k != "sub"},
    "no nonce": lambda c: {k: v for k, v in c.items() if k != "nonce"},
    "another nonce": lambda c: {**c, "nonce": "x"},
    "a wrong access token": lambda c: {**c, "at_hash": "x"},
    "a name that is a list": lambda c: {**c, "email": ["ann@soc.example"]},
    "a name with controls": lambda c: {**c, "email": "a\x1b[2J"},
    "an address as text that is not verified": lambda c: {**c, "email_verified": "false"},
}


@pytest.mark.parametrize("lie", CLAIMS)
async def test_lies_in_a_token_are_found(liar: Liar, lie: str) -> None:
    liar.claims = CLAIMS[lie]
    with pytest.raises(Unauthenticated):
        await liar.signs_in()


async def test_signatures_that_are_none(liar: Liar) -> None:
    public = liar.key.as_pem(private=False)

    def by_public_key(token: str) -> str:
        """The old trick: what everybody can read, taken for a secret."""
        header = urlsafe_b64encode(b'{"alg":"HS256","kid":"one"}').rstrip(b"=").decode()
        signed = f"{header}.{token.split('.')[1]}"
        mac = hmac.new(public, signed.encode(), "sha256").digest()
        return f"{signed}.{urlsafe_b64encode(mac).rstrip(b'=').decode()}"

    other = RSAKey.generate_key(2048, {"kid": "one"})
    forgeries: list[dict[str, Any]] = [
        {"signer": other},
        {"header": {"alg": "none"}},
        {"header": {"alg": "none", "kid": "one"}},
        {"change": by_public_key},
        {"header": {"alg": "RS256", "kid": "unknown"}},
        {"change": lambda token: token.rpartition(".")[0] + "."},
        {"change": lambda token: token[:-4]},
        {"change": lambda token: "x"},
        {"change": lambda token: ""},
        {"change": lambda token: token.replace(".", "..", 1)},
    ]
    for forged in forgeries:
        site = liar.site
        one = Liar(site, liar.key, **forged)
        one.begin()
        with pytest.raises(Unauthenticated):
            await one.signs_in()


async def test_keys_that_change_are_fetched_anew(
    liar: Liar, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with OidcLogin(settings(liar.issuer)) as login:

        async def signs_in() -> Any:
            url, pending = await login.begin()
            asked = parse_qs(urlsplit(url).query)
            liar.nonce = asked["nonce"][0]
            return await login.finish("code", asked["state"][0], pending)

        await signs_in()
        liar.key = RSAKey.generate_key(2048, {"kid": "two"})
        liar.header = {"alg": "RS256", "kid": "two"}
        liar.begin()
        with pytest.raises(Unauthenticated):  # once a minute at most
            await signs_in()
        assert [one.path for one in liar.site.asked].count("/keys") == 1
        monkeypatch.setattr("periscope.access.provider.AGAIN_S", 0.0)
        assert (await signs_in()).name == "ann@soc.example"


@pytest.mark.parametrize(
    "says",
    [
        {"issuer": "https://other.example"},
        {"token_endpoint": "http://10.0.0.1/token"},
        {"token_endpoint": "file:///etc/passwd"},
        {"jwks_uri": "http://user@127.0.0.1/keys"},
        {"jwks_uri": 7},
        {"authorization_endpoint": "javascript:alert(1)"},
    ],
)
async def test_descriptions_that_lead_elsewhere(liar: Liar, says: dict[str, Any]) -> None:
    place = "/.well-known/openid-configuration"
    liar.site.says(place, json.dumps(liar.describe(**says)))
    with pytest.raises(Unauthenticated):
        await liar.signs_in()
    assert {one.path for one in liar.site.asked} == {place}


@pytest.mark.parametrize("path", ["/.well-known/openid-configuration", "/keys", "/token"])
async def test_answers_that_are_none(liar: Liar, path: str) -> None:
    for body, status in (
        (b"", 200),
        (b"[]", 200),
        (b"{", 200),
        (b"[" * 100_000, 200),
        (b'{"a": "' + b"x" * 2_000_000 + b'"}', 200),
        (b"{}", 500),
        (b"{}", 404),
        (b'{"keys": 7}', 200),
        (b'{"keys": [{"kty": "RSA"}]}', 200),
        (b'{"keys": [7]}', 200),
        (b'{"id_token": 7}', 200),
    ):
        liar.begin()
        liar.site.says(path, body, status)
        with pytest.raises(Unauthenticated):
            await liar.signs_in()
    liar.begin()
    liar.site.sends_on(path, liar.site.url("/elsewhere"))
    with pytest.raises(Unauthenticated):
        await liar.signs_in()
    assert "/elsewhere" not in {one.path for one in liar.site.asked}


async def test_a_provider_that_is_away_or_silent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("periscope.access.provider.TIMEOUT_S", 0.3)

    async def say_nothing(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while await reader.read(1000):
            pass
        writer.close()
        await writer.wait_closed()
        heard.set()

    heard = asyncio.Event()
    server = await asyncio.start_server(say_nothing, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    for place in (f"http://127.0.0.1:{port}", f"http://127.0.0.1:{free_port()}"):
        async with OidcLogin(settings(place)) as login:
            with pytest.raises(Unauthenticated, match="cannot be asked just now"):
                await login.begin()
    await asyncio.wait_for(heard.wait(), 10)
    server.close()
    await server.wait_closed()


async def test_the_secret_is_sent_to_the_token_endpoint_only(
    liar: Liar, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    place = tmp_path / "secret"
    place.write_text("s3cr3t-of-the-client\n")
    monkeypatch.setenv("OIDC_SECRET", "s3cr3t-of-the-client")
    for given in ({"client_secret_file": str(place)}, {"client_secret_env": "OIDC_SECRET"}):
        await liar.signs_in(**given)
        assert liar.redeemed[-1]["Authorization"].startswith("Basic ")
        assert "client_secret" not in liar.redeemed[-1]
    post = {"token_endpoint_auth_methods_supported": ["client_secret_post"]}
    description = json.dumps(liar.describe(**post))
    liar.site.says("/.well-known/openid-configuration", description)
    await liar.signs_in(client_secret_env="OIDC_SECRET")
    assert liar.redeemed[-1]["client_secret"] == "s3cr3t-of-the-client"
    liar.site.says("/token", "denied s3cr3t-of-the-client", 401)
    with pytest.raises(Unauthenticated) as caught:
        await liar.signs_in(client_secret_env="OIDC_SECRET")
    assert "s3cr3t" not in caplog.text + repr(caught.value)
    monkeypatch.delenv("OIDC_SECRET")
    with pytest.raises(SettingInvalid, match="OIDC_SECRET holds no secret"):
        await liar.signs_in(client_secret_env="OIDC_SECRET")


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"issuer": "http://id.example"}, "issuer: must be https"),
        ({"redirect_url": "ftp://x"}, "redirect_url: must be https"),
        ({"scopes": ["email"]}, "openid must be among"),
        ({"groups": {"soc": ["root"]}}, "unknown 'root'"),
        ({"client_secret": "x"}, "unknown field"),
        ({"client_secret_env": "A", "client_secret_file": "b"}, "give client_secret_file or"),
        ({"client_id": 7}, "client_id"),
    ],
)
def test_settings_that_cannot_be(given: dict[str, Any], says: str) -> None:
    with pytest.raises(SettingInvalid, match=says):
        settings(**{"issuer": "https://id.example", **given})


def test_the_settings_stand_in_the_file(tmp_path: Path) -> None:
    place = tmp_path / "periscope.toml"
    place.write_text("[settings]\n")
    assert oidc_of(Settings.load({}, config=str(place))) is None
    place.write_text(
        '[oidc]\nissuer = "https://id.example"\nclient_id = "p"\n'
        f'redirect_url = "{BACK}"\n[oidc.groups]\nsoc = ["read"]\n'
    )
    found = oidc_of(Settings.load({}, config=str(place)))
    assert found is not None
    assert found.scopes_of(["soc", 7, "other"]) == {Scope.READ}
    place.write_text("[oidc]\nissuer = 7\n")
    with pytest.raises(SettingInvalid, match=r"periscope\.toml: oidc:"):
        oidc_of(Settings.load({}, config=str(place)))
