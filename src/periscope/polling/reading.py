"""A document read in slices, by a thread: parsing never holds up the event loop for long."""

from __future__ import annotations

import asyncio
import math
import threading
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from periscope.feeds import Feed, ReadOptions, open_feed
from periscope.models import Report
from periscope.polling.document import Document

SLICE_ITEMS = 4_000
SLICE_BYTES = 8 * 1024 * 1024


@dataclass
class Slice:
    """Items that follow one another; `read` counts what was skipped besides.

    `failure` says why the document cannot be read further, where that is not an item.
    """

    items: list[Any] = field(default_factory=list)
    read: int = 0
    skipped: int = 0
    newest_ms: int | None = None
    is_last: bool = False
    failure: str | None = None


class Reading:
    """One document, opened and read by threads, a slice ahead of whoever takes them.

    No more than `most` items are read of it (None: all). With `whole` an end before its time is a
    failure; else it is one more bad record. A time that is later than `latest_ms` is not believed.
    Close it in any case; the document's file is closed with it.
    """

    def __init__(
        self,
        document: Document,
        options: ReadOptions,
        most: int | None = None,
        *,
        whole: bool = False,
        latest_ms: float = math.inf,
    ) -> None:
        self._left = most
        self._whole = whole
        self._latest_ms = latest_ms
        self._document = document
        self._options = options
        self._feed: Feed | None = None
        self._halt = threading.Event()
        self._opening: asyncio.Task[None] | None = None
        self._ahead: asyncio.Task[Slice] | None = None

    @property
    def feed(self) -> Feed:
        """The feed; only once it is open."""
        assert self._feed is not None  # noqa: S101 - open() was awaited
        return self._feed

    async def open(self, pass_over: int) -> None:
        """Open it, and pass over records that are acknowledged already.

        Raises:
            FeedError: nothing in it can be read.
        """
        self._opening = asyncio.create_task(asyncio.to_thread(self._open, pass_over))
        await asyncio.shield(self._opening)

    async def next(self) -> Slice:
        """The next slice; the one after it is read meanwhile."""
        self._ahead = self._ahead or asyncio.create_task(self._take())
        found = await asyncio.shield(self._ahead)
        self._ahead = None if found.is_last else asyncio.create_task(self._take())
        return found

    async def close(self) -> None:
        """Let go of the file; a thread that reads ends before."""
        self._halt.set()
        for task in (self._opening, self._ahead):
            if task is not None:
                await asyncio.wait({task})
                task.exception()  # told already, or nobody's any more
        if self._feed is not None:
            self._feed.close()
        self._document.file.close()

    def _open(self, pass_over: int) -> None:
        self._feed = open_feed(
            self._document.file,
            format=self._document.format,
            options=self._options,
            name=self._document.name,
        )
        for _ in range(pass_over):
            if self._halt.is_set() or next(self._feed, None) is None:
                return

    async def _take(self) -> Slice:
        return await asyncio.to_thread(self._slice)

    def _slice(self) -> Slice:
        feed, found, size = self.feed, Slice(), 0
        read, skipped, at = feed.read, feed.skipped.total(), feed.bytes_read
        items = found.items
        most = SLICE_ITEMS if self._left is None else min(SLICE_ITEMS, self._left)
        for item in feed if most else ():
            if self._whole and feed.failure is not None:
                found.failure = feed.failure
                break
            items.append(item)
            if type(item) is Report:
                size += len(item.content)
                moment = item.observed_at
                if moment is not None:
                    found.newest_ms = self._newer(found.newest_ms, moment)
            if len(items) >= most or max(size, feed.bytes_read - at) > SLICE_BYTES:
                break
            if self._halt.is_set():
                break
        else:
            found.is_last = most > 0
        if self._left is not None:
            self._left -= len(items)
        found.read = feed.read - read - (found.failure is not None)
        found.skipped = feed.skipped.total() - skipped
        return found

    def _newer(self, newest_ms: int | None, moment: int | datetime) -> int | None:
        ms = moment if isinstance(moment, int) else int(moment.timestamp() * 1000)
        if ms > self._latest_ms:
            return newest_ms
        return ms if newest_ms is None else max(newest_ms, ms)
