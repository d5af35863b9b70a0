"""Pages of threats: what may be asked for, read once for all who ask at the same time."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any, NamedTuple

import msgspec
from litestar import Request, Response
from litestar.di import NamedDependency, Provide
from litestar.params import Parameter

from periscope.access import NO_LIMITS, Limits
from periscope.api.answers import json_answer, tag_of, unchanged
from periscope.api.conditions import WHERE
from periscope.api.finding import After, find_page, index_of, reached
from periscope.api.gate import caller_of
from periscope.api.limits import sees
from periscope.api.problems import RequestRefused
from periscope.api.tenants import Tenant
from periscope.functions import RankQuery
from periscope.header import HEADER_BYTES, read_threat
from periscope.index import EVERYTHING, Where
from periscope.models import Severity, Status
from periscope.rank_queries import hot_query, score_query, severity_query, status_query
from periscope.shapes import ThreatDocument, ThreatPage
from periscope.spliced import exactness, framed
from periscope.threat import Record, RecordPage

Cursor = Annotated[
    str | None, Parameter(description="`next_cursor` of the page before.", max_length=4096)
]
Limit = Annotated[int, Parameter(description="Threats of a page.", ge=1, le=1000)]
Fields = Annotated[
    str | None,
    Parameter(
        description="Only these fields of each threat, with commas between them.", max_length=2048
    ),
]
OfLevel = Annotated[int, Parameter(description="1 work, 2 validated, 3 known.", ge=1, le=3)]
OfSeverity = Annotated[Severity | None, Parameter(description="Only this severity (level 1).")]
OfStatus = Annotated[
    Status | None, Parameter(description="Only this status of level 1; default: open.")
]
MinScore = Annotated[float | None, Parameter(description="Lowest score (level 1).", ge=0, le=1)]
MaxScore = Annotated[float | None, Parameter(description="Highest score (level 1).", ge=0, le=1)]
MinInteractions = Annotated[
    int | None, Parameter(description="At least so many interactions (level 1).", ge=1, le=10)
]
Overdue = Annotated[
    bool, Parameter(description="Only what is past its response target, longest first.")
]
OfIndustry = Annotated[
    str | None, Parameter(description="Only this industry (level 3).", max_length=256)
]
FIELDS = ThreatDocument.__struct_fields__
LOOKED_AT = 500
"""Ranks that are read at a time for a key that sees some of them."""
LOOKS = 10
_parts = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode


class Asked(msgspec.Struct, frozen=True):
    """Which threats are asked for; equal ones are answered by one read."""

    level: int = 1
    severity: Severity | None = None
    status: Status | None = None
    min_score: float | None = None
    max_score: float | None = None
    min_interactions: int | None = None
    overdue: bool = False
    industry: str | None = None
    cursor: str | None = None
    limit: int = 100
    fields: tuple[str, ...] = ()
    limits: Limits = NO_LIMITS
    where: Where = EVERYTHING
    after: str | None = None


def _asked(
    where: NamedDependency[Where],
    level: OfLevel = 1,
    severity: OfSeverity = None,
    status: OfStatus = None,
    min_score: MinScore = None,
    max_score: MaxScore = None,
    min_interactions: MinInteractions = None,
    overdue: Overdue = False,
    industry: OfIndustry = None,
    after: After = None,
    cursor: Cursor = None,
    limit: Limit = 100,
) -> Asked:
    return Asked(
        *(level, severity, status, min_score, max_score, min_interactions, overdue),
        *(industry, cursor, limit),
        where=where,
        after=after,
    )


ASKED = {**WHERE, "asked": Provide(_asked, sync_to_thread=False)}
"""Of a handler that takes `asked: NamedDependency[Asked]`, and so all parameters of the queue."""


class Read(NamedTuple):
    """A page as it was read; `exact` is up to which position and moment the index knew."""

    items: list[Record]
    next_cursor: str | None
    total: int | None
    as_of_ms: int
    exact: tuple[str | None, int | None] | None = None

    def tag(self, *more: bytes) -> str:
        """Return its entity tag, which whatever else is shown of it changes as well."""
        state = [one.threat_id + one.record[:HEADER_BYTES] for one in self.items]
        return tag_of(*state, repr((self.total, self.exact)).encode(), *more)


async def answer_page(request: Request[Any, Any, Any], asked: Asked) -> Response[ThreatPage]:
    """Answer a page as far as the caller may see it, or that it is as they know it.

    Raises:
        RequestRefused: parameters do not fit together.
    """
    check(asked)
    caller = caller_of(request)
    tenant, asked = caller.tenant, msgspec.structs.replace(asked, limits=caller.identity.limits)
    body, tag = await tenant.flights(asked, lambda: _read(tenant, asked))
    return unchanged(request, tag) or json_answer(body, headers={"ETag": tag})  # type: ignore[no-any-return]


def fields_of(given: str | None) -> tuple[str, ...]:
    """Return the fields that are asked for, each once; none: all.

    Raises:
        RequestRefused: there is no field of that name.
    """
    names = tuple(dict.fromkeys(name.strip() for name in given.split(","))) if given else ()
    for name in names:
        if name not in FIELDS:
            raise RequestRefused(
                422,
                "parameters-unfit",
                f"fields: a threat has no field {name[:80]!r}",
                field="fields",
            )
    return names


def picked(documents: list[bytes], fields: tuple[str, ...]) -> list[bytes]:
    """Return documents with these fields only, their values as they are."""
    if not fields:
        return documents
    return [
        msgspec.json.encode({name: parts[name] for name in fields})
        for parts in map(_parts, documents)
    ]


async def _read(tenant: Tenant, asked: Asked) -> tuple[bytes, str]:
    """Return a page as it is answered, and its tag."""
    page = await read_asked(tenant, asked)
    items = picked(tenant.splicer.items(page.items, page.as_of_ms), asked.fields)
    more = b"" if page.exact is None else exactness(*page.exact)
    body = framed(items, page.next_cursor, page.total, page.as_of_ms, more)
    return body, page.tag(repr(asked.fields).encode())


async def read_asked(tenant: Tenant, asked: Asked) -> Read:
    """Return the page that is asked for, within its limits, whoever finds it.

    Raises:
        RequestRefused: there is no read index, and only that could tell.
        IndexUnavailable: it has not come as far as it must have.
    """
    if asked.where != EVERYTHING:
        return await _read_found(tenant, asked)
    if asked.limits:
        page = await _page_within(tenant, asked)
        return Read(page.items, page.next_cursor, None, page.as_of_ms)
    page = await read_page(tenant, asked)
    return Read(page.items, page.next_cursor, page.total, page.as_of_ms)


async def _read_found(tenant: Tenant, asked: Asked) -> Read:
    """Return a page of what the read index finds."""
    await reached(index_of(tenant), asked.after)
    where = asked.where
    if asked.overdue:
        where = msgspec.structs.replace(where, overdue=True)
    page = await find_page(
        tenant,
        where,
        asked.limits,
        level=asked.level,
        query=rank_query(asked, tenant.periscope.functions.rules.policy.interactions_cap),
        industry=asked.industry,
        cursor=asked.cursor,
        limit=asked.limit,
    )
    exact = (page.position, page.indexed_ms)
    return Read(page.items, page.next_cursor, page.total, page.as_of_ms, exact)


async def read_page(tenant: Tenant, asked: Asked) -> RecordPage:
    """Return the page that is asked for, whatever the limits."""
    periscope, cursor, limit = tenant.periscope, asked.cursor, asked.limit
    if asked.overdue:
        return await periscope.get_overdue_records(asked.severity, cursor, limit)
    if asked.level > 1:
        return await periscope.get_level_records(asked.level, asked.industry, cursor, limit)
    query = rank_query(asked, periscope.functions.rules.policy.interactions_cap)
    return await periscope.get_ranked_records(query, cursor, limit)


async def _page_within(tenant: Tenant, asked: Asked) -> RecordPage:
    """Return a page of what is within the limits: as far as a bounded look at the ranking goes."""
    items: list[Record] = []
    cursor = asked.cursor
    for _ in range(LOOKS):
        wanted = asked.limit - len(items)
        page, kept = await _look(tenant, asked, cursor, max(wanted, LOOKED_AT))
        while len(kept) > wanted:  # read again up to the last one wanted, so that the next page
            last = page.items.index(kept[wanted - 1])  # begins right behind it
            page, kept = await _look(tenant, asked, cursor, last + 1)
        items += kept
        cursor = page.next_cursor
        if cursor is None or len(items) == asked.limit:
            break
    return RecordPage(items, cursor, page.as_of_ms, 0)


async def _look(
    tenant: Tenant, asked: Asked, cursor: str | None, count: int
) -> tuple[RecordPage, list[Record]]:
    """Return the next `count` of the ranking, and those of them that are within the limits."""
    page = await read_page(tenant, msgspec.structs.replace(asked, cursor=cursor, limit=count))
    keep = within(tenant, asked.limits, page.as_of_ms)
    return page, [one for one in page.items if keep(one)]


def within(tenant: Tenant, limits: Limits, as_of_ms: int) -> Callable[[Record], bool]:
    """Return what says whether a record is within the limits."""
    policy = tenant.periscope.functions.rules.policy
    return lambda one: sees(limits, read_threat(one.threat_id, one.record, as_of_ms, policy))


def rank_query(asked: Asked, cap: int) -> RankQuery:
    """Return what is asked of the board.

    Raises:
        UsageError: it cannot be asked so.
    """
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
    return RankQuery(**found)


def check(asked: Asked) -> None:
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
