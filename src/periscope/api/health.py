"""Whether the service lives, and whether it can serve."""

from __future__ import annotations

from typing import Any

from litestar import Request, Response, get

from periscope.access import Scope
from periscope.api.answers import json_answer
from periscope.api.forms import METRICS
from periscope.api.gate import caller_of
from periscope.api.limits import refuse_limited
from periscope.api.problems import RequestRefused
from periscope.metrics import content_type
from periscope.shapes import Standing


@get("/healthz", tags=["operations"])
async def healthz() -> Response[Standing]:
    """Say that the process lives and answers: true whatever the store does."""
    return json_answer(Standing("alive"))  # type: ignore[no-any-return]


@get("/readyz", tags=["operations"], opt={"problems": (500, 503, 507)})
async def readyz(request: Request[Any, Any, Any]) -> Response[Standing]:
    """Say whether requests can be served: 503 while the store is away and while ending."""
    state = request.app.state
    if state.envelope.draining:
        raise RequestRefused(503, "ending", "This process serves no longer.", retry_after_s=5)
    await state.tenants.ping()
    return json_answer(Standing("ready"))  # type: ignore[no-any-return]


@get("/metrics", opt={"scope": Scope.READ, "answers": {200: METRICS}}, tags=["operations"])
async def metrics(request: Request[Any, Any, Any]) -> Response[str]:
    """Tell Prometheus everything about the tenant of the key, and about this process."""
    caller = caller_of(request)
    refuse_limited(caller)
    is_open = "application/openmetrics-text" in request.headers.get("accept", "")
    text = await caller.tenant.metrics.render(is_open)
    kind = content_type(openmetrics=is_open)
    if kind.startswith("text/"):  # of these Litestar says the charset, and twice is once too often
        kind = kind.removesuffix("; charset=utf-8")
    return Response(text, media_type=kind)  # type: ignore[arg-type]


ROUTES: tuple[Any, ...] = (healthz, readyz, metrics)
