"""The application: every route, behind the gate, inside the envelope."""

from __future__ import annotations

from collections.abc import Callable

import msgspec
from litestar import Litestar, Router

from periscope.api import export, health, openapi, reports, threats
from periscope.api.envelope import Envelope
from periscope.api.gate import gate
from periscope.api.problems import handle
from periscope.api.tenants import Tenants

NOUNS = (
    export,
    reports,
    threats,
)
"""Modules whose routes stand under /v1, a noun each."""


def create_app(
    tenants: Tenants, observe: Callable[[str, str, int, float], None] | None = None
) -> Envelope:
    """Return the ASGI application that serves these tenants, which must be open.

    `observe` is told of each request that ended: route, method, status, seconds.
    """
    app = assembled(tenants.settings.serve_max_body_mb << 20)
    envelope = Envelope(app, observe or _nothing)
    app.state.update(
        {
            "tenants": tenants,
            "envelope": envelope,
            "openapi": msgspec.json.encode(openapi.document(app)),
        }
    )
    return envelope


def assembled(max_body_bytes: int) -> Litestar:
    """Return all routes behind the gate; they serve nobody yet."""
    routes = [route for noun in NOUNS for route in noun.ROUTES]
    return Litestar(
        [Router("/v1", route_handlers=routes), *health.ROUTES, *openapi.ROUTES],
        guards=[gate],
        exception_handlers={Exception: handle},
        openapi_config=None,
        logging_config=None,
        request_max_body_size=max_body_bytes,
        debug=False,
    )


def _nothing(route: str, method: str, status: int, seconds: float) -> None:
    """Nobody counts requests."""
