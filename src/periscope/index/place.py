"""Where the index's file lies: in a folder of its own, which goes when the process does.

A process that was killed leaves its folder behind. Each folder has a file that its process holds
locked, so whoever comes next can tell a left one from one in use, and takes it away.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
from pathlib import Path

PREFIX = "periscope-index-"
LOCK = "in-use"
FILE = "index.db"


class Place:
    """A folder of this process's own."""

    def __init__(self, parent: Path | None) -> None:
        """Make it in `parent`, where that is a folder; else where temporary files are.

        Raises:
            OSError: there is no room for it.
        """
        home = parent if parent is not None and parent.is_dir() else Path(tempfile.gettempdir())
        remove_left(home)
        self._folder = Path(tempfile.mkdtemp(prefix=PREFIX, dir=home))
        self._lock = os.open(self._folder / LOCK, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
        fcntl.flock(self._lock, fcntl.LOCK_EX)
        self.file = self._folder / FILE

    @property
    def bytes(self) -> int:
        """What the files take now."""
        return sum(_size(self.file.with_name(FILE + end)) for end in ("", "-wal"))

    def remove(self) -> None:
        """Take it away. Idempotent."""
        if self._lock >= 0:
            shutil.rmtree(self._folder, ignore_errors=True)
            os.close(self._lock)
            self._lock = -1


def remove_left(home: Path) -> None:
    """Take away folders of processes that are no more; what cannot be taken away stays."""
    for folder in home.glob(PREFIX + "*"):
        try:
            lock = os.open(folder / LOCK, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
        except OSError:  # another user's, or just being made
            continue
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(folder, ignore_errors=True)
        except OSError:
            continue
        finally:
            os.close(lock)


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0
