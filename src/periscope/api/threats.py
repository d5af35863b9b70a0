"""GET /v1/threats and one threat: the queue, parts of it, levels 2 and 3, what is overdue."""

from __future__ import annotations

import asyncio
from typing import Annotated, Any
from urllib.parse import unquote_to_bytes

import msgspec
from litestar import Request, Response, get
from litestar.params import Parameter

from periscope import documents
from periscope.access import Scope
from periscope.api.answers import json_answer, tag_of, unchanged
from periscope.api.gate import Caller, caller_of
from periscope.api.problems import RequestRefused
from periscope.errors import ThreatUnknown
from periscope.functions import RankQuery
from periscope.header import HEADER_BYTES
from periscope.models import Severity, Status
from periscope.rank_queries import hot_query, score_query, severity_query, status_query
from periscope.shapes import ThreatDocument, ThreatPage
from periscope.threat import RecordPage

Cursor = Annotated[
    str | None, Parameter(description="`next_cursor` of the page before.", max_length=4096)
]
Limit = Annotated[int, Parameter(description="Threats of a page.", ge=1, le=1000)]


class Asked(msgspec.Struct, frozen=True):
    """Which threats are asked for; equal ones are answered by one read."""

    level: int
    severity: Severity | None
    status: Status | None
    min_score: float | None
    max_score: float | None
    min_interactions: int | None
    overdue: bool
    industry: str | None
    cursor: str | None
    limit: int


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
    cursor: Cursor = None,
    limit: Limit = 100,
) -> Response[ThreatPage]:
    """List threats in rank order, page by page.

    The ranking stands still during a walk: every page is of the moment of the first one, and a
    threat that does not change meanwhile comes exactly once.
    """
    asked = Asked(
        *(level, severity, status, min_score, max_score, min_interactions, overdue),
        *(industry, cursor, limit),
    )
    caller = caller_of(request)
    body, tag = await caller.tenant.flights(asked, lambda: _read(caller, asked))
    return unchanged(request, tag) or json_answer(body, headers={"ETag": tag})  # type: ignore[no-any-return]


async def _read(caller: Caller, asked: Asked) -> tuple[bytes, str]:
    """Return a page as it is answered, and its tag."""
    page = await read_page(caller, asked)
    state = [one.threat_id + one.record[:HEADER_BYTES] for one in page.items]
    return caller.tenant.splicer.page(page), tag_of(*state, str(page.total).encode())


async def read_page(caller: Caller, asked: Asked) -> RecordPage:
    """Return the page that is asked for."""
    periscope, cursor, limit = caller.periscope, asked.cursor, asked.limit
    _check(asked)
    if asked.overdue:
        return await periscope.get_overdue_records(asked.severity, cursor, limit)
    if asked.level > 1:
        return await periscope.get_level_records(asked.level, asked.industry, cursor, limit)
    query = rank_query(asked, periscope.functions.rules.policy.interactions_cap)
    return await periscope.get_ranked_records(query, cursor, limit)


def rank_query(asked: Asked, cap: int) -> RankQuery:
    """Return what is asked of the board.

    Raises:
        UsageError: it cannot be asked so.
    """
    query = RankQuery()
    found: dict[str, Any] = {}
    if asked.status is not None:
        found["status"] = status_query(asked.status).status
    if asked.severity is not None:
        found["severity"] = severity_query(asked.severity).severity
    if asked.min_interactions is not None:
        found["interactions"] = hot_query(asked.min_interactions, cap).interactions
    if asked.min_score is not None or asked.max_score is not None:
        lowest = 0.0 if asked.min_score is None else asked.min_score
        highest = 1e6 if asked.max_score is None else asked.max_score
        bounds = score_query(lowest, highest)
        found["lowest"], found["highest"] = bounds.lowest, bounds.highest
    return RankQuery(**{**_fields(query), **found})


def _fields(query: RankQuery) -> dict[str, Any]:
    return {name: getattr(query, name) for name in query.__slots__}


def _check(asked: Asked) -> None:
    """Refuse what no list answers.

    Raises:
        RequestRefused: names the parameter that does not fit.
    """
    of_queue = (asked.status, asked.min_score, asked.max_score, asked.min_interactions)
    names = ("status", "min_score", "max_score", "min_interactions")
    given = [name for name, value in zip(names, of_queue, strict=True) if value is not None]
    if asked.level > 1 and asked.severity is not None:
        given.append("severity")
    if (asked.level > 1 or asked.overdue) and given:
        raise _unfit(given[0], "is for the queue: leave out level and overdue")
    if asked.overdue and asked.level > 1:
        raise _unfit("overdue", "is about level 1")
    if asked.industry is not None and asked.level != 3:
        raise _unfit("industry", "is about level 3")
    if None not in (low := asked.min_score, high := asked.max_score) and low > high:  # type: ignore[operator]
        raise _unfit("max_score", "is below min_score")


def _unfit(name: str, what: str) -> RequestRefused:
    return RequestRefused(422, "parameters-unfit", f"{name} {what}", field=name)


def threat_id_of(encoded: str) -> str:
    """Return the id of a path as it was sent.

    Raises:
        ThreatUnknown: it is no text, so that no threat has it.
    """
    try:
        return unquote_to_bytes(encoded).decode()
    except UnicodeDecodeError:
        raise ThreatUnknown("there is no threat of this id") from None


@get("/threats/{threat_id:str}", opt={"scope": Scope.READ, "etag": True}, tags=["threats"])
async def get_threat(
    request: Request[Any, Any, Any],
    threat_id: Annotated[str, Parameter(description="Its id, percent-encoded.")],
) -> Response[ThreatDocument]:
    """Show one threat, whatever its level: the record, its score explained, who is at work on it.

    No side effect.
    """
    name, periscope = threat_id_of(threat_id), caller_of(request).periscope
    found, desk = await asyncio.gather(periscope.get_threat(name), periscope.get_desk(name))
    if found is None:
        raise ThreatUnknown("there is no threat of this id")
    document = {
        **documents.threat(found),
        "explanation": documents.explanation(found.explain()),
        "desk": documents.desk(desk),
    }
    tag = tag_of(f"{found.revision} {found.sightings} {found.last_activity_ms}".encode())
    return unchanged(request, tag) or json_answer(document, headers={"ETag": tag})  # type: ignore[no-any-return]


ROUTES: tuple[Any, ...] = (list_threats, get_threat)
