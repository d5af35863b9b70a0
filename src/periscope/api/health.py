"""Whether the service lives, whether it can serve; and who it is that asks."""

from __future__ import annotations

from typing import Any

from litestar import Request, Response, get

from periscope.api.answers import json_answer
from periscope.errors import PeriscopeError


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
        await state.tenants.ping()
    except PeriscopeError:
        return json_answer({"status": "store away"}, status=503, headers={"Retry-After": "2"})  # type: ignore[no-any-return]
    return json_answer({"status": "ready"})  # type: ignore[no-any-return]


ROUTES: tuple[Any, ...] = (healthz, readyz)
