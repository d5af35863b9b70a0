"""One listener: where it is, what it wishes to be told, and why it ended."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import TYPE_CHECKING, Self

from periscope.errors import PeriscopeError, StoreUnavailable, UsageError
from periscope.hub.told import STORE_AWAY, STORE_BACK, Told, mark
from periscope.positions import Places, covers, joined, read_places, show_places
from periscope.work import Event

if TYPE_CHECKING:
    from periscope.hub.hub import EventHub
    from periscope.hub.ring import Ring

HEARTBEAT_S = 15.0
PORTION_BYTES = 256 * 1024
"""About so much is given at once."""
AHEAD_S = 5.0
"""So long somebody may claim to have seen what the hub has not: another process is faster."""


class Ended(StrEnum):
    """Why a subscription ended."""

    LAGGING = "lagging"  # it read too slowly: go on with its `position`
    LOST = "lost"  # what came after its position is not kept: read the state anew
    CLOSED = "closed"  # the subscription, the hub or the database was closed
    BROKEN = "broken"  # the database was moved or replaced


@dataclass(frozen=True, slots=True)
class Wish:
    """Which events one wishes to be told; None is no wish."""

    kinds: frozenset[str] | None = None
    threat_id: str | None = None
    analyst: str | None = None
    only: Callable[[Event], Event | None] | None = None

    def of(self, told: Told) -> Told | None:
        """The event as it is wished, or None; the very same one where nothing is left out."""
        event: Event | None = told.event
        assert event is not None  # noqa: S101 - for the type
        if self.kinds is not None and event.kind not in self.kinds:
            return None
        if self.analyst is not None and event.analyst_id != self.analyst:
            return None
        if self.threat_id is not None:
            if self.threat_id not in event.threat_ids:
                return None
            if len(event.threat_ids) > 1:
                event = replace(event, threat_ids=(self.threat_id,))
        if self.only is not None:
            event = self.only(event)
        if event is told.event:
            return told
        return None if event is None else Told(event)


class Subscription:
    """Made by `EventHub.subscribe`; for one reader. Ended when `ended` says why.

    `position`: up to there everything was given, or was not wished.
    """

    def __init__(self, hub: EventHub, since: str | None, wish: Wish, most_bytes: int) -> None:
        self.ended: Ended | None = None
        self.position = hub.ring.head if since is None else since
        self._hub, self._wish, self._most_bytes = hub, wish, most_bytes
        self._behind_bytes = most_bytes  # how far it may be behind just now
        self._live = hub.is_live
        self._waiter: asyncio.Future[None] | None = None
        self._seen: Places | None = None  # while it came another way than the hub
        self._ahead_since: float | None = None
        self._walk: AsyncIterator[Event] | None = None
        self._portion: asyncio.Task[list[Told]] | None = None
        self._number = hub.ring.after(self.position)
        if self._number is None:
            self._seen = read_places(self.position)
        self._join_ring()

    async def frames(self, wait_s: float = HEARTBEAT_S) -> bytes | None:
        """The frames of what happened, joined; b"" when `wait_s` passed without; None at the end.

        When the store goes away, and when it is back, a comment says so.
        """
        told = await self._next(wait_s)
        if self.ended is not None and not told:
            return None
        parts = [one.frame for one in told]
        if self._live != self._hub.is_live:
            self._live = self._hub.is_live
            parts.append(STORE_BACK if self._live else STORE_AWAY)
        return b"".join(parts)

    async def events(self, wait_s: float = HEARTBEAT_S) -> list[Event] | None:
        """The same as events."""
        told = await self._next(wait_s)
        self._live = self._hub.is_live
        return None if self.ended is not None and not told else [one.event for one in told]

    def heartbeat(self) -> bytes:
        """A frame for when nothing happens: it keeps the connection, and moves the reader's id."""
        return mark(self.position)

    def wake(self) -> None:
        """Something changed: look."""
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def end(self, why: Ended) -> None:
        """End it; the first reason stands."""
        self.ended = self.ended or why
        self.wake()

    async def close(self) -> None:
        """End it and give everything back. Idempotent."""
        self.end(Ended.CLOSED)
        self._hub.leave(self)
        if self._portion is not None:
            self._portion.cancel()
            await asyncio.gather(self._portion, return_exceptions=True)
        await self._stop_walking()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self.close()

    async def _next(self, wait_s: float) -> list[Told]:
        loop = asyncio.get_running_loop()
        ends_at = loop.time() + wait_s
        while self.ended is None:
            told = self._look() if self._number is not None else await self._older(ends_at)
            if told or self._live != self._hub.is_live or loop.time() >= ends_at:
                return told
            if self.ended is None and self._number is not None:
                await self._wait(ends_at)
        return []

    async def _wait(self, ends_at: float, portion: asyncio.Task[list[Told]] | None = None) -> None:
        """Until something changed, or a portion is there, or time is up."""
        loop = asyncio.get_running_loop()
        if self._ahead_since is not None:
            ends_at = min(ends_at, self._ahead_since + AHEAD_S)
        waiter = self._waiter = loop.create_future()
        timer = loop.call_at(ends_at, self.wake)
        if portion is not None:
            portion.add_done_callback(lambda _: self.wake())
        try:
            await waiter
        finally:
            timer.cancel()
            self._waiter = None

    def _look(self) -> list[Told]:
        """What the ring has for it."""
        ring, found, size = self._hub.ring, list[Told](), 0
        assert self._number is not None  # noqa: S101 - who calls has looked
        if self._is_lagging(ring, self._number):
            self.end(Ended.LAGGING)
            return []
        while self._number < ring.end and size < PORTION_BYTES:
            told = self._once(ring[self._number])
            self._number += 1
            if told is not None and (wished := self._wish.of(told)) is not None:
                found.append(wished)
                size += wished.size
        self._check_ahead(ring)
        return found

    def _is_lagging(self, ring: Ring, number: int) -> bool:
        if number < ring.first:
            return True
        behind = ring.behind_bytes(number)
        self._behind_bytes = min(self._behind_bytes, max(behind, 0) + self._most_bytes)
        return behind > self._behind_bytes

    def _once(self, told: Told) -> Told | None:
        """The event, unless it was given before; its position says all that was given."""
        if self._seen is None:
            self.position = told.event.position
            return told
        now = joined(self._seen, told.places)
        if now == self._seen:
            return None
        self._seen = None if now == told.places else now
        self.position = show_places(now)
        return told if self._seen is None else Told(replace(told.event, position=self.position))

    def _check_ahead(self, ring: Ring) -> None:
        """A position that never comes true is none: nobody may wait for ever behind it."""
        if self._seen is None or covers(ring.reached, self._seen) or not self._hub.is_live:
            self._ahead_since = None
            return
        now = asyncio.get_running_loop().time()
        self._ahead_since = self._ahead_since or now
        if now >= self._ahead_since + AHEAD_S:
            self.end(Ended.LOST)

    async def _older(self, ends_at: float) -> list[Told]:
        """What the ring no longer has, portion by portion, from the store."""
        if self._portion is None:
            self._portion = asyncio.create_task(self._read_portion())
        if not self._portion.done():
            await self._wait(ends_at, self._portion)
        if not self._portion.done():
            return []
        portion, self._portion = self._portion, None
        try:
            told = portion.result()
        except PeriscopeError as exc:
            self.end(_why(exc))
            return []
        if told:
            self.position = told[-1].event.position
        self._join_ring()
        return [wished for one in told if (wished := self._wish.of(one)) is not None]

    async def _read_portion(self) -> list[Told]:
        told, size = list[Told](), 0
        async with self._hub.catching_up:
            if self._walk is None:
                self._walk = self._hub.periscope.events(self.position)
            while size < PORTION_BYTES and not self._meets_ring():
                one = Told(await anext(self._walk))
                self._seen = one.places
                told.append(one)
                size += one.size
            if self._meets_ring():
                await self._stop_walking()
        return told

    def _meets_ring(self) -> bool:
        return self._seen is not None and covers(self._seen, self._hub.ring.floor)

    def _join_ring(self) -> None:
        if self._number is None and self._meets_ring():
            self._number = self._hub.ring.first
        if self._number is not None:
            behind = self._hub.ring.behind_bytes(self._number)
            self._behind_bytes = behind + self._most_bytes

    async def _stop_walking(self) -> None:
        walk, self._walk = self._walk, None
        if walk is not None:
            async with aclosing(walk):  # type: ignore[type-var]
                pass


def _why(exc: PeriscopeError) -> Ended:
    if isinstance(exc, UsageError):  # EventsLost is one; and what was never a position of ours
        return Ended.LOST
    return Ended.CLOSED if isinstance(exc, StoreUnavailable) else Ended.BROKEN
