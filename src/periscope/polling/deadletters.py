"""What cannot be read is kept: a file of letters for each feed, until somebody looks after them.

A letter is a line of JSON. Letters are written and synced before the position that covers them is
stored, so a kill may write one twice, and loses none; the same letter has the same id, and is
listed once. A file takes 64 MiB: then the older half of its letters is dropped, which is counted
in its first line and said. Everything here blocks: call it in a thread.
"""

from __future__ import annotations

import fcntl
import logging
import os
import re
from base64 import b64decode, b64encode
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from hashlib import sha256
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import msgspec

from periscope.errors import FeedError, FeedUnknown
from periscope.feeds.problems import EXCERPT_BYTES as MAX_EXCERPT_BYTES
from periscope.models import MAX_ID_BYTES, Unreadable
from periscope.polling.definition import NAME_PATTERN
from periscope.workers.status import wall_ms

log = logging.getLogger(__name__)

MAX_FILE_BYTES = 64 * 1024 * 1024
MAX_REASON_CHARS = 2_000
MAX_LINE_BYTES = 1024 * 1024
SUFFIX = ".ndjson"


class Letter(msgspec.Struct, frozen=True, omit_defaults=True):
    """One record that could not be used.

    `excerpt` are the record's own bytes: as text, or as base64 where they are no UTF-8 (`base64`
    says so); `cut` if they are not all. `source_name` is the document that it stood in. `time_ms`
    is when it was kept, by the clock of the machine that kept it.
    """

    id: str
    time_ms: int
    feed: str
    source_name: str
    reason: str
    place: str | None = None
    threat_id: str | None = None
    excerpt: str | None = None
    base64: bool = False
    cut: bool = False
    format: str | None = None

    @property
    def data(self) -> bytes | None:
        """The excerpt as bytes; None if there is none."""
        if self.excerpt is None:
            return None
        return b64decode(self.excerpt) if self.base64 else self.excerpt.encode()


class Kept(NamedTuple):
    """How many letters a feed has, and how many were dropped because there was no room."""

    feed: str
    letters: int
    size: int
    dropped: int


class _Head(msgspec.Struct, frozen=True):
    """The first line of a file from which letters were dropped."""

    dropped: int


def letter(
    feed: str,
    source_name: str,
    problem: Unreadable,
    *,
    format: str | None = None,  # noqa: A002 - the letter's own word
) -> Letter:
    """Return the letter about a record; an excerpt of 64 KiB counts as cut, as it may be."""
    data = problem.excerpt
    text, encoded, cut = None, False, False
    if data is not None:
        cut = len(data) >= MAX_EXCERPT_BYTES
        text, encoded = _text(data[:MAX_EXCERPT_BYTES])
    said = "\0".join(map(str, (feed, source_name, problem.place, problem.reason, text)))
    return Letter(
        id=sha256(said.encode("utf-8", "backslashreplace")).hexdigest()[:16],
        time_ms=wall_ms(),
        feed=feed,
        source_name=_fit(source_name),
        reason=_fit(problem.reason),
        place=None if problem.place is None else _fit(problem.place),
        threat_id=None if problem.threat_id is None else _fit(problem.threat_id)[:MAX_ID_BYTES],
        excerpt=text,
        base64=encoded,
        cut=cut,
        format=format,
    )


def _text(data: bytes) -> tuple[str, bool]:
    try:
        return data.decode(), False
    except UnicodeDecodeError:
        return b64encode(data).decode(), True


def _fit(text: str) -> str:
    return text[:MAX_REASON_CHARS].encode("utf-8", "backslashreplace").decode()


