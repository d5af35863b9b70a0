"""Dead letters read once more, after a fix: those that go in now are dropped."""

from __future__ import annotations

import asyncio
import csv
import io
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

import msgspec

from periscope.errors import FeedError
from periscope.feeds import ReadOptions, open_feed
from periscope.models import Rejection, Unreadable
from periscope.periscope import Periscope
from periscope.polling.deadletters import DeadLetters, Letter

AT_ONCE = 500
ROWS = ("csv", "ioc_csv", "kev")
"""Formats that may come as rows."""


@dataclass
class Replayed:
    """What became of the letters: `dropped` went in, `failed` fail again, `cut` are not whole."""

    added: int = 0
    sightings: int = 0
    duplicates: int = 0
    suppressed: int = 0
    skipped: int = 0
    dropped: int = 0
    failed: list[tuple[Letter, str]] = field(default_factory=list)
    cut: list[Letter] = field(default_factory=list)

    @property
    def tried(self) -> int:
        """All letters that were looked at."""
        return self.dropped + len(self.failed) + len(self.cut)


async def replay(
    periscope: Periscope,
    letters: DeadLetters,
    feed: str,
    options: ReadOptions,
    *,
    format: str | None = None,  # noqa: A002 - the public name
    ids: Iterable[str] | None = None,
) -> Replayed:
    """Read the letters of a feed again, all or those of `ids`, and drop those that went in.

    Each is read in the format that it came in, or in `format`. Those that fail again stay, and so
    do those that are not whole. Safe to repeat, and to break off: what went in twice is a
    duplicate.

    Raises:
        FeedError: the letters cannot be read or written.
        BatchInterrupted: the store failed; letters of the batches before are dropped.
    """
    wanted = None if ids is None else set(ids)
    done = Replayed()
    rows = (one for one in letters.read(feed) if wanted is None or one.id in wanted)
    while some := await asyncio.to_thread(lambda: list(islice(rows, AT_ONCE))):
        went_in = await _some(periscope, some, options, format, done)
        await asyncio.to_thread(letters.drop, feed, went_in)
        done.dropped += len(went_in)
    return done


async def _some(
    periscope: Periscope,
    some: list[Letter],
    options: ReadOptions,
    format_name: str | None,
    done: Replayed,
) -> list[str]:
    """Read and send some letters; the ids of those that went in."""
    read = await asyncio.to_thread(lambda: [_read(one, options, format_name) for one in some])
    items: list[Any] = []
    owner: list[str] = []
    reasons: dict[str, str] = {}
    for one, (found, skipped, reason) in zip(some, read, strict=True):
        if reason is not None:
            reasons[one.id] = reason
            continue
        done.skipped += skipped
        items += found
        owner += [one.id] * len(found)

    def rejected(rejection: Rejection, item: Any) -> None:
        reasons[owner[rejection.index]] = rejection.reason

    if items:
        result = await periscope.add_threats_batch(items, rejected=rejected)
        for name in ("added", "sightings", "duplicates", "suppressed"):
            setattr(done, name, getattr(done, name) + getattr(result, name))
    for one in some:
        if one.cut or one.data is None:
            done.cut.append(one)
        elif one.id in reasons:
            done.failed.append((one, reasons[one.id]))
    left = reasons.keys() | {one.id for one in done.cut}
    return [one.id for one in some if one.id not in left]


def _read(
    one: Letter, options: ReadOptions, format_name: str | None
) -> tuple[list[Any], int, str | None]:
    """Return the reports of a letter and how many records were skipped; or why it fails."""
    data = one.data
    if data is None or one.cut:
        return [], 0, "not whole"
    if one.format in ROWS and (one.place or "").startswith("line "):
        data = _as_rows(data, options)
    try:
        with open_feed(io.BytesIO(data), format=format_name or one.format, options=options) as feed:
            items = list(_bounded(feed))
            bad = next((item for item in items if isinstance(item, Unreadable)), None)
            return items, feed.skipped.total(), None if bad is None else bad.reason
    except FeedError as exc:
        return [], 0, str(exc)


def _as_rows(data: bytes, options: ReadOptions) -> bytes:
    """A row is kept as a JSON object; make a file of it again: its header, and the row."""
    try:
        cells = msgspec.json.decode(data, type=dict[str, str])
    except msgspec.DecodeError:
        return data
    lines = [list(cells.values())] if options.header is not None else [list(cells), cells.values()]
    text = io.StringIO()
    csv.writer(text, delimiter=options.delimiter or ",", lineterminator="\n").writerows(lines)
    return text.getvalue().encode()


def _bounded(items: Iterable[Any]) -> Iterator[Any]:
    """An excerpt of 64 KiB holds a few thousand records at most; nothing here may run away."""
    return islice(items, 100_000)
