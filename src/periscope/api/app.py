"""The application: every route, behind the gate, inside the envelope."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from litestar import Litestar, Router
from litestar.datastructures import State

from periscope.api.envelope import Envelope
from periscope.api.gate import gate
from periscope.api.health import healthz, readyz
from periscope.api.problems import handle
from periscope.api.reports import add_reports
from periscope.api.tenants import Tenants
from periscope.api.threats import get_threat, list_threats

ROUTES: tuple[Any, ...] = (add_reports, list_threats, get_threat)
OPEN_ROUTES: tuple[Any, ...] = (healthz, readyz)


def create_app(
    tenants: Tenants, observe: Callable[[str, str, int, float], None] | None = None
) -> Envelope:
    """Return the ASGI application that serves these tenants, which must be open.

    `observe` is told of each request that ended: route, method, status, seconds.
    """
    state = State({"tenants": tenants})
    app = Litestar(
        [Router("/v1", route_handlers=list(ROUTES)), *OPEN_ROUTES],
        guards=[gate],
        exception_handlers={Exception: handle},
        state=state,
        openapi_config=None,
        logging_config=None,
        request_max_body_size=tenants.settings.serve_max_body_mb << 20,
        debug=False,
    )
    envelope = Envelope(app, observe or _nothing)
    app.state.envelope = envelope
    return envelope


def _nothing(route: str, method: str, status: int, seconds: float) -> None:
    """Nobody counts requests."""
