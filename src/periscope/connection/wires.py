"""Connections that send at once: redis-py's, less a task and a packing for each command.

redis-py guards a send with `asyncio.wait_for`, which until Python 3.12 makes a task of it: two more
turns of the loop for bytes that the system takes at once. It is left to that when it does not.
"""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from typing import Any

from hiredis import pack_command
from redis.asyncio.connection import (
    AbstractConnection,
    Connection,
    SSLConnection,
    UnixDomainSocketConnection,
)
from redis.exceptions import NoPermissionError, ResponseError
from redis.exceptions import TimeoutError as RedisTimeoutError


class _Swift(AbstractConnection):
    async def send_packed_command(
        self, command: bytes | str | Iterable[bytes], check_health: bool = True
    ) -> None:
        """Send; waits only when the connection must be made or looked at, or its buffer is full."""
        if check_health and self.is_connected:
            await self.check_health()  # type: ignore[no-untyped-call]
        writer = self._writer
        if writer is None or isinstance(command, str):
            await super().send_packed_command(command, check_health)
            return
        writer.writelines([command] if isinstance(command, bytes) else command)
        if writer.transport.get_write_buffer_size():
            await super().send_packed_command(b"", check_health=False)

    async def on_connect_check_health(self, check_health: bool = True) -> None:
        """Shake hands; a user who may not name connections is served without a name."""
        name, self.client_name = self.client_name, None
        try:
            await super().on_connect_check_health(check_health)
        finally:
            self.client_name = name
        if name:
            await self.send_command("CLIENT", "SETNAME", name, check_health=False)
            with suppress(NoPermissionError):
                await self.read_response()

    def pack_command(self, *args: Any) -> list[bytes]:
        """Pack a command, as redis-py does: `CONFIG GET` is two words."""
        name = args[0].encode() if isinstance(args[0], str) else args[0]
        return [pack_command((*name.split(), *args[1:]))]


class SwiftConnection(_Swift, Connection):
    """TCP."""


class SwiftSSLConnection(_Swift, SSLConnection):
    """TLS over TCP."""


class SwiftSocketConnection(_Swift, UnixDomainSocketConnection):
    """A Unix domain socket."""


async def reply_on(wire: AbstractConnection, more_s: float = 0.0) -> Any:
    """The next reply of a wire; an error of the server's is returned, not raised.

    `more_s` is added to the time that a call has: what the server was told to wait for.
    """
    timeout = wire.socket_timeout + more_s if more_s and wire.socket_timeout else None
    try:
        reply = await wire.read_response(timeout=timeout, disconnect_on_error=False)
    except ResponseError as exc:
        return exc
    if reply is None and timeout is not None:
        raise RedisTimeoutError("no answer in time")
    return reply
