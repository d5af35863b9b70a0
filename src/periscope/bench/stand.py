"""The bench's own server: in a directory of its own, gone afterwards, never the user's data."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from redis.asyncio import Redis
from redis.asyncio.connection import BlockingConnectionPool, UnixDomainSocketConnection

from periscope.archive import Archive, open_archive
from periscope.bench.ending import held
from periscope.keys import Keyspace, PartitionKeys
from periscope.periscope import Periscope
from periscope.server import EmbeddedServer
from periscope.server.process import ask
from periscope.settings import Durability, Settings

NAMESPACE = "periscope"  # the default: the length of key names counts in memory
DIRECTORY_PREFIX = "periscope-bench-"
RECORDED_FROM_US = 10
SLOWLOG_ENTRIES = "200000"
CONNECTIONS = Settings().connections
# One call an await shares no connection: with 50 it is a third faster than with 8 where each call
# is fsynced, and with 200 no faster.
REDIS_PY_CONNECTIONS = 50
CONNECT_S = 60.0
"""Hundreds connect at once, on a machine under full load: that is no failure."""

# The levels of durability that one server can give; the third needs a replica: row `replicated`.
DURABILITIES: tuple[Durability, ...] = ("durable", "fast")


@dataclass(frozen=True, slots=True)
class Stand:
    """An empty database on a fresh server, and ways past the engine to the server itself.

    `client` is redis-py's own, with a pool that suits it: what ours is compared with.
    """

    periscope: Periscope
    socket_path: Path
    directory: Path
    client: Redis

    @property
    def keys(self) -> PartitionKeys:
        """The keys of its one partition."""
        return Keyspace.of(NAMESPACE, 1).partitions[0]

    async def record_calls(self) -> None:
        """From now on, let the server write down how long each call takes.

        Valkey also writes down each command that a function gives: hundreds in a call, which would
        cost more than what is measured. So nothing below 10 us is recorded.
        """
        await ask(
            self.socket_path,
            ("CONFIG", "SET", "slowlog-max-len", SLOWLOG_ENTRIES),
            ("CONFIG", "SET", "slowlog-log-slower-than", str(RECORDED_FROM_US)),
            ("SLOWLOG", "RESET"),
        )

    async def recorded_calls(self, prefix: str) -> list[float]:
        """Milliseconds that each call of a function named `prefix...` held up the server.

        If all were too quick to be recorded, one call of what is recorded at least.
        """
        by_name = await self.recorded_by_name()
        found = [ms for name, calls in by_name.items() if name.startswith(prefix) for ms in calls]
        return found or [RECORDED_FROM_US / 1000]

    async def recorded_by_name(self) -> dict[str, list[float]]:
        """Milliseconds that each call held up the server, by the name of its function."""
        entries, _ = await ask(self.socket_path, ("SLOWLOG", "GET", "-1"), ("SLOWLOG", "RESET"))
        calls: dict[str, list[float]] = {}
        for entry in entries:
            calls.setdefault("".join(entry[3][1:2]), []).append(entry[2] / 1000)
        return calls

    async def count_added(self, count: int) -> None:
        """Enter threats that were written past the functions into the ledger."""
        ledger = self.keys.ledger.decode()
        await ask(
            self.socket_path,
            ("HINCRBY", ledger, "received", str(count)),
            ("HINCRBY", ledger, "added", str(count)),
        )

    @asynccontextmanager
    async def archive(self) -> AsyncIterator[Archive]:
        """An archive in the stand's own directory: a SQLite file, as by default."""
        archive = await open_archive(self.directory / "archive.db")
        try:
            yield archive
        finally:
            await archive.close()


@asynccontextmanager
async def stand(
    durability: Durability = "durable", connections: int = CONNECTIONS, partitions: int = 1
) -> AsyncIterator[Stand]:
    """A fresh server for as long as the body runs; its directory is removed whatever happens.

    Settings are given, not read from the environment: a PERISCOPE_URL must not lead us to a server
    that is in use.
    """
    directory = Path(tempfile.mkdtemp(prefix=DIRECTORY_PREFIX))
    try:
        settings = Settings(
            data_dir=str(directory / "data"),
            durability=durability,
            namespace=NAMESPACE,
            connections=connections,
            partitions=partitions,
        )
        async with held(partial(_open, directory, settings)) as opened:
            yield opened
    finally:
        shutil.rmtree(directory, ignore_errors=True)


async def _open(directory: Path, settings: Settings, stack: AsyncExitStack) -> Stand:
    durability: Durability = "fast" if settings.durability == "fast" else "durable"
    server = await EmbeddedServer.join(settings.data_path, durability=durability)
    stack.push_async_callback(server.leave)
    periscope = await stack.enter_async_context(Periscope(settings))
    client = _client(server.socket_path)
    stack.push_async_callback(client.connection_pool.disconnect)
    return Stand(periscope, server.socket_path, directory, client)


def _client(socket_path: Path) -> Redis:
    """redis-py as its users know it: callers wait for one of many connections."""
    pool = BlockingConnectionPool(
        max_connections=REDIS_PY_CONNECTIONS,
        timeout=None,
        connection_class=UnixDomainSocketConnection,
        path=str(socket_path),
        socket_connect_timeout=CONNECT_S,
    )
    return Redis(connection_pool=pool)
