"""The bench's own server: in a directory of its own, gone afterwards, never the user's data."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from periscope.keys import Keyspace, PartitionKeys
from periscope.periscope import Periscope
from periscope.server import EmbeddedServer
from periscope.server.process import ask
from periscope.settings import Durability, Settings

NAMESPACE = "periscope"  # the default: the length of key names counts in memory
DIRECTORY_PREFIX = "periscope-bench-"
SLOWLOG_ENTRIES = "200000"


@dataclass(frozen=True, slots=True)
class Stand:
    """An empty database on a fresh server, and a way past the engine to the server itself."""

    periscope: Periscope
    socket_path: Path

    @property
    def keys(self) -> PartitionKeys:
        """The keys of its one partition."""
        return Keyspace.of(NAMESPACE, 1).partitions[0]

    async def record_calls(self) -> None:
        """From now on, let the server write down how long each call takes."""
        await ask(
            self.socket_path,
            ("CONFIG", "SET", "slowlog-max-len", SLOWLOG_ENTRIES),
            ("CONFIG", "SET", "slowlog-log-slower-than", "0"),
            ("SLOWLOG", "RESET"),
        )

    async def recorded_calls(self, prefix: str) -> list[float]:
        """Milliseconds that each call of a function named `prefix...` held up the server."""
        entries, _ = await ask(self.socket_path, ("SLOWLOG", "GET", "-1"), ("SLOWLOG", "RESET"))
        ours = [entry for entry in entries if "".join(entry[3][1:2]).startswith(prefix)]
        return [entry[2] / 1000 for entry in ours]


@asynccontextmanager
async def stand(durability: Durability = "durable") -> AsyncIterator[Stand]:
    """A fresh server for as long as the body runs; its directory is removed whatever happens.

    Settings are given, not read from the environment: a PERISCOPE_URL must not lead us to a server
    that is in use.
    """
    directory = Path(tempfile.mkdtemp(prefix=DIRECTORY_PREFIX))
    try:
        server = await EmbeddedServer.join(directory / "data", durability=durability)
        try:
            settings = Settings(
                data_dir=str(server.data_dir), durability=durability, namespace=NAMESPACE
            )
            async with Periscope(settings) as periscope:
                yield Stand(periscope, server.socket_path)
        finally:
            # Shielded: a second Ctrl-C would otherwise leave the server behind.
            await asyncio.shield(server.leave())
    finally:
        shutil.rmtree(directory, ignore_errors=True)
