"""Connections to whoever holds the threats; every call names a key and goes where that key is."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterable, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any, TypeVar

import redis.asyncio as redis_asyncio
from redis.asyncio.connection import AbstractConnection
from redis.exceptions import AskError, RedisError, ResponseError
from redis.exceptions import ConnectionError as RedisConnectionError

from periscope.connection.change import Change
from periscope.connection.explain import LOST, explain
from periscope.connection.fitness import (
    Capacity,
    ServerFacts,
    Writable,
    check_fitness,
    kind_and_version,
    warn_of_replicas,
)
from periscope.connection.node import Node
from periscope.connection.patience import REPEATABLE, Patience
from periscope.connection.pool import CLOSED, honour
from periscope.connection.topology import Cluster, SentinelSet, Topology
from periscope.connection.url import Address, Target, read_url
from periscope.errors import PeriscopeError, SettingInvalid, StoreFull, StoreUnavailable
from periscope.settings import Settings

BRIDGED_S = 1.0  # of a lone server's absence, by calls that somebody waits for
LOADING_POLL_S = 0.1
LOADING_S = 120
_Try = Callable[[Node], Awaitable[Any]]
T = TypeVar("T")
LEVELS = ("durable", "fast", "memory", "unverified")  # from the best to the least known


class Connections:
    """Bounded, waiting pools of connections: one for each server that is in charge of something.

    `examine` comes first: it finds out whether there is one server or a cluster.
    """

    def __init__(self, url: str, settings: Settings) -> None:
        self._target: Target = read_url(url)
        self.shown_url = self._target.shown
        self.settings = settings
        self.facts: ServerFacts | None = None
        self.revive: Callable[[], Awaitable[Path]] | None = None
        seeds = [
            Node(address, self._target.asked_first(), settings) for address in self._target.seeds
        ]
        self._seeds = seeds
        self._closed = False
        self.topology = Topology(seeds[0])
        if self._target.kind == "sentinel":
            self.topology = SentinelSet(seeds, self._make, self._target.master)

    @property
    def client(self) -> redis_asyncio.Redis:
        """redis-py's client of the server; of the first primary where there are several."""
        return self._first().client

    def client_of(self, key: bytes) -> redis_asyncio.Redis:
        """redis-py's client of the server of this key, for what need not survive a change of it.

        Raises:
            StoreUnavailable: nobody serves it just now.
        """
        return self.serving(key).client

    @property
    def is_cluster(self) -> bool:
        """Are the keys spread over slots of a cluster?"""
        return isinstance(self.topology, Cluster)

    async def mend(self) -> None:
        """Start an embedded server that died; nothing where the server is somebody else's.

        Raises:
            StoreError: it does not start; says why.
        """
        if self.revive is not None:
            self._first().move_to(await self.revive())

    async def close(self) -> None:
        """Close every connection, and make none any more; idempotent."""
        self._closed = True
        await self.topology.close()
        for node in self._seeds:
            await node.close()

    async def run(
        self,
        *command: bytes | str | int,
        key: bytes | None = None,
        aside: bool = False,
        moved_whole: bool = False,
    ) -> Any:
        """Run a command that is safe to repeat where its key is; `key` None: its first argument.

        It is repeated when its server is away, was replaced, or is moving the key: for as long as
        the settings say. `moved_whole`: it reads keys that it does not name; a server to which
        they are still moving would take those for absent, so it waits until all have moved.
        Errors are redis-py's; `explain` makes them ours.
        """
        place = _first_key(command) if key is None else key

        async def once(node: Node) -> Any:
            client = node.aside if aside else node.client
            return await honour(client.execute_command(*command))

        async def there(node: Node) -> Any:
            return await node.run_there(command)

        return await self._repeat(place, once, None if moved_whole else there)

    async def change(self, change: Change, *, aside: bool = False) -> list[Any]:
        """Make a change where its key is: its reply, and the answers to what follows it.

        Repeated as `run` is. When it fails, the change says whether it may have been made.
        """

        async def once(node: Node) -> list[Any]:
            return await change.over(node.aside.connection_pool if aside else node.pool)

        async def there(node: Node) -> list[Any]:
            return await change.over(node.pool, asking=True)

        key = _first_key(change.command)
        replies: list[Any] = await self._repeat(key, once, there)
        return replies

    async def _repeat(self, key: bytes, once: _Try, there: _Try | None) -> Any:
        patience = self.patience()
        while True:
            node = self.topology.node_of(key)
            try:
                return await self._try(node, key, once, there)
            except REPEATABLE as exc:
                if isinstance(exc, LOST):
                    await self.mend()
                await patience.bear(exc, key, node)

    @property
    def bridged_s(self) -> float:
        """How long a server may be away before single calls fail; batches wait for `retry_s`.

        A lone one comes back by being started again, in which case nobody knows when; another
        primary takes over within `retry_s`, or not at all.
        """
        retry_s = self.settings.retry_s
        return retry_s if self.topology.can_change else min(retry_s, BRIDGED_S)

    def patience(self, away_s: float | None = None, wait_s: float = 0.0) -> Patience:
        """The patience of one call; that of a single one, if not given."""
        away_s = self.bridged_s if away_s is None else away_s
        return Patience(self.topology, away_s, self.settings.operation_timeout_s, wait_s)

    async def _try(self, node: Node | None, key: bytes, once: _Try, there: _Try | None) -> Any:
        if node is None:
            raise RedisConnectionError("no server serves these threats just now")
        try:
            reply = await once(node)
        except AskError as exc:
            if type(exc) is not AskError or there is None:
                raise
            reply = await there(await self.topology.moved(key, exc))
        node.away_since = None
        return reply

    @asynccontextmanager
    async def lease(self, retry_s: float, key: bytes = b"") -> AsyncIterator[AbstractConnection]:
        """Lend a connection for its caller alone; whoever leaves replies unread disconnects it.

        Raises:
            StoreUnavailable: none could be made within `retry_s`.
        """
        node, connection = await self.take(key, retry_s)
        try:
            yield connection
        finally:
            await node.pool.release(connection)

    async def take(self, key: bytes, retry_s: float) -> tuple[Node, AbstractConnection]:
        """Take a connection to the server of this key out of its pool; give it back to that pool.

        Raises:
            StoreUnavailable: none could be made within `retry_s`.
        """
        patience = self.patience(retry_s)
        while True:
            node = self.topology.node_of(key)
            try:
                if node is None:
                    raise RedisConnectionError("no server serves these threats just now")
                return node, await self.take_at(node)
            except REPEATABLE as exc:
                if isinstance(exc, LOST):
                    await self.mend()
                try:
                    await patience.bear(exc, key, node)
                except REPEATABLE as last:
                    raise self.explain(last) from last

    async def take_at(self, node: Node) -> AbstractConnection:
        """Take a connection out of a server's pool; one that was idle for long is tried first.

        Errors are redis-py's: nothing is repeated.
        """
        connection: AbstractConnection = await honour(node.pool.get_connection())
        try:
            await honour(connection.check_health())
        except BaseException:
            await connection.disconnect(nowait=True)
            await node.pool.release(connection)
            raise
        return connection

    async def examine(self) -> ServerFacts:
        """Reach the servers and check that they can be trusted with threats.

        Primaries of a cluster that are away are passed over.

        Raises:
            StoreUnavailable: none can be reached, or one does not finish loading its data.
            StoreUnsuitable: too old, needs a password, evicts keys, is a replica.
        """
        info = await self._first_contact()
        if int(info.get("cluster_enabled", 0)):
            await self._join_cluster()
        elif len(self._seeds) > 1 and self._target.kind == "server":
            raise SettingInvalid(
                "the URL names several servers, but one that answers is not of a cluster"
            )
        found = await self._reachable()
        for info in found.values():
            check_fitness(info, self.shown_url)
            if self.settings.durability == "replicated":
                warn_of_replicas(info, self.settings.replicas, self.shown_url)
        levels = [await self._durability(node) for node in found]
        kind, version = kind_and_version(next(iter(found.values())))
        used = sum(int(info["used_memory"]) for info in found.values())
        level = max(levels, key=LEVELS.index)
        count = len(self.topology.primaries())
        self.facts = ServerFacts(kind, version, level, used, self.topology.name, count)
        return self.facts

    async def capacity(self, keys: Iterable[bytes]) -> Capacity:
        """How full the servers of these keys are; none of the keys may exist.

        Each is asked with a write that changes nothing: whatever it would refuse, it refuses.

        Raises:
            StoreUnavailable: one cannot be reached.
        """
        nodes = {self.serving(key): key for key in keys}
        infos = [await self.guarded(node.client.info("memory")) for node in nodes]
        limits = [int(info.get("maxmemory", 0)) for info in infos]
        refusals = [await self._refusal(node, key) for node, key in nodes.items()]
        refusal = next((found for found in refusals if found is not None), None)
        if refusal is None:
            word = Writable.YES
        else:
            word = Writable.FULL if isinstance(refusal, StoreFull) else Writable.REFUSED
        used = sum(int(info["used_memory"]) for info in infos)
        most = sum(limits) if all(limits) else 0
        return Capacity(used, most, word, str(refusal or ""))

    async def _refusal(self, node: Node, key: bytes) -> PeriscopeError | None:
        try:
            await honour(node.client.execute_command("SET", key, b"", "XX", "PX", 1))
        except AskError:  # on the move: the other server takes it
            return None
        except (RedisError, *LOST) as exc:
            return self.explain(exc)
        return None

    async def _reachable(self) -> dict[Node, dict[str, Any]]:
        """INFO of every primary; one of a cluster may be away, as long as there is another."""
        found: dict[Node, dict[str, Any]] = {}
        failure: StoreUnavailable | None = None
        for node in self.topology.primaries():
            try:
                found[node] = await self._loaded_info(node)
            except StoreUnavailable as exc:
                failure = exc
                node.away_since = node.away_since or asyncio.get_running_loop().time()
        if failure is not None and not found:
            raise failure
        return found

    async def _first_contact(self) -> dict[str, Any]:
        """INFO of the server that answers first: a seed, or the primary that sentinels name."""
        if self._target.kind == "sentinel":
            await self.topology.start()
            if not self.topology.primaries():
                raise StoreUnavailable(
                    f"no sentinel at {self.shown_url} names a primary {self._target.master!r}"
                )
            return await self._loaded_info(self._first())
        return await _soonest([self._loaded_info(node) for node in self._seeds])

    async def _join_cluster(self) -> None:
        if self._target.database:
            raise SettingInvalid("a cluster has no database numbers; leave it out of the URL")
        self.topology = Cluster(self._seeds, self._make)
        await self.topology.start()
        if not self.topology.primaries():
            raise StoreUnavailable(f"the cluster at {self.shown_url} has no slots assigned")

    async def _loaded_info(self, node: Node) -> dict[str, Any]:
        deadline = asyncio.get_running_loop().time() + LOADING_S
        while True:
            info = await self.guarded(node.client.info())
            if not int(info.get("loading", 0)):
                return dict(info)
            if asyncio.get_running_loop().time() > deadline:
                raise StoreUnavailable(f"the server at {self.shown_url} is still loading its data")
            await asyncio.sleep(LOADING_POLL_S)

    async def _durability(self, node: Node) -> str:
        try:
            config = await node.client.config_get("append*")
        except ResponseError:
            return "unverified"
        except (RedisError, *LOST) as exc:
            raise self.explain(exc) from exc
        if config.get("appendonly") != "yes":
            return "memory"
        return {"always": "durable", "everysec": "fast"}.get(str(config["appendfsync"]), "memory")

    async def guarded(self, call: Awaitable[Any]) -> Any:
        """Await a redis-py call; its errors become ours, each with one line."""
        try:
            return await honour(call)
        except (RedisError, *LOST) as exc:
            raise self.explain(exc) from exc

    def explain(self, exc: BaseException) -> PeriscopeError:
        """One of our errors for one of redis-py's; ours pass unchanged."""
        return explain(exc, self.shown_url)

    def _make(self, address: Address) -> Node:
        if self._closed:
            raise StoreUnavailable(CLOSED)
        return Node(address, self._target, self.settings)

    def _first(self) -> Node:
        primaries = self.topology.primaries()
        if not primaries:
            raise StoreUnavailable(f"no server at {self.shown_url} is in charge just now")
        return primaries[0]

    def serving(self, key: bytes) -> Node:
        """The server of this key.

        Raises:
            StoreUnavailable: nobody serves it just now.
        """
        node = self.topology.node_of(key)
        if node is None:
            raise StoreUnavailable(f"no server at {self.shown_url} serves these threats just now")
        return node


async def _soonest(asked: Sequence[Coroutine[Any, Any, T]]) -> T:
    """The first answer: whoever hangs keeps nobody waiting, unless no one else is there.

    Raises:
        PeriscopeError: none answers; what the first of them says.
    """
    tasks = [asyncio.create_task(one) for one in asked]
    try:
        for answer in asyncio.as_completed(tasks):
            with suppress(StoreUnavailable):
                return await answer
        return await tasks[0]
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def _first_key(command: Sequence[Any]) -> bytes:
    """The key by which a command is routed: an FCALL names it after its number of keys."""
    at = 3 if str(command[0]).startswith("FCALL") else 1
    key = command[at] if len(command) > at else b""
    return key if isinstance(key, bytes) else str(key).encode()
