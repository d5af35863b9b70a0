"""/v1/warninglists: lists of what is known to be harmless."""

from __future__ import annotations

from typing import Annotated, Any

from litestar import Request, Response, delete, get, post
from litestar.params import Parameter

from periscope import documents
from periscope.access import Scope
from periscope.api.answers import json_answer
from periscope.api.bodies import whole
from periscope.api.forms import WARNINGLIST
from periscope.api.gate import caller_of
from periscope.api.limits import refuse_limited
from periscope.api.paths import text_of
from periscope.noise.warninglist import MAX_FILE_BYTES
from periscope.shapes import WarninglistDocument, WarninglistDropped, WarninglistList


@get("/warninglists", opt={"scope": Scope.READ}, tags=["noise"])
async def list_warninglists(request: Request[Any, Any, Any]) -> Response[WarninglistList]:
    """List the warninglists that are loaded."""
    lists = await caller_of(request).periscope.get_warninglists()
    return json_answer({"items": [documents.warninglist(one) for one in lists]})  # type: ignore[no-any-return]


@post("/warninglists", opt={"scope": Scope.ADMIN, "body": WARNINGLIST}, tags=["noise"])
async def load_warninglist(request: Request[Any, Any, Any]) -> Response[WarninglistDocument]:
    """Load a MISP warninglist: the body is its `list.json`, also packed with gzip or zstd.

    It takes the place of a list of its name. A report whose indicators are all on such lists is
    suppressed, everywhere within a second.
    """
    caller = caller_of(request)
    refuse_limited(caller)
    settings = request.app.state.tenants.settings
    most = min(MAX_FILE_BYTES, settings.serve_max_body_mb << 20)
    body = await whole(request, most, settings.serve_body_timeout_s)
    loaded = await caller.periscope.load_warninglist(body, analyst=caller.who)
    told = {"type": loaded.type, "values": loaded.values}
    await caller.tenant.access.remark(caller.who, "load_warninglist", loaded.name, told)
    return json_answer(documents.warninglist(loaded), status=201)  # type: ignore[no-any-return]


@delete(
    "/warninglists/{name:str}",
    opt={"scope": Scope.ADMIN, "problems": (507,)},
    tags=["noise"],
    status_code=200,
)
async def drop_warninglist(
    request: Request[Any, Any, Any],
    name: Annotated[str, Parameter(description="The list's name, percent-encoded.")],
) -> Response[WarninglistDropped]:
    """Let go of a warninglist."""
    caller, wanted = caller_of(request), text_of(name)
    refuse_limited(caller)
    await caller.periscope.drop_warninglist(wanted)
    await caller.tenant.access.remark(caller.who, "drop_warninglist", wanted)
    return json_answer(WarninglistDropped(wanted))  # type: ignore[no-any-return]


ROUTES: tuple[Any, ...] = (list_warninglists, load_warninglist, drop_warninglist)
