"""GET /v1/rows and POST /v1/rows/lookup: threats in a line each, with who has them claimed."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from time import perf_counter
from typing import Any

import msgspec
from litestar import Request, Response, get, post
from litestar.di import NamedDependency
from litestar.params import JSONBody

from periscope.access import NO_LIMITS, Limits, Scope
from periscope.api.answers import json_answer, unchanged
from periscope.api.gate import caller_of
from periscope.api.pages import ASKED, Asked, check, read_asked, within
from periscope.api.tenants import Tenant
from periscope.index.calls import holders_of
from periscope.keys import PartitionKeys
from periscope.reader import over
from periscope.rows import NOBODY, Holder
from periscope.shapes import RowPage, RowsBody, RowsFound, ThreatRow
from periscope.threat import Record

TURN_S = 0.001
"""How long rows are made before others get their turn."""


@get(
    "/rows",
    dependencies=ASKED,
    opt={"scope": Scope.READ, "etag": True, "problems": (501,)},
    tags=["threats"],
)
async def list_rows(
    request: Request[Any, Any, Any], asked: NamedDependency[Asked]
) -> Response[RowPage]:
    """List threats in rank order, a line each: as small as that, whatever the size of the reports.

    The same threats in the same order as `/v1/threats` gives for these parameters, with who has
    each of them claimed just now; a cursor of the one is a cursor of the other.
    """
    return await answer_rows(request, asked)


@post("/rows/lookup", opt={"scope": Scope.READ}, status_code=200, tags=["threats"])
async def look_up_rows(
    request: Request[Any, Any, Any], data: JSONBody[RowsBody]
) -> Response[RowsFound]:
    """Show the rows of up to 100 threats by their ids, in this order, whatever their level."""
    caller = caller_of(request)
    tenant, limits, ids = caller.tenant, caller.identity.limits, tuple(data.threat_ids)

    async def read() -> bytes:
        as_of_ms, found = await find_rows(tenant, ids, limits)
        asked = dict.fromkeys(ids)
        items = [found[one] for one in asked if one in found]
        missing = [one for one in asked if one not in found]
        return msgspec.json.encode(RowsFound(items, missing, as_of_ms))

    return json_answer(await tenant.flights(("rows", ids, limits), read))  # type: ignore[no-any-return]


async def answer_rows(request: Request[Any, Any, Any], asked: Asked) -> Response[RowPage]:
    """Answer a page of rows as far as the caller may see it, or that it is as they know it.

    Raises:
        RequestRefused: parameters do not fit together.
    """
    check(asked)
    caller = caller_of(request)
    tenant, asked = caller.tenant, msgspec.structs.replace(asked, limits=caller.identity.limits)
    body, tag = await tenant.flights(("rows", asked), lambda: _read(tenant, asked))
    return unchanged(request, tag) or json_answer(body, headers={"ETag": tag})  # type: ignore[no-any-return]


async def _read(tenant: Tenant, asked: Asked) -> tuple[bytes, str]:
    """Return a page as it is answered, and its tag."""
    page = await read_asked(tenant, asked)
    holders = await _holders(tenant, page.items)
    rows = await _made(tenant, page.items, page.as_of_ms, holders)
    exact = () if page.exact is None else page.exact
    document = RowPage(rows, page.next_cursor, page.total, page.as_of_ms, *exact)
    return msgspec.json.encode(document), page.tag(repr(holders).encode())


async def find_rows(
    tenant: Tenant, ids: Iterable[str], limits: Limits = NO_LIMITS
) -> tuple[int, dict[str, ThreatRow]]:
    """Return the moment, and rows by id: of those that are there now, within the limits of a key.

    One turn for the records and one for the claims, however many ids.

    Raises:
        StoreDamaged: a record cannot be read.
    """
    as_of_ms, records = await tenant.periscope.get_records(dict.fromkeys(ids))
    if limits:
        records = list(filter(within(tenant, limits, as_of_ms), records))
    rows = await rows_of(tenant, records, as_of_ms)
    return as_of_ms, {one.threat_id: one for one in rows}


async def rows_of(tenant: Tenant, records: Sequence[Record], as_of_ms: int) -> list[ThreatRow]:
    """Return the rows of records, in their order, with who has each claimed now."""
    return await _made(tenant, records, as_of_ms, await _holders(tenant, records))


async def _made(
    tenant: Tenant, records: Sequence[Record], as_of_ms: int, holders: dict[bytes, Holder]
) -> list[ThreatRow]:
    """Return rows of records, and let others have their turn meanwhile."""
    policy, make = tenant.periscope.functions.rules.policy, tenant.rows.row
    rows, until = list[ThreatRow](), perf_counter() + TURN_S
    for one in records:
        rows.append(make(one, as_of_ms, policy, holders.get(one.threat_id, NOBODY)))
        if perf_counter() > until:
            await asyncio.sleep(0)
            until = perf_counter() + TURN_S
    return rows


async def _holders(tenant: Tenant, records: Sequence[Record]) -> dict[bytes, Holder]:
    """Return who has which of these claimed now: one turn, in all partitions at once."""
    periscope = tenant.periscope
    parts = periscope.reads.by_partition(one.threat_id for one in records)
    found: dict[bytes, Holder] = {}

    async def ask(keys: PartitionKeys) -> None:
        held = await holders_of(periscope.functions, keys, parts[keys])
        pairs = zip(parts[keys], held, strict=True)
        found.update((one, Holder(*who)) for one, who in pairs if who[0])

    await periscope.reads.bounded(over(list(parts), ask))
    return dict(sorted(found.items()))


ROUTES: tuple[Any, ...] = (list_rows, look_up_rows)
