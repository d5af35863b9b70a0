"""The data directory of the embedded server, and what is where in it.

start.lock, users.lock, server.lock    see `locks`
server.socket                          the path of the socket, which is elsewhere
server.pid, server.log                 written by the server
appendonlydir/                         the data; its manifest lists the files that count
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import stat
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from periscope.errors import StoreError, StoreFull, StoreUnsuitable

MIN_FREE_BYTES = 64 * 2**20
SOCKET_PATH_BYTES = 103 if sys.platform == "darwin" else 107  # without the closing NUL


@dataclass(frozen=True, slots=True)
class Home:
    """A data directory, resolved: one `Home` for one directory, whatever path led to it."""

    data_dir: Path

    @property
    def own_settings(self) -> dict[str, str]:
        """Settings of the server of this directory, beyond those that all have."""
        return {}

    @property
    def log_path(self) -> Path:
        """The server's log."""
        return self.data_dir / "server.log"

    @property
    def pid_path(self) -> Path:
        """Where the server writes its process id."""
        return self.data_dir / "server.pid"

    @property
    def aof_dir(self) -> Path:
        """The directory of the data themselves."""
        return self.data_dir / "appendonlydir"

    @property
    def manifest_path(self) -> Path:
        """The list of the files that hold the data."""
        return self.aof_dir / "appendonly.aof.manifest"

    @property
    def socket_path(self) -> Path:
        """The socket of the server that was last started here, or of the one to be started.

        It is written down in the directory, because two processes with different environments
        (a login and a cron job, say) would otherwise look for one server in two places.
        """
        try:
            return Path(os.fsdecode(self._socket_note.read_bytes()))
        except FileNotFoundError:
            return choose_socket_path(self.data_dir)

    def note_socket_path(self, socket_path: Path) -> None:
        """Write down where the server about to be started listens; whole or not at all."""
        fresh = self._socket_note.with_suffix(".new")
        fresh.touch(mode=0o600)
        fresh.write_bytes(os.fsencode(socket_path))
        fresh.replace(self._socket_note)

    def pid(self) -> int | None:
        """Return the process id that the server wrote down; it may be of the past."""
        try:
            return int(self.pid_path.read_text())
        except (OSError, ValueError):
            return None

    def was_used(self) -> bool:
        """Whether anybody ever joined here."""
        return (self.data_dir / "start.lock").exists()

    def free_bytes(self) -> int:
        """Return the free space of the file system, as this user may use it."""
        figures = os.statvfs(self.data_dir)
        return figures.f_bavail * figures.f_frsize

    @property
    def _socket_note(self) -> Path:
        return self.data_dir / "server.socket"


def find_home(data_dir: Path) -> Home:
    """Return the data directory behind `data_dir`, which need not exist; nothing is created."""
    return Home(Path(os.path.realpath(Path(data_dir).expanduser())))


def prepare_home(data_dir: Path) -> Home:
    """Return the data directory, created if need be and closed to other users.

    Raises:
        StoreUnsuitable: it cannot be created or written, or belongs to somebody else.
        StoreFull: there is no room for it.
    """
    home = find_home(data_dir)
    with saying(f"cannot use the data directory {home.data_dir}"):
        home.data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        _close_to_others(home.data_dir)
    return home


def _close_to_others(directory: Path) -> None:
    found = directory.stat()
    mode = stat.S_IMODE(found.st_mode)
    if found.st_uid == os.geteuid():
        if mode & 0o077:
            directory.chmod(mode & ~0o077)
    elif mode & 0o022:
        raise StoreUnsuitable(
            f"the data directory {directory} belongs to another user and others may write to it; "
            f"give Periscope a directory of its own, below it for example"
        )


def require_room(home: Home) -> None:
    """Refuse when the disk is so full that the server would soon end again.

    Raises:
        StoreFull: less than 64 MiB are free.
    """
    free = home.free_bytes()
    if free < MIN_FREE_BYTES:
        raise StoreFull(
            f"only {free // 2**20} MiB are free for {home.data_dir}; the embedded server needs "
            f"{MIN_FREE_BYTES // 2**20} MiB to start: free some space, or move the directory"
        )


def choose_socket_path(data_dir: Path) -> Path:
    """Return where a server for this (resolved) directory listens; creates the parent.

    Not in the data directory, whose path can be longer than the 108 bytes (104 on macOS) that the
    path of a socket may have.

    Raises:
        StoreUnsuitable: the directory for sockets is not ours alone.
    """
    name = hashlib.blake2b(os.fsencode(data_dir), digest_size=6).hexdigest() + ".sock"
    for directory in _runtime_dirs():
        if len(os.fsencode(directory / name)) <= SOCKET_PATH_BYTES:
            return _private(directory) / name
    raise StoreUnsuitable("no directory for the server's socket has a path that is short enough")


def _runtime_dirs() -> Iterator[Path]:
    given = os.environ.get("XDG_RUNTIME_DIR")
    if given and Path(given).is_absolute() and Path(given).is_dir():
        yield Path(given) / "periscope"
    yield Path(f"/tmp/periscope-{os.geteuid()}")  # noqa: S108 - made private, or refused


def _private(directory: Path) -> Path:
    with saying(f"cannot use {directory} for the server's socket"):
        with contextlib.suppress(FileExistsError):
            directory.mkdir(mode=0o700)
        found = directory.lstat()
    ours = stat.S_ISDIR(found.st_mode) and found.st_uid == os.geteuid()
    if not ours or stat.S_IMODE(found.st_mode) & 0o077:
        raise StoreUnsuitable(
            f"{directory} must be a directory that only its owner, you, can open: remove it"
        )
    return directory


@contextlib.contextmanager
def saying(what: str) -> Iterator[None]:
    """Turn an `OSError` into the store's error that fits, in one line that begins with `what`."""
    try:
        yield
    except OSError as exc:
        full = exc.errno in (errno.ENOSPC, errno.EDQUOT)
        kind: type[StoreError] = StoreFull if full else StoreUnsuitable
        raise kind(f"{what}: {exc.strerror or exc}") from exc
