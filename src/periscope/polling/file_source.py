"""A file as a feed: read whole, and again when its content is another one."""

from __future__ import annotations

import asyncio
import io
import os
from collections.abc import AsyncIterator
from typing import Any

from periscope.polling.definition import Definition
from periscope.polling.document import Document, Position
from periscope.polling.files import hash_of, is_settled, open_regular, window
from periscope.spans import read_span


class FileSource:
    """One document, where the file is another one than at `position`.

    Position: device, inode, size and mtime of what was read, and the hash of its bytes. While any
    of the four changes the file is hashed, and read only if the hash differs. A file that changed
    a moment ago (`settle`) is left for the next run: somebody may be writing it. One that changes
    while it is read is read again then.
    """

    def __init__(self, definition: Definition) -> None:
        self._path = definition.place
        self._settle_s = settle_s(definition)

    async def documents(self, position: Position | None) -> AsyncIterator[Document]:
        """Give the document that is new, if there is one.

        Raises:
            FeedError: there is no such file, or it is none.
        """
        document = await asyncio.to_thread(self._look, position or {})
        if document is not None:
            yield document

    def _look(self, seen: Position) -> Document | None:
        descriptor, status = open_regular(self._path)
        keep = False
        try:
            after: dict[str, Any] = {
                "device": status.st_dev,
                "inode": status.st_ino,
                "size": status.st_size,
                "mtime_ns": status.st_mtime_ns,
            }
            if after.items() <= seen.items() or not is_settled(status, self._settle_s):
                return None
            after["sha256"] = digest = hash_of(descriptor)
            if digest == seen.get("sha256"):  # nothing to read: only the position is to be moved
                return Document(self._path, io.BytesIO(), digest, after)
            keep = True
            file = window(descriptor, 0, status.st_size)
            return Document(self._path, file, f"sha256:{digest}", after)
        finally:
            if not keep:
                os.close(descriptor)


def settle_s(definition: Definition) -> float:
    """Seconds for which a file must have been left alone."""
    span = read_span(definition.settle)
    return 0.0 if span is None else span.total_seconds()
