"""Many ids at once: POST /v1/threats/lookup and /v1/seen."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from itertools import islice
from typing import Any

import msgspec
from litestar import Request, Response, get, post
from litestar.params import JSONBody

from periscope import documents
from periscope.access import Scope
from periscope.api.answers import json_answer
from periscope.api.gate import Caller, caller_of
from periscope.api.limits import seen_of
from periscope.api.pages import fields_of, picked, within
from periscope.api.threats import show
from periscope.membership import Seen
from periscope.shapes import Known, LookupBody, SeenBody, ThreatsFound, ThreatShown

AT_ONCE = 1000
"""Documents that are made before others get their turn."""
ANY_OF: Any = (Scope.INGEST, Scope.READ)


@post("/threats/lookup", opt={"scope": Scope.READ}, status_code=200, tags=["threats"])
async def look_up(
    request: Request[Any, Any, Any], data: JSONBody[LookupBody]
) -> Response[ThreatsFound]:
    """Show up to 1,000 threats by their ids, whatever their level. No side effect."""
    caller = caller_of(request)
    fields = fields_of(",".join(data.fields))
    as_of_ms, records = await caller.periscope.get_records(data.ids)
    if caller.identity.limits:
        records = list(filter(within(caller.tenant, caller.identity.limits, as_of_ms), records))
    items = picked(caller.tenant.splicer.items(records, as_of_ms), fields)
    known = {one.threat_id for one in records}
    missing = [one for one in dict.fromkeys(data.ids) if one.encode() not in known]
    told = msgspec.json.encode({"missing": missing, **documents.times("as_of", as_of_ms or None)})
    return json_answer(b'{"items":[%s],%s' % (b",".join(items), told[1:]))  # type: ignore[no-any-return]


@get(
    "/threats/lookup",
    opt={"scope": Scope.READ, "etag": True},
    tags=["threats"],
    include_in_schema=False,
)
async def get_threat_of_that_name(request: Request[Any, Any, Any]) -> Response[ThreatShown]:
    """Show the threat whose id is the word by which many are looked up."""
    return await show(request, "lookup")


@post("/seen", opt={"scope": ANY_OF}, status_code=200, tags=["threats"])
async def seen(request: Request[Any, Any, Any], data: JSONBody[SeenBody]) -> Response[Known]:
    """Say which of up to 100,000 ids are known, in which level, and since when they are quiet.

    What is not told of is unknown: no report of it was acknowledged until a second ago, or, with
    `exact`, until now.
    """
    caller = caller_of(request)
    found = await caller.periscope.seen(data.ids, exact=data.exact)
    parts = [part async for part in _told(caller, list(found.values()))]
    return json_answer(b'{"asked":%d,"known":[%s]}' % (len(data.ids), b",".join(parts)))  # type: ignore[no-any-return]


async def _told(caller: Caller, found: Sequence[Seen]) -> AsyncIterator[bytes]:
    """Give documents of what the caller may know of, some at a time."""
    rest = iter(found)
    while some := list(islice(rest, AT_ONCE)):
        if caller.identity.limits:
            names = {
                one.threat_id for one in await seen_of(caller, [one.threat_id for one in some])
            }
            some = [one for one in some if one.threat_id in names]
        if some:
            yield msgspec.json.encode([documents.seen(one) for one in some])[1:-1]
        await asyncio.sleep(0)


ROUTES: tuple[Any, ...] = (look_up, get_threat_of_that_name, seen)
