"""/v1/suppressed: what was set aside as noise, and why."""

from __future__ import annotations

from typing import Annotated, Any

from litestar import Request, Response, delete, get
from litestar.params import Parameter

from periscope import documents
from periscope.access import Scope
from periscope.api.acting import ThreatId, threat_id_of
from periscope.api.answers import json_answer
from periscope.api.gate import caller_of
from periscope.api.limits import refuse_limited
from periscope.api.problems import RequestRefused
from periscope.errors import ThreatUnknown
from periscope.marks import MAX_CAUSE_BYTES
from periscope.shapes import Forgotten, SuppressedDocument, SuppressedPage


@get("/suppressed", opt={"scope": Scope.READ}, tags=["noise"])
async def list_suppressed(
    request: Request[Any, Any, Any],
    cause: Annotated[
        str | None,
        Parameter(
            description="Only what was last set aside by `list:NAME` or `rule:ID`.",
            min_length=1,
            max_length=MAX_CAUSE_BYTES,
        ),
    ] = None,
    cursor: Annotated[
        str | None, Parameter(description="`next_cursor` of the page before.", max_length=4096)
    ] = None,
    limit: Annotated[int, Parameter(description="Entries of a page.", ge=1, le=1000)] = 100,
) -> Response[SuppressedPage]:
    """List what is suppressed, page by page; what was reported last comes first."""
    caller = caller_of(request)
    refuse_limited(caller)
    if cause is not None and len(cause.encode()) > MAX_CAUSE_BYTES:
        raise RequestRefused(422, "parameters-unfit", "cause is too long", field="cause")
    page = await caller.periscope.get_suppressed(cursor, limit, cause)
    told = {
        "items": [documents.suppressed(one) for one in page],
        "next_cursor": page.next_cursor,
        "total": page.total,
        **documents.times("as_of", page.as_of_ms),
    }
    return json_answer(told)  # type: ignore[no-any-return]


@get("/suppressed/{threat_id:str}", opt={"scope": Scope.READ}, tags=["noise"])
async def get_suppressed(
    request: Request[Any, Any, Any], threat_id: ThreatId
) -> Response[SuppressedDocument]:
    """Show what was set aside of one id."""
    caller = caller_of(request)
    refuse_limited(caller)
    found = await caller.periscope.get_suppressed_entry(threat_id_of(threat_id))
    if found is None:
        raise ThreatUnknown("nothing of this id is suppressed")
    return json_answer(documents.suppressed(found))  # type: ignore[no-any-return]


@delete(
    "/suppressed/{threat_id:str}",
    opt={"scope": Scope.ADMIN, "problems": (507,)},
    tags=["noise"],
    status_code=200,
)
async def forget_suppressed(
    request: Request[Any, Any, Any], threat_id: ThreatId
) -> Response[Forgotten]:
    """Forget what was set aside of an id: its next report starts anew. Safe to repeat."""
    caller = caller_of(request)
    refuse_limited(caller)
    name = threat_id_of(threat_id)
    there = await caller.periscope.forget_suppressed(name)
    await caller.tenant.access.remark(caller.who, "forget_suppressed", name)
    return json_answer(Forgotten(name, there))  # type: ignore[no-any-return]


ROUTES: tuple[Any, ...] = (list_suppressed, get_suppressed, forget_suppressed)
