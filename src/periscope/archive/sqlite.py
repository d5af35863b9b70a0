"""The archive in a SQLite file: WAL, an fsync per commit, writers one after the other."""

from __future__ import annotations

import os
import sqlite3
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from periscope.archive.session import Mode, Row
from periscope.errors import ArchiveError, BugError

# `fullfsync` matters on macOS only, where a plain fsync stops at the drive's cache. `secure_delete`
# overwrites what is deleted or erased; without it, erased texts would stay in free pages.
PRAGMAS = (
    "PRAGMA synchronous = FULL",
    "PRAGMA fullfsync = ON",
    "PRAGMA checkpoint_fullfsync = ON",
    "PRAGMA secure_delete = ON",
)
BEGIN = {"read": "BEGIN", "write": "BEGIN IMMEDIATE", "make": "BEGIN IMMEDIATE"}

WORDS = {
    sqlite3.SQLITE_BUSY: "locked by another process; try again, or stop what holds it",
    sqlite3.SQLITE_LOCKED: "locked by another process; try again, or stop what holds it",
    sqlite3.SQLITE_FULL: "the disk is full; nothing of this step was written, make room",
    sqlite3.SQLITE_READONLY: "cannot be written (read-only); check the owner and mode of the file",
    sqlite3.SQLITE_CANTOPEN: "cannot be opened; check the owner and mode of the file and folder",
    sqlite3.SQLITE_PERM: "cannot be opened; check the owner and mode of the file and folder",
    sqlite3.SQLITE_NOTADB: "is not an archive (not a SQLite file); choose another path",
    sqlite3.SQLITE_CORRUPT: "is damaged; restore it from a backup",
    sqlite3.SQLITE_IOERR: "the disk failed to read or write; check the disk",
}

# SQLite's locks are POSIX ones: closing any descriptor of the file drops those that another
# connection of this process holds. So nobody may connect between our creating and closing a file.
_CREATING = threading.Lock()


class SqliteSession:
    """One connection to one file; of the thread that made it."""

    number_type = "INTEGER PRIMARY KEY AUTOINCREMENT"
    bytes_type = "BLOB"

    def __init__(self, path: Path, *, wait_ms: int, create: bool) -> None:
        self.path = path
        self._wait_ms = wait_ms
        with _CREATING:
            _make_file(path, create)
            with self._in_our_words():
                self._connection = sqlite3.connect(
                    path, timeout=wait_ms / 1000, isolation_level=None
                )
        try:
            self._inode = _inode(path)
            self._set_up()
        except BaseException:
            self._connection.close()
            raise

    @property
    def lost(self) -> bool:
        """Never: a file is there or it is not, and connecting again does not help."""
        return False

    def begin(self, mode: Mode) -> None:
        """Start a transaction on the file that the path leads to.

        A file that was moved or deleted meanwhile would take every write and keep none of them.
        """
        if _inode(self.path) != self._inode:
            raise ArchiveError(f"archive {self.path}: was moved or replaced while in use; restart")
        self._execute(BEGIN[mode])
        if mode == "read":  # the snapshot is taken by the first look, not by BEGIN
            self.rows("SELECT 1 FROM sqlite_master LIMIT 1")

    def commit(self) -> None:
        """End the transaction; what it wrote is on disk afterwards."""
        self._execute("COMMIT")

    def rollback(self) -> None:
        """Undo the transaction; harmless without one."""
        # Some errors (a full disk) have rolled back already.
        if self._connection.in_transaction:
            self._execute("ROLLBACK")

    def rows(self, sql: str, parameters: Sequence[Any] = ()) -> list[Row]:
        """All rows of a query."""
        with self._in_our_words():
            return self._connection.execute(sql, parameters).fetchall()

    def run(self, sql: str, parameters: Sequence[Any] = ()) -> int:
        """Run one statement; returns how many rows it changed."""
        return self._execute(sql, parameters).rowcount

    def run_many(self, sql: str, parameters: Iterable[Sequence[Any]]) -> int:
        """Run one statement for each set of parameters; returns how many rows changed."""
        with self._in_our_words():
            return max(0, self._connection.executemany(sql, parameters).rowcount)

    def has_table(self, name: str) -> bool:
        """Whether the table is there."""
        found = "SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = ?"
        return bool(self.rows(found, (name,)))

    def is_foreign(self) -> bool:
        """Whether another program has made this file."""
        anything = self.rows("SELECT 1 FROM sqlite_master LIMIT 1")
        return bool(anything) and not self.has_table("periscope_meta")

    def renumber(self, table: str) -> None:
        """Nothing to do: SQLite goes on after the highest number ever stored."""

    def scrub(self) -> None:
        """Empty the log of changes into the file; somebody who reads just now delays it."""
        self._execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()

    def close(self) -> None:
        """Close the connection, undoing an open transaction; never fails."""
        with suppress(sqlite3.Error):  # closing ends the transaction, whatever the disk says
            self._connection.close()

    def _set_up(self) -> None:
        """Switch to WAL, which is kept in the file, and set what is kept per connection."""
        if self.rows("PRAGMA journal_mode")[0][0] != "wal" and not self.is_foreign():
            self._patiently(lambda: self._execute("PRAGMA journal_mode = WAL").fetchall())
        for pragma in PRAGMAS:
            self._execute(pragma).fetchall()

    def _patiently(self, act: Callable[[], object]) -> None:
        """Repeat while locked: SQLite does not wait by itself when the journal mode changes."""
        deadline = time.monotonic() + self._wait_ms / 1000
        while True:
            try:
                act()
            except ArchiveError as exc:
                if "locked" not in str(exc) or time.monotonic() > deadline:
                    raise
                time.sleep(0.005)
            else:
                return

    def _execute(self, sql: str, parameters: Sequence[Any] = ()) -> sqlite3.Cursor:
        with self._in_our_words():
            return self._connection.execute(sql, parameters)

    @contextmanager
    def _in_our_words(self) -> Iterator[None]:
        try:
            yield
        except (OverflowError, sqlite3.IntegrityError, sqlite3.InterfaceError) as exc:
            raise BugError(f"archive {self.path}: a value that cannot be stored: {exc}") from exc
        except sqlite3.Error as exc:
            code = getattr(exc, "sqlite_errorcode", 0) & 0xFF
            raise ArchiveError(f"archive {self.path}: {WORDS.get(code, exc)}") from exc


def _make_file(path: Path, create: bool) -> None:
    """Make an empty file that only its owner can read, and its folders; keep one that is there."""
    try:
        if not create:
            path.stat()
            return
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR | os.O_CLOEXEC, 0o600))
        _sync_folder(path.parent)
    except FileExistsError:
        if path.is_dir():
            raise ArchiveError(f"archive {path}: is a folder; name a file in it") from None
        if not path.exists():
            raise ArchiveError(
                f"archive {path}: a part of the path is not a folder; name another"
            ) from None
    except OSError as exc:
        raise ArchiveError(f"archive {path}: {exc.strerror}; check the path") from exc


def _sync_folder(folder: Path) -> None:
    """Make the new file's name as durable as what will be in it."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _inode(path: Path) -> tuple[int, int] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino
