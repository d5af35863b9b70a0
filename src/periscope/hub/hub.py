"""One who follows what happens, for all listeners of a process."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from contextlib import aclosing

from periscope.errors import EventsLost, PeriscopeError, StoreUnavailable, UsageError
from periscope.events import EVENTS_LOST, NOT_A_POSITION
from periscope.hub.ring import Ring
from periscope.hub.subscription import Ended, Subscription, Wish
from periscope.periscope import Periscope
from periscope.positions import read_places
from periscope.work import Event

RING_BYTES = 4 << 20
MOST_BYTES = 1 << 20
GATHER_S = 0.05
"""Listeners are woken at once, and then at most this often: what came meanwhile is one write."""
PAUSE_S = 0.5
CATCHING_UP = 8
"""So many read older events from the store at a time."""
log = logging.getLogger("periscope")


class EventHub:
    """Follows the events of one open database, and tells any number of subscribers.

    A subscriber costs a number: all read from one ring of the newest events, and a slow one slows
    nobody. Only what is older than the ring is read from the store once more.
    """

    def __init__(self, periscope: Periscope, *, ring_bytes: int = RING_BYTES) -> None:
        self.periscope = periscope
        self.is_live = False
        """Whether the store answers: while not, nothing is told, and nothing will be missing."""
        self.failure: PeriscopeError | None = None
        """Why it ended by itself: the database moved, was replaced or closed."""
        self.catching_up = asyncio.Semaphore(CATCHING_UP)
        self._ring_bytes = ring_bytes
        self._subscribers = set[Subscription]()
        self._lasting = set[Subscription]()
        self._task: asyncio.Task[None] | None = None
        self._waking: asyncio.TimerHandle | None = None
        self._woken_at = 0.0

    async def start(self) -> None:
        """Follow from now on.

        Raises:
            StoreUnavailable: the server is away.
        """
        if self._task is not None:
            raise UsageError("this hub was started already")
        self.ring = Ring(await self.periscope.get_event_position(), self._ring_bytes)
        self.is_live = True
        self._task = asyncio.create_task(self._run(), name="periscope-hub")

    async def close(self) -> None:
        """End, and with it every subscription, at once. Idempotent."""
        self._end_all(Ended.CLOSED)
        if self._waking is not None:
            self._waking.cancel()
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    @property
    def subscribers(self) -> int:
        """How many are subscribed."""
        return len(self._subscribers)

    def subscribe(
        self,
        since: str | None = None,
        *,
        kinds: frozenset[str] | None = None,
        threat_id: str | None = None,
        analyst: str | None = None,
        only: Callable[[Event], Event | None] | None = None,
        most_bytes: int = MOST_BYTES,
        lasting: bool = False,
    ) -> Subscription:
        """Be told what happens after `since` (the position of an event), or from now on.

        Only events of these `kinds`, about one threat (which is then the only one they name), by
        one analyst; `only` may leave events out and threats out of them. Whoever falls behind by
        more than `most_bytes` is ended as lagging, and loses nothing by subscribing again with
        `subscription.position`. Close what you subscribe to: `async with hub.subscribe() as s:`.
        A `lasting` one goes on when others are dismissed.

        Raises:
            UsageError: `since` is no position.
            EventsLost: it is one of a time when the database had other partitions.
            StoreUnavailable: the hub is closed, or ended by itself as `failure` says.
        """
        if self._task is None or self._task.done():
            raise self.failure or StoreUnavailable("the hub is closed; nothing is told any more")
        self._check(since)
        wish = Wish(kinds, threat_id, analyst, only)
        subscription = Subscription(self, since, wish, most_bytes)
        self._subscribers.add(subscription)
        if lasting:
            self._lasting.add(subscription)
        return subscription

    def dismiss(self) -> None:
        """End every subscription but those that last, as if the hub was closed."""
        for subscription in self._subscribers - self._lasting:
            subscription.end(Ended.CLOSED)
            self.leave(subscription)

    def leave(self, subscription: Subscription) -> None:
        """Forget one."""
        self._subscribers.discard(subscription)
        self._lasting.discard(subscription)

    def _check(self, since: str | None) -> None:
        if since is None:
            return
        places = read_places(since)
        if places is None:
            raise UsageError(NOT_A_POSITION)
        if len(places) != len(self.ring.floor):
            raise EventsLost(EVENTS_LOST)

    async def _run(self) -> None:
        try:
            while True:
                try:
                    await self._follow()
                except EventsLost as exc:
                    log.warning("hub: %s", exc)
                    await self._begin_anew()
        except PeriscopeError as exc:
            self.failure = exc
            log.warning("hub: tells nothing any more: %s", exc)
        finally:
            self.is_live = False
            closed = isinstance(self.failure, StoreUnavailable | UsageError)
            self._end_all(Ended.CLOSED if closed else Ended.BROKEN)

    async def _follow(self) -> None:
        events = self.periscope.events(self.ring.head, away=self._note_absence)
        async with aclosing(events):  # type: ignore[type-var]
            async for event in events:
                self.ring.add(event)
                if self._waking is None:
                    self._wake_soon()

    async def _begin_anew(self) -> None:
        """After a gap nobody can be told what was in it: all read the state, and come again."""
        self.is_live = False
        self._end_all(Ended.LOST)
        while not self.is_live:
            try:
                self.ring = Ring(await self.periscope.get_event_position(), self._ring_bytes)
                self.is_live = True
            except StoreUnavailable:
                await asyncio.sleep(PAUSE_S)
        self._end_all(Ended.LOST)  # whoever came meanwhile

    def _note_absence(self, is_away: bool) -> None:
        self.is_live = not is_away
        self._wake()

    def _wake_soon(self) -> None:
        loop = asyncio.get_running_loop()
        self._waking = loop.call_at(max(loop.time(), self._woken_at + GATHER_S), self._wake)

    def _wake(self) -> None:
        if self._waking is not None:
            self._waking.cancel()
        self._waking = None
        self._woken_at = asyncio.get_running_loop().time()
        for subscription in self._subscribers:
            subscription.wake()

    def _end_all(self, why: Ended) -> None:
        for subscription in self._subscribers:
            subscription.end(why)
        self._subscribers.clear()
        self._lasting.clear()
