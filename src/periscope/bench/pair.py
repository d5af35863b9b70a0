"""A primary and its replica as child processes: where `replicated` can be measured."""

from __future__ import annotations

import asyncio
import shutil
import socket
import tempfile
from asyncio.subprocess import DEVNULL, Process
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from pathlib import Path
from typing import NamedTuple

from periscope.bench.effort import info
from periscope.bench.ending import held
from periscope.bench.stand import DIRECTORY_PREFIX, NAMESPACE
from periscope.errors import StoreUnavailable
from periscope.periscope import Periscope
from periscope.server.home import choose_socket_path
from periscope.server.process import ask, binary_path
from periscope.settings import Acknowledgement, Settings

LOOPBACK = "127.0.0.1"
START_S = 20.0
POLL_S = 0.02
OPTIONS = (
    *("--save", "", "--appendonly", "yes", "--appendfsync", "always", "--bind", LOOPBACK),
    *("--logfile", "log", "--repl-diskless-sync-delay", "0"),
)


class Pair(NamedTuple):
    """Where the primary is; its replica follows it."""

    url: str
    socket_path: Path

    def open(self, durability: Acknowledgement) -> Periscope:
        """The database on it, with acknowledgements of this kind."""
        return Periscope(Settings(url=self.url, namespace=NAMESPACE, durability=durability))

    async def empty(self) -> None:
        """Forget everything, on the replica too."""
        await ask(self.socket_path, ("FLUSHALL",))


@asynccontextmanager
async def pair() -> AsyncIterator[Pair]:
    """Both servers for as long as the body runs; nothing of them is left, whatever happens."""
    directory = Path(tempfile.mkdtemp(prefix=DIRECTORY_PREFIX))
    try:
        async with held(partial(_start, directory)) as started:
            yield started
    finally:
        shutil.rmtree(directory, ignore_errors=True)


async def _start(directory: Path, stack: AsyncExitStack) -> Pair:
    port = _free_port()
    await _spawn(stack, directory / "primary", "--port", str(port))
    await _spawn(stack, directory / "replica", "--port", "0", "--replicaof", f"{LOOPBACK} {port}")
    socket_path = choose_socket_path(directory / "primary")
    await _until(partial(_has_replica, socket_path), "the replica did not follow its primary")
    return Pair(f"redis://{LOOPBACK}:{port}", socket_path)


async def _spawn(stack: AsyncExitStack, directory: Path, *options: str) -> None:
    await asyncio.to_thread(directory.mkdir)
    socket_path = choose_socket_path(directory)
    stack.callback(socket_path.unlink, missing_ok=True)
    process = await asyncio.create_subprocess_exec(
        binary_path(),
        *OPTIONS,
        *("--unixsocket", str(socket_path)),
        *options,
        cwd=directory,
        stdin=DEVNULL,
        stdout=DEVNULL,
        stderr=DEVNULL,
        start_new_session=True,
    )
    stack.push_async_callback(_stop, process)
    await _until(partial(_answers, socket_path), f"no server started; see {directory}/log")


async def _stop(process: Process) -> None:
    """Its data are deleted: there is nothing that a clean end would save."""
    if process.returncode is None:
        process.kill()
    await process.wait()


async def _until(holds: Callable[[], Awaitable[bool]], otherwise: str) -> None:
    try:
        async with asyncio.timeout(START_S):
            while True:
                if await holds():
                    return
                await asyncio.sleep(POLL_S)
    except TimeoutError:
        raise StoreUnavailable(otherwise) from None


async def _answers(socket_path: Path) -> bool:
    try:
        (reply,) = await ask(socket_path, ("PING",))
    except OSError:
        return False
    return bool(reply == "PONG")


async def _has_replica(socket_path: Path) -> bool:
    fields = await info(socket_path, "replication")
    return "state=online" in fields.get("slave0", "")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((LOOPBACK, 0))
        return int(probe.getsockname()[1])
