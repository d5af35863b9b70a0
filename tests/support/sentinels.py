"""A primary with two replicas, watched by three sentinels, as child processes."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from hiredis import ReplyError

from tests.support.clusters import free_run
from tests.support.nodes import Node, wait_until

NAME = "mymaster"
QUORUM = 2


class Sentinels:
    """`servers` are the primary (at first the first of them) and its replicas."""

    def __init__(self, *options: str, down_after_ms: int = 800, durable: bool = False) -> None:
        own = (
            *("--repl-diskless-sync-delay", "0"),
            *("--appendonly", "yes" if durable else "no", "--appendfsync", "always"),
            *options,
        )
        ports = free_run(6)
        self.servers = [Node(port, *own) for port in ports[:3]]
        self.sentinels = [Node(port, sentinel=True) for port in ports[3:]]
        self.down_after_ms = down_after_ms

    @property
    def url(self) -> str:
        return f"sentinel://{','.join(node.address for node in self.sentinels)}/{NAME}"

    @property
    def nodes(self) -> list[Node]:
        return [*self.servers, *self.sentinels]

    async def start(self) -> Sentinels:
        try:
            for node in self.nodes:
                node.start()
            for node in self.nodes:
                await node.until_up()
            for replica in self.servers[1:]:
                await replica.ask("REPLICAOF", "127.0.0.1", str(self.servers[0].port))
            await self.until_following(self.servers[0], 2)
            for sentinel in self.sentinels:
                await self._watch(sentinel)
            await self.until_whole()
        except BaseException:
            self.close()
            raise
        return self

    async def _watch(self, sentinel: Node) -> None:
        where = ("127.0.0.1", str(self.servers[0].port), str(QUORUM))
        await sentinel.ask("SENTINEL", "MONITOR", NAME, *where)
        for name, value in (
            ("down-after-milliseconds", self.down_after_ms),
            ("failover-timeout", 4000),
        ):
            await sentinel.ask("SENTINEL", "SET", NAME, name, str(value))

    def close(self) -> None:
        for node in self.nodes:
            node.close()

    async def until_whole(self) -> None:
        """Every sentinel knows the two others and both replicas."""

        async def all_known() -> bool:
            views = [await self._view(sentinel) for sentinel in self.sentinels]
            return all(
                (view["num-other-sentinels"], view["num-slaves"]) == ("2", "2") for view in views
            )

        await wait_until(all_known, "the sentinels know everybody")

    async def _view(self, sentinel: Node) -> dict[str, Any]:
        reply = await sentinel.ask("SENTINEL", "MASTER", NAME)
        return dict(zip(reply[::2], reply[1::2], strict=True))

    async def until_following(self, primary: Node, count: int) -> None:
        async def following() -> bool:
            said = await primary.ask("INFO", "replication")
            return bool(said.count("state=online") >= count)

        await wait_until(following, f"{count} replicas follow {primary.port}")

    async def primary(self) -> Node:
        """Whom most sentinels take for the primary."""
        for sentinel in self.sentinels:
            if sentinel.is_alive:
                _, port = await sentinel.ask("SENTINEL", "GET-PRIMARY-ADDR-BY-NAME", NAME)
                return next(node for node in self.servers if node.port == int(port))
        raise AssertionError("no sentinel lives")

    async def fail_over(self) -> Node:
        """Have the sentinels choose another primary; return it once it is one."""
        before = await self.primary()

        async def begun() -> bool:
            try:
                await self.sentinels[0].ask("SENTINEL", "FAILOVER", NAME)
            except ReplyError:  # one is under way, or it has seen no good replica yet
                return False
            return True

        await wait_until(begun, "a failover begins")
        return await self.until_other_primary(before)

    async def until_other_primary(self, before: Node) -> Node:
        """Wait until another server is the primary, for itself as well."""

        async def other() -> Node | None:
            now = await self.primary()
            role = (await now.ask("ROLE"))[0] if now.port != before.port else ""
            return now if role == "master" else None

        found = await wait_until(other, f"a primary other than {before.port}", timeout_s=30)
        assert isinstance(found, Node)
        return found


@asynccontextmanager
async def sentinels(*options: str, **more: Any) -> AsyncIterator[Sentinels]:
    """A set for one test."""
    made = await Sentinels(*options, **more).start()
    try:
        yield made
    finally:
        made.close()
