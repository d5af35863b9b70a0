"""What administrators do to threats: promote what is eligible; remove, allow, erase."""

from __future__ import annotations

from typing import Any

from litestar import Request, Response, post
from litestar.params import JSONBody

from periscope import documents
from periscope.access import Scope
from periscope.api.acting import (
    IdempotencyKey,
    ThreatId,
    analyst_of,
    at_work,
    request_id_of,
    threat_id_of,
)
from periscope.api.answers import json_answer
from periscope.api.gate import caller_of
from periscope.api.limits import refuse_limited
from periscope.shapes import ActBody, Allowed, EraseBody, Erased, Promoted, RemoveBody, Removed

NOBODY = ActBody()
NO_ERASER = EraseBody()
NO_NOTE = RemoveBody()
ADMIN: dict[str, Any] = {"opt": {"scope": Scope.ADMIN}, "status_code": 200, "tags": ["upkeep"]}


@post("/promote", **ADMIN)
async def promote(request: Request[Any, Any, Any]) -> Response[Promoted]:
    """Promote what is eligible, now; the workers do so by themselves."""
    caller = caller_of(request)
    refuse_limited(caller)
    done = await caller.periscope.promote_eligible_threats()
    counts = {"promoted": done.promoted, "failed": done.failed}
    await caller.tenant.access.remark(caller.who, "promote", "eligible threats", counts)
    return json_answer(documents.promotion(done))  # type: ignore[no-any-return]


@post("/threats/{threat_id:str}/remove", **ADMIN)
async def remove(
    request: Request[Any, Any, Any], threat_id: ThreatId, data: JSONBody[RemoveBody | None] = None
) -> Response[Removed]:
    """Move a threat into the archive, and keep its id out until it is allowed again."""
    caller, name = await at_work(request, threat_id)
    given = data or NO_NOTE
    analyst = analyst_of(caller, given.analyst_id)
    archive = await caller.tenant.archive()
    await caller.periscope.remove(archive, name, analyst, given.note or "")
    return json_answer(Removed(name, analyst))  # type: ignore[no-any-return]


@post("/threats/{threat_id:str}/allow", **ADMIN)
async def allow(
    request: Request[Any, Any, Any],
    threat_id: ThreatId,
    data: JSONBody[ActBody | None] = None,
    idempotency_key: IdempotencyKey = None,
) -> Response[Allowed]:
    """Let reports of a removed id in again."""
    caller, name, given = caller_of(request), threat_id_of(threat_id), data or NOBODY
    refuse_limited(caller)  # what was removed is not there to be looked at
    analyst = analyst_of(caller, given.analyst_id)
    request_id = request_id_of(given.request_id, idempotency_key)
    await caller.periscope.allow(name, analyst, request_id=request_id)
    return json_answer(Allowed(name, analyst))  # type: ignore[no-any-return]


@post("/threats/{threat_id:str}/erase", **ADMIN)
async def erase(
    request: Request[Any, Any, Any], threat_id: ThreatId, data: JSONBody[EraseBody | None] = None
) -> Response[Erased]:
    """Remove a threat and blank all that is written about it: there is no way back."""
    caller, name, given = caller_of(request), threat_id_of(threat_id), data or NO_ERASER
    refuse_limited(caller)  # the archive has no limits
    analyst = analyst_of(caller, given.analyst_id)
    blanked = await caller.periscope.erase(await caller.tenant.archive(), name, analyst)
    return json_answer(Erased(name, analyst, blanked))  # type: ignore[no-any-return]


ROUTES: tuple[Any, ...] = (promote, remove, allow, erase)
