"""GET /v1/knowledge and /v1/overdue: lists of /v1/threats under names of their own."""

from __future__ import annotations

from typing import Annotated, Any

from litestar import Request, Response, get
from litestar.params import Parameter

from periscope.access import Scope
from periscope.api.pages import Asked, Cursor, Fields, Limit, OfIndustry, answer_page, fields_of
from periscope.models import Severity
from periscope.shapes import ThreatPage


@get("/knowledge", opt={"scope": Scope.READ, "etag": True}, tags=["threats"])
async def list_knowledge(
    request: Request[Any, Any, Any],
    level: Annotated[
        int | None,
        Parameter(
            description="2 validated, 3 known (default: 3 with an industry, else 2).", ge=2, le=3
        ),
    ] = None,
    industry: OfIndustry = None,
    fields: Fields = None,
    cursor: Cursor = None,
    limit: Limit = 100,
) -> Response[ThreatPage]:
    """List what is known: level 2 or 3, by confidence."""
    wanted = level or (2 if industry is None else 3)
    asked = Asked(
        level=wanted, industry=industry, cursor=cursor, limit=limit, fields=fields_of(fields)
    )
    return await answer_page(request, asked)


@get("/overdue", opt={"scope": Scope.READ, "etag": True}, tags=["threats"])
async def list_overdue(
    request: Request[Any, Any, Any],
    severity: Annotated[Severity | None, Parameter(description="Only this severity.")] = None,
    fields: Fields = None,
    cursor: Cursor = None,
    limit: Limit = 100,
) -> Response[ThreatPage]:
    """List what nobody has looked at in time, the longest overdue first."""
    asked = Asked(
        overdue=True, severity=severity, cursor=cursor, limit=limit, fields=fields_of(fields)
    )
    return await answer_page(request, asked)


ROUTES: tuple[Any, ...] = (list_knowledge, list_overdue)
