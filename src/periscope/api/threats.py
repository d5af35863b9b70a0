"""GET /v1/threats and one threat: the queue, parts of it, levels 2 and 3, what is overdue."""

from __future__ import annotations

import asyncio
from typing import Annotated, Any

from litestar import Request, Response, get
from litestar.params import Parameter

from periscope import documents
from periscope.access import Scope
from periscope.api.acting import ThreatId, threat_id_of
from periscope.api.answers import json_answer, tag_of, unchanged
from periscope.api.gate import caller_of
from periscope.api.limits import sees, unknown
from periscope.api.pages import Asked, Cursor, Fields, Limit, answer_page, fields_of
from periscope.models import Severity, Status
from periscope.shapes import ThreatPage, ThreatShown


@get("/threats", opt={"scope": Scope.READ, "etag": True}, tags=["threats"])
async def list_threats(
    request: Request[Any, Any, Any],
    level: Annotated[int, Parameter(description="1 work, 2 validated, 3 known.", ge=1, le=3)] = 1,
    severity: Annotated[
        Severity | None, Parameter(description="Only this severity (level 1).")
    ] = None,
    status: Annotated[
        Status | None, Parameter(description="Only this status of level 1; default: open.")
    ] = None,
    min_score: Annotated[
        float | None, Parameter(description="Lowest score (level 1).", ge=0, le=1)
    ] = None,
    max_score: Annotated[
        float | None, Parameter(description="Highest score (level 1).", ge=0, le=1)
    ] = None,
    min_interactions: Annotated[
        int | None, Parameter(description="At least so many interactions (level 1).", ge=1, le=10)
    ] = None,
    overdue: Annotated[
        bool, Parameter(description="Only what is past its response target, longest first.")
    ] = False,
    industry: Annotated[
        str | None, Parameter(description="Only this industry (level 3).", max_length=256)
    ] = None,
    fields: Fields = None,
    cursor: Cursor = None,
    limit: Limit = 100,
) -> Response[ThreatPage]:
    """List threats in rank order, page by page.

    The ranking stands still during a walk: every page is of the moment of the first one, and a
    threat that does not change meanwhile comes exactly once.
    """
    asked = Asked(
        *(level, severity, status, min_score, max_score, min_interactions, overdue),
        *(industry, cursor, limit, fields_of(fields)),
    )
    return await answer_page(request, asked)


@get("/threats/{threat_id:str}", opt={"scope": Scope.READ, "etag": True}, tags=["threats"])
async def get_threat(
    request: Request[Any, Any, Any],
    threat_id: ThreatId,
) -> Response[ThreatShown]:
    """Show one threat, whatever its level: the record, its score explained, who is at work on it.

    No side effect.
    """
    return await show(request, threat_id_of(threat_id))


async def show(request: Request[Any, Any, Any], name: str) -> Response[ThreatShown]:
    """Answer one threat.

    Raises:
        ThreatUnknown: there is none of this name within the caller's limits.
    """
    caller = caller_of(request)
    periscope, limits = caller.periscope, caller.identity.limits
    found, desk = await asyncio.gather(periscope.get_threat(name), periscope.get_desk(name))
    if found is None or (limits and not sees(limits, found)):
        raise unknown()
    state = f"{found.revision} {found.sightings} {found.last_activity_ms} {desk}"
    tag = tag_of(state.encode(errors="replace"))
    document = documents.shown(found, desk)
    return unchanged(request, tag) or json_answer(document, headers={"ETag": tag})  # type: ignore[no-any-return]


ROUTES: tuple[Any, ...] = (list_threats, get_threat)
