"""The application: every route, behind the gate, inside the envelope."""

from __future__ import annotations

from typing import Any

import msgspec
from litestar import Litestar, Router

from periscope.api import (
    accounts,
    acts,
    claims,
    deadletters,
    export,
    feeds,
    finding,
    health,
    interactions,
    keys,
    levels,
    lookups,
    openapi,
    policy,
    receivers,
    reports,
    session,
    session_oidc,
    stats,
    stream,
    suppressed,
    suppressions,
    threats,
    trail,
    upkeep,
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
    claims,
    deadletters,
    export,
    feeds,
    finding,
    interactions,
    levels,
    lookups,
    keys,
    policy,
    receivers,
    reports,
    session,
    session_oidc,
    stats,
    stream,
    suppressed,
    suppressions,
    threats,
    trail,
    upkeep,
    warninglists,
)
"""Modules whose routes stand under /v1, a noun each."""


def create_app(tenants: Tenants) -> Envelope:
    """Return the ASGI application that serves these tenants, which must be open."""
    app = assembled(tenants.settings.serve_max_body_mb << 20)
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


def assembled(max_body_bytes: int) -> Litestar:
    """Return all routes behind the gate; they serve nobody yet."""
    routes = [route for noun in NOUNS for route in noun.ROUTES]
    app = Litestar(
        [Router("/v1", route_handlers=routes), *health.ROUTES, *openapi.ROUTES],
        guards=[gate],
        exception_handlers={Exception: handle},
        openapi_config=None,
        logging_config=None,
        request_class=StrictRequest,
        request_max_body_size=max_body_bytes,
        debug=False,
    )
    _tell_all_methods(app)
    return app


def _tell_all_methods(app: Litestar) -> None:
    """Make each path answer OPTIONS with all its methods: Litestar tells those of one handler."""
    found: dict[str, set[Any]] = {}
    for route in app.routes:
        found.setdefault(route.path, set()).update(route.methods)
    for route in app.routes:
        route.methods = found[route.path]
