"""Which server is in charge of which keys: one server, what sentinels name, or a cluster.

This is the one module that knows. Everybody else names a key, and gets a node.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import Any, ClassVar

from redis.exceptions import AskError, RedisError

from periscope.connection.explain import LOST
from periscope.connection.node import Node
from periscope.connection.pool import CLOSED
from periscope.connection.url import Address
from periscope.errors import StoreUnavailable
from periscope.keys import SLOTS, slot_of_key

WATCH_S = 1.0
ASKED_AT_ONCE = 3
LATE_S = 0.25  # so long others may take longer: a node that hangs must not hold up a failover

log = logging.getLogger("periscope")
MakeNode = Callable[[Address], Node]


class Topology:
    """One server, in charge of every key. `can_change`: another one may take over from it."""

    name: ClassVar[str] = "standalone"
    can_change: ClassVar[bool] = False

    def __init__(self, node: Node) -> None:
        self._node = node

    def node_of(self, key: bytes) -> Node | None:
        """The server in charge of this key, as far as is known; None while there is none."""
        return self._node

    def primaries(self) -> list[Node]:
        """Every server that is in charge of something."""
        return [self._node]

    async def refresh(self) -> None:
        """Find out anew who is in charge; never raises because some server does not answer."""

    async def moved(self, key: bytes, exc: AskError) -> Node:
        """The node that a MOVED or ASK names; a MOVED is remembered."""
        return self._node

    async def start(self) -> None:
        """Find out who is in charge, and keep watching."""

    async def close(self) -> None:
        """Stop watching, and close every connection."""
        await self._node.close()


class Watched(Topology):
    """A topology that changes by itself: looked at every second, and whenever a call meets it."""

    can_change = True

    def __init__(self) -> None:
        self._watcher: asyncio.Task[None] | None = None
        self._looking: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Find out who is in charge, and keep watching."""
        await self.refresh()
        self._watcher = asyncio.create_task(self._watch())

    async def refresh(self) -> None:
        """Find out anew who is in charge; whoever asks meanwhile shares the answer."""
        if self._looking is None or self._looking.done():
            self._looking = asyncio.create_task(self._look())
        looking = self._looking
        await asyncio.wait({looking})
        if looking.cancelled():
            raise StoreUnavailable(CLOSED)
        looking.result()

    async def close(self) -> None:
        """Stop watching, and close every connection."""
        for task in (self._watcher, self._looking):
            if task is not None:
                task.cancel()
                with suppress(asyncio.CancelledError):
                    await task
        for node in self._nodes():
            await node.close()

    async def _watch(self) -> None:
        while True:
            await asyncio.sleep(WATCH_S)
            try:
                await self.refresh()
            except Exception:
                log.exception("looking at the topology failed")

    async def _look(self) -> None:
        raise NotImplementedError

    def _nodes(self) -> Iterable[Node]:
        raise NotImplementedError


class SentinelSet(Watched):
    """The primary that most sentinels name, one after the other asked."""

    name = "sentinel"

    def __init__(self, sentinels: Iterable[Node], make: MakeNode, master: str) -> None:
        super().__init__()
        self._sentinels = list(sentinels)
        self._make, self._master = make, master
        self._primary: Node | None = None
        self._former: list[Node] = []

    def node_of(self, key: bytes) -> Node | None:
        """The primary; None while no sentinel names one."""
        return self._primary

    def primaries(self) -> list[Node]:
        """The primary."""
        return [self._primary] if self._primary else []

    async def moved(self, key: bytes, exc: AskError) -> Node:
        """A Sentinel's primary is in charge of every key, so this cannot be."""
        raise exc

    async def _look(self) -> None:
        answers = await asyncio.gather(*(self._named_by(node) for node in self._sentinels))
        named = [answer for answer in answers if answer is not None]
        if not named:
            return
        address = max(named, key=named.count)
        if self._primary is None or self._primary.address != address:
            await self._take_over(address)

    async def _named_by(self, sentinel: Node) -> Address | None:
        try:
            found = await sentinel.ask("SENTINEL", "GET-MASTER-ADDR-BY-NAME", self._master)
        except (RedisError, *LOST):
            return None
        return Address(found[0].decode(), int(found[1])) if found else None

    async def _take_over(self, address: Address) -> None:
        before, self._primary = self._primary, self._make(address)
        if before is not None:
            log.warning("the primary is %s now, no longer %s", address, before.address)
            self._former.append(before)
            await before.drop()

    def _nodes(self) -> Iterable[Node]:
        return [*self._sentinels, *self._former, *self.primaries()]


