"""The file while it is written: FILE.part, which becomes FILE when it is whole and on disk.

Each stretch between two marks is a zstd frame of its own, so that a copy which turns out not to be
of one moment is cut off again.
"""

from __future__ import annotations

import os
from contextlib import suppress
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import msgspec
import zstandard

from periscope.backup.problem import BackupError, saying
from periscope.backup.records import (
    COUNT_BYTES,
    DIGEST_BYTES,
    LENGTH_BYTES,
    MAGIC,
    MAX_RECORD_BYTES,
    VERSION,
    VERSION_BYTES,
    Record,
)
from periscope.errors import UsageError

LEVEL = 3


@dataclass(frozen=True, slots=True)
class Mark:
    """A place in the file to which it can be cut back."""

    position: int
    count: int
    digest: Any


class BackupWriter:
    """Writes one backup. As a context: what is not finished at its end is not there.

    Raises:
        UsageError: the file is there already (without `force`), or another backup is writing it.
        BackupError: the place cannot be written, or is full.
    """

    def __init__(self, path: Path, *, force: bool = False) -> None:
        self.path = path
        self.part = path.with_name(path.name + ".part")
        self.count = 0
        self._force = force
        self._refuse_existing()
        self._file = os.fdopen(_create(self.part, force=force), "wb")
        self._digest: Any = blake2b(digest_size=DIGEST_BYTES)
        self._encode = msgspec.msgpack.Encoder().encode
        self._frame: zstandard.ZstdCompressionObj | None = None

    def __enter__(self) -> Self:
        try:
            self._put(MAGIC + VERSION.to_bytes(VERSION_BYTES))
        except BaseException:
            self._drop()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        exc: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._drop()

    def write(self, record: Record) -> None:
        """Append a record."""
        packed = self._encode(record)
        if len(packed) > MAX_RECORD_BYTES:
            raise BackupError(
                f"{self.path}: a key is larger than 512 MiB and could not be restored; "
                "use the server's own snapshots"
            )
        if self._frame is None:
            self._frame = zstandard.ZstdCompressor(level=LEVEL).compressobj()
        self._put(self._frame.compress(len(packed).to_bytes(LENGTH_BYTES)))
        self._put(self._frame.compress(packed))
        self.count += 1

    def mark(self) -> Mark:
        """Remember this place."""
        self._end_frame()
        with saying("write", self.part):
            return Mark(self._file.tell(), self.count, self._digest.copy())

    def back_to(self, mark: Mark) -> None:
        """Cut off everything after the mark."""
        self._frame = None
        with saying("write", self.part):
            self._file.seek(mark.position)
            self._file.truncate()
        self.count, self._digest = mark.count, mark.digest.copy()

    def finish(self) -> int:
        """Write the count and the checksum, wait for the disk, take the name; returns the size."""
        self._end_frame()
        self._put(self.count.to_bytes(COUNT_BYTES))
        checksum = self._digest.digest()
        with saying("write", self.part):
            self._file.write(checksum)
            self._file.flush()
            os.fsync(self._file.fileno())
            size = self._file.tell()
            self._file.close()
            self._take_name()
            _sync_folder(self.path.parent)
        return size

    def _end_frame(self) -> None:
        if self._frame is not None:
            frame, self._frame = self._frame, None
            self._put(frame.flush())

    def _put(self, data: bytes) -> None:
        self._digest.update(data)
        with saying("write", self.part):
            self._file.write(data)

    def _take_name(self) -> None:
        if self._force:
            self.part.replace(self.path)
            return
        try:
            # Unlike a rename, a link never replaces a file that came meanwhile.
            os.link(self.part, self.path)
        except FileExistsError:
            self._refuse_existing()
        except OSError:  # a file system without hard links
            self._refuse_existing()
            self.part.rename(self.path)
        else:
            self.part.unlink()

    def _refuse_existing(self) -> None:
        if self.path.is_dir():
            raise UsageError(f"{self.path} is a folder; name a file in it")
        if not self._force and os.path.lexists(self.path):
            raise UsageError(f"{self.path} is there already; name another file, or use force")

    def _drop(self) -> None:
        """Close, and remove what was not finished; the first error is the one that is told."""
        with suppress(OSError):
            self._file.close()
        with suppress(OSError):
            self.part.unlink()


def _create(part: Path, *, force: bool) -> int:
    """Make the unfinished file: new, and for its owner only."""
    flags = os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC | os.O_NOFOLLOW
    with saying("write", part):
        if force:
            part.unlink(missing_ok=True)
        try:
            return os.open(part, flags, 0o600)
        except FileExistsError:
            raise UsageError(
                f"{part} is there: another backup is writing it, or one was killed; "
                "remove it, or use force"
            ) from None


def _sync_folder(folder: Path) -> None:
    """Make the file's name as durable as what is in it."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
