"""GET /v1/stats, /v1/ledger and /v1/formats: counts, whether they come out, what is read."""

from __future__ import annotations

import asyncio
from typing import Annotated, Any

from litestar import Request, Response, get
from litestar.params import Parameter

from periscope import documents
from periscope.access import Scope
from periscope.api.answers import json_answer
from periscope.api.gate import Caller, caller_of
from periscope.api.limits import refuse_limited
from periscope.errors import Forbidden
from periscope.feeds.registry import all_formats
from periscope.ledger import Ledger
from periscope.shapes import FormatDocument, FormatList, LedgerDocument, StatsDocument

SHARED = ("used_memory_bytes", "max_memory_bytes")


@get("/stats", opt={"scope": Scope.READ}, tags=["operations"])
async def get_stats(request: Request[Any, Any, Any]) -> Response[StatsDocument]:
    """Count the threats by status, severity and level, and what else is held."""
    caller = caller_of(request)
    refuse_limited(caller)
    is_shared = len(request.app.state.tenants.all) > 1

    async def read() -> dict[str, Any]:
        periscope = caller.periscope
        found, held = await asyncio.gather(periscope.get_stats(), periscope.get_holdings())
        server = documents.server(periscope.server, found.capacity)
        server.pop("refusal", None)  # it may name places; `writable` says as much
        server |= dict.fromkeys(SHARED) if is_shared else {}
        return {**documents.stats(found), "held": held, "server": server}

    return json_answer(await caller.tenant.flights("stats", read))  # type: ignore[no-any-return]


@get("/ledger", opt={"scope": Scope.READ}, tags=["operations"])
async def get_ledger(
    request: Request[Any, Any, Any],
    deep: Annotated[
        bool, Parameter(description="Count every record and the archive again; scope admin.")
    ] = False,
) -> Response[LedgerDocument]:
    """Say whether what came in is where it must be: `balanced`.

    A deep recount is slow, and for a quiet database: what changes meanwhile may look like a fault.
    """
    caller = caller_of(request)
    refuse_limited(caller)
    if deep and not caller.may(Scope.ADMIN):
        raise Forbidden("a deep recount needs the scope admin")
    found = await caller.tenant.flights(("ledger", deep), lambda: _ledger(caller, deep=deep))
    return json_answer(documents.ledger(found))  # type: ignore[no-any-return]


async def _ledger(caller: Caller, *, deep: bool) -> Ledger:
    archive = await caller.tenant.archive() if deep else None
    return await caller.periscope.get_ledger(deep=deep, archive=archive)


@get("/formats", opt={"scope": (Scope.READ, Scope.INGEST)}, tags=["reports"])
async def list_formats(request: Request[Any, Any, Any]) -> Response[FormatList]:
    """List the formats that reports are read in, for `?format=` and for feeds."""
    found = sorted(all_formats(), key=lambda one: one.name)
    told = [FormatDocument(one.name, one.title, one.one_report_is) for one in found]
    return json_answer(FormatList(told))  # type: ignore[no-any-return]


ROUTES: tuple[Any, ...] = (get_stats, get_ledger, list_formats)
