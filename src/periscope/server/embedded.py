"""The embedded server: one Valkey process for one data directory, shared by all who use it.

It is started by the first who needs it and stopped by the last who leaves. Nobody keeps count:
three lock files (`locks`) say who is there, and the kernel frees the locks of whoever is
killed. `docs/explanation/embedded-server.md` tells the whole story.
"""

from __future__ import annotations

import asyncio
import signal
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Self, TypedDict

from periscope.errors import StoreError, StoreUnavailable, StoreUnsuitable
from periscope.server import process
from periscope.server.damage import cut_damage
from periscope.server.home import Home, find_home, prepare_home, saying
from periscope.server.life import (
    bring_up,
    busy,
    open_locks,
    still_running,
    stop,
    take_start_lock,
    until,
)
from periscope.server.locks import Locks
from periscope.settings import Durability

__all__ = ["EmbeddedServer", "ServerStatus", "repair", "server_status", "stop_server"]

START_TIMEOUT_S = 60.0
STOP_TIMEOUT_S = 30.0
STATUS_TIMEOUT_S = 1.0


class EmbeddedServer:
    """One user's hold on the server of a data directory; get it with `join`, end it with `leave`.

    Several may exist in one process, and they count as several users. `durability` is what the
    server did when this user joined: at least what was asked for.
    """

    data_dir: Path
    socket_path: Path
    durability: Durability

    def __init__(self, home: Home, locks: Locks) -> None:
        self._home = home
        self._locks = locks
        self._left = False
        # Two tasks of this user share its open files, which do not exclude each other.
        self._one_at_a_time = asyncio.Lock()
        self._pid: int | None = None
        self.data_dir = home.data_dir

    @classmethod
    async def join(
        cls,
        data_dir: Path,
        *,
        durability: Durability = "durable",
        start_timeout_s: float = START_TIMEOUT_S,
    ) -> Self:
        """Start the server of this directory, or join it where it runs; return when it is ready.

        Ready: it answers and has loaded its data. Joining with `durable` a server that runs `fast`
        makes it durable for everybody; joining with `fast` never lowers it.

        Raises:
            StoreFull: there is too little room on the disk to start.
            StoreDamaged: the data cannot be read; names the repair.
            StoreUnsuitable: the directory, or this system, cannot be used.
            StoreUnavailable: it was not ready in time; it may still be loading, so try again.
        """
        joining = asyncio.create_task(cls._join(data_dir, durability, start_timeout_s))
        try:
            return await asyncio.shield(joining)
        except asyncio.CancelledError:
            # To the end even so: a server that is half started would be left without a user.
            await (await joining).leave()
            raise

    @classmethod
    async def _join(cls, data_dir: Path, durability: Durability, start_timeout_s: float) -> Self:
        deadline = time.monotonic() + start_timeout_s
        home = prepare_home(data_dir)
        locks = await take_start_lock(home, deadline)
        try:
            server = cls(home, locks)
            if not await until(locks.users.try_shared, deadline):
                raise busy(home)
            await server._bring_up(durability, deadline)
        except BaseException:
            locks.close()
            raise
        locks.start.unlock()
        return server

    @property
    def url(self) -> str:
        """The URL for Redis clients."""
        return f"unix://{self.socket_path}"

    def free_bytes(self) -> int:
        """Return the free space on the file system of the data directory.

        Raises:
            StoreUnsuitable: the directory is gone.
        """
        with saying(f"cannot look at the data directory {self.data_dir}"):
            return self._home.free_bytes()

    async def revive(self, *, start_timeout_s: float = START_TIMEOUT_S) -> None:
        """Start the server again should it have died; return when it is ready, as `join` does.

        For a user whose connections broke. It does nothing to a server that answers. The socket
        may be another one afterwards.

        Raises:
            StoreError: as `join`; StoreUnsuitable also when the directory was removed meanwhile.
            StoreUnavailable: this user has left.
        """
        async with self._one_at_a_time:
            if self._left:
                raise StoreUnavailable(f"already left the embedded server in {self.data_dir}")
            await self._revive(time.monotonic() + start_timeout_s)

    async def leave(self, *, timeout_s: float = STOP_TIMEOUT_S) -> None:
        """End this use; the last user stops the server and waits until it is gone. Repeatable.

        Whatever it raises, this use has ended.

        Raises:
            StoreUnavailable: the server did not stop in time; it is left to itself.
            StoreFull: writes wait for room on the disk; the server is left running to keep them.
        """
        async with self._one_at_a_time:
            if self._left:
                return
            self._left = True
            try:
                await self._leave(time.monotonic() + timeout_s)
            finally:
                self._locks.close()

    async def _revive(self, deadline: float) -> None:
        if not await until(self._locks.start.try_exclusive, deadline):
            raise busy(self._home)
        try:
            if not self._locks.start.is_current():
                raise StoreUnsuitable(f"the data directory {self.data_dir} was removed or replaced")
            await self._bring_up(self.durability, deadline)
        finally:
            self._locks.start.unlock()

    async def _bring_up(self, durability: Durability, deadline: float) -> None:
        info = await bring_up(self._home, self._locks, durability, deadline)
        self.socket_path = self._home.socket_path
        self.durability = _durability(info)
        self._pid = int(info["process_id"])

    async def _leave(self, deadline: float) -> None:
        if not await until(self._locks.start.try_exclusive, deadline):
            return  # who holds it that long is joining, or stopping the server
        if not self._locks.users.try_exclusive() or self._locks.server.is_free():
            return
        if self._locks.start.is_current():
            await stop(self._home, self._locks, deadline)
        else:
            await self._stop_displaced(deadline)

    async def _stop_displaced(self, deadline: float) -> None:
        """Stop a server whose directory was deleted or moved away under it.

        Its socket may by now be that of a new server at the same place, which a SHUTDOWN would
        hit. A clean end would remove that socket too: where the data are deleted anyway, kill.
        """
        which = signal.SIGKILL if self._locks.start.is_deleted() else signal.SIGTERM
        await asyncio.to_thread(process.send_signal, self._pid, self.socket_path, which)
        if not await until(self._locks.server.is_free, deadline):
            raise still_running(self._home)


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerStatus:
    """What can be told about the embedded server of a data directory; None: it does not answer.

    `in_use`: some process uses it, or is joining or leaving. `ready`: its data are loaded.
    """

    data_dir: Path
    running: bool
    in_use: bool
    ready: bool = False
    log_path: Path | None = None
    free_bytes: int | None = None
    socket_path: Path | None = None
    pid: int | None = None
    version: str | None = None
    durability: Durability | None = None
    used_memory_bytes: int | None = None
    uptime_s: int | None = None


