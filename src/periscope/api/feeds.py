"""/v1/feeds: what workers poll, how it is doing, and what people do with it.

Over HTTP only feeds that are fetched can be defined. One that reads files is of the machine's
operator: whoever has an administrator's key of the API must not read the server's disk with it,
nor reach its private network, nor send its variables somewhere.
"""

from __future__ import annotations

import asyncio
import logging
from typing import Annotated, Any

import msgspec
from litestar import Request, Response, delete, get, post, put
from litestar.params import JSONBody, Parameter

from periscope.access import Scope
from periscope.api.answers import JSON, json_answer
from periscope.api.gate import Caller, caller_of
from periscope.api.limits import refuse_limited
from periscope.api.operations import Forms
from periscope.api.paths import text_of
from periscope.api.problems import RequestRefused
from periscope.errors import SettingInvalid
from periscope.polling import FeedInfo, Feeds, told
from periscope.shapes import FeedDefinition, FeedDocument, FeedDone, FeedList, FeedRun

PRIVATE = (
    *("password_env", "password_file", "token_env", "token_file", "headers_env"),
    *("ca_file", "severity_map", "allow"),
)
SECRETS = ("password_env", "token_env", "headers_env")
LONGEST_WAIT_S = 60
Name = Annotated[str, Parameter(description="The feed's name.")]

log = logging.getLogger("periscope.api")


@get("/feeds", opt={"scope": Scope.READ}, tags=["feeds"])
async def list_feeds(request: Request[Any, Any, Any]) -> Response[FeedList]:
    """List the feeds with what they are and how they are doing."""
    caller, feeds = await _feeds(request)
    found = await feeds.get_feeds()
    return json_answer({"feeds": [_shown(one, caller) for one in found]})  # type: ignore[no-any-return]


@get("/feeds/{name:str}", opt={"scope": Scope.READ}, tags=["feeds"])
async def get_feed(request: Request[Any, Any, Any], name: Name) -> Response[FeedDocument]:
    """Show one feed."""
    caller, feeds = await _feeds(request)
    return json_answer(_shown(await feeds.get_feed(text_of(name)), caller))  # type: ignore[no-any-return]


@put("/feeds/{name:str}", opt={"scope": Scope.ADMIN, "problems": (409,)}, tags=["feeds"])
async def define_feed(
    request: Request[Any, Any, Any], name: Name, data: JSONBody[FeedDefinition]
) -> Response[FeedDocument]:
    """Define a feed that is fetched from another host, or define it anew; it is due at once.

    Its URL must lead to a public address. Feeds that read the server's own files are defined in
    periscope.toml or by its command line, not here. The position stays, unless the feed comes from
    elsewhere now.
    """
    caller, feeds = await _feeds(request)
    wanted = text_of(name)
    fields = msgspec.to_builtins(data)
    _check_secrets(fields, len(request.app.state.tenants.all))
    _check_origin(feeds, wanted)
    try:
        await feeds.add_feed(wanted, replace=True, **fields)
    except SettingInvalid as exc:
        raise RequestRefused(422, "feed-invalid", str(exc)) from None
    info = await feeds.get_feed(wanted)
    shown = _shown(info, caller)
    detail = {name: shown["definition"][name] for name in ("kind", "place")}
    detail["place"] = detail["place"][:1000]
    await caller.tenant.access.remark(caller.who, "define_feed", wanted, detail)
    return json_answer(shown)  # type: ignore[no-any-return]


@delete(
    "/feeds/{name:str}",
    opt={"scope": Scope.ADMIN, "problems": (409, 507)},
    tags=["feeds"],
    status_code=200,
)
async def remove_feed(request: Request[Any, Any, Any], name: Name) -> Response[FeedDone]:
    """Remove a feed with its status and position; what it brought stays, and its dead letters."""
    caller, feeds = await _feeds(request)
    wanted = text_of(name)
    _check_origin(feeds, wanted)
    await feeds.remove_feed(wanted)
    return await _done(caller, wanted, "removed", "remove_feed", changed=True)


@post(
    "/feeds/{name:str}/pause",
    opt={"scope": Scope.ADMIN, "problems": (507,)},
    tags=["feeds"],
    status_code=200,
)
async def pause_feed(request: Request[Any, Any, Any], name: Name) -> Response[FeedDone]:
    """Hold a feed back, for all workers, until it is resumed. Safe to repeat."""
    caller, feeds = await _feeds(request)
    wanted = text_of(name)
    changed = await feeds.pause_feed(wanted)
    return await _done(caller, wanted, "paused", "pause_feed", changed=changed)


