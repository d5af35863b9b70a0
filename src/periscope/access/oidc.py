"""Signing in with an OpenID provider: the authorization code flow with PKCE, state and nonce.

What is asked, and what an ID token must say, is Authlib's; the signature is joserfc's, which
Authlib stands on. Whatever is not as it must be is `Unauthenticated`, and the log says why.
"""

from __future__ import annotations

import logging
from base64 import urlsafe_b64decode, urlsafe_b64encode
from hmac import compare_digest
from secrets import token_urlsafe
from time import time
from typing import Any, Self

import httpx
import msgspec
from authlib.oauth2.rfc6749.parameters import prepare_grant_uri
from authlib.oauth2.rfc7636 import create_s256_code_challenge
from authlib.oidc.core import CodeIDToken
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet

from periscope.access.checks import checked_account
from periscope.access.oidc_settings import OidcSettings
from periscope.access.provider import FAILED, Provider
from periscope.access.words import Scope
from periscope.errors import AccessInvalid, Forbidden, Unauthenticated

PENDING_S = 600
LEEWAY_S = 60
MAX_TEXT = 4096  # of what comes back with a browser
# Asymmetric ones only: a token signed with what everybody can read is signed by nobody.
ALGORITHMS = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512")

log = logging.getLogger("periscope")


class Claims(msgspec.Struct, frozen=True):
    """Who has signed in: for `Access.sign_in_as(name, scopes, issuer=issuer)`."""

    issuer: str
    subject: str
    name: str
    scopes: frozenset[Scope]


class _Pending(msgspec.Struct, frozen=True):
    """A sign-in under way, as the browser that began it carries it."""

    state: str
    nonce: str
    verifier: str
    began_s: float

    def packed(self) -> str:
        return urlsafe_b64encode(msgspec.json.encode(self)).decode()


class OidcLogin:
    """Signs people in with one provider; `async with`, or close it."""

    def __init__(
        self, settings: OidcSettings, *, transport: httpx.AsyncBaseTransport | None = None
    ) -> None:
        self._settings = settings
        self._provider = Provider(settings, transport)

    async def close(self) -> None:
        """Give the connections back."""
        await self._provider.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def begin(self) -> tuple[str, str]:
        """Begin a sign-in: where to send the browser, and what it must bring back with the answer.

        The latter goes into a cookie of its own: `HttpOnly`, `SameSite=Lax` (with `Strict` it would
        not come back from the provider), for ten minutes. It proves that who comes back is who
        began.

        Raises:
            Unauthenticated: the provider cannot be asked.
        """
        settings, place = self._settings, (await self._provider.metadata()).authorization_endpoint
        pending = _Pending(token_urlsafe(32), token_urlsafe(32), token_urlsafe(48), time())
        url = prepare_grant_uri(
            place,
            client_id=settings.client_id,
            response_type="code",
            redirect_uri=settings.redirect_url,
            scope=list(settings.scopes),
            state=pending.state,
            nonce=pending.nonce,
            code_challenge=create_s256_code_challenge(pending.verifier),
            code_challenge_method="S256",
        )
        return str(url), pending.packed()

    async def finish(self, code: str, state: str, pending: str) -> Claims:
        """Say who has signed in, from what the browser brings back. A code is good once.

        Raises:
            Unauthenticated: it is not who began, it took too long, or the provider does not vouch.
            Forbidden: signed in, and in no group that may do anything here.
        """
        began = _read_pending(pending, state)
        if not isinstance(code, str) or not 0 < len(code) <= MAX_TEXT:
            raise _failed("no code came back")
        answer = await self._provider.redeem(code, began.verifier)
        claims = await self._verified(answer, began.nonce)
        return self._claims(claims)

    async def _verified(self, answer: dict[str, Any], nonce: str) -> dict[str, Any]:
        """Return the claims of an ID token that this provider issued for this very sign-in."""
        token = answer.get("id_token")
        if not isinstance(token, str):
            raise _failed("no ID token came with the answer")
        found = await self._decoded(token)
        settings = self._settings
        claims = CodeIDToken(
            found.claims,
            found.header,
            {
                "iss": {"essential": True, "value": settings.issuer},
                "aud": {"essential": True, "value": settings.client_id},
            },
            {
                "nonce": nonce,
                "client_id": settings.client_id,
                "access_token": answer.get("access_token"),
            },
        )
        try:
            claims.validate(leeway=LEEWAY_S)
        except (JoseError, TypeError, ValueError) as exc:
            raise _failed(f"the ID token: {type(exc).__name__}: {exc}") from None
        return dict(claims)

    async def _decoded(self, token: str) -> jwt.Token:
        """Check a signature by the provider's keys; fetched anew if they may have changed."""
        for again in (False, True):
            found: Any = {"keys": await self._provider.keys(again=again)}
            try:
                keys = KeySet.import_key_set(found)
                return jwt.decode(token, keys, algorithms=list(ALGORITHMS))
            except (JoseError, ValueError, TypeError, KeyError, RecursionError) as exc:
                problem = exc
        raise _failed(f"the ID token's signature: {type(problem).__name__}: {problem}")

    def _claims(self, claims: dict[str, Any]) -> Claims:
        settings = self._settings
        subject, name = claims["sub"], claims.get(settings.name_claim)
        if settings.name_claim == "email" and claims.get("email_verified", True) is not True:
            raise _failed("the provider has not verified the address")
        try:
            checked_account(name)
        except AccessInvalid as exc:
            raise _failed(f"the claim {settings.name_claim!r} names no account: {exc}") from None
        scopes = settings.scopes_of(claims.get(settings.groups_claim))
        if not scopes:
            log.info("%r of %s is in no group that may do anything", name, settings.issuer)
            raise Forbidden("you are in no group that may do anything here; ask an administrator")
        return Claims(settings.issuer, str(subject), str(name), scopes)


def _read_pending(pending: str, state: str) -> _Pending:
    """Return the sign-in that a browser began.

    Raises:
        Unauthenticated: it began none, another one, or too long ago.
    """
    if not isinstance(pending, str) or not isinstance(state, str):
        raise _failed("nothing came back")
    if len(pending) > MAX_TEXT or len(state) > MAX_TEXT or not state.isascii():
        raise _failed("too much came back")
    try:
        began = msgspec.json.decode(urlsafe_b64decode(pending.encode()), type=_Pending)
    except (ValueError, msgspec.MsgspecError, RecursionError):
        raise _failed("the browser did not begin this sign-in") from None
    if not began.state or not compare_digest(began.state.encode(), state.encode()):
        raise _failed("the state is not that of the sign-in that the browser began")
    if not 0 <= time() - began.began_s <= PENDING_S:
        raise _failed("it took longer than ten minutes")
    return began


def _failed(why: str) -> Unauthenticated:
    log.warning("a sign-in with the OpenID provider was refused: %s", why)
    return Unauthenticated(FAILED)
