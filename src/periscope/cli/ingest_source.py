"""The reports of one file or stream, as something that can be stopped between two of them."""

from __future__ import annotations

import asyncio
import contextlib
import os
import stat
import sys
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any, BinaryIO

from periscope.cli.program import STDIN
from periscope.errors import FeedError
from periscope.feeds import Feed, ReadOptions, open_feed

BUFFERED = 2000
"""Reports that a stream's reader may be ahead; beyond them it waits."""


class _Stop(BaseException):
    """Raised out of a read that is under way; never leaves this module."""


class FileReports(Iterator[Any]):
    """Reports of a regular file, read where they are needed: reading never waits for long.

    `stop` may come from a signal handler at any moment. In the middle of a record it gives the
    record up, so that the last report taken is a whole one.
    """

    def __init__(self, feed: Feed) -> None:
        self.feed = feed
        self._stopped = False
        self._reading = False

    def stop(self) -> None:
        """End the iteration, now."""
        self._stopped = True
        if self._reading:
            raise _Stop

    def __next__(self) -> Any:
        if self._stopped:
            raise StopIteration
        try:
            self._reading = True
            item = next(self.feed)
            self._reading = False
        except _Stop:
            raise StopIteration from None
        finally:
            self._reading = False
        return item

    def close(self) -> None:
        """Close the file."""
        self.feed.close()


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
            with self._room:
                self._ended = True
            self._tell()

    def _put(self, item: Any) -> bool:
        with self._room:
            while len(self._items) >= BUFFERED and not self._ended:
                self._room.wait()
            if self._ended:
                return False
            self._items.append(item)
            first = len(self._items) == 1
        if first:
            self._tell()
        return True

    def _tell(self) -> None:
        with contextlib.suppress(RuntimeError):  # the loop is gone: nobody waits any more
            self._loop.call_soon_threadsafe(self._changed.set)

    def _end(self) -> None:
        with self._room:
            self._ended = True
            self._room.notify()
        self._changed.set()


async def open_reports(
    path: str, format_name: str | None, options: ReadOptions
) -> FileReports | StreamReports:
    """Open a file at once, a stream as soon as something comes.

    Raises:
        FeedError: it cannot be opened; one line.
    """

    def open_it() -> Feed:
        place: str | BinaryIO = _standard_input() if path == STDIN else path
        return open_feed(place, format=format_name, options=options)

    if not _is_stream(path):
        return FileReports(open_it())
    return StreamReports(open_it)


def shown_name(path: str) -> str:
    """Say what to call it."""
    return "standard input" if path == STDIN else path


def is_terminal(path: str) -> bool:
    """Say whether a person types it."""
    return path == STDIN and sys.stdin is not None and sys.stdin.isatty()


def _standard_input() -> BinaryIO:
    try:
        return open(0, "rb", buffering=0, closefd=False)
    except OSError as exc:
        raise FeedError(f"standard input: cannot be opened: {exc.strerror}") from None


def _is_stream(path: str) -> bool:
    try:
        status = os.fstat(0) if path == STDIN else Path(path).stat()
    except (OSError, ValueError):
        return False
    return not (stat.S_ISREG(status.st_mode) or stat.S_ISDIR(status.st_mode))
