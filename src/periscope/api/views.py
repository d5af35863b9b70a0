"""/v1/views: what people look at, saved under a name, for themselves or for all."""

from __future__ import annotations

from typing import Annotated, Any

from litestar import Request, Response, delete, get, post, put
from litestar.params import JSONBody, Parameter

from periscope.access import Scope
from periscope.api.answers import json_answer
from periscope.api.gate import Caller, caller_of
from periscope.api.limits import refuse_limited
from periscope.api.paths import text_of
from periscope.api.problems import RequestRefused
from periscope.errors import Forbidden
from periscope.shapes import NewView, ViewBody, ViewDocument, ViewList, ViewRemoved
from periscope.views import View, Views, ViewWord, new_view

TOLD_CHARACTERS = 500
"""Of a query at most in the audit trail."""
FULL = {
    ViewWord.FULL: "there are 1,000 saved views, and there cannot be more: remove one first",
    ViewWord.FULL_OWN: "you have 100 saved views, and cannot have more: remove one first",
}
ViewId = Annotated[str, Parameter(description="The id of the view.")]


@get("/views", opt={"scope": Scope.READ}, tags=["views"])
async def list_views(request: Request[Any, Any, Any]) -> Response[ViewList]:
    """List one's own saved views and the shared ones, by name.

    A key that is limited sees its own alone: what others look at may be beyond its limits.
    """
    caller = caller_of(request)
    found = await Views(caller.periscope).all()
    return json_answer({"items": [one for one in found if _sees(caller, one)]})  # type: ignore[no-any-return]


@post("/views", opt={"scope": Scope.READ, "problems": (409, 507)}, tags=["views"])
async def add_view(
    request: Request[Any, Any, Any], data: JSONBody[NewView]
) -> Response[ViewDocument]:
    """Save a view: 100 a person and 1,000 in all at most. To share it needs the scope act."""
    caller = caller_of(request)
    _check(caller, data)
    wanted = new_view(caller.who, data.name, data.query, shared=data.shared)
    made = _stored(*await Views(caller.periscope).put(wanted, 0))
    await _remark(caller, "add_view", made)
    return json_answer(made, status=201)  # type: ignore[no-any-return]


@put("/views/{view_id:str}", opt={"scope": Scope.READ, "problems": (409, 507)}, tags=["views"])
async def change_view(
    request: Request[Any, Any, Any], view_id: ViewId, data: JSONBody[ViewBody]
) -> Response[ViewDocument]:
    """Change a view of one's own, or as an administrator a shared one; it keeps its owner.

    Refused (409) if somebody else has changed it since the `revision` that is given. Safe to
    repeat: what it is already is no change.
    """
    caller = caller_of(request)
    _check(caller, data)
    views = Views(caller.periscope)
    before = await _own(caller, views, text_of(view_id))
    wanted = View(before.id, data.name, data.query, before.owner, data.shared)
    made = _stored(*await views.put(wanted, data.revision))
    await _remark(caller, "change_view", made, before)
    return json_answer(made)  # type: ignore[no-any-return]


@delete(
    "/views/{view_id:str}",
    opt={"scope": Scope.READ, "problems": (409, 507)},
    tags=["views"],
    status_code=200,
)
async def remove_view(request: Request[Any, Any, Any], view_id: ViewId) -> Response[ViewRemoved]:
    """Remove a view of one's own, or as an administrator a shared one."""
    caller = caller_of(request)
    views = Views(caller.periscope)
    before = await _own(caller, views, text_of(view_id))
    if await views.remove(before) is ViewWord.CHANGED:
        raise _changed()
    await _remark(caller, "remove_view", before)
    return json_answer(ViewRemoved(before.id))  # type: ignore[no-any-return]


def _sees(caller: Caller, view: View) -> bool:
    return view.owner == caller.who or (view.shared and not caller.identity.limits)


async def _own(caller: Caller, views: Views, view_id: str) -> View:
    """Return a view that the caller may change.

    Raises:
        RequestRefused: there is none of this id that they see.
        Forbidden: it is somebody else's.
    """
    found = await views.get(view_id)
    if found is None or not _sees(caller, found):
        raise _unknown()
    if found.owner != caller.who and not caller.may(Scope.ADMIN):
        raise Forbidden("this is somebody else's view; save one of your own")
    return found


def _check(caller: Caller, data: NewView | ViewBody) -> None:
    """Refuse a name or query that is none, and to share without the right to.

    Raises:
        RequestRefused: control or invisible characters, spaces at the ends of the name.
        Forbidden: sharing needs the scope act, and a key without limits.
    """
    if not data.name.isprintable() or data.name != data.name.strip():
        detail = "name: no control or invisible characters, and no spaces at its ends"
        raise RequestRefused(422, "view-invalid", detail, field="name")
    if any(ord(one) < 32 or 127 <= ord(one) < 160 for one in data.query):
        raise RequestRefused(422, "view-invalid", "query: no control characters", field="query")
    if data.shared:
        refuse_limited(caller)
        if not caller.may(Scope.ACT):
            raise Forbidden("to share a view needs the scope act")


def _stored(word: ViewWord, view: View) -> View:
    """Return the view as it is stored now.

    Raises:
        RequestRefused: it is not stored.
    """
    if word is ViewWord.CHANGED:
        raise _changed()
    if word is ViewWord.GONE:
        raise _unknown()
    if word in FULL:
        raise RequestRefused(409, "views-full", FULL[word])
    return view


def _changed() -> RequestRefused:
    detail = "somebody else has changed the view meanwhile: read it again"
    return RequestRefused(409, "view-changed", detail)


def _unknown() -> RequestRefused:
    return RequestRefused(404, "not-found", "there is no view of this id")


async def _remark(caller: Caller, action: str, view: View, before: View | None = None) -> None:
    """Put into the audit trail what concerns others as well: views that are shared, or were."""
    if view.shared or (before is not None and before.shared):
        told = {"id": view.id, "query": view.query[:TOLD_CHARACTERS], "shared": view.shared}
        await caller.tenant.access.remark(caller.who, action, view.name, told)


ROUTES: tuple[Any, ...] = (list_views, add_view, change_view, remove_view)
