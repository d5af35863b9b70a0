"""A lane's connections: one to each server that it has something for, taken when it first has.

Two lanes must never each hold what the other one waits for. So who holds some waits for one more
only where its server comes later in the order of addresses, which is one for all lanes; any other
is taken if it is free this instant. Where it is not, all are given back first (`Crossing`).
"""

from __future__ import annotations

from collections.abc import Collection

from redis.asyncio.connection import AbstractConnection

from periscope.connection import Connections, Node


class Crossing(Exception):
    """To wait for this connection might be to wait for each other: give back what is held."""


class Lines:
    """At most one connection to each server, held until it is given back or cut."""

    def __init__(self, connections: Connections) -> None:
        self._connections = connections
        self._wires: dict[Node, AbstractConnection] = {}

    def __len__(self) -> int:
        return len(self._wires)

    async def open(self, key: bytes, away_s: float) -> None:
        """Take one to the server of this key, before anything else is held.

        Raises:
            StoreUnavailable: none could be made within `away_s`.
        """
        if not self._wires:
            node, wire = await self._connections.take(key, away_s)
            self._wires[node] = wire

    async def to(self, node: Node) -> AbstractConnection:
        """The connection to a server; taken now, if it is not held. Tries once.

        Raises:
            Crossing: it cannot be waited for while others are held.
        """
        wire = self._wires.get(node)
        if wire is None:
            if self._would_cross(node):
                raise Crossing
            wire = self._wires[node] = await self._connections.take_at(node)
        return wire

    def _would_cross(self, node: Node) -> bool:
        """Is it neither free nor in order? Nothing may be awaited between this and the taking."""
        if not self._wires or node.pool.has_room:
            return False
        return node.address <= max(held.address for held in self._wires)

    async def cut(self, node: Node | None) -> None:
        """Break the connection to a server, answers unread, and give it back."""
        wire = self._wires.pop(node, None) if node is not None else None
        if node is not None and wire is not None:
            await wire.disconnect(nowait=True)
            await node.pool.release(wire)

    async def close(self, waiting: Collection[AbstractConnection] = ()) -> None:
        """Give all back; those with answers still out are cut, so that nobody else gets them."""
        for node, wire in list(self._wires.items()):
            del self._wires[node]
            if wire in waiting:
                await wire.disconnect(nowait=True)
            await node.pool.release(wire)
