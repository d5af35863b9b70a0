"""/v1/keys: API keys, made, listed and revoked."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Any

from litestar import Request, Response, delete, get, post
from litestar.params import JSONBody, Parameter

from periscope.access import Limits, Scope
from periscope.access.documents import api_key
from periscope.api.answers import json_answer
from periscope.api.gate import caller_of
from periscope.api.limits import refuse_limited
from periscope.api.paths import text_of
from periscope.models import Severity
from periscope.shapes import KeyCreated, KeyDocument, KeyLimits, KeyList, NewKey

Prefix = Annotated[str, Parameter(description="The eight characters after `psk_`.")]


@get("/keys", opt={"scope": Scope.ADMIN}, tags=["access"])
async def list_keys(request: Request[Any, Any, Any]) -> Response[KeyList]:
    """List the API keys, also those that are good no more."""
    caller = caller_of(request)
    refuse_limited(caller)
    access = caller.tenant.access
    found, now_ms = await access.keys(), access.now_ms
    return json_answer({"items": [api_key(one, now_ms) for one in found]})  # type: ignore[no-any-return]


@post("/keys", opt={"scope": Scope.ADMIN}, tags=["access"])
async def create_key(
    request: Request[Any, Any, Any], data: JSONBody[NewKey]
) -> Response[KeyCreated]:
    """Make an API key; its secret is in this answer, and nobody can see it again."""
    caller = caller_of(request)
    refuse_limited(caller)
    expires = None if data.expires_in_s is None else timedelta(seconds=data.expires_in_s)
    key, secret = await caller.tenant.access.create_key(
        data.name,
        data.scopes,
        by=caller.who,
        limits=_limits(data.limits),
        analyst=data.analyst,
        expires=expires,
        rate_per_s=data.rate_per_s,
        burst=data.burst,
    )
    made = {"key": api_key(key, key.created_ms), "secret": secret}
    return json_answer(made, status=201)  # type: ignore[no-any-return]


@delete(
    "/keys/{prefix:str}",
    opt={"scope": Scope.ADMIN, "problems": (507,)},
    tags=["access"],
    status_code=200,
)
async def revoke_key(request: Request[Any, Any, Any], prefix: Prefix) -> Response[KeyDocument]:
    """Revoke an API key: it is refused everywhere within a second. Safe to repeat."""
    caller = caller_of(request)
    refuse_limited(caller)
    access = caller.tenant.access
    key = await access.revoke_key(text_of(prefix), by=caller.who)
    return json_answer(api_key(key, access.now_ms))  # type: ignore[no-any-return]


def _limits(given: KeyLimits) -> Limits:
    severities = tuple(Severity(word) for word in given.severities)
    return Limits(tuple(given.sources), severities, tuple(given.tlp))


ROUTES: tuple[Any, ...] = (list_keys, create_key, revoke_key)
