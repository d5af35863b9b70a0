"""Whose request it is, and whether that may be: asked before every handler."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from litestar.connection import ASGIConnection
from litestar.handlers import BaseRouteHandler

from periscope.access import Identity, Scope
from periscope.api.parameters import query_fields, scopes_of
from periscope.api.problems import RequestRefused
from periscope.api.tenants import Tenant, Tenants
from periscope.errors import Forbidden, Unauthenticated
from periscope.periscope import Periscope

SESSION_COOKIE = "__Host-periscope"
MAX_SECRET_CHARACTERS = 512
_SAFE = frozenset(("GET", "HEAD", "OPTIONS"))


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks, and of which tenant."""

    tenant: Tenant
    identity: Identity

    @property
    def periscope(self) -> Periscope:
        """The open database of the caller's tenant."""
        return self.tenant.periscope

    @property
    def who(self) -> str:
        """The caller as the audit trail names them."""
        return self.identity.name

    def may(self, scope: Scope) -> bool:
        """Say whether the caller has the scope."""
        return scope in self.identity.scopes or Scope.ADMIN in self.identity.scopes


def caller_of(request: Any) -> Caller:
    """Return who asks; only where the gate has let the request through."""
    found: Caller = request.scope["state"]["caller"]
    return found


async def gate(connection: ASGIConnection[Any, Any, Any, Any], handler: BaseRouteHandler) -> None:
    """Let a request through, or raise: query as declared, caller known, scope held, rate kept.

    Raises:
        RequestRefused: a query parameter that there is none of, or too often; another origin.
        Unauthenticated, Forbidden, RateLimited: as they say.
    """
    needed = scopes_of(handler)
    if needed:
        caller = await identify(connection)
        connection.scope["state"]["caller"] = caller
        if not any(map(caller.may, needed)):
            names = " or ".join(needed)
            raise Forbidden(f"this needs the scope {names}, which your key does not have")
        await caller.tenant.access.spend(caller.identity)
    _check_query(connection)


async def identify(connection: ASGIConnection[Any, Any, Any, Any]) -> Caller:
    """Return whose request it is: by its key, else by the session of its cookie.

    Raises:
        Unauthenticated: by neither.
        RequestRefused: a session is used from another origin.
    """
    tenants: Tenants = connection.app.state.tenants
    given = connection.headers.getall("authorization", [])
    if given:
        kind, _, secret = given[0].partition(" ")
        if len(given) > 1 or kind.lower() != "bearer" or len(secret) > MAX_SECRET_CHARACTERS:
            raise Unauthenticated("give one header: Authorization: Bearer <key>")
        return Caller(*await tenants.identify_key(secret.strip()))
    token = connection.cookies.get(SESSION_COOKIE)
    if token and len(token) <= MAX_SECRET_CHARACTERS:
        check_origin(connection)
        return Caller(*await tenants.identify_session(token))
    raise Unauthenticated("give a key: Authorization: Bearer <key>")


def check_origin(connection: ASGIConnection[Any, Any, Any, Any]) -> None:
    """Refuse what a page of another origin makes a browser send.

    Raises:
        RequestRefused: it comes from elsewhere, or changes something and does not say whence.
    """
    headers = connection.headers
    sites, origins = headers.getall("sec-fetch-site", []), headers.getall("origin", [])
    host = headers.get("host")
    if any(one not in ("same-origin", "none") for one in sites):
        raise RequestRefused(403, "other-origin", "this was sent by a page of another origin")
    if any(not host or _host_of(one) != host for one in origins):
        raise RequestRefused(403, "other-origin", "this was sent by a page of another origin")
    if not origins and not sites and connection.scope["method"] not in _SAFE:  # type: ignore[typeddict-item]
        raise RequestRefused(
            403, "other-origin", "a change by a session needs the header Origin; use a key instead"
        )


def _host_of(origin: str) -> str:
    """Return host and port of an origin; nothing where it has none, as `null`."""
    try:
        return urlsplit(origin).netloc
    except ValueError:
        return ""


def _check_query(connection: ASGIConnection[Any, Any, Any, Any]) -> None:
    # A guard is given a new copy of the handler for each request: of those, nothing may be kept.
    handler: BaseRouteHandler = connection.scope["route_handler"]
    if not connection.scope["query_string"] or handler.opt.get("any_query"):
        return
    known = query_fields(handler)
    given = connection.query_params
    for name in given:
        if name not in known:
            raise _refused("unknown", name[:80], f"there is no parameter {name[:80]!r} here")
        times, most = len(given.getall(name)), known[name].most
        if times > most:
            often = "once" if most == 1 else f"{most} times"
            raise _refused("repeated", name, f"{name} is given more than {often}")
        if known[name].has_null and given[name].lower() == "null":
            raise _refused("unfit", name, f"{name}: leave it out where you mean none")


def _refused(how: str, name: str, detail: str) -> RequestRefused:
    return RequestRefused(400, f"parameter-{how}", detail, field=name)
