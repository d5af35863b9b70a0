"""A log as a feed: what is appended to it, line by line, through its rotations.

A log is rotated in one of two ways. It is renamed, and another file takes its name: then the rest
of the renamed one is read first, found by its inode in the folder, and after it whatever was
rotated since. Or it is copied and cut off (copytruncate): then the rest is read from the copy,
which is known by its first bytes, and then the log from its beginning.
"""

from __future__ import annotations

import asyncio
import io
import logging
import os
import re
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import closing
from hashlib import sha256
from pathlib import Path

import msgspec

from periscope.errors import FeedError
from periscope.polling.definition import MIB, Definition
from periscope.polling.document import Document, Position
from periscope.polling.files import HEAD_BYTES, head_of, last_line_end, open_regular
from periscope.polling.state import MAX_ERROR_CHARS, fit

log = logging.getLogger(__name__)

WINDOW_BYTES = 8 * MIB
LOOKS, LOOK_AGAIN_S = 4, 0.05
ROTATED = re.compile(r"[-_.]?(?:\d[\d._T:-]*|old)\Z")


class Mark(msgspec.Struct, frozen=True):
    """How far a log was read: of which file, to which byte; and how to know the file again."""

    device: int
    inode: int
    offset: int = 0
    head_bytes: int = 0
    head: str = ""
    mtime_ns: int = 0


