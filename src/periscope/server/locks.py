"""Who starts, who uses, who lives: the three lock files of a data directory.

    start.lock    exclusive, briefly: whoever starts, joins, leaves or stops the server
    users.lock    shared, by every user; whoever gets it exclusively is the only one
    server.lock   exclusive, by the server process itself, through an inherited descriptor

The kernel frees a `flock` when the last process that holds it is gone, however it went. So these
files never lie, need no cleaning, and no recycled process id can pass for a living server. The
files themselves stay: removing a lock file is what makes locks race.
"""

from __future__ import annotations

import fcntl
import os
from pathlib import Path
from typing import BinaryIO

from periscope.errors import StoreUnsuitable


class LockFile:
    """One open of one lock file; two opens exclude each other even within one process.

    No method waits. A lock file that was not closed warns (`ResourceWarning`) and frees its lock
    when it is collected.
    """

    def __init__(self, path: Path) -> None:
        flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
        self.path = path
        self._owner = os.getpid()
        self._file: BinaryIO = os.fdopen(os.open(path, flags, 0o600), "r+b", buffering=0)

    def fileno(self) -> int:
        """Return the descriptor that carries the lock."""
        return self._file.fileno()

    def try_exclusive(self) -> bool:
        """Take the lock for this open alone; False when somebody else has it."""
        return self._try(fcntl.LOCK_EX)

    def try_shared(self) -> bool:
        """Take the lock together with others; False when somebody has it exclusively."""
        return self._try(fcntl.LOCK_SH)

    def is_free(self) -> bool:
        """Whether nobody else holds the lock.

        Trying is the only way to ask, and for an instant it holds the lock: ask only while holding
        `start.lock`, or another process takes the question for an answer.
        """
        if not self.try_exclusive():
            return False
        self.unlock()
        return True

    def is_current(self) -> bool:
        """Whether the path still leads to this open file (False: removed or replaced)."""
        mine = os.fstat(self.fileno())
        try:
            there = self.path.stat()
        except OSError:
            return False
        return (mine.st_dev, mine.st_ino) == (there.st_dev, there.st_ino)

    def is_deleted(self) -> bool:
        """Whether no path leads to this open file any more."""
        return os.fstat(self.fileno()).st_nlink == 0

    def unlock(self) -> None:
        """Give the lock back; harmless without one."""
        fcntl.flock(self.fileno(), fcntl.LOCK_UN)

    def close(self) -> None:
        """Give the lock back and close the file; harmless when closed.

        A fork of the owner shares its lock. Closing alone would leave the lock with the fork, so
        the owner unlocks; and a fork that closes must not unlock what its parent still holds.
        """
        if self._file.closed:
            return
        if os.getpid() == self._owner:
            self.unlock()
        self._file.close()

    def hand_over(self) -> None:
        """Close without unlocking: the lock stays with the process that inherited this open.

        Unlocking any copy of a descriptor unlocks them all.
        """
        self._file.close()

    def _try(self, kind: int) -> bool:
        try:
            fcntl.flock(self.fileno(), kind | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        except OSError as exc:
            raise StoreUnsuitable(f"cannot lock {self.path}: {exc.strerror}") from exc
        return True


class Locks:
    """The lock files of one data directory, opened together, closed together."""

    def __init__(self, data_dir: Path) -> None:
        self.start = LockFile(data_dir / "start.lock")
        try:
            self.users = LockFile(data_dir / "users.lock")
            try:
                self.server = LockFile(server_lock_path(data_dir))
            except OSError:
                self.users.close()
                raise
        except OSError:
            self.start.close()
            raise

    def close(self) -> None:
        """Give back every lock; `start.lock` last, so that who comes next sees the others free."""
        self.server.close()
        self.users.close()
        self.start.close()


def server_lock_path(data_dir: Path) -> Path:
    """Return the file whose lock the server process holds while it, or a child of it, lives."""
    return data_dir / "server.lock"
