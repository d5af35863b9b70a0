"""What the board does not index, found by the read index: pages, what is alike, counts."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from litestar import Request, Response, get
from litestar.di import NamedDependency
from litestar.params import Parameter, QueryParameter

from periscope import documents
from periscope.access import Limits, Scope
from periscope.api.acting import ThreatId, threat_id_of
from periscope.api.answers import json_answer
from periscope.api.conditions import PART, Part
from periscope.api.gate import caller_of
from periscope.api.limits import check_visible
from periscope.api.problems import RequestRefused
from periscope.api.tenants import Tenant
from periscope.errors import IndexUnavailable
from periscope.functions import RankQuery
from periscope.index import FilteredPage, ReadIndex, Where
from periscope.index.buckets import MOST_BUCKETS
from periscope.models import Level
from periscope.shapes import FacetsDocument, HistogramDocument, SimilarList
from periscope.threat import Record

DAY_MS = 86_400_000
_FROM = "Begin of the stretch, in ms since 1970; default: 24 hours before its end."
_UNTIL = "End of the stretch, not part of it, in ms since 1970; default: now."

After = Annotated[
    str | None,
    Parameter(
        description="Position of an event that the read index must have reached; it is waited for, "
        "for two seconds at most.",
        max_length=32_768,
    ),
]


def index_of(tenant: Tenant) -> ReadIndex:
    """Return the read index.

    Raises:
        RequestRefused: there is none.
    """
    if tenant.index is None:
        raise RequestRefused(
            501, "index-off", "this service keeps no read index (setting serve_index)"
        )
    return tenant.index


async def reached(index: ReadIndex, position: str | None) -> None:
    """Wait until the index has come so far.

    Raises:
        IndexUnavailable: it has not, in time.
    """
    if position is not None and not await index.reached(position):
        raise IndexUnavailable("the read index has not come so far yet; ask again in a moment", 1.0)


async def find_page(
    tenant: Tenant,
    where: Where,
    limits: Limits,
    *,
    level: int,
    query: RankQuery,
    industry: str | None,
    cursor: str | None,
    limit: int,
) -> FilteredPage[Record]:
    """Return the next page of what fits, within the limits of a key."""
    index, where = index_of(tenant), limited(where, limits)
    if level == Level.WORKING:
        return await index.page(query, where, cursor, limit, as_records=True)
    page = await index.level_page(Level(level), where, cursor, limit, industry=industry)
    records = [one.record for one in page.items]
    return FilteredPage(
        records, page.next_cursor, page.as_of_ms, page.total, page.position, page.indexed_ms
    )


def limited(where: Where, limits: Limits) -> Where:
    """Return conditions with those of a key's limits."""
    return msgspec.structs.replace(
        where, sources=limits.sources, severities=limits.severities, tlps=limits.tlp
    )


@get(
    "/threats/{threat_id:str}/similar",
    opt={"scope": Scope.READ, "problems": (501,)},
    tags=["threats"],
)
async def list_similar(
    request: Request[Any, Any, Any],
    threat_id: ThreatId,
    limit: Annotated[int, Parameter(description="How many at most.", ge=1, le=100)] = 20,
) -> Response[SimilarList]:
    """List threats that share an indicator or the content with one, the most alike first.

    In all levels. What few share counts for more.
    """
    caller, name = caller_of(request), threat_id_of(threat_id)
    await check_visible(caller, name)
    where = limited(Where(), caller.identity.limits)
    found = await index_of(caller.tenant).similar(name, limit, where)
    return json_answer(documents.similar(found))  # type: ignore[no-any-return]


@get("/facets", dependencies=PART, opt={"scope": Scope.READ, "problems": (501,)}, tags=["threats"])
async def count_facets(
    request: Request[Any, Any, Any], part: NamedDependency[Part], after: After = None
) -> Response[FacetsDocument]:
    """Count what fits, by severity, status, level, source, TLP and tag."""
    caller = caller_of(request)
    index = index_of(caller.tenant)
    await reached(index, after)
    identity = caller.identity
    where = limited(part.where, identity.limits)
    found = await index.facets(part.query, where, level=part.level, analyst=identity.analyst)
    return json_answer(documents.facets(found))  # type: ignore[no-any-return]


@get(
    "/histogram", dependencies=PART, opt={"scope": Scope.READ, "problems": (501,)}, tags=["threats"]
)
async def count_by_time(
    request: Request[Any, Any, Any],
    part: NamedDependency[Part],
    from_: Annotated[
        int | None,
        QueryParameter(name="from", description=_FROM, ge=0, lt=2**48),
    ] = None,
    until: Annotated[int | None, Parameter(description=_UNTIL, ge=0, lt=2**48)] = None,
    buckets: Annotated[
        int, Parameter(description="In how many parts at most.", ge=1, le=MOST_BUCKETS)
    ] = 48,
    after: After = None,
) -> Response[HistogramDocument]:
    """Count what fits by when it was first seen: in equal parts of a stretch of time."""
    caller = caller_of(request)
    index = index_of(caller.tenant)
    await reached(index, after)
    until_ms = index.now_ms if until is None else until
    from_ms = max(0, until_ms - DAY_MS) if from_ is None else from_
    if from_ms >= until_ms:
        raise RequestRefused(422, "parameters-unfit", "from must be before until", field="from")
    where = limited(part.where, caller.identity.limits)
    found = await index.histogram(from_ms, until_ms, buckets, part.query, where, level=part.level)
    return json_answer(documents.histogram(found))  # type: ignore[no-any-return]


ROUTES: tuple[Any, ...] = (list_similar, count_facets, count_by_time)