class _Open:
    """An open file of the folder, compared with marks."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.descriptor, self.status = open_regular(path)

    def close(self) -> None:
        os.close(self.descriptor)

    def is_same_file(self, mark: Mark) -> bool:
        return (self.status.st_dev, self.status.st_ino) == (mark.device, mark.inode)

    def continues(self, mark: Mark) -> bool:
        """Does it begin with what the mark has seen, and reach as far?"""
        size = os.fstat(self.descriptor).st_size
        return size >= mark.offset and head_of(self.descriptor, mark.head_bytes) == (
            mark.head or head_of(self.descriptor, 0)
        )

    def mark(self, offset: int) -> Mark:
        head_bytes = min(HEAD_BYTES, os.fstat(self.descriptor).st_size)
        return Mark(
            self.status.st_dev,
            self.status.st_ino,
            offset,
            head_bytes,
            head_of(self.descriptor, head_bytes),
            self.status.st_mtime_ns,
        )


class FollowSource:
    """What was appended since the position, in documents of some MiB that end with a line.

    A last line without its end waits until it has one, or until the log was rotated.
    """

    def __init__(self, definition: Definition) -> None:
        self._path = Path(definition.place)
        self._format = definition.format
        self._most = max(WINDOW_BYTES, definition.max_record_bytes + 64 * 1024)
        self._told: set[str] = set()

    async def documents(self, position: Position | None) -> AsyncIterator[Document]:
        """Give what is new, up to the end of the log as it is now.

        Raises:
            FeedError: there is no such file, or it is none.
        """
        mark = None if position is None else msgspec.convert(position, Mark)
        while True:
            document = await asyncio.to_thread(self._next, mark)
            if document is None:
                return
            yield document
            mark = msgspec.convert(document.after, Mark)

    def _next(self, mark: Mark | None) -> Document | None:
        try:
            current = _Open(self._path)
        except FeedError:
            return self._without_current(mark)
        with closing(current):
            if mark is None:  # even of an empty log it is noted which file it is
                begin = current.mark(0)
                return self._lines(current, begin) or self._document(current, begin, 0, begin)
            if not current.is_same_file(mark):
                return self._rotated(current, mark)
            if not current.continues(mark):
                return self._cut_off(current, mark)
            if not mark.head_bytes:
                # It was empty: whether it has been filled, copied and cut off since, copies say.
                later = self._after(mark.mtime_ns, mark, current)
                if later.inode != mark.inode:
                    return self._hand_over(None, mark, later)
            return self._lines(current, mark)

    def _without_current(self, mark: Mark | None) -> Document | None:
        """The name is gone: renamed, and nobody has made the next one yet."""
        old = None if mark is None else self._by_inode(mark)
        if mark is None or old is None:
            raise FeedError(f"{self._path}: there is no such file, or it cannot be read")
        with closing(old):
            return self._lines(old, mark)

    def _rotated(self, current: _Open, mark: Mark) -> Document | None:
        """Another file has the name now; the rest of ours comes first, if it is still there."""
        old = self._by_inode(mark)
        if old is None:
            self._tell(f"{self._path}: was rotated away; what came after the last look may be lost")
            return self._hand_over(None, mark, self._after(mark.mtime_ns, mark, current))
        with closing(old):
            found = self._after(old.status.st_mtime_ns, mark, current)
            if not current.status.st_size and current.is_same_file(found):
                return self._lines(old, mark)  # who writes may not have turned to it yet
            return self._hand_over(old, mark, found)

    def _cut_off(self, current: _Open, mark: Mark) -> Document | None:
        """The file begins anew; what we had not read is in a copy, if anywhere."""
        copy = self._copy_of(mark, current)
        if copy is None:
            self._tell(f"{self._path}: was cut off, and no copy found: lines may be lost")
            return self._hand_over(None, mark, self._after(mark.mtime_ns, mark, current))
        with closing(copy):
            found = self._after(copy.status.st_mtime_ns, mark, current)
            return self._hand_over(copy, mark, found)

    def _lines(self, file: _Open, mark: Mark) -> Document | None:
        """Whole lines from the mark on; None if there is none."""
        size = os.fstat(file.descriptor).st_size
        most = min(size, mark.offset + self._most)
        end = last_line_end(file.descriptor, mark.offset, most)
        if end == mark.offset and most < size:
            end = most  # a line longer than any record may be: the reader says so
        if end == mark.offset:
            return None
        return self._document(file, mark, end, None)

    def _hand_over(self, file: _Open | None, mark: Mark, to: Mark) -> Document | None:
        """What is left of a file that is finished; after it comes another one."""
        if file is None:
            return self._document(None, mark, mark.offset, to)
        size = os.fstat(file.descriptor).st_size
        if size > mark.offset + self._most:
            return self._lines(file, mark)
        return self._document(file, mark, max(size, mark.offset), to)

    def _document(
        self, file: _Open | None, mark: Mark, end: int, to: Mark | None
    ) -> Document | None:
        data = b"" if file is None else _read(file.descriptor, mark.offset, end)
        # Cut off between the look and the reading: the next look sees what became of it.
        if len(data) < end - mark.offset or (file is not None and not file.continues(mark)):
            return None
        after = to if to is not None or file is None else file.mark(end)
        # With the first bytes: a file that was cut off and filled again has the same inode.
        head = sha256(data[:HEAD_BYTES]).hexdigest()[:16]
        identity = f"{mark.device}:{mark.inode}:{mark.offset}:{head}"
        name = str(self._path if file is None else file.path)
        return Document(name, io.BytesIO(data), identity, msgspec.to_builtins(after), self._format)

    def _after(self, mtime_ns: int, mark: Mark, current: _Open) -> Mark:
        """The file that comes after one: the next that was rotated, or the log as it is now."""
        later = []
        for path in self._siblings():
            status = _status(path)
            if status is None or status.st_mtime_ns <= mtime_ns:
                continue
            if (status.st_dev, status.st_ino) not in (
                (mark.device, mark.inode),
                (current.status.st_dev, current.status.st_ino),
            ):
                later.append((status.st_mtime_ns, path))
        for _, path in sorted(later):
            opened = _opened(path)
            if opened is not None:
                with closing(opened):
                    return opened.mark(0)
        return current.mark(0)

    def _by_inode(self, mark: Mark) -> _Open | None:
        """Return the file of the mark, whatever it is called now.

        A name that changes while the folder is listed may be in no listing: look again.
        """
        for turn in range(LOOKS):
            time.sleep(LOOK_AGAIN_S if turn else 0)
            for entry in _entries(self._path.parent):
                if entry.inode() == mark.inode:
                    found = _opened(Path(entry.path))
                    if found is not None:
                        if found.is_same_file(mark) and found.continues(mark):
                            return found
                        found.close()
        return None

    def _copy_of(self, mark: Mark, current: _Open) -> _Open | None:
        """Return the newest copy that begins as the file of the mark began, and reaches further."""
        if not mark.head_bytes:
            return None
        dated = (
            (status.st_mtime_ns, path) for path in self._siblings() if (status := _status(path))
        )
        for _, path in sorted(dated, reverse=True):
            found = _opened(path)
            if found is not None:
                other = not found.is_same_file(current.mark(0))
                if other and found.continues(mark):
                    return found
                found.close()
        return None

    def _siblings(self) -> Iterator[Path]:
        """Files of the folder that are named as rotated ones are: log.json.1, log-20260131.json."""
        stem, suffix = self._path.stem, self._path.suffix
        for entry in _entries(self._path.parent):
            name = entry.name
            if name == self._path.name:
                continue
            behind = name.removeprefix(self._path.name) if name.startswith(self._path.name) else ""
            within = ""
            if name.startswith(stem) and name.endswith(suffix) and suffix:
                within = name[len(stem) : len(name) - len(suffix)]
            if ROTATED.match(behind) or ROTATED.match(within):
                yield Path(entry.path)

    def _tell(self, line: str) -> None:
        if line not in self._told:
            self._told.add(line)
            log.warning("%s", fit(line, MAX_ERROR_CHARS))


def _read(descriptor: int, begin: int, end: int) -> bytes:
    pieces = []
    while begin < end and (piece := os.pread(descriptor, min(MIB, end - begin), begin)):
        pieces.append(piece)
        begin += len(piece)
    return b"".join(pieces)


def _entries(folder: Path) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as entries:
            return list(entries)
    except OSError as exc:
        raise FeedError(f"{folder}: cannot be read: {exc.strerror}") from None


def _opened(path: Path) -> _Open | None:
    try:
        return _Open(path)
    except FeedError:
        return None


def _status(path: Path) -> os.stat_result | None:
    try:
        return path.stat()
    except OSError:
        return None
