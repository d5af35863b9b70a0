"""GET /v1/events: what happens, as server-sent events, resumed exactly where one was."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Annotated, Any

import msgspec
from litestar import Request, get
from litestar.params import HeaderParameter, Parameter
from litestar.types import ASGIApp

from periscope.access import Scope
from periscope.api.forms import EVENTS
from periscope.api.gate import Caller, caller_of, identify
from periscope.api.limits import permit_of
from periscope.api.problems import RequestRefused
from periscope.api.streaming import Streamed, begun
from periscope.api.tenants import Tenants
from periscope.errors import EventsLost, Unauthenticated, UsageError
from periscope.exporting import Permit
from periscope.hub import Ended, Subscription
from periscope.hub.told import Told
from periscope.work import Event

LOOK_S = 1.0
"""So often a stream looks whether its key still holds."""
BEAT_LOOKS = 15
OPENED = b"retry: 2000\n\n"
MEDIA_TYPE = "text/event-stream"
HEADERS = {"cache-control": "no-store", "x-accel-buffering": "no"}

Since = Annotated[
    str | None,
    Parameter(
        description="Position (the `id` of an event) to go on after; the header `Last-Event-ID` "
        "goes before it. Default: from now on.",
        max_length=32_768,
    ),
]
LastEventId = Annotated[
    str | None,
    HeaderParameter(name="Last-Event-ID", description="The `id` of the last event that came."),
]


@get(
    "/events",
    opt={"scope": Scope.READ, "answers": {200: EVENTS}, "problems": (410,)},
    tags=["events"],
)
async def follow_events(
    request: Request[Any, Any, Any],
    kinds: Annotated[
        str | None,
        Parameter(description="Only these kinds, with commas between them.", max_length=1000),
    ] = None,
    threat_id: Annotated[
        str | None, Parameter(description="Only events of this threat.", max_length=512)
    ] = None,
    analyst: Annotated[
        str | None, Parameter(description="Only what this analyst does.", max_length=128)
    ] = None,
    since: Since = None,
    last_event_id: LastEventId = None,
) -> ASGIApp:
    """Follow what happens, as server-sent events.

    Each event has its position as `id`: a client that comes again with it in `Last-Event-ID` misses
    nothing and gets nothing twice. 410 says that events since then are no longer kept: read the
    state anew. While the store is away the stream stays open, and says so in a comment. Whoever
    reads too slowly gets `event: ended`, and goes on with its last id.
    """
    caller, tenants = caller_of(request), request.app.state.tenants
    _check_room(tenants)
    try:
        subscription = caller.tenant.hub.subscribe(
            last_event_id or since,
            kinds=None if kinds is None else frozenset(one.strip() for one in kinds.split(",")),
            threat_id=threat_id,
            analyst=analyst,
        )
    except EventsLost:
        raise
    except UsageError as exc:
        raise RequestRefused(422, "position-unfit", str(exc), field="since") from None
    stream = _Stream(request, caller, subscription)
    timeout_s = tenants.settings.serve_body_timeout_s
    return Streamed(await begun(stream.parts()), MEDIA_TYPE, timeout_s, HEADERS)


def _check_room(tenants: Tenants) -> None:
    if tenants.streams >= tenants.settings.serve_streams:
        raise RequestRefused(
            503,
            "too-many-streams",
            "as many streams are open as there may be; try again later",
            retry_after_s=5,
        )


class _Stream:
    """One listener's stream, as long as its key or session holds."""

    def __init__(
        self, request: Request[Any, Any, Any], caller: Caller, subscription: Subscription
    ) -> None:
        self._request = request
        self._caller = caller
        self._subscription = subscription
        self._permit = permit_of(caller.identity.limits)

    async def parts(self) -> AsyncIterator[bytes]:
        """Give the stream's frames, and in between a sign of life."""
        tenants, quiet = self._request.app.state.tenants, 0
        tenants.streams += 1
        try:
            async with self._subscription as subscription:
                yield OPENED + subscription.heartbeat()
                while (part := await self._next()) is not None:
                    quiet = 0 if part else quiet + 1
                    if quiet >= BEAT_LOOKS:
                        part, quiet = subscription.heartbeat(), 0
                    if part:
                        yield part
                    if not await self._holds():
                        yield _ended("unauthenticated")
                        return
                yield _ended((subscription.ended or Ended.CLOSED).value)
        finally:
            tenants.streams -= 1

    async def _next(self) -> bytes | None:
        if self._permit is None:
            return await self._subscription.frames(LOOK_S)
        events = await self._subscription.events(LOOK_S)
        return None if events is None else await self._within(events, self._permit)

    async def _within(self, events: list[Event], permit: Permit) -> bytes:
        """Frames of the threats that a limited key may see; what is gone cannot be seen by it."""
        ids = dict.fromkeys(one for event in events for one in event.threat_ids)
        threats = await self._caller.periscope.get_threats(ids)
        seen = {one.threat_id for one in threats if permit(one)}
        frames = []
        for event in events:
            kept = tuple(one for one in event.threat_ids if one in seen)
            if kept:
                frames.append(Told(replace(event, threat_ids=kept)).frame)
        return b"".join(frames)

    async def _holds(self) -> bool:
        try:
            now = await identify(self._request)
        except Unauthenticated:
            return False
        return now.identity.scopes == self._caller.identity.scopes


def _ended(why: str) -> bytes:
    return b"event: ended\ndata: %s\n\n" % msgspec.json.encode({"why": why})


ROUTES: tuple[Any, ...] = (follow_events,)
