"""GET /v1/kpis: how fast and how well threats are dealt with."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Any

from litestar import Request, Response, get
from litestar.params import Parameter

from periscope.access import Scope
from periscope.api.answers import json_answer
from periscope.api.gate import caller_of
from periscope.api.limits import refuse_limited
from periscope.kpis import document, kpis
from periscope.shapes import KpisDocument

DAY_S = 24 * 60 * 60
MOST_S = 366 * DAY_S


@get("/kpis", opt={"scope": Scope.READ}, tags=["operations"])
async def get_kpis(
    request: Request[Any, Any, Any],
    for_s: Annotated[
        int, Parameter(description="Seconds to look back from now.", ge=1, le=MOST_S)
    ] = DAY_S,
) -> Response[KpisDocument]:
    """Tell times to detect, triage, acknowledge and decide; true positives by source; the flow.

    The formulas are published with the documentation. Every threat and every act of that time is
    read once: of many, this takes seconds.
    """
    caller = caller_of(request)
    refuse_limited(caller)

    async def read() -> dict[str, Any]:
        archive = await caller.tenant.archive()
        async with caller.tenant.one_scan:  # each reads every threat: one at a time is enough
            return document(await kpis(caller.periscope, archive, timedelta(seconds=for_s)))

    return json_answer(await caller.tenant.flights(("kpis", for_s), read))  # type: ignore[no-any-return]


ROUTES: tuple[Any, ...] = (get_kpis,)
