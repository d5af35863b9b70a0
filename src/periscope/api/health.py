"""Whether the service lives, and whether it can serve."""

from __future__ import annotations

from typing import Any

from litestar import Request, Response, get

from periscope.api.answers import json_answer
from periscope.api.problems import RequestRefused
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
    for tenant in state.tenants.all:
        await tenant.periscope.ping()
    return json_answer(Standing("ready"))  # type: ignore[no-any-return]


ROUTES: tuple[Any, ...] = (healthz, readyz)
