"""Regular files, opened so that nothing else can be in their place; and parts of them."""

from __future__ import annotations

import io
import os
import stat
import time
from hashlib import sha256
from pathlib import Path
from typing import BinaryIO, cast

from periscope.errors import FeedError

HEAD_BYTES = 256
PIECE_BYTES = 1024 * 1024


def open_regular(path: str | Path, *, follow: bool = True) -> tuple[int, os.stat_result]:
    """Open a regular file for reading; the descriptor is the caller's to close.

    A FIFO or a device is never waited for. Without `follow`, the last name must be no link.

    Raises:
        FeedError: it is not there, may not be read, or is no regular file.
    """
    flags = os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | (0 if follow else os.O_NOFOLLOW)
    try:
        # Looked at first: to open a device may already do something.
        _check_regular(path, os.stat(path, follow_symlinks=follow))  # noqa: PTH116
        descriptor = os.open(path, flags)
    except OSError as exc:
        raise FeedError(f"{path}: cannot be opened: {exc.strerror}") from None
    except ValueError as exc:
        raise FeedError(f"{path!s:.200}: cannot be opened: {exc}") from None
    try:
        status = os.fstat(descriptor)
        _check_regular(path, status)
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor, status


def _check_regular(path: str | Path, status: os.stat_result) -> None:
    if not stat.S_ISREG(status.st_mode):
        raise FeedError(f"{path}: no regular file, but {_kind(status.st_mode)}; it is not read")


def _kind(mode: int) -> str:
    for test, words in (
        (stat.S_ISDIR, "a directory"),
        (stat.S_ISFIFO, "a pipe"),
        (stat.S_ISLNK, "a link"),
        (stat.S_ISSOCK, "a socket"),
    ):
        if test(mode):
            return words
    return "a device"


def is_settled(status: os.stat_result, settle_s: float) -> bool:
    """Has nothing about it changed for a while: its content, or what nobody can set back?

    A time to come tells nothing: it was set, or the clock has been.
    """
    now = time.time_ns()
    ages = (now - status.st_mtime_ns, now - status.st_ctime_ns)
    return not any(0 <= age < settle_s * 1e9 for age in ages)


def hash_of(descriptor: int) -> str:
    """SHA-256 of a whole file, read from its beginning; its offset is left alone."""
    digest, offset = sha256(), 0
    while piece := os.pread(descriptor, PIECE_BYTES, offset):
        digest.update(piece)
        offset += len(piece)
    return digest.hexdigest()


def head_of(descriptor: int, size: int) -> str:
    """SHA-256 of the first bytes of a file, `size` of them."""
    return sha256(os.pread(descriptor, size, 0)).hexdigest()


def last_line_end(descriptor: int, begin: int, end: int) -> int:
    """Return the offset behind the last LF between two offsets; `begin` if there is none."""
    while end > begin:
        start = max(begin, end - PIECE_BYTES)
        found = os.pread(descriptor, end - start, start).rfind(b"\n")
        if found >= 0:
            return start + found + 1
        end = start
    return begin


class Window(io.RawIOBase):
    """Bytes `begin` to `end` of an open file, as a file; closing it closes the descriptor."""

    def __init__(self, descriptor: int, begin: int, end: int) -> None:
        super().__init__()
        self._descriptor = descriptor
        self._begin, self._end, self._at = begin, end, 0

    def readable(self) -> bool:
        """It is."""
        return True

    def seekable(self) -> bool:
        """It is."""
        return True

    def readinto(self, buffer: object) -> int:
        """Read what fits and is there."""
        view = memoryview(buffer)  # type: ignore[arg-type]
        left = self._end - self._begin - self._at
        data = os.pread(self._descriptor, max(0, min(len(view), left)), self._begin + self._at)
        view[: len(data)] = data
        self._at += len(data)
        return len(data)

    def seek(self, offset: int, whence: int = 0) -> int:
        """Go to an offset of the window."""
        base = (0, self._at, self._end - self._begin)[whence]
        self._at = max(0, base + offset)
        return self._at

    def tell(self) -> int:
        """Where in the window the next byte is."""
        return self._at

    def close(self) -> None:
        """Close it, and the descriptor. Safe to repeat."""
        if not self.closed:
            os.close(self._descriptor)
        super().close()


def window(descriptor: int, begin: int, end: int) -> BinaryIO:
    """Return a part of an open file as a file, which then owns the descriptor."""
    return cast(BinaryIO, Window(descriptor, begin, end))