class DeadLetters:
    """The letters of all feeds below one directory.

    Any number of processes may add, list and drop at once.
    """

    def __init__(self, directory: Path, max_bytes: int = MAX_FILE_BYTES) -> None:
        self._directory = directory
        self._max_bytes = max_bytes

    def add(self, feed: str, letters: Iterable[Letter]) -> int:
        """Keep letters, synced to disk when it returns; how many older ones had to be dropped.

        Raises:
            FeedError: they cannot be written, so the feed must not go on.
        """
        lines = b"".join(msgspec.json.encode(one) + b"\n" for one in letters)
        if not lines:
            return 0
        try:
            with self._locked(feed):
                dropped = self._make_room(feed, len(lines))
                self._append(self._path(feed), lines)
        except OSError as exc:
            raise FeedError(
                f"{self._directory}: letters about what cannot be read cannot be kept "
                f"({exc.strerror}), so the feed does not go on"
            ) from None
        return dropped

    def feeds(self) -> list[Kept]:
        """Every feed that has letters, or had too many."""
        try:
            paths = sorted(self._directory.glob(f"*{SUFFIX}"))
            names = [path.stem for path in paths if re.match(NAME_PATTERN, path.stem)]
        except OSError:
            return []
        return [self.kept(name) for name in names]

    def sizes(self) -> dict[str, int]:
        """Bytes of the letters of each feed that has any, without reading them."""
        found = {}
        for path in self._directory.glob(f"*{SUFFIX}"):
            with suppress(OSError):  # dropped just now
                if re.match(NAME_PATTERN, path.stem):
                    found[path.stem] = path.stat().st_size
        return found

    def kept(self, feed: str) -> Kept:
        """How many letters of a feed there are."""
        ids = {one.id for one in self.read(feed)}
        path = self._path(feed)
        size = path.stat().st_size if path.exists() else 0
        return Kept(feed, len(ids), size, self._dropped(feed))

    def read(self, feed: str) -> Iterator[Letter]:
        """Letters in the order in which they came, each once; what is no letter is passed over.

        Raises:
            FeedError: the file cannot be read.
        """
        seen: set[str] = set()
        for one in self._lines(feed):
            if one.id not in seen:
                seen.add(one.id)
                yield one

    def drop(self, feed: str, ids: Iterable[str] | None = None) -> int:
        """Drop letters by id, or all; how many there were. Those that come meanwhile stay.

        Raises:
            FeedError: the file cannot be written.
        """
        gone = None if ids is None else set(ids)
        try:
            with self._locked(feed):
                found = {one.id for one in self._lines(feed)}
                if gone is None:
                    self._path(feed).unlink(missing_ok=True)
                    return len(found)
                left = (one for one in self._lines(feed) if one.id not in gone)
                self._replace(feed, left, self._dropped(feed))
                return len(found & gone)
        except OSError as exc:
            raise FeedError(f"{self._path(feed)}: cannot be written: {exc.strerror}") from None

    def _lines(self, feed: str) -> Iterator[Letter]:
        path = self._path(feed)
        try:
            with path.open("rb") as file:
                while line := file.readline(MAX_LINE_BYTES):
                    found = _decode(line)
                    if found is not None:
                        yield found
        except FileNotFoundError:
            return
        except OSError as exc:
            raise FeedError(f"{path}: cannot be read: {exc.strerror}") from None

    def _dropped(self, feed: str) -> int:
        try:
            with self._path(feed).open("rb") as file:
                return msgspec.json.decode(file.readline(MAX_LINE_BYTES), type=_Head).dropped
        except (OSError, msgspec.DecodeError):
            return 0

    def _make_room(self, feed: str, wanted: int) -> int:
        """Drop the older half of the letters if the file would grow beyond its limit."""
        path = self._path(feed)
        size = path.stat().st_size if path.exists() else 0
        if size + wanted <= self._max_bytes:
            return 0
        letters = list(self._lines(feed))
        left = letters[len(letters) // 2 + 1 :]
        gone = len(letters) - len(left)
        total = self._dropped(feed) + gone
        self._replace(feed, left, total)
        log.warning(
            "dead letters of feed %s: the %d oldest were dropped, there is no room for more "
            "than %d bytes",
            *(feed, gone, self._max_bytes),
        )
        return gone

    def _replace(self, feed: str, letters: Iterable[Letter], dropped: int) -> None:
        path = self._path(feed)
        fresh = path.with_suffix(".new")
        with _private(fresh, os.O_TRUNC) as file:
            if dropped:
                file.write(msgspec.json.encode(_Head(dropped)) + b"\n")
            for one in letters:
                file.write(msgspec.json.encode(one) + b"\n")
            file.flush()
            os.fsync(file.fileno())
        if fresh.stat().st_size:
            fresh.replace(path)
        else:
            fresh.unlink()
            path.unlink(missing_ok=True)
        _sync_directory(self._directory)

    def _append(self, path: Path, lines: bytes) -> None:
        is_new = not path.exists()
        with _private(path, os.O_APPEND) as file:
            begin = file.seek(0, os.SEEK_END)
            # A torn last line, of a kill or a full disk, must not spoil the next one.
            torn = begin > 0 and os.pread(file.fileno(), 1, begin - 1) != b"\n"
            try:
                file.write(b"\n" * torn + lines)
                file.flush()
                os.fsync(file.fileno())
            except OSError:
                os.ftruncate(file.fileno(), begin)
                raise
        if is_new:
            _sync_directory(self._directory)

    @contextmanager
    def _locked(self, feed: str) -> Iterator[None]:
        """Be the only one who writes about this feed, of all processes."""
        self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        with _private(self._path(feed).with_suffix(".lock"), 0) as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    def _path(self, feed: str) -> Path:
        if not re.match(NAME_PATTERN, feed):
            raise FeedUnknown(f"no feed can be called {feed!r:.60}")
        return self._directory / f"{feed}{SUFFIX}"


def _private(path: Path, flags: int) -> Any:
    mode: Any = "r+b" if flags != os.O_APPEND else "a+b"
    file: BinaryIO = open(  # noqa: SIM115 - an opener is needed, and the caller closes it
        path,
        mode,
        buffering=MAX_EXCERPT_BYTES,
        opener=lambda name, _: os.open(
            name, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW | flags, 0o600
        ),
    )
    return file


def _decode(line: bytes) -> Letter | None:
    try:
        return msgspec.json.decode(line, type=Letter)
    except msgspec.DecodeError:
        return None  # the first line, or one that was torn


def _sync_directory(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
