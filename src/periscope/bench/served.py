"""`periscope serve` as a process of its own, and processes that make load on it."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TypeVar
from urllib.parse import urlsplit

import msgspec

from periscope.bench.effort import Effort
from periscope.bench.ending import to_the_end
from periscope.bench.http_tasks import AnyTask
from periscope.bench.stand import NAMESPACE, Stand
from periscope.errors import BugError

SAID_BYTES = 256 * 2**20
END_S = 20.0
T = TypeVar("T")


class _Said(msgspec.Struct):
    url: str
    first_keys: dict[str, str]


class Served:
    """A service of the stand's database, and its first key."""

    def __init__(self, on: Stand, pid: int, port: int, key: str) -> None:
        self.on, self.port, self.key = on, port, key
        self._pid = pid

    @asynccontextmanager
    async def measured(self, effort: Effort, done: int) -> AsyncIterator[None]:
        """Add what the body takes to do `done` things: of the service, and of the store."""
        async with effort.measured(self.on.socket_path, done, lambda: cpu_s_of(self._pid)):
            yield


class Load:
    """A process that makes load: ready when it is there, and then done at once."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    async def done(self, kind: type[T]) -> T:
        """Let it begin; return what it says at its end.

        Raises:
            BugError: it failed.
        """
        stdin, stdout = self._process.stdin, self._process.stdout
        assert stdin is not None and stdout is not None  # noqa: S101, PT018 - both are pipes
        stdin.write(b"go\n")
        line = await stdout.readline()
        if not line:
            raise BugError("a process that makes load failed; what it says stands above")
        return msgspec.json.decode(line, type=kind)


@asynccontextmanager
async def serving(on: Stand) -> AsyncIterator[Served]:
    """Serve the stand's database for as long as the body runs, with workers and all."""
    log = on.directory / "service.log"
    with log.open("wb") as errors:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "periscope", "serve", "--port", "0", "--json"),
            stdout=asyncio.subprocess.PIPE,
            stderr=errors,
            cwd=on.directory,
            env=_environment(on),
        )
    try:
        yield await _served(on, process, log)
    finally:
        await to_the_end(_ended(process))


@asynccontextmanager
async def load(task: AnyTask) -> AsyncIterator[Load]:
    """A process that is ready to do the task; gone afterwards."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "periscope.bench.http_load"),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        limit=SAID_BYTES,
    )
    try:
        assert process.stdin is not None and process.stdout is not None  # noqa: S101, PT018
        process.stdin.write(msgspec.json.encode(task) + b"\n")
        if not await process.stdout.readline():
            raise BugError("a process that makes load failed; what it says stands above")
        yield Load(process)
    finally:
        if process.returncode is None:
            process.kill()
        await to_the_end(process.wait())


def _end_of(log: Path) -> str:
    return log.read_text()[-500:]


def cpu_s_of(pid: int) -> float:
    """CPU seconds of another process since its start; 0 where the system does not tell."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


async def _served(on: Stand, process: asyncio.subprocess.Process, log: Path) -> Served:
    assert process.stdout is not None  # noqa: S101 - it is a pipe
    said = await process.stdout.readline()
    if not said:
        raise BugError(f"the service did not start: {_end_of(log)}")
    told = msgspec.json.decode(said, type=_Said)
    port = urlsplit(told.url).port or 0
    return Served(on, process.pid, port, told.first_keys[NAMESPACE])


async def _ended(process: asyncio.subprocess.Process) -> None:
    if process.returncode is None:
        process.send_signal(signal.SIGTERM)
        try:
            async with asyncio.timeout(END_S):
                await process.wait()
        except TimeoutError:
            process.kill()
    await process.wait()


def _environment(on: Stand) -> dict[str, str]:
    """The environment, with the stand's settings in place of the user's."""
    ours = {
        "PERISCOPE_URL": f"unix://{on.socket_path}",
        "PERISCOPE_NAMESPACE": NAMESPACE,
        "PERISCOPE_DATA_DIR": str(on.directory / "service"),
    }
    return {k: v for k, v in os.environ.items() if not k.startswith("PERISCOPE_")} | ours
