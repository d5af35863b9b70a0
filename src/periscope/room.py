"""How much may wait to be sent: bounded in calls and in bytes."""

from __future__ import annotations

import asyncio
from collections import deque

from periscope.connection import CLOSED
from periscope.errors import StoreUnavailable

QUEUE_BYTES = 64 * 1024 * 1024


class Room:
    """How much may wait at once, in calls and in bytes; who comes beyond that waits in order."""

    def __init__(self, calls: int) -> None:
        self._calls, self._bytes = calls, QUEUE_BYTES
        self._queue: deque[tuple[int, asyncio.Future[None]]] = deque()
        self._closed = False

    async def take(self, size: int) -> None:
        """Take room for one call of `size` bytes.

        Raises:
            StoreUnavailable: the database was closed, before or meanwhile.
        """
        self.check()
        if not self._queue and self._fits(size):
            self._calls, self._bytes = self._calls - 1, self._bytes - size
            return
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._queue.append((size, turn))
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
        for _, turn in self._queue:
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
        while self._queue and (self._queue[0][1].done() or self._fits(self._queue[0][0])):
            size, turn = self._queue.popleft()
            if not turn.done():
                self._calls, self._bytes = self._calls - 1, self._bytes - size
                turn.set_result(None)

    def _fits(self, size: int) -> bool:
        return self._calls > 0 and (size <= self._bytes or self._bytes == QUEUE_BYTES)
