"""An ear at a server: one connection of its own, for calls that wait there."""

from __future__ import annotations

from typing import Any

import redis.asyncio as redis_asyncio

from periscope.connection.connections import Connections
from periscope.connection.node import Node
from periscope.errors import PeriscopeError


class Ear:
    """Listens at the server that is in charge of a key, whichever that is by then."""

    def __init__(self, connections: Connections, key: bytes) -> None:
        self._connections, self._key = connections, key
        self._node: Node | None = None
        self._client: redis_asyncio.Redis | None = None

    async def listen(self, *command: bytes | str | int) -> Any:
        """Run a command that the server answers within a second or two.

        Raises:
            StoreUnavailable: it did not; the next call connects anew.
        """
        node = self._connections.serving(self._key)
        if node is not self._node or self._client is None:
            await self.close()
            self._node, self._client = node, node.lone_client()
        try:
            return await self._connections.guarded(self._client.execute_command(*command))
        except PeriscopeError:
            await self.close()  # an embedded server that was started again has another address
            raise

    async def close(self) -> None:
        """Close its connection; idempotent."""
        client, self._client = self._client, None
        if client is not None:
            await client.aclose()
            await client.connection_pool.disconnect()
