"""`Input`: a file or stream of bytes, unpacked, as UTF-8, bounded, and readable again if needed."""

from __future__ import annotations

import contextlib
import os
import stat
import tempfile
from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import BinaryIO, cast

from periscope.errors import FeedError
from periscope.feeds.compression import CHUNK_BYTES, expand
from periscope.feeds.encoding import as_utf8
from periscope.feeds.problems import Broken

SAMPLE_BYTES = 64 * 1024


class Input:
    """The bytes of one feed; `chunks()` gives them decompressed, 64 KiB or so at a time.

    A stream that cannot go back is copied to a temporary file by `make_repeatable()`, which must be
    called before its first chunk beyond the sample is read.
    """

    def __init__(self, file: BinaryIO, name: str, *, max_bytes: int, owned: bool) -> None:
        self.name = name
        self.bytes_read = 0
        self._file = file
        self._owned = [file] if owned else []
        self._max_bytes = max_bytes
        self._start = _position(file)
        self.bytes_total = _size(file, self._start)
        self._early: list[bytes] = []
        self._sampled: list[bytes] = []
        self._failure: Broken | None = None
        self._stream = _text(self._raw(keep=self._start is None), max_bytes)
        self._taken = False

    @classmethod
    def open(cls, path: str | Path | BinaryIO, *, max_bytes: int, name: str | None = None) -> Input:
        """Open a path, or wrap a binary stream (which stays the caller's to close).

        Raises:
            FeedError: there is no such file, it is a directory, or it may not be read.

        """
        if not isinstance(path, str | os.PathLike):
            named = getattr(path, "name", None)
            usual = named if isinstance(named, str) and named[:1] != "<" else "standard input"
            return cls(path, name or usual, max_bytes=max_bytes, owned=False)
        try:
            file = cast(BinaryIO, Path(path).open("rb", buffering=0))  # noqa: SIM115 - close() does
        except (OSError, ValueError) as exc:
            reason = exc.strerror if isinstance(exc, OSError) else str(exc)
            raise FeedError(f"{path}: cannot be opened: {reason}") from None
        return cls(file, name or str(path), max_bytes=max_bytes, owned=True)

    def sample(self, size: int = SAMPLE_BYTES) -> tuple[bytes, bool]:
        """Return the first bytes, and whether they are all; `chunks()` gives them once more.

        Raises:
            Broken: the input fails before it gives a single byte.

        """
        have = sum(map(len, self._sampled))
        complete = False
        while have < size and self._failure is None and not complete:
            chunk = self._next()
            complete = chunk is None and self._failure is None
            have += len(chunk or b"")
        if self._failure and not have:
            raise self._failure
        return b"".join(self._sampled), complete

    def _next(self) -> bytes | None:
        try:
            self._sampled.append(next(self._stream))
        except StopIteration:
            return None
        except Broken as exc:
            self._failure = exc
            return None
        return self._sampled[-1]

    def chunks(self) -> Iterator[bytes]:
        """All bytes from the start; once, unless `make_repeatable()` was called before.

        Raises:
            Broken: while iterating, where the input fails or passes a limit.

        """
        if self._taken:
            self._rewind()
        self._taken = True
        self._early = []
        sampled, self._sampled = self._sampled, []
        return chain(sampled, self._rest())

    def _rest(self) -> Iterator[bytes]:
        if self._failure is not None:
            raise self._failure
        yield from self._stream

    def make_repeatable(self) -> None:
        """Make `chunks()` possible any number of times, through a temporary file if need be.

        Raises:
            Broken: the temporary file cannot be written, or the stream is longer than the limit.

        """
        if self._start is not None:
            return
        early, self._early = self._early, []
        raw = chain(early, self._raw(keep=False, count=False))
        try:
            spool = cast(BinaryIO, tempfile.TemporaryFile(prefix="periscope-feed-"))  # noqa: SIM115
            self._owned.append(spool)
            self._copy(raw, spool)
            spool.seek(0)
        except OSError as exc:
            raise Broken(f"{self.name} cannot be kept for a second pass: {exc.strerror}") from None
        self._file, self._start = spool, 0
        self._rewind()

    def _copy(self, raw: Iterator[bytes], spool: BinaryIO) -> None:
        copied = 0
        for chunk in raw:
            copied += len(chunk)
            if copied > self._max_bytes:
                raise Broken(f"byte {copied:,}: the input is longer than {self._max_bytes:,} bytes")
            spool.write(chunk)

    def _rewind(self) -> None:
        if self._start is None:
            raise Broken(f"{self.name} cannot be read a second time")
        try:
            self._file.seek(self._start)
        except (OSError, ValueError) as exc:
            raise Broken(f"{self.name} cannot be read a second time: {exc}") from None
        self.bytes_read, self._failure, self._sampled = 0, None, []
        self._stream = _text(self._raw(keep=False), self._max_bytes)

    def _raw(self, *, keep: bool, count: bool = True) -> Iterator[bytes]:
        read = getattr(self._file, "read1", self._file.read)
        while chunk := self._read(read):
            self.bytes_read += len(chunk) if count else 0
            if keep and not self._taken:
                self._early.append(chunk)
            yield chunk

    def _read(self, read: object) -> bytes:
        try:
            chunk = read(CHUNK_BYTES)  # type: ignore[operator]
        except (OSError, ValueError) as exc:
            raise Broken(f"byte {self.bytes_read:,} of the file: cannot be read: {exc}") from None
        if chunk is None or isinstance(chunk, str):
            raise Broken(f"{self.name} must be a blocking stream of bytes")
        return bytes(chunk)

    def close(self) -> None:
        """Close what was opened here; a stream of the caller's stays open. Safe to repeat."""
        for file in self._owned:
            with contextlib.suppress(OSError):
                file.close()


def _text(raw: Iterator[bytes], max_bytes: int) -> Iterator[bytes]:
    """Return what the bytes stand for: unpacked, and as UTF-8; nothing is read for it yet."""
    yield from as_utf8(expand(raw, max_bytes))


def _position(file: BinaryIO) -> int | None:
    try:
        return file.tell() if file.seekable() else None
    except (AttributeError, OSError, ValueError):
        return None


def _size(file: BinaryIO, start: int | None) -> int | None:
    if start is None:
        return None
    try:
        status = os.fstat(file.fileno())
        return max(0, status.st_size - start) if stat.S_ISREG(status.st_mode) else None
    except (AttributeError, OSError, ValueError):
        return None
