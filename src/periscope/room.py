"""How much may wait to be sent: bounded in calls and in bytes."""

from __future__ import annotations

import asyncio
from collections import deque
from dataclasses import dataclass

from periscope.bound import NEVER, Bound
from periscope.connection import CLOSED
from periscope.errors import StoreUnavailable

QUEUE_BYTES = 64 * 1024 * 1024

_NO_ROOM = (
    "waited {:g} s (setting operation_timeout_s) for room among the calls that wait to be sent "
    "(setting queue_limit); nothing was sent: try again, with fewer calls at once"
)


@dataclass(slots=True)
class Tally:
    """How many callers travelled in how many calls to a server, since the database was opened."""

    callers: int = 0
    calls: int = 0

    def note(self, callers: int) -> None:
        """Count one call more, with so many callers in it."""
        self.callers += callers
        self.calls += 1


class Room:
    """How much may wait at once, in calls and in bytes; who comes beyond that waits in order.

    `most_s`: how long a call may wait in all, here and for its answer. `tally` is for whoever sends
    those that were let in.
    """

    def __init__(self, calls: int, most_s: float = NEVER) -> None:
        self.most_s = most_s
        self.tally = Tally()
        self._calls, self._bytes = calls, QUEUE_BYTES
        self._queue: deque[tuple[int, float, asyncio.Future[None]]] = deque()
        self._bound = Bound(most_s, self._send_away)
        self._closed = False

    async def take(self, size: int, since: float = 0.0) -> None:
        """Take room for one call of `size` bytes, which began then.

        Raises:
            StoreUnavailable: the database was closed, before or meanwhile; or there was no room.
        """
        self.check()
        if not self._queue and self._fits(size):
            self._calls, self._bytes = self._calls - 1, self._bytes - size
            return
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._queue.append((size, since, turn))
        self._bound.watch(since)
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():
                self.give(size)  # the turn came together with the cancellation
            raise
        self.check()

    def close(self) -> None:
        """Send everybody away who waits, and whoever comes later."""
        self._closed = True
        self._bound.close()
        for _, _, turn in self._queue:
            if not turn.done():
                turn.set_exception(StoreUnavailable(CLOSED))
        self._queue.clear()

    def check(self) -> None:
        """Refuse whoever comes after the end.

        Raises:
            StoreUnavailable: the database was closed.
        """
        if self._closed:
            raise StoreUnavailable(CLOSED)

    def give(self, size: int) -> None:
        """Give it back, and let in who waits."""
        self._calls, self._bytes = self._calls + 1, self._bytes + size
        self._let_in()

    def _let_in(self) -> None:
        while self._queue and (self._queue[0][2].done() or self._fits(self._queue[0][0])):
            size, _, turn = self._queue.popleft()
            if not turn.done():
                self._calls, self._bytes = self._calls - 1, self._bytes - size
                turn.set_result(None)

    def _send_away(self, before: float) -> float | None:
        """Let go of those who came before that time and are not in yet."""
        for _, since, turn in self._queue:
            if since <= before and not turn.done():
                turn.set_exception(StoreUnavailable(_NO_ROOM.format(self.most_s)))
        self._let_in()
        return min((since for _, since, turn in self._queue if not turn.done()), default=None)

    def _fits(self, size: int) -> bool:
        return self._calls > 0 and (size <= self._bytes or self._bytes == QUEUE_BYTES)
