"""A real cluster as child processes, and what can happen to one: kills, moved slots, failovers."""

from __future__ import annotations

import random
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any

from hiredis import ReplyError

from periscope.errors import StoreUnavailable
from periscope.server.cluster_form import Member, NodeRow, form, read_rows, until_whole
from periscope.server.cluster_plan import is_free
from tests.support.nodes import Node, wait_until


class Cluster:
    """Primaries with replicas each; `nodes` has those that began as primaries first.

    `options` go to every node; a node's own questions travel by its socket, so that a test may
    use one cluster in several event loops.
    """

    def __init__(
        self,
        primaries: int = 3,
        replicas: int = 0,
        *options: str,
        node_timeout_ms: int = 1000,
        durable: bool = False,
    ) -> None:
        self.primary_count = primaries
        self._deaf: list[Node] = []
        self.options = (
            *("--cluster-enabled", "yes", "--cluster-config-file", "nodes.conf"),
            *("--cluster-node-timeout", str(node_timeout_ms)),
            *("--cluster-require-full-coverage", "no", "--repl-diskless-sync-delay", "0"),
            *("--cluster-replica-validity-factor", "0", "--enable-debug-command", "yes"),
            *("--appendonly", "yes" if durable else "no", "--appendfsync", "always"),
            *options,
        )
        self.nodes = [Node(port, *self.options) for port in free_run(primaries * (1 + replicas))]

    @property
    def url(self) -> str:
        return f"valkey://{','.join(node.address for node in self.nodes)}"

    async def start(self) -> Cluster:
        """Start all of it; about 2 s, which a primary waits before it takes writes."""
        try:
            for node in self.nodes:
                node.start()
            for node in self.nodes:
                await node.until_up()
            await form(self._members(self.nodes), self.primary_count, time.monotonic() + 30)
        except BaseException:
            self.close()
            raise
        return self

    def close(self) -> None:
        for node in self.nodes:
            node.close()

    async def until_whole(self, timeout_s: float = 40.0) -> None:
        """Every node that lives serves, follows, and sees every slot served."""
        nodes = self.listening()
        try:
            await until_whole(self._members(nodes), time.monotonic() + timeout_s / 2)
        except StoreUnavailable:
            # Seen once: a node of Valkey 9.1 kept an old view for 40 s after a partition had ended.
            for node in nodes:
                for other in nodes:
                    await node.ask("CLUSTER", "MEET", *other.address.split(":"))
            await until_whole(self._members(nodes), time.monotonic() + timeout_s)

    def _members(self, nodes: list[Node]) -> list[Member]:
        return [Member(node.port, node.socket_path) for node in nodes]

    def listening(self) -> list[Node]:
        """The nodes that live and hear of what happens."""
        return [node for node in self.nodes if node.is_alive and node not in self._deaf]

    # ---- who is who ------------------------------------------------------------------------------

    def node(self, port: int) -> Node:
        return next(node for node in self.nodes if node.port == port)

    async def rows(self, seen_by: Node | None = None) -> list[NodeRow]:
        """How one node that lives sees the cluster."""
        for node in [seen_by] if seen_by else self.listening():
            with suppress(OSError):
                return read_rows(await node.ask("CLUSTER", "NODES"))
        raise AssertionError("no node answers")

    async def primaries(self) -> list[Node]:
        """Those with slots that are not taken for dead."""
        rows = await self.rows()
        return [
            self.node(row.port)
            for row in rows
            if row.is_primary and row.slots and "fail" not in row.flags
        ]

    async def replicas_of(self, primary: Node) -> list[Node]:
        rows = await self.rows(primary)
        myself = next(row for row in rows if row.port == primary.port)
        return [self.node(row.port) for row in rows if row.primary_id == myself.node_id]

    async def id_of(self, node: Node) -> str:
        return str(await node.ask("CLUSTER", "MYID"))

    async def owner(self, slot: int) -> Node:
        """The primary that serves a slot."""
        for node in self.listening():
            with suppress(OSError):
                for first, last, address, *_ in await node.ask("CLUSTER", "SLOTS"):
                    if first <= slot <= last:
                        return self.node(address[1])
        raise AssertionError(f"nobody serves slot {slot}")

    # ---- what happens ----------------------------------------------------------------------------

    async def move_by_key(self, slot: int, target: Node, batch: int = 10) -> int:
        """Move a slot the old way, some keys at a time; return how many keys were moved."""
        source = await self.owner(slot)
        source_id, target_id = await self.id_of(source), await self.id_of(target)
        await target.ask("CLUSTER", "SETSLOT", str(slot), "IMPORTING", source_id)
        await source.ask("CLUSTER", "SETSLOT", str(slot), "MIGRATING", target_id)
        moved = 0
        while keys := await source.ask_bytes("CLUSTER", "GETKEYSINSLOT", str(slot), str(batch)):
            where = ("127.0.0.1", str(target.port), "", "0", "2000")
            await source.ask_bytes("MIGRATE", *where, "KEYS", *keys)
            moved += len(keys)
        # The target first, then the source: a slot must never be without an owner.
        others = [node for node in await self.primaries() if node not in (source, target)]
        for node in (target, source):
            await node.ask("CLUSTER", "SETSLOT", str(slot), "NODE", target_id)
        for node in others:
            with suppress(ReplyError):  # no primary any more, just now: it learns from the others
                await node.ask("CLUSTER", "SETSLOT", str(slot), "NODE", target_id)
        return moved

    async def migrate(self, first: int, last: int, target: Node) -> None:
        """Move slots at once (Valkey 9 and newer); they must have one owner."""
        source = await self.owner(first)
        target_id = await self.id_of(target)
        await source.ask(
            *("CLUSTER", "MIGRATESLOTS", "SLOTSRANGE", str(first), str(last), "NODE", target_id)
        )

        async def moved() -> bool:
            jobs = [_pairs(job) for job in await source.ask("CLUSTER", "GETSLOTMIGRATIONS")]
            last_job = jobs[0]
            assert last_job["state"] not in ("failed", "cancelled"), last_job
            return bool(last_job["state"] == "success")

        await wait_until(moved, f"slots {first} to {last} are moved", pause_s=0.01)

    async def add_primary(self) -> Node:
        """An empty node joins; it has no slots yet."""
        node = Node(free_run(1)[0], *self.options)
        self.nodes.append(node)
        node.start()
        await node.until_up()
        contact = (await self.primaries())[0]
        await contact.ask("CLUSTER", "MEET", "127.0.0.1", str(node.port))
        count = len(self.listening())

        async def known() -> bool:
            views = [await self.rows(one) for one in self.listening()]
            has_heard = "cluster_slots_assigned:16384" in await node.ask("CLUSTER", "INFO")
            return has_heard and all(sum(row.is_known for row in view) >= count for view in views)

        await wait_until(known, f"node {node.port} is known to all")
        return node

    async def fail_over(self, replica: Node) -> None:
        """A manual failover, which loses nothing; return when all agree."""
        await replica.ask("CLUSTER", "FAILOVER")
        await self.until_primary(replica)

    async def until_primary(self, node: Node, timeout_s: float = 40.0) -> None:
        """Wait until everybody who lives takes the node for the primary of some slots."""

        async def agreed() -> bool:
            views = [await self.rows(one) for one in self.listening()]
            return all(
                any(row.port == node.port and row.is_primary and row.slots for row in view)
                for view in views
            )

        await wait_until(agreed, f"node {node.port} is a primary", timeout_s)

    async def cut_off(self, primary: Node) -> None:
        """Cut a primary off from all nodes, but not from clients: it is alone on its side.

        It hears nobody on the bus; its replicas can no longer log in to follow it.
        """
        self._deaf.append(primary)
        for replica in await self.replicas_of(primary):
            await replica.ask("CONFIG", "SET", "primaryauth", "cut-off")
        await primary.ask("DEBUG", "DROP-CLUSTER-PACKET-FILTER", "-2")
        await primary.ask("CLIENT", "KILL", "TYPE", "replica")

    async def join_again(self, primary: Node) -> None:
        """End what `cut_off` began."""
        for node in self.nodes:
            if node.is_alive:
                with suppress(ReplyError):
                    await node.ask("CONFIG", "SET", "primaryauth", "")
        await primary.ask("DEBUG", "DROP-CLUSTER-PACKET-FILTER", "-1")
        self._deaf.remove(primary)


@asynccontextmanager
async def cluster(primaries: int = 3, replicas: int = 0, **options: Any) -> AsyncIterator[Cluster]:
    """A cluster for one test."""
    made = await Cluster(primaries, replicas, **options).start()
    try:
        yield made
    finally:
        made.close()


def free_run(count: int) -> list[int]:
    """Ports in a row, free just now, each with its second one for the bus, 10,000 above."""
    while True:
        first = random.randrange(20_000, 32_000)
        if all(is_free(port) for port in range(first, first + count)):
            return list(range(first, first + count))


def _pairs(reply: list[Any]) -> dict[str, Any]:
    return dict(zip(reply[::2], reply[1::2], strict=True))
