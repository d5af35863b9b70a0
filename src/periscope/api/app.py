"""The application: every route, behind the gate, inside the envelope."""

from __future__ import annotations

from litestar import Litestar, Router
from litestar.datastructures import State

from periscope.api import (
    accounts,
    acts,
    claims,
    deadletters,
    export,
    feeds,
    health,
    interactions,
    keys,
    levels,
    lookups,
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
    routes = [route for noun in NOUNS for route in noun.ROUTES]
    state = State({"tenants": tenants, "unproven": receivers.Unproven()})
    app = Litestar(
        [Router("/v1", route_handlers=routes), *health.ROUTES],
        guards=[gate],
        exception_handlers={Exception: handle},
        state=state,
        openapi_config=None,
        logging_config=None,
        request_class=StrictRequest,
        request_max_body_size=tenants.settings.serve_max_body_mb << 20,
        debug=False,
    )
    envelope = Envelope(app, tenants.observe)
    app.state.envelope = envelope
    return envelope
