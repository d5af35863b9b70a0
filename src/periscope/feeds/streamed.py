"""The reports of a stream that somebody else writes, whoever that is and however slowly."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import AsyncIterator, Callable
from typing import Any

from periscope.feeds.feed import Feed

BUFFERED = 2000
"""Reports that a stream's reader may be ahead; beyond them it waits."""
BUFFERED_BYTES = 4 * 1024 * 1024
"""And bytes of the stream: reports may be large, and whoever takes them may be slow."""


class StreamReports:
    """Reports of a pipe or terminal, read by a thread: whoever writes there may take its time.

    What has come is passed on at once, and `stop` does not wait for more. The thread is a daemon
    that reads the bare descriptor, so that the program can end while it waits.
    """

    def __init__(self, open_it: Callable[[], Feed]) -> None:
        self.feed: Feed | None = None
        self._open_it = open_it
        self._loop = asyncio.get_running_loop()
        self._changed = asyncio.Event()
        self._room = threading.Condition()
        self._items: list[Any] = []
        self._taken_bytes = 0
        self._ended = False
        self._failure: BaseException | None = None

    async def opened(self) -> Feed | None:
        """Return the feed, once enough has come to recognise it; None if stopped before.

        Raises:
            FeedError: it cannot be read.
        """
        threading.Thread(target=self._read, name="feed", daemon=True).start()
        await self._changed.wait()
        if self.feed is None and self._failure is not None:
            raise self._failure
        return self.feed

    def stop(self) -> None:
        """End the iteration after what has been read; from any thread or signal handler."""
        self._loop.call_soon_threadsafe(self._end)

    async def __aiter__(self) -> AsyncIterator[Any]:
        while True:
            await self._changed.wait()
            with self._room:
                items, self._items = self._items, []
                self._taken_bytes = self._read_bytes()
                ended = self._ended
                if not ended:
                    self._changed.clear()
                self._room.notify()
            for item in items:
                yield item
            if ended:
                break
        if self._failure is not None:
            raise self._failure

    def close(self) -> None:
        """Leave the stream to its owner; the reader ends by itself."""
        self._end()

    def _read(self) -> None:
        try:
            self.feed = self._open_it()
            self._tell()
            for item in self.feed:
                if not self._put(item):
                    return
        except BaseException as exc:
            self._failure = exc
        finally:
            if self.feed is not None:
                self.feed.close()  # what it kept for a second pass; the stream is its owner's
            with self._room:
                self._ended = True
            self._tell()

    def _put(self, item: Any) -> bool:
        with self._room:
            while self._is_far_ahead() and not self._ended:
                self._room.wait()
            if self._ended:
                return False
            self._items.append(item)
            first = len(self._items) == 1
        if first:
            self._tell()
        return True

    def _is_far_ahead(self) -> bool:
        ahead_bytes = self._read_bytes() - self._taken_bytes
        return len(self._items) >= BUFFERED or (bool(self._items) and ahead_bytes > BUFFERED_BYTES)

    def _read_bytes(self) -> int:
        return 0 if self.feed is None else self.feed.bytes_read

    def _tell(self) -> None:
        with contextlib.suppress(RuntimeError):  # the loop is gone: nobody waits any more
            self._loop.call_soon_threadsafe(self._changed.set)

    def _end(self) -> None:
        with self._room:
            self._ended = True
            self._room.notify()
        self._changed.set()
