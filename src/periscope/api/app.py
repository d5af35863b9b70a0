"""The application: every route, behind the gate, inside the envelope."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import msgspec
from litestar import HttpMethod, Litestar, Response, Router, route
from litestar.handlers import HTTPRouteHandler

from periscope.api import (
    accounts,
    acts,
    board,
    claims,
    console,
    deadletters,
    export,
    feeds,
    finding,
    health,
    interactions,
    key_figures,
    keys,
    levels,
    lookups,
    openapi,
    policy,
    receivers,
    reports,
    rows,
    selection,
    session,
    session_oidc,
    settings,
    stats,
    stream,
    suppressed,
    suppressions,
    threats,
    trail,
    upkeep,
    views,
    warninglists,
)
from periscope.api.envelope import Envelope
from periscope.api.gate import gate
from periscope.api.problems import handle
from periscope.api.strict_bodies import StrictRequest
from periscope.api.tenants import Tenants

NOUNS = (
    accounts,
    acts,
    board,
    claims,
    deadletters,
    export,
    feeds,
    finding,
    interactions,
    key_figures,
    keys,
    levels,
    lookups,
    policy,
    receivers,
    reports,
    rows,
    selection,
    session,
    session_oidc,
    settings,
    stats,
    stream,
    suppressed,
    suppressions,
    threats,
    trail,
    upkeep,
    views,
    warninglists,
)
"""Modules whose routes stand under /v1, a noun each."""


def create_app(tenants: Tenants) -> Envelope:
    """Return the ASGI application that serves these tenants, which must be open."""
    settings = tenants.settings
    app = assembled(settings.serve_max_body_mb << 20, has_console=settings.serve_console == "on")
    envelope = Envelope(app, tenants.observe)
    described = msgspec.json.encode(openapi.document(app))
    app.state.update(
        {
            "tenants": tenants,
            "envelope": envelope,
            "openapi": described,
            "unproven": receivers.Unproven(),
        }
    )
    return envelope


def assembled(max_body_bytes: int, *, has_console: bool = True) -> Litestar:
    """Return all routes behind the gate; they serve nobody yet."""
    routes = [route for noun in NOUNS for route in noun.ROUTES]
    return Litestar(
        [
            Router("/v1", route_handlers=[*_options(routes), *routes]),
            *health.ROUTES,
            *openapi.ROUTES,
            *(console.ROUTES if has_console else ()),
        ],
        guards=[gate],
        exception_handlers={Exception: handle},
        openapi_config=None,
        logging_config=None,
        request_class=StrictRequest,
        request_max_body_size=max_body_bytes,
        debug=False,
    )


def _options(routes: Sequence[HTTPRouteHandler]) -> Iterator[HTTPRouteHandler]:
    """Give the answer to OPTIONS of each path; Litestar's own names the methods of one handler."""
    methods: dict[str, set[str]] = {}
    for one in routes:
        for path in one.paths if one.include_in_schema is not False else ():
            methods.setdefault(path, {"OPTIONS"}).update(map(str, one.http_methods))
    for path, found in methods.items():
        yield _answer(path, ", ".join(sorted(found)))


def _answer(path: str, allow: str) -> HTTPRouteHandler:
    async def methods() -> Response[None]:
        """Name the methods of a path."""
        return Response(None, status_code=204, headers={"Allow": allow})

    made = route(path, http_method=[HttpMethod.OPTIONS], status_code=204, include_in_schema=False)
    return made(methods)
