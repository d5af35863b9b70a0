"""A directory as a feed: each file once, and again when it changed."""

from __future__ import annotations

import asyncio
import os
from base64 import b64decode, b64encode
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from hashlib import blake2b
from itertools import islice
from pathlib import Path

from periscope.errors import FeedError
from periscope.polling.definition import Definition
from periscope.polling.document import Document, Position
from periscope.polling.file_source import settle_s
from periscope.polling.files import is_settled, open_regular, window

MAX_FILES = 5_000
MAX_ENTRIES = 200_000
DIGEST_BYTES = 8


@dataclass(frozen=True, order=True)
class _Found:
    """A file as it was found: they are read in this order."""

    mtime_ns: int
    name: str
    real: str
    size: int

    @property
    def digest(self) -> bytes:
        """What is remembered of it: another size or time is another file."""
        said = f"{self.size} {self.mtime_ns} {self.name}".encode("utf-8", "surrogateescape")
        return blake2b(said, digest_size=DIGEST_BYTES).digest()


class DirectorySource:
    """The files that match, oldest first; those that are still being written wait.

    Position: a digest of each file that was read and is still there, so that at most 5,000 files
    may match. A link that leads out of the directory is not followed; pipes and devices are not
    opened; names that begin with a dot are left alone. A file that cannot be read does not stop
    the others: it is told at the end, and tried again in the next run.
    """

    def __init__(self, definition: Definition) -> None:
        self._root = definition.place
        self._pattern = definition.pattern
        self._settle_s = settle_s(definition)
        self._problems: list[str] = []
        self._done: set[bytes] = set()

    async def documents(self, position: Position | None) -> AsyncIterator[Document]:
        """Give the new and changed files.

        Raises:
            FeedError: there is no such directory, or too much in it; or, at the end, some files
                could not be read.
        """
        seen = _digests(position)
        found = await asyncio.to_thread(self._scan)
        self._done = seen & {one.digest for one in found}
        for one in found:
            if one.digest in self._done:
                continue
            document = await asyncio.to_thread(self._open, one)
            if document is not None:
                yield document
        if self._problems:
            more = f" (and {len(self._problems) - 1:,} more)" if len(self._problems) > 1 else ""
            raise FeedError(f"{self._problems[0]}{more}; the other files were read")

    def refuse(self, document: Document, reason: str) -> None:
        """Take note that a document could not be opened: it is not among those that were read."""
        self._done.discard(bytes.fromhex(document.identity))
        self._problems.append(reason)

    def _open(self, one: _Found) -> Document | None:
        try:
            descriptor, status = open_regular(one.real, follow=False)
        except FeedError as exc:
            self._problems.append(str(exc))
            return None
        if (status.st_size, status.st_mtime_ns) != (one.size, one.mtime_ns):
            os.close(descriptor)  # it is being written after all
            return None
        self._done.add(one.digest)
        place = str(Path(self._root) / one.name)
        file = window(descriptor, 0, one.size)
        return Document(place, file, one.digest.hex(), _position(self._done))

    def _scan(self) -> list[_Found]:
        root = Path(self._root)
        try:
            real_root = root.resolve(strict=True)
            if not real_root.is_dir():
                raise FeedError(f"{self._root}: no directory")
            found = [
                one for path in self._matches(real_root) if (one := self._look(path, real_root))
            ]
        except OSError as exc:
            raise FeedError(f"{self._root}: cannot be read: {exc.strerror}") from None
        if len(found) > MAX_FILES:
            raise FeedError(
                f"{self._root}: {len(found):,} files match, {MAX_FILES:,} is the limit: take away "
                "those that were read, or give a narrower pattern"
            )
        return sorted(found)

    def _matches(self, root: Path) -> Iterator[Path]:
        paths = islice(root.glob(self._pattern), MAX_ENTRIES + 1)
        for count, path in enumerate(paths):
            if count == MAX_ENTRIES:
                raise FeedError(f"{self._root}: more than {MAX_ENTRIES:,} entries; narrow pattern")
            if not any(part.startswith(".") for part in path.relative_to(root).parts):
                yield path

    def _look(self, path: Path, root: Path) -> _Found | None:
        """Return the file if it is one that is to be read, now."""
        try:
            real = path.resolve(strict=True)
            status = real.stat()
        except (OSError, RuntimeError):
            return None  # it went away, or a link leads nowhere
        if real.is_dir() or not is_settled(status, self._settle_s):
            return None
        name = str(path.relative_to(root))
        if not real.is_relative_to(root):
            self._problems.append(f"{self._root}/{name}: a link out of the directory; not followed")
            return None
        if not real.is_file():
            self._problems.append(f"{self._root}/{name}: no regular file; it is not read")
            return None
        return _Found(status.st_mtime_ns, name, str(real), status.st_size)


def _digests(position: Position | None) -> set[bytes]:
    packed = b64decode((position or {}).get("seen", ""))
    return {packed[at : at + DIGEST_BYTES] for at in range(0, len(packed), DIGEST_BYTES)}


def _position(done: set[bytes]) -> Position:
    return {"seen": b64encode(b"".join(sorted(done))).decode()}
