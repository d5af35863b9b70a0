"""What an OpenID provider is asked: its own description, its keys, and who a code is for.

It is asked over https, follows no redirect, is waited for for TIMEOUT_S, and read up to MAX_BYTES.
"""

from __future__ import annotations

import asyncio
import logging
from time import monotonic
from typing import Any, NoReturn
from urllib.parse import quote_plus

import httpx
import msgspec

from periscope.access.oidc_settings import OidcSettings, is_safe
from periscope.errors import Unauthenticated

TIMEOUT_S = 10.0
MAX_BYTES = 1 << 20
KEPT_S = 3_600.0  # its description and its keys
AGAIN_S = 60.0  # at the soonest, for keys that a token names and that are not known
FAILED = "signing in with the OpenID provider failed; begin again"
AWAY = "the OpenID provider cannot be asked just now; try again"
WELL_KNOWN = "/.well-known/openid-configuration"

log = logging.getLogger("periscope")


class Metadata(msgspec.Struct, frozen=True):
    """What a provider says of itself, as far as it is needed."""

    issuer: str
    authorization_endpoint: str
    token_endpoint: str
    jwks_uri: str
    token_endpoint_auth_methods_supported: tuple[str, ...] = ("client_secret_basic",)


class Provider:
    """The provider that the settings name."""

    def __init__(self, settings: OidcSettings, transport: httpx.AsyncBaseTransport | None) -> None:
        self._settings = settings
        self._http = httpx.AsyncClient(
            timeout=TIMEOUT_S, follow_redirects=False, trust_env=False, transport=transport
        )
        self._lock = asyncio.Lock()
        self._metadata: Metadata | None = None
        self._metadata_at = float("-inf")
        self._keys: list[Any] | None = None
        self._keys_at = float("-inf")

    async def close(self) -> None:
        """Give the connections back."""
        await self._http.aclose()

    async def metadata(self) -> Metadata:
        """What it says of itself; asked again after an hour.

        Raises:
            Unauthenticated: it cannot be asked, or says what it must not.
        """
        async with self._lock:
            if self._metadata is None or monotonic() - self._metadata_at > KEPT_S:
                self._metadata = await self._fetch_metadata()
                self._metadata_at = monotonic()
            return self._metadata

    async def keys(self, *, again: bool = False) -> list[Any]:
        """The keys that it signs with; asked after an hour, or `again`, once a minute at most."""
        place = (await self.metadata()).jwks_uri
        async with self._lock:
            age_s = monotonic() - self._keys_at
            if self._keys is None or age_s > (AGAIN_S if again else KEPT_S):
                found = await self._asked("GET", place)
                keys = found.get("keys")
                if not isinstance(keys, list):
                    _away(f"{place} holds no keys")
                self._keys, self._keys_at = [one for one in keys if _is_public(one)], monotonic()
            return self._keys

    async def redeem(self, code: str, verifier: str) -> dict[str, Any]:
        """Exchange a code for the tokens that it stands for.

        Raises:
            Unauthenticated: the provider does not, or cannot be asked.
        """
        settings, metadata = self._settings, await self.metadata()
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": settings.redirect_url,
            "code_verifier": verifier,
        }
        secret, more = settings.secret(), {}
        if secret is None:
            form["client_id"] = settings.client_id
        elif "client_secret_basic" in metadata.token_endpoint_auth_methods_supported:
            more["auth"] = (quote_plus(settings.client_id), quote_plus(secret))
        else:
            form |= {"client_id": settings.client_id, "client_secret": secret}
        return await self._asked("POST", metadata.token_endpoint, data=form, **more)

    async def _fetch_metadata(self) -> Metadata:
        issuer = self._settings.issuer
        found = await self._asked("GET", issuer.rstrip("/") + WELL_KNOWN)
        try:
            one = msgspec.convert(found, Metadata)
        except msgspec.ValidationError as exc:
            _away(f"{issuer} describes itself wrongly: {exc}")
        if one.issuer != issuer:
            _away(f"{issuer} calls itself {one.issuer[:200]!r}")
        loopback = issuer.startswith("http:")
        for place in (one.authorization_endpoint, one.token_endpoint, one.jwks_uri):
            if not is_safe(place, loopback=loopback):
                _away(f"{issuer} names {place[:200]!r}, which is no https URL")
        return one

    async def _asked(self, method: str, url: str, **given: Any) -> dict[str, Any]:
        """Ask, and read an answer that must be a JSON object."""
        try:
            async with self._http.stream(method, url, **given) as answer:
                text = bytearray()
                async for part in answer.aiter_bytes():
                    text += part
                    if len(text) > MAX_BYTES:
                        _away(f"{url} answers with more than {MAX_BYTES:,} bytes")
                status = answer.status_code
        except (httpx.HTTPError, httpx.InvalidURL) as exc:
            _away(f"{url}: {type(exc).__name__}: {exc}")
        if status != httpx.codes.OK:  # and no more is told: the body may repeat what was sent
            _away(f"{url} answers {status}", FAILED if method == "POST" and status < 500 else AWAY)
        try:
            found = msgspec.json.decode(bytes(text))
        except (msgspec.MsgspecError, RecursionError):
            _away(f"{url} answers with what is no JSON")
        if not isinstance(found, dict):
            _away(f"{url} answers with no JSON object")
        return found


def _is_public(key: object) -> bool:
    """Is it a key that signatures can be checked with, and made with by its owner only?"""
    return isinstance(key, dict) and key.get("kty") in ("RSA", "EC") and key.get("use") != "enc"


def _away(why: str, told: str = AWAY) -> NoReturn:
    log.warning("the OpenID provider: %s", why)
    raise Unauthenticated(told)