@post(
    "/feeds/{name:str}/resume",
    opt={"scope": Scope.ADMIN, "problems": (507,)},
    tags=["feeds"],
    status_code=200,
)
async def resume_feed(request: Request[Any, Any, Any], name: Name) -> Response[FeedDone]:
    """Let a paused feed run again, at once. Safe to repeat."""
    caller, feeds = await _feeds(request)
    wanted = text_of(name)
    changed = await feeds.resume_feed(wanted)
    return await _done(caller, wanted, "resumed", "resume_feed", changed=changed)


@post(
    "/feeds/{name:str}/run",
    opt={"scope": Scope.ADMIN, "answers": {202: Forms({JSON: FeedRun})}, "problems": (409, 507)},
    tags=["feeds"],
    status_code=200,
)
async def run_feed(
    request: Request[Any, Any, Any],
    name: Name,
    wait_s: Annotated[
        float,
        Parameter(description="Seconds to wait for its end.", ge=0, le=LONGEST_WAIT_S),
    ] = 10.0,
) -> Response[FeedRun]:
    """Run a feed now, due or not, and say what it brought.

    A run that takes longer than `wait_s` goes on: the answer is 202 then, and the feed itself
    shows how it ended.
    """
    caller, feeds = await _feeds(request)
    wanted = text_of(name)
    await feeds.get_feed(wanted)  # or there is nothing to run
    await caller.tenant.access.remark(caller.who, "run_feed", wanted)
    running = caller.tenant.background.start(feeds.run_feed(wanted))
    await asyncio.wait({running}, timeout=wait_s)
    if not running.done():
        return json_answer(FeedRun(wanted, False, None), status=202)  # type: ignore[no-any-return]
    try:
        ended = running.result()
    except SettingInvalid as exc:
        raise RequestRefused(422, "feed-invalid", str(exc)) from None
    return json_answer({"name": wanted, "ended": True, "result": told.run(ended)})  # type: ignore[no-any-return]


async def _feeds(request: Request[Any, Any, Any]) -> tuple[Caller, Feeds]:
    """Return who asks, and the feeds of their tenant as periscope.toml and the store define them.

    Raises:
        RequestRefused: periscope.toml cannot be used as it is now.
    """
    caller = caller_of(request)
    refuse_limited(caller)
    return caller, await feeds_of(caller)


async def feeds_of(caller: Caller) -> Feeds:
    """Return the feeds of a tenant.

    Raises:
        RequestRefused: periscope.toml cannot be used as it is now; the log says why.
    """
    try:
        return await asyncio.to_thread(Feeds, caller.periscope)
    except SettingInvalid as exc:
        log.error("%s", exc)
        raise RequestRefused(
            503,
            "configuration-unusable",
            "periscope.toml cannot be used; the server's log says why",
            retry_after_s=60,
        ) from None


def _check_origin(feeds: Feeds, name: str) -> None:
    if name in feeds.in_file:
        raise RequestRefused(
            409, "feed-in-file", f"feed {name} is defined in periscope.toml: change it there"
        )


def _check_secrets(fields: dict[str, Any], tenants: int) -> None:
    """Refuse to name a variable of a server that belongs to several: it may be another's."""
    given = next((name for name in SECRETS if name in fields), None)
    if given is not None and tenants > 1:
        raise RequestRefused(
            403,
            "feed-secret-forbidden",
            f"{given}: with several namespaces the operator defines feeds with secrets",
            field=given,
        )


def _shown(one: FeedInfo, caller: Caller) -> dict[str, Any]:
    """Return a feed; where its secrets are, and the server's paths, for administrators only."""
    found = told.feed(one)
    if one.definition is None or caller.may(Scope.ADMIN):
        return found
    shown = {name: value for name, value in found["definition"].items() if name not in PRIVATE}
    found["definition"] = shown
    if not one.definition.is_fetched:
        place = one.definition.place
        shown["place"] = place.rpartition("/")[2]
        for name in ("last_error", "document"):
            found[name] = found[name] and found[name].replace(place, shown["place"])
    return found


async def _done(
    caller: Caller, name: str, word: str, action: str, *, changed: bool
) -> Response[FeedDone]:
    await caller.tenant.access.remark(caller.who, action, name)
    return json_answer({"name": name, "done": word, "changed": changed})  # type: ignore[no-any-return]


ROUTES: tuple[Any, ...] = (
    *(list_feeds, get_feed, define_feed, remove_feed),
    *(pause_feed, resume_feed, run_feed),
)
