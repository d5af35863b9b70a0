"""The file as it is read: the checksum is compared before anything of it is believed."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from hashlib import blake2b
from pathlib import Path
from types import TracebackType
from typing import Self

import msgspec
import zstandard

from periscope.backup.problem import BackupError, saying
from periscope.backup.progress import Progress
from periscope.backup.records import (
    COUNT_BYTES,
    DIGEST_BYTES,
    FINISH_BYTES,
    LENGTH_BYTES,
    MAGIC,
    MAX_RECORD_BYTES,
    START_BYTES,
    VERSION,
    Record,
)

PIECE_BYTES = 2**20
MAX_WINDOW_BYTES = 8 * 2**20  # level 3 takes 2 MiB


class BackupReader:
    """An open backup file; as a context it is closed at its end.

    Raises:
        BackupError: it cannot be read, is no backup, is cut, or is of a newer version.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        with saying("read", path):
            # Not blocking: opening a pipe that nobody writes to would wait for ever.
            flags = os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK
            self._file = os.fdopen(os.open(path, flags), "rb")
        try:
            self.size = self._check_start()
        except BaseException:
            self._file.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        exc: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._file.close()

    def verify(self, progress: Progress) -> int:
        """Compare the checksum of the whole file; returns how many records it says to hold."""
        digest = blake2b(digest_size=DIGEST_BYTES)
        with saying("read", self.path):
            self._file.seek(0)
            left = self.size - DIGEST_BYTES
            last = b""
            while left:
                piece = self._file.read(min(PIECE_BYTES, left))
                if not piece:
                    raise self.damaged()
                digest.update(piece)
                left -= len(piece)
                progress.done += len(piece)
                last = (last + piece)[-COUNT_BYTES:]
            if self._file.read() != digest.digest():
                raise self.damaged()
        return int.from_bytes(last)

    def records(self) -> Iterator[Record]:
        """All records in order, in bounded memory; only after `verify`."""
        decode = msgspec.msgpack.Decoder(Record).decode
        source = _Part(self._file.fileno(), START_BYTES, self.size - FINISH_BYTES)
        factory = zstandard.ZstdDecompressor(max_window_size=MAX_WINDOW_BYTES)
        stream = factory.stream_reader(source, read_across_frames=True)  # type: ignore[arg-type]
        try:
            with saying("read", self.path):
                while head := _exactly(stream, LENGTH_BYTES):
                    length = int.from_bytes(head)
                    if len(head) < LENGTH_BYTES or length > MAX_RECORD_BYTES:
                        raise self.damaged()
                    yield decode(_exactly(stream, length))
        except (zstandard.ZstdError, msgspec.DecodeError, UnicodeDecodeError) as exc:
            raise self.damaged() from exc

    def damaged(self) -> BackupError:
        """The error for a file that is not as it was written."""
        return BackupError(
            f"{self.path} is damaged or cut short; nothing was restored: use another backup"
        )

    def _check_start(self) -> int:
        with saying("read", self.path):
            facts = os.fstat(self._file.fileno())
            start = self._file.read(START_BYTES) if stat.S_ISREG(facts.st_mode) else b""
        if not start.startswith(MAGIC):
            raise BackupError(f"{self.path} is not a Periscope backup")
        if facts.st_size < START_BYTES + FINISH_BYTES:
            raise self.damaged()
        version = int.from_bytes(start[len(MAGIC) :])
        if version > VERSION:
            raise BackupError(
                f"{self.path} was written by a newer Periscope (version {version} of the file, "
                f"this program knows {VERSION}); update this program"
            )
        if version < 1:
            raise self.damaged()
        return facts.st_size


class _Part:
    """A stretch of a file, by positions: several readers of one file do not disturb each other."""

    def __init__(self, descriptor: int, start: int, end: int) -> None:
        self._descriptor = descriptor
        self._position = start
        self._end = end

    def read(self, size: int = -1) -> bytes:
        """Return the next bytes, none at the end."""
        left = self._end - self._position
        piece = os.pread(self._descriptor, left if size < 0 else min(size, left), self._position)
        self._position += len(piece)
        return piece


def _exactly(stream: zstandard.ZstdDecompressionReader, size: int) -> bytes:
    """So many bytes, or fewer at the end; never more memory than there are bytes."""
    if size <= PIECE_BYTES:
        return stream.read(size)
    pieces = []
    while size:
        piece = stream.read(min(PIECE_BYTES, size))
        if not piece:
            break
        pieces.append(piece)
        size -= len(piece)
    return b"".join(pieces)
