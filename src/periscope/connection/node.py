"""One server: its address, and a bounded, waiting pool of connections to it.

Being busy is never an error. redis-py's own retries are off: what may be repeated is decided where
it is known.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import redis.asyncio as redis_asyncio
from redis.asyncio.connection import AbstractConnection
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from periscope.connection.pool import WaitingPool, honour
from periscope.connection.url import Address, Target
from periscope.connection.wires import SwiftConnection, SwiftSocketConnection, SwiftSSLConnection
from periscope.errors import SettingInvalid
from periscope.settings import Settings

PROBE_S = 2.0  # for questions about the topology: a node that is slower than this is not asked
LISTEN_S = 3.0  # for calls that wait a second at the server


class Node:
    """One server and the connections to it; made without connecting.

    `away_since` is the loop's time at which it first failed to answer, None while it does.
    """

    def __init__(self, address: Address, target: Target, settings: Settings) -> None:
        self.address = address
        self.away_since: float | None = None
        self._target, self._settings = target, settings
        self.pool = self._pool(settings.connections)
        # Whoever mends something may hold a connection of the pool, as may all others who mend: a
        # second one from the same pool could never come.
        self._pools = (self.pool, self._pool(1), self._pool(1, most_s=PROBE_S))
        self._clients = tuple(redis_asyncio.Redis(connection_pool=pool) for pool in self._pools)
        self.client, self.aside, self._probe = self._clients

    def __repr__(self) -> str:
        return f"Node({self.address})"

    async def ask(self, *command: bytes | str | int) -> Any:
        """Ask about the server itself, with little patience; safe to repeat."""
        return await honour(self._probe.execute_command(*command))

    async def run_there(self, command: Sequence[Any]) -> Any:
        """Run a command on a slot that is about to be this server's (ASKING), on one connection."""
        connection = await honour(self.pool.get_connection())
        try:
            await honour(connection.send_command("ASKING"))
            await connection.read_response()
            await honour(connection.send_command(*command))
            return await connection.read_response()
        except BaseException:
            await connection.disconnect(nowait=True)
            raise
        finally:
            await self.pool.release(connection)

    def lone_client(self) -> redis_asyncio.Redis:
        """A client with one connection of its own, for calls that wait on the server: `LISTEN_S`.

        However long other calls may take: a server that dies in silence is to be noticed.
        """
        return redis_asyncio.Redis(connection_pool=self._pool(1, answer_s=LISTEN_S))

    def move_to(self, path: Path) -> None:
        """The server (an embedded one) listens at another socket from now on."""
        self.address = Address(str(path))
        for client in self._clients:
            pool = client.connection_pool
            pool.connection_kwargs["path"] = str(path)
            for connection in _connections(pool):
                connection.path = str(path)  # type: ignore[attr-defined]

    async def drop(self) -> None:
        """Cut every connection, also those that wait for an answer: it will not come."""
        for pool in self._pools:
            pool.turn_away()
            for connection in _connections(pool):
                await connection.disconnect(nowait=True)

    async def close(self) -> None:
        """Close every connection; whoever waits for one is sent away. Idempotent."""
        for pool in self._pools:
            pool.shut()
        for client in self._clients:
            await client.aclose()
            await client.connection_pool.disconnect()

    def _pool(
        self, connections: int, *, most_s: float = 1e9, answer_s: float | None = None
    ) -> WaitingPool:
        settings = self._settings
        try:
            return WaitingPool(
                connections,
                socket_connect_timeout=min(most_s, settings.connect_timeout_s),
                socket_timeout=answer_s or min(most_s, settings.call_timeout_s),
                health_check_interval=settings.health_check_s,
                retry=Retry(NoBackoff(), 0),
                protocol=2,
                client_name=settings.client_name,
                **self._place(),
            )
        except (ValueError, TypeError, KeyError) as exc:
            raise SettingInvalid(f"the URL cannot be used: {exc}") from None

    def _place(self) -> dict[str, Any]:
        target = self._target
        if target.kind == "socket":
            return {"connection_class": SwiftSocketConnection, "path": self.address.host}
        return {
            "connection_class": SwiftSSLConnection if target.tls else SwiftConnection,
            "host": self.address.host,
            "port": self.address.port,
            "db": target.database,
            "socket_keepalive": True,
            **target.login(),
            **(tls_options(self._settings) if target.tls else {}),
        }


def tls_options(settings: Settings) -> dict[str, Any]:
    """How the server's certificate is checked, and which one is shown to it.

    Raises:
        SettingInvalid: a file that cannot be read; names the setting.
    """
    for name in ("tls_ca", "tls_certificate", "tls_key"):
        file = getattr(settings, name)
        if file and not os.access(file, os.R_OK):
            raise SettingInvalid(f"setting {name}: cannot be read: {file}")
    return {
        "ssl_ca_certs": settings.tls_ca,
        "ssl_certfile": settings.tls_certificate,
        "ssl_keyfile": settings.tls_key,
        "ssl_check_hostname": settings.tls_check_hostname,
        "ssl_cert_reqs": "required",
    }


def _connections(pool: redis_asyncio.ConnectionPool) -> list[AbstractConnection]:
    return [*pool._available_connections, *pool._in_use_connections]
