"""One side of a move: a server that is reached, without opening (and so preparing) a database."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from periscope.archive import find_archive, fingerprint_of
from periscope.connection import Connections
from periscope.errors import MoveError
from periscope.functions import Functions
from periscope.keys import control_key, touch_key
from periscope.policy import Policy
from periscope.rules import Rules
from periscope.server import EmbeddedServer
from periscope.settings import Settings

Command = tuple[bytes | str | int, ...]


@dataclass(frozen=True, slots=True)
class Side:
    """Connections to a server, its functions, and the namespace that is meant there."""

    connections: Connections
    functions: Functions
    namespace: str

    @property
    def control_key(self) -> bytes:
        """The key of what holds for the whole database."""
        return control_key(self.namespace)

    async def control(self) -> dict[str, bytes]:
        """All fields of the control key; none where there is no database."""
        (found,) = await self.read([("HGETALL", self.control_key)])
        return {name.decode(): value for name, value in as_pairs(found)}

    async def time_ms(self) -> int:
        """The time of the server of the control key."""
        run = self.connections.run("TIME", key=self.control_key)
        seconds, microseconds = await self.connections.guarded(run)
        return int(seconds) * 1000 + int(microseconds) // 1000

    async def read(self, commands: Sequence[Command]) -> list[Any]:
        """Replies to a few plain commands that read, each with a key of bytes."""
        return list(await asyncio.gather(*map(self._run, commands)))

    async def _run(self, command: Command) -> Any:
        # The key of a plain command is its first argument; XINFO has a word before it.
        key = next(part for part in command[1:] if isinstance(part, bytes))
        return await self.connections.guarded(self.connections.run(*command, key=key))

    async def check_empty(self) -> None:
        """Refuse a namespace in which there is anything.

        Raises:
            MoveError: there is.
        """
        pattern = b"{%s:*" % self.namespace.encode()
        for node in self.connections.topology.primaries():
            async for key in node.client.scan_iter(match=pattern, count=1000):
                if key == touch_key(key):
                    continue  # of a move that was given up within the last minute
                raise MoveError(
                    f"the server at {self.connections.shown_url} holds keys of namespace "
                    f"{self.namespace!r} already; nothing was moved: take another server or "
                    "namespace"
                )


@asynccontextmanager
async def reach(settings: Settings, url: str | None = None) -> AsyncIterator[Side]:
    """Reach the server of the settings (the embedded one without a URL), or of this URL.

    Raises:
        StoreError: it cannot be reached, or is not fit for use.
    """
    async with AsyncExitStack() as stack:
        url = url or settings.url
        if url is None:
            embedded = await EmbeddedServer.join(
                settings.data_path, durability=settings.embedded_durability
            )
            stack.push_async_callback(embedded.leave)
            url = embedded.url
        connections = Connections(url, msgspec.structs.replace(settings, url=url))
        stack.push_async_callback(connections.close)
        await connections.examine()
        functions = Functions(connections, Rules(Policy(), 0))
        await functions.load()
        yield Side(connections, functions, settings.namespace)


@asynccontextmanager
async def archive_place(settings: Settings) -> AsyncIterator[str | Path]:
    """Where the archive is of the database that is to be moved, which may be closed just now.

    Its server is held meanwhile, so that an embedded one is not stopped to be started again.
    """
    async with reach(settings) as side:
        secret = (await side.control()).get("secret")
        if secret is None:
            yield settings.archive_place
        else:
            yield await find_archive(settings, fingerprint_of(secret))


def as_pairs(reply: Any) -> list[tuple[bytes, bytes]]:
    """A hash as the client gives it, as pairs."""
    if isinstance(reply, dict):
        return list(reply.items())
    return list(zip(reply[::2], reply[1::2], strict=True))
