"""Whether the service lives, whether it can serve; and who it is that asks."""

from __future__ import annotations

from typing import Any

from litestar import Request, Response, get

from periscope.access import Scope
from periscope.api.answers import json_answer
from periscope.api.gate import caller_of
from periscope.api.limits import refuse_limited
from periscope.errors import PeriscopeError
from periscope.metrics import content_type


@get("/healthz", tags=["operations"], security=[])
async def healthz() -> Response[dict[str, str]]:
    """Say that the process lives and answers: true whatever the store does."""
    return json_answer({"status": "alive"})  # type: ignore[no-any-return]


@get("/readyz", tags=["operations"], security=[])
async def readyz(request: Request[Any, Any, Any]) -> Response[dict[str, str]]:
    """Say whether requests can be served: 503 while the store is away and while ending."""
    state = request.app.state
    if state.envelope.draining:
        return json_answer({"status": "ending"}, status=503, headers={"Retry-After": "5"})  # type: ignore[no-any-return]
    try:
        for tenant in state.tenants.all:
            await tenant.periscope.ping()
    except PeriscopeError:
        return json_answer({"status": "store away"}, status=503, headers={"Retry-After": "2"})  # type: ignore[no-any-return]
    return json_answer({"status": "ready"})  # type: ignore[no-any-return]


@get("/metrics", opt={"scope": Scope.READ}, tags=["operations"])
async def metrics(request: Request[Any, Any, Any]) -> Response[str]:
    """Tell Prometheus everything about the tenant of the key, and about this process."""
    caller = caller_of(request)
    refuse_limited(caller)
    is_open = "application/openmetrics-text" in request.headers.get("accept", "")
    text = await caller.tenant.metrics.render(is_open)
    return Response(text, media_type=content_type(openmetrics=is_open))  # type: ignore[arg-type]


ROUTES: tuple[Any, ...] = (healthz, readyz, metrics)