class _Figures(TypedDict, total=False):
    ready: bool
    socket_path: Path
    pid: int
    version: str
    durability: Durability
    used_memory_bytes: int
    uptime_s: int


async def server_status(data_dir: Path) -> ServerStatus:
    """Say what runs in this directory, within seconds; nothing is started or stopped.

    Raises:
        StoreUnsuitable: the directory cannot be used.
    """
    home = find_home(data_dir)
    if not home.was_used():
        return ServerStatus(data_dir=home.data_dir, running=False, in_use=False)
    running, in_use = await _who_is_there(home)
    info = await process.ask_info(home.socket_path) if running else None
    return ServerStatus(
        data_dir=home.data_dir,
        running=running,
        in_use=in_use,
        log_path=home.log_path,
        free_bytes=home.free_bytes(),
        **_figures(home, info),
    )


async def _who_is_there(home: Home) -> tuple[bool, bool]:
    """Return whether the server runs, and whether somebody uses it."""
    locks = open_locks(home)
    try:
        if await until(locks.start.try_exclusive, time.monotonic() + STATUS_TIMEOUT_S):
            return not locks.server.is_free(), not locks.users.is_free()
        # Somebody starts or stops it right now. The locks must not be tried then; the socket may.
        return await process.ask_info(home.socket_path) is not None, True
    finally:
        locks.close()


def _figures(home: Home, info: dict[str, str] | None) -> _Figures:
    if info is None:
        return {}
    return {
        "ready": info["loading"] == "0",
        "socket_path": home.socket_path,
        "pid": int(info["process_id"]),
        "version": info["valkey_version"],
        "durability": _durability(info),
        "used_memory_bytes": int(info["used_memory"]),
        "uptime_s": int(info["uptime_in_seconds"]),
    }


def _durability(info: dict[str, str]) -> Durability:
    return "durable" if info["appendfsync"] == "always" else "fast"


async def stop_server(
    data_dir: Path, *, force: bool = False, timeout_s: float = STOP_TIMEOUT_S
) -> bool:
    """Stop the server of this directory cleanly; False: none was running.

    `force` does it under the hands of its users, and kills it when it does not stop in time; what
    it acknowledged durably is kept even so.

    Raises:
        StoreError: other processes use it (without `force`).
        StoreUnavailable: it did not stop in time.
        StoreFull: writes wait for room on the disk (without `force`).
    """
    home = find_home(data_dir)
    if not home.was_used():
        return False
    deadline = time.monotonic() + timeout_s
    locks = await take_start_lock(home, deadline)
    try:
        if locks.server.is_free():
            return False
        if not force and not locks.users.is_free():
            raise StoreError(
                f"the embedded server in {home.data_dir} is used by another process: "
                f"stop that first, or use force"
            )
        await stop(home, locks, deadline, force=force)
    finally:
        locks.close()
    return True


async def repair(data_dir: Path) -> str:
    """Cut off what cannot be read of the data of a stopped server; say in one line what was done.

    Needed only where `join` raises `StoreDamaged`. Keeps a copy of everything first. What is cut
    off is the damaged change and all later ones: report again what was reported since.

    Raises:
        StoreError: the server runs; StoreUnsuitable: there are no data.
        StoreDamaged: the list of data files itself is damaged or missing.
        StoreFull: there is no room for the copy.
    """
    home = find_home(data_dir)
    if not home.was_used():
        raise StoreUnsuitable(f"there is no embedded server's data in {home.data_dir}")
    known = await _known_commands()
    locks = await take_start_lock(home, time.monotonic() + STOP_TIMEOUT_S)
    try:
        if not locks.server.is_free():
            raise StoreError(f"the embedded server in {home.data_dir} runs: nothing to repair")
        with saying(f"cannot repair {home.data_dir}"):
            return await asyncio.to_thread(cut_damage, home, known)
    finally:
        locks.close()


async def _known_commands() -> frozenset[bytes]:
    """Ask a server that lives just for this which commands it can execute."""
    with tempfile.TemporaryDirectory(prefix="periscope-") as directory:
        server = await EmbeddedServer.join(Path(directory), durability="fast")
        try:
            (names,) = await process.ask(server.socket_path, ("COMMAND", "LIST"))
        finally:
            await server.leave()
    return frozenset(name.upper().encode() for name in names)