class Cluster(Watched):
    """A cluster: 16,384 slots, each of one primary, as the best informed of a few nodes tells."""

    name = "cluster"

    def __init__(self, seeds: Iterable[Node], make: MakeNode) -> None:
        super().__init__()
        self._known: dict[Address, Node] = {node.address: node for node in seeds}
        self._make = make
        self._slots: list[Node | None] = [None] * SLOTS
        self._turn = 0

    def node_of(self, key: bytes) -> Node | None:
        """The primary of the key's slot; None while nobody serves it."""
        return self._slots[slot_of_key(key)]

    def primaries(self) -> list[Node]:
        """Every primary that has slots, in the order of their addresses."""
        nodes = {node for node in self._slots if node is not None}
        return sorted(nodes, key=lambda node: node.address)

    async def moved(self, key: bytes, exc: AskError) -> Node:
        """The node that the answer names; a MOVED is remembered for this slot."""
        before = self.node_of(key)
        host = str(exc.host) or (before.address.host if before else "")
        node = self._node_at(Address(host, int(exc.port)))
        if type(exc) is not AskError:
            self._slots[slot_of_key(key)] = node
        return node

    async def _look(self) -> None:
        nodes = list(self._known.values())
        self._turn += 1
        first = [
            nodes[(self._turn + at) % len(nodes)] for at in range(min(ASKED_AT_ONCE, len(nodes)))
        ]
        views = await self._views(first)
        if not any(state_ok for state_ok, _, _ in views):
            views += await self._views([node for node in nodes if node not in first])
        if views:
            _, _, told = max(views, key=lambda view: view[:2])
            await self._learn(told)

    async def _views(self, nodes: Iterable[Node]) -> list[tuple[bool, int, list[_Stretch]]]:
        """What those say who answer; one who sees a working cluster ends the wait for the rest."""
        asked = [asyncio.create_task(_view(node)) for node in nodes]
        try:
            for answer in asyncio.as_completed(asked):
                if (view := await answer) is not None and view[0]:
                    await asyncio.wait(asked, timeout=LATE_S)
                    break
            views = [one.result() for one in asked if one.done()]
        finally:
            for one in asked:
                one.cancel()
            await asyncio.gather(*asked, return_exceptions=True)
        return [view for view in views if view is not None]

    async def _learn(self, told: list[_Stretch]) -> None:
        before = set(self.primaries())
        slots: list[Node | None] = [None] * SLOTS
        for first, last, addresses in told:
            node, *_ = [self._node_at(address) for address in addresses]
            slots[first : last + 1] = [node] * (last - first + 1)
        self._slots = slots
        demoted = before - set(self.primaries())
        for node in demoted:
            log.warning("%s is no primary of the cluster any more", node.address)
            await node.drop()  # an answer that somebody waits for there will not come

    def _node_at(self, address: Address) -> Node:
        node = self._known.get(address)
        if node is None:
            node = self._known[address] = self._make(address)
        return node

    def _nodes(self) -> Iterable[Node]:
        return self._known.values()


_Stretch = tuple[int, int, list[Address]]


async def _view(node: Node) -> tuple[bool, int, list[_Stretch]] | None:
    """(does it see a working cluster, its epoch, the slots' primaries); None if it is away."""
    try:
        info = _info(await node.ask("CLUSTER", "INFO"))
        told = await node.ask("CLUSTER", "SLOTS")
    except (RedisError, *LOST):
        return None
    stretches = [
        (int(first), int(last), [_address(entry, node) for entry in nodes])
        for first, last, *nodes in told
        if nodes
    ]
    return info.get("cluster_state") == "ok", int(info.get("cluster_current_epoch", 0)), stretches


def _info(text: Any) -> dict[str, str]:
    lines = bytes(text).decode().splitlines()
    return dict(line.split(":", 1) for line in lines if ":" in line)


def _address(entry: Any, asked: Node) -> Address:
    host = bytes(entry[0] or b"").decode()
    return Address(asked.address.host if host in ("", "?") else host, int(entry[1]))
