"""A bounded pool of connections to one server; who comes when all are lent waits, in order.

Not redis-py's BlockingConnectionPool: that waits on an asyncio.Condition, which forgets whom it
woke when that task is cancelled at the same moment. A connection is free then, and everybody waits.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from redis.asyncio.connection import AbstractConnection, ConnectionPool
from redis.exceptions import ConnectionError as RedisConnectionError

from periscope.errors import StoreUnavailable

CLOSED = "the database was closed"
T = TypeVar("T")


async def honour(call: Awaitable[T]) -> T:
    """Await a call of redis-py; a cancellation that came together with its result counts.

    redis-py sends through `asyncio.wait_for`, which until Python 3.12 returns the result then and
    drops the cancellation: its task would go on for ever.
    """
    task = asyncio.current_task()
    before = task.cancelling() if task else 0
    result = await call
    if task and task.cancelling() > before:
        raise asyncio.CancelledError
    return result


class WaitingPool(ConnectionPool):
    """At most `connections` connections; being busy is never an error.

    Who has one without using it may offer it: it is taken back as soon as somebody has to wait.
    """

    def __init__(self, connections: int, **options: Any) -> None:
        super().__init__(max_connections=connections, **options)
        self._free = connections
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._offered: dict[AbstractConnection, Callable[[], None]] = {}
        self._shut = False

    @property
    def has_room(self) -> bool:
        """Would the next one who asks get a connection without waiting for another's?"""
        return bool(self._offered) or (self._free > 0 and not self._waiting)

    async def get_connection(
        self, command_name: str | None = None, *keys: Any, **options: Any
    ) -> AbstractConnection:
        """A connection that is made, and has nothing left to read.

        Raises:
            StoreUnavailable: the database was closed.
            RedisError: the server cannot be reached, or was replaced while the caller waited.
        """
        await self._take_place()
        try:
            connection: AbstractConnection = self.get_available_connection()  # type: ignore[no-untyped-call]
        except BaseException:
            self._give_place()
            raise
        try:
            # Honoured here, where the connection can be given back: outside it would be lost.
            await honour(self.ensure_connection(connection))
            self._check_open()
        except BaseException:
            await connection.disconnect(nowait=True)
            self._put_back(connection)
            raise
        return connection

    async def release(self, connection: AbstractConnection) -> None:
        """Give it back, and let in who waited longest."""
        if connection.should_reconnect() or self._shut:
            await connection.disconnect(nowait=True)
        self._put_back(connection)

    def offer(self, connection: AbstractConnection, taken: Callable[[], None]) -> bool:
        """Keep a connection for as long as nobody waits for one; `taken` is called when it goes.

        False if somebody waits now: give it back.
        """
        if self._shut or any(not turn.done() for turn in self._waiting):
            return False
        self._offered[connection] = taken
        return True

    def keep(self, connection: AbstractConnection) -> None:
        """Use again what was offered."""
        self._offered.pop(connection, None)

    def turn_away(self) -> None:
        """The server is no longer in charge: whoever waits for a connection must look elsewhere."""
        self._refuse(lambda: RedisConnectionError("this server was replaced by another one"))

    def shut(self) -> None:
        """Nobody gets a connection any more."""
        self._shut = True
        self._refuse(lambda: StoreUnavailable(CLOSED))

    async def _take_place(self) -> None:
        self._check_open()
        if self._free and not self._waiting:
            self._free -= 1
            return
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append(turn)
        self._take_back()
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled() and turn.exception() is None:
                self._give_place()  # the turn came together with the cancellation
            raise

    def _give_place(self) -> None:
        self._free += 1
        while self._free and self._waiting:
            turn = self._waiting.popleft()
            if not turn.done():
                self._free -= 1
                turn.set_result(None)

    def _put_back(self, connection: AbstractConnection) -> None:
        self._offered.pop(connection, None)
        self._in_use_connections.remove(connection)
        self._available_connections.append(connection)
        self._give_place()

    def _take_back(self) -> None:
        """Take the connection that was offered first."""
        for connection, taken in self._offered.items():
            taken()
            self._put_back(connection)
            return

    def _refuse(self, error: Callable[[], Exception]) -> None:
        waiting, self._waiting = self._waiting, deque()
        for turn in waiting:
            if not turn.done():
                turn.set_exception(error())

    def _check_open(self) -> None:
        if self._shut:
            raise StoreUnavailable(CLOSED)
