"""What is on record: /v1/audit, /v1/history, and both of one threat."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

from litestar import Request, Response, get
from litestar.params import Parameter

from periscope import documents
from periscope.access import Scope
from periscope.api.acting import ThreatId, at_work
from periscope.api.answers import json_answer
from periscope.api.gate import caller_of
from periscope.api.limits import refuse_limited, unknown
from periscope.api.moments import Since, Until, moment_of
from periscope.api.pages import Cursor
from periscope.errors import CursorInvalid
from periscope.models import Severity
from periscope.past import Place, Wanted, past_document, place_of, read_past, read_trail
from periscope.shapes import AuditPage, DeparturePage, ThreatDesk, ThreatHistory

Limit = Annotated[int, Parameter(description="Entries of a page.", ge=1, le=1000)]
Id = Annotated[str | None, Parameter(description="Only this threat.", max_length=2048)]
_PLACE = re.compile(r"(\d{1,15})\.(\d{1,5})\.(\d{1,15})\.(\d{1,15})\.(\d{1,9})", re.ASCII)
_ROW = re.compile(r"\d{1,18}", re.ASCII)


@get("/audit", opt={"scope": Scope.ADMIN}, tags=["records"])
async def list_audit(
    request: Request[Any, Any, Any],
    analyst: Annotated[
        str | None, Parameter(description="Only what this analyst did.", max_length=512)
    ] = None,
    action: Annotated[
        str | None, Parameter(description="Only this, such as `decide`.", max_length=64)
    ] = None,
    threat_id: Id = None,
    since: Since = None,
    until: Until = None,
    cursor: Cursor = None,
    limit: Limit = 100,
) -> Response[AuditPage]:
    """Show who did what, the newest first."""
    caller = caller_of(request)
    refuse_limited(caller)
    wanted = Wanted(
        *(analyst, threat_id),
        await moment_of(caller.periscope, since, "since"),
        await moment_of(caller.periscope, until, "until"),
        action,
        _place(cursor),
    )
    archive = await caller.tenant.archive()
    entries = (await read_trail(caller.periscope, archive, wanted, limit))[::-1]
    more = ".".join(map(str, place_of(entries[-1]))) if len(entries) == limit else None
    items = [documents.audit_entry(one) for one in entries]
    return json_answer({"items": items, "next_cursor": more})  # type: ignore[no-any-return]


@get("/history", opt={"scope": Scope.READ}, tags=["records"])
async def list_history(
    request: Request[Any, Any, Any],
    reason: Annotated[
        Literal["expired_seen", "expired_unseen", "removed"] | None,
        Parameter(description="Only what left for this reason."),
    ] = None,
    severity: Annotated[Severity | None, Parameter(description="Only this severity.")] = None,
    source: Annotated[
        str | None, Parameter(description="Only of exactly this source.", max_length=1024)
    ] = None,
    threat_id: Id = None,
    since: Since = None,
    cursor: Cursor = None,
    limit: Limit = 100,
) -> Response[DeparturePage]:
    """Show what departed, the last first."""
    caller = caller_of(request)
    refuse_limited(caller)
    before = _row(cursor)
    archive = await caller.tenant.archive()
    rows = await archive.history(
        threat_id=threat_id,
        since_ms=await moment_of(caller.periscope, since, "since"),
        reason=reason,
        severity=severity,
        source=source,
        limit=limit,
        before=before,
    )
    more = str(rows[-1][0]) if len(rows) == limit else None
    items = [documents.departure(*row) for row in rows]
    return json_answer({"items": items, "next_cursor": more})  # type: ignore[no-any-return]


@get("/threats/{threat_id:str}/history", opt={"scope": Scope.READ}, tags=["records"])
async def get_threat_history(
    request: Request[Any, Any, Any],
    threat_id: ThreatId,
    since: Since = None,
    limit: Annotated[int, Parameter(description="The newest so many.", ge=1, le=10_000)] = 100,
) -> Response[ThreatHistory]:
    """Show all that was done to a threat, and its departures: of one that departed, too."""
    caller, name = await at_work(request, threat_id)
    archive = await caller.tenant.archive()
    since_ms = await moment_of(caller.periscope, since, "since")
    past = await read_past(caller.periscope, archive, name, limit, since_ms=since_ms)
    if not past and await caller.periscope.get_threat(name) is None:
        raise unknown()
    items = [past_document(one) for one in past]
    return json_answer({"threat_id": name, "items": items})  # type: ignore[no-any-return]


@get("/threats/{threat_id:str}/interactions", opt={"scope": Scope.READ}, tags=["threats"])
async def get_threat_interactions(
    request: Request[Any, Any, Any], threat_id: ThreatId
) -> Response[ThreatDesk]:
    """Show who holds a threat now, and what each analyst did to it last."""
    caller, name = await at_work(request, threat_id)
    if await caller.periscope.get_threat(name) is None:
        raise unknown()
    desk = documents.desk(await caller.periscope.get_desk(name))
    return json_answer({"threat_id": name, **desk})  # type: ignore[no-any-return]


def _place(cursor: str | None) -> Place | None:
    """Return where the page before ended.

    Raises:
        CursorInvalid: it is no cursor of the audit trail.
    """
    if cursor is None:
        return None
    found = _PLACE.fullmatch(cursor)
    if found is None:
        raise CursorInvalid("this is no cursor of the audit trail; pass next_cursor, unchanged")
    return Place(*map(int, found.groups()))


def _row(cursor: str | None) -> int | None:
    """Return the row where the page before ended.

    Raises:
        CursorInvalid: it is no cursor of the history.
    """
    if cursor is not None and not _ROW.fullmatch(cursor):
        raise CursorInvalid("this is no cursor of the history; pass next_cursor, unchanged")
    return None if cursor is None else int(cursor)


ROUTES: tuple[Any, ...] = (
    list_audit,
    list_history,
    get_threat_history,
    get_threat_interactions,
)
