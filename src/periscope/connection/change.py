"""A command that changes something, and what follows it; it knows whether it may have been done."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from redis.asyncio.connection import AbstractConnection, ConnectionPool
from redis.exceptions import (
    AskError,
    AuthenticationError,
    BusyLoadingError,
    ResponseError,
    TryAgainError,
)

from periscope.connection.explain import ELSEWHERE
from periscope.connection.pool import honour
from periscope.connection.wires import reply_on

Command = Sequence[bytes | str | int]
REFUSED = (AuthenticationError, BusyLoadingError)  # connection errors that are answers all the same


@dataclass(slots=True)
class Change:
    """A command that is safe to repeat, and commands behind it on the same connection.

    `more_s` is how long the server was told to wait by those. `in_doubt`: the command was sent and
    its answer was lost, so it may have been carried out.
    """

    command: Command
    following: Sequence[Command] = ()
    more_s: float = 0.0
    in_doubt: bool = False

    async def over(self, pool: ConnectionPool, *, asking: bool = False) -> list[Any]:
        """Send all of it over one connection of the pool: the replies, errors of later ones too.

        `asking`: to the server to which the slot is about to move.

        Raises:
            what redis-py raises, of the command; of what follows it, where somebody else has taken
            over from this server meanwhile.
        """
        connection: AbstractConnection = await honour(pool.get_connection())
        is_read = False
        try:
            await honour(connection.check_health())
            replies = await self._talk(connection, asking)
            is_read = True
        except ResponseError:
            is_read = not self.following
            raise
        finally:
            if not is_read:  # what is still to come would be taken for somebody else's answer
                await connection.disconnect(nowait=True)
            await pool.release(connection)
        return _unless_elsewhere(replies)

    async def _talk(self, connection: AbstractConnection, asking: bool) -> list[Any]:
        packed = []
        for command in (self.command, *self.following):
            packed += connection.pack_command("ASKING") if asking else []
            packed += connection.pack_command(*command)
        before, self.in_doubt = self.in_doubt, True
        await honour(connection.send_packed_command(packed, check_health=False))
        try:
            replies = [await _next(connection, asking)]
        except REFUSED:
            self.in_doubt = before
            raise
        if isinstance(replies[0], ResponseError):
            self.in_doubt = before
            raise replies[0]
        replies += [await _next(connection, asking, self.more_s) for _ in self.following]
        return replies


def _unless_elsewhere(replies: list[Any]) -> list[Any]:
    """The replies; raises where what follows found that somebody else is or will be in charge."""
    for reply in replies:
        if type(reply) is AskError:
            # Where the slot goes what follows is at home, but not yet what the command changed.
            raise TryAgainError(str(reply))
        if isinstance(reply, ELSEWHERE):
            raise reply
    return replies


async def _next(connection: AbstractConnection, asking: bool, more_s: float = 0.0) -> Any:
    if asking:
        await reply_on(connection)
    return await reply_on(connection, more_s)
