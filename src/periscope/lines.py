"""A lane's connections: one to each server that it has something for, taken when it first has.

Two lanes must never each hold what the other one waits for. So who holds some waits for one more
only where its server comes later in the order of addresses, which is one for all lanes; any other
is taken if it is free this instant. Where it is not, all are given back first (`Crossing`).
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from functools import partial

from redis.asyncio.connection import AbstractConnection
from redis.exceptions import ConnectionError as RedisConnectionError

from periscope.chunks import Chunk
from periscope.connection import Connections, Node


@dataclass(frozen=True, slots=True)
class Sent:
    """A chunk that is under way, and where its answer will come."""

    chunk: Chunk
    wire: AbstractConnection
    node: Node


@dataclass(frozen=True, slots=True)
class Trouble:
    """What went wrong with a chunk, and at which server. `refused`: nothing of it was stored."""

    cause: BaseException
    chunk: Chunk
    node: Node | None
    refused: bool = False


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
        if wire is not None:
            node.pool.keep(wire)
            if not wire.is_connected:
                # Sending would make it anew, and the next answer would be taken for an older one's.
                raise RedisConnectionError("the connection was cut")
        else:
            if self._would_cross(node):
                raise Crossing
            wire = self._wires[node] = await self._connections.take_at(node)
        return wire

    def _would_cross(self, node: Node) -> bool:
        """Is it neither free nor in order? Nothing may be awaited between this and the taking."""
        if not self._wires or node.pool.has_room:
            return False
        return node.address <= max(held.address for held in self._wires)

    def offer(self, taken: Callable[[], None]) -> bool:
        """Hold them for as long as nobody waits for one; `taken` is called when one goes.

        False if somebody waits now: give them back. No answer may be out on any.
        """
        return all(
            node.pool.offer(wire, partial(self._lose, node, taken))
            for node, wire in self._wires.items()
        )

    def _lose(self, node: Node, taken: Callable[[], None]) -> None:
        del self._wires[node]
        taken()

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
