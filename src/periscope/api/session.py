"""/v1/session: people sign in and out, and whoever asks learns who they are."""

from __future__ import annotations

from typing import Any, NoReturn

import msgspec
from litestar import Request, Response, delete, get, post
from litestar.datastructures import Cookie
from litestar.params import JSONBody

from periscope import documents
from periscope.access import Scope, Session
from periscope.api.answers import json_answer
from periscope.api.gate import MAX_SECRET_CHARACTERS, SESSION_COOKIE, caller_of, check_origin
from periscope.api.problems import RequestRefused
from periscope.api.tenants import Tenant, Tenants
from periscope.shapes import KeyLimits, SessionDocument, SignIn


@post(
    "/session",
    opt={"problems": (401, 403, 429, 503)},
    tags=["session"],
    status_code=200,
    security=[],
)
async def sign_in(
    request: Request[Any, Any, Any], data: JSONBody[SignIn]
) -> Response[SessionDocument]:
    """Sign in with name and password; the answer sets the session's cookie.

    After five failures in a row a name is locked out, for a minute first and twice as long each
    time; unknown names are answered as wrong passwords are, in the same time.
    """
    check_origin(request)
    tenants: Tenants = request.app.state.tenants
    tenant = tenants.named(data.namespace)
    if tenant is None:
        await _refuse(tenants, data)
    token, session = await tenant.access.sign_in(data.name, data.password)
    return signed_in(json_answer(_of_session(tenant, session)), token)


@get("/session", opt={"scope": tuple(Scope)}, tags=["session"])
async def who_am_i(request: Request[Any, Any, Any]) -> Response[SessionDocument]:
    """Say who asks: the account of a session, or an API key."""
    caller = caller_of(request)
    one = caller.identity
    limits = msgspec.convert(msgspec.to_builtins(one.limits), KeyLimits)
    told = {
        "name": one.name,
        "kind": one.kind,
        "namespace": caller.tenant.name,
        "scopes": [scope for scope in Scope if scope in one.scopes],
        "limits": limits,
        "analyst": one.analyst,
        **documents.times("expires", one.expires_ms),
    }
    return json_answer(told)  # type: ignore[no-any-return]


@delete("/session", opt={"problems": (403, 503)}, tags=["session"], security=[])
async def sign_out(request: Request[Any, Any, Any]) -> Response[None]:
    """Sign out: the session ends everywhere within a second. Safe to repeat."""
    token = request.cookies.get(SESSION_COOKIE)
    if token and len(token) <= MAX_SECRET_CHARACTERS:
        check_origin(request)
        for tenant in request.app.state.tenants.all:
            await tenant.access.sign_out(token)
    return Response(None, status_code=204, cookies=[cookie(SESSION_COOKIE, "", max_age=0)])


def signed_in(answer: Response[Any], token: str) -> Response[Any]:
    """Return the answer with the cookie that holds a session."""
    answer.set_cookie(cookie(SESSION_COOKIE, token))
    return answer


def cookie(
    name: str, value: str, *, same_site: Any = "strict", max_age: int | None = None
) -> Cookie:
    """Return a cookie that no script reads, and that goes to this host alone, over TLS alone."""
    return Cookie(name, "/", value, max_age=max_age, secure=True, httponly=True, samesite=same_site)


def _of_session(tenant: Tenant, one: Session) -> dict[str, Any]:
    is_admin = Scope.ADMIN in one.scopes
    return {
        "name": one.account,
        "kind": "account",
        "namespace": tenant.name,
        "scopes": [scope for scope in Scope if is_admin or scope in one.scopes],
        "limits": KeyLimits(),
        "analyst": one.account,
        **documents.times("expires", one.ends_ms),
    }


async def _refuse(tenants: Tenants, data: JSONBody[SignIn]) -> NoReturn:
    """Refuse a sign-in at a namespace that is not served, as if its accounts were unknown."""
    if data.namespace is None:
        raise RequestRefused(
            422,
            "namespace-missing",
            "this service has several namespaces: name one",
            field="namespace",
        )
    await tenants.all[0].access.sign_in_nowhere(data.namespace, data.name, data.password)


ROUTES: tuple[Any, ...] = (sign_in, who_am_i, sign_out)
