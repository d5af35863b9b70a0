"""GET /v1/board and /v1/timeline: the queue in a few exact figures, now and over the last day."""

from __future__ import annotations

from typing import Annotated, Any

from litestar import Request, Response, get
from litestar.params import Parameter

from periscope.access import Scope
from periscope.api.answers import json_answer
from periscope.api.gate import caller_of
from periscope.api.limits import refuse_limited
from periscope.board import read_board
from periscope.shapes import BoardFigures, TimelineDocument
from periscope.timeline import DAY_S, Timeline, read_timeline


@get("/board", opt={"scope": Scope.READ}, tags=["operations"])
async def get_board(request: Request[Any, Any, Any]) -> Response[BoardFigures]:
    """Tell what waits how long, what is overdue, how the scores of the queue lie: exact figures."""
    caller = caller_of(request)
    refuse_limited(caller)
    found = await caller.tenant.flights("board", lambda: read_board(caller.periscope))
    return json_answer(found)  # type: ignore[no-any-return]


@get("/timeline", opt={"scope": Scope.READ}, tags=["operations"])
async def get_timeline(
    request: Request[Any, Any, Any],
    for_s: Annotated[
        int, Parameter(description="Seconds to look back from now.", ge=1, le=DAY_S)
    ] = DAY_S,
) -> Response[TimelineDocument]:
    """Tell how the queue was, a sample a minute, for up to a day back."""
    caller = caller_of(request)
    refuse_limited(caller)
    periscope = caller.periscope

    async def read() -> Timeline:
        return await read_timeline(periscope.functions, periscope.settings.namespace, for_s)

    return json_answer(await caller.tenant.flights(("timeline", for_s), read))  # type: ignore[no-any-return]


ROUTES: tuple[Any, ...] = (get_board, get_timeline)
