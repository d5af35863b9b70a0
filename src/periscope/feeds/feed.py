"""`open_feed` and `Feed`: a file, whatever its format, as reports."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, Self

from periscope.errors import FeedError
from periscope.feeds.detect import choose
from periscope.feeds.format import Format, Item
from periscope.feeds.inputs import Input
from periscope.feeds.options import ReadOptions
from periscope.models import Unreadable

MAX_REASONS = 100
OTHER = "other types"


class Feed:
    """Iterates once, lazily, over `Report` and `Unreadable` items; memory stays that of a record.

    `read` is always the number of items given plus the sum of `skipped`. After an input that fails
    midway, the last item is an `Unreadable` that says where and why, and so does `failure` as soon
    as that item is given. Iterating never raises.
    """

    def __init__(self, source: Input, format_name: str) -> None:
        self.format = format_name
        self.skipped: Counter[str] = Counter()
        self.read = 0
        self.failure: str | None = None
        self._source = source
        self._items: Iterator[Item] = iter(())

    @property
    def name(self) -> str:
        """What to call it in messages: the path as it was given, or "standard input"."""
        return self._source.name

    @property
    def bytes_read(self) -> int:
        """Bytes of the file taken so far (of the second pass, for a format that needs two)."""
        return self._source.bytes_read

    @property
    def bytes_total(self) -> int | None:
        """Size of the file as it is on disk; None for a stream."""
        return self._source.bytes_total

    def skip(self, reason: str) -> None:
        """Count a record that is understood and left out on purpose."""
        self.read += 1
        known = reason in self.skipped or len(self.skipped) < MAX_REASONS
        self.skipped[reason if known else OTHER] += 1

    def begin(self, items: Iterator[Item]) -> None:
        """Give it what to iterate over; `open_feed` does this once."""
        self._items = self._counted(items)

    def _counted(self, items: Iterator[Item]) -> Iterator[Item]:
        try:
            for item in items:
                self.read += 1
                yield item
        except FeedError as exc:
            self.read += 1
            self.failure = str(exc)
            yield Unreadable(self.failure)

    def __iter__(self) -> Iterator[Item]:
        return self._items

    def __next__(self) -> Item:
        return next(self._items)

    def close(self) -> None:
        """Close the file, if it was opened here. Safe to repeat; iterating ends."""
        self._items = iter(())
        self._source.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()


def open_feed(
    path: str | Path | BinaryIO,
    *,
    format: str | None = None,  # noqa: A002 - the public name
    options: ReadOptions | None = None,
    name: str | None = None,
) -> Feed:
    """Open a file or binary stream as a feed; gzip and zstd are unpacked on the way.

    Without `format` (one of `format_names()`) the content decides. An empty file is an empty feed.
    A stream given by the caller stays the caller's to close. `name` is what messages call it.

    Raises:
        FeedError: it cannot be opened, or nothing in it can ever be read; one line that says what,
            where and what to do.

    """
    options = ReadOptions() if options is None else options
    source = Input.open(path, max_bytes=options.max_bytes, name=name)
    try:
        return _opened(source, format, options)
    except BaseException:
        source.close()
        raise


def _opened(source: Input, name: str | None, options: ReadOptions) -> Feed:
    try:
        chosen = choose(source, name, options)
        if chosen is None:
            return Feed(source, name or "empty")
        feed = Feed(source, chosen.name)
        feed.begin(chosen.read(source, options, feed.skip))
    except FeedError as exc:
        raise FeedError(f"{source.name}: {exc}") from None
    return feed


def read_as(chosen: Format, file: BinaryIO, options: ReadOptions) -> list[Item]:
    """Return all items of a stream, read by a format at hand, whether it is installed or not.

    Raises:
        FeedError: nothing in it can ever be read.

    """
    source = Input.open(file, max_bytes=options.max_bytes)
    feed = Feed(source, chosen.name)
    feed.begin(chosen.read(source, options, feed.skip))
    return list(feed)
