"""GET /v1/threats and one threat: the queue, parts of it, levels 2 and 3, what is overdue."""

from __future__ import annotations

import asyncio
from typing import Any

from litestar import Request, Response, get
from litestar.di import NamedDependency
from msgspec.structs import replace

from periscope import documents
from periscope.access import Scope
from periscope.api.acting import ThreatId, threat_id_of
from periscope.api.answers import json_answer, tag_of, unchanged
from periscope.api.gate import caller_of
from periscope.api.limits import sees, unknown
from periscope.api.pages import ASKED, Asked, Fields, answer_page, fields_of
from periscope.shapes import ThreatPage, ThreatShown


@get(
    "/threats",
    dependencies=ASKED,
    opt={"scope": Scope.READ, "etag": True, "problems": (501,)},
    tags=["threats"],
)
async def list_threats(
    request: Request[Any, Any, Any], asked: NamedDependency[Asked], fields: Fields = None
) -> Response[ThreatPage]:
    """List threats in rank order, page by page.

    Every page of a walk is of the moment of the first one, and a threat that does not change
    meanwhile comes exactly once. Text, source, tag, TLP, indicator, holder, what is left out and
    bounds of time are answered by the read index: a page says how far that has come, and may be
    short; its order is the board's.
    """
    return await answer_page(request, replace(asked, fields=fields_of(fields)))


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
