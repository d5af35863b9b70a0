"""What the tests of the embedded server share: waiting, other processes, a client."""

from __future__ import annotations

import asyncio
import os
import sys
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Self

import redis.asyncio

from periscope.server import EmbeddedServer

USER = Path(__file__).with_name("user.py")


async def wait_until(
    predicate: Callable[[], bool], description: str, deadline_s: float = 20
) -> None:
    """Wait for a state instead of sleeping for a time; fails with the description."""
    end = time.monotonic() + deadline_s
    while not predicate():
        assert time.monotonic() < end, f"not within {deadline_s} s: {description}"
        await asyncio.sleep(0.01)


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    stat = Path(f"/proc/{pid}/stat")
    return not stat.exists() or stat.read_text().rpartition(")")[2].split()[0] != "Z"


async def gone(pid: int) -> None:
    """Wait for the end of a process: its locks are free an instant before it is."""
    await wait_until(lambda: not alive(pid), f"process {pid} is gone")


@asynccontextmanager
async def client(server: EmbeddedServer) -> AsyncIterator[Any]:
    """A plain client, without the retries that would hide a dead server."""
    from redis.asyncio.retry import Retry
    from redis.backoff import NoBackoff

    connected: Any = redis.asyncio.Redis(
        unix_socket_path=str(server.socket_path), retry=Retry(NoBackoff(), 0)
    )
    try:
        yield connected
    finally:
        await connected.aclose()


async def pid_of(server: EmbeddedServer) -> int:
    async with client(server) as c:
        return int((await c.info("server"))["process_id"])


class User:
    """Another process that uses the server: `user.py`, driven by lines."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process
        self.server_pid = 0
        self.socket_path = ""

    @classmethod
    async def start(cls, data_dir: Path, *words: str, env: dict[str, str] | None = None) -> Self:
        return cls(
            await asyncio.create_subprocess_exec(
                sys.executable,
                "-W",
                "error",
                str(USER),
                str(data_dir),
                *words,
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), **(env or {})},
            )
        )

    async def joined(self) -> Self:
        word, pid, self.socket_path = (await self._line()).split(" ", 2)
        assert word == "joined"
        self.server_pid = int(pid)
        return self

    async def leave(self) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(b"leave\n")
        await self.process.stdin.drain()
        assert await self._line() == "left"
        assert await self.ended() == 0

    async def kill(self) -> None:
        self.process.kill()
        await self.ended()

    async def ended(self) -> int:
        assert self.process.stdin is not None
        self.process.stdin.close()
        return await asyncio.wait_for(self.process.wait(), 30)

    async def _line(self) -> str:
        assert self.process.stdout is not None
        line = await asyncio.wait_for(self.process.stdout.readline(), 30)
        return line.decode().rstrip("\n")
