"""The reports of one file or stream, as something that can be stopped between two of them."""

from __future__ import annotations

import os
import stat
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

from periscope.cli.program import STDIN
from periscope.errors import FeedError
from periscope.feeds import Feed, ReadOptions, StreamReports, open_feed


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
