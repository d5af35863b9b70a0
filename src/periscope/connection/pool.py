"""A bounded pool of connections to one server; who comes when all are lent waits, in order.

Not redis-py's BlockingConnectionPool: that waits on an asyncio.Condition, which forgets whom it
woke when that task is cancelled at the same moment. A connection is free then, and everybody waits.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import Any, TypeVar

from redis.asyncio.connection import AbstractConnection, ConnectionPool

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
    """At most `connections` connections; being busy is never an error."""

    def __init__(self, connections: int, **options: Any) -> None:
        super().__init__(max_connections=connections, **options)
        self._places = asyncio.Semaphore(connections)

    @property
    def has_room(self) -> bool:
        """Would the next one who asks get a connection without waiting for another's?"""
        return not self._places.locked()

    async def get_connection(
        self, command_name: str | None = None, *keys: Any, **options: Any
    ) -> AbstractConnection:
        """A connection that is made, and has nothing left to read."""
        await self._places.acquire()
        try:
            connection: AbstractConnection = self.get_available_connection()  # type: ignore[no-untyped-call]
        except BaseException:
            self._places.release()
            raise
        try:
            # Honoured here, where the connection can be given back: outside it would be lost.
            await honour(self.ensure_connection(connection))
        except BaseException:
            await self.release(connection)
            raise
        return connection

    async def release(self, connection: AbstractConnection) -> None:
        """Give it back, and let in who waited longest."""
        lent = connection in self._in_use_connections
        try:
            await super().release(connection)
        finally:
            if lent:
                self._places.release()
