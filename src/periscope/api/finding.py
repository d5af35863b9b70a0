"""What the board does not index, found by the read index: pages, what is alike, counts."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from litestar import Request, Response, get
from litestar.params import Parameter

from periscope import documents
from periscope.access import Limits, Scope
from periscope.api.acting import ThreatId, threat_id_of
from periscope.api.answers import json_answer
from periscope.api.gate import caller_of
from periscope.api.limits import check_visible
from periscope.api.problems import RequestRefused
from periscope.api.tenants import Tenant
from periscope.errors import IndexUnavailable
from periscope.functions import RankQuery
from periscope.index import FilteredPage, ReadIndex, Where
from periscope.models import Level, Status
from periscope.rank_queries import status_query
from periscope.shapes import FacetsDocument, SimilarList
from periscope.threat import Record

Text = Annotated[
    str | None,
    Parameter(
        description="Words of title, content, id or indicators: all of them; a phrase in quotes; "
        "`*` at the end of a word for any further letters.",
        max_length=1024,
    ),
]
Source = Annotated[str | None, Parameter(description="Only of this source.", max_length=256)]
Tag = Annotated[str | None, Parameter(description="Only with this tag.", max_length=256)]
Tlp = Annotated[
    str | None, Parameter(description="Only marked so; empty: not marked.", max_length=32)
]
Indicator = Annotated[
    str | None,
    Parameter(
        description="Only with this indicator: a value, or `type:value`; `evil[.]example` is read "
        "as what it stands for.",
        max_length=4096,
    ),
]
Holder = Annotated[
    str | None,
    Parameter(description="Only what this analyst has claimed; empty: nobody.", max_length=128),
]
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


@get("/facets", opt={"scope": Scope.READ, "problems": (501,)}, tags=["threats"])
async def count_facets(
    request: Request[Any, Any, Any],
    status: Annotated[
        Status | None, Parameter(description="Only this status of level 1; default: all levels.")
    ] = None,
    text: Text = None,
    source: Source = None,
    tag: Tag = None,
    tlp: Tlp = None,
    indicator: Indicator = None,
    holder: Holder = None,
    after: After = None,
) -> Response[FacetsDocument]:
    """Count what fits, by severity, status, level, source, TLP and tag."""
    caller = caller_of(request)
    index = index_of(caller.tenant)
    await reached(index, after)
    where = Where(text=text, source=source, tag=tag, tlp=tlp, indicator=indicator, holder=holder)
    query = None if status is None else status_query(status)
    found = await index.facets(
        query, limited(where, caller.identity.limits), analyst=caller.identity.analyst
    )
    return json_answer(documents.facets(found))  # type: ignore[no-any-return]


ROUTES: tuple[Any, ...] = (list_similar, count_facets)
