"""One run of one feed: documents in slices to the engine, the position after each of them."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Any

import msgspec

from periscope.errors import FeedError
from periscope.feeds import ReadOptions
from periscope.models import BatchResult, Rejection, Unreadable
from periscope.periscope import Periscope
from periscope.polling.deadletters import DeadLetters, Letter, letter
from periscope.polling.definition import Definition
from periscope.polling.document import Document, Source
from periscope.polling.lease import Lease
from periscope.polling.reading import Reading, Slice
from periscope.polling.state import (
    MAX_NAME_CHARS,
    Counts,
    Place,
    Status,
    encode,
    encode_place,
    fit,
)

WAIT_S = 60.0
"""Seconds for which a server that is full or away is waited for, in the middle of a document."""
CLOCKS_APART_MS = 600_000
"""How far the clock of whoever reports may be ahead of the server's."""


class Halted(Exception):
    """The run was asked to end, and did so after what it had in hand."""


@dataclass
class Run:
    """Reads what is new of one feed, until its end, its limit, or `halt`.

    Nothing is skipped: a position is stored once what it covers is acknowledged, and the letters
    about what could not be read are on disk. What is broken off repeats one slice at most, and
    those reports are duplicates then.
    """

    periscope: Periscope
    definition: Definition
    options: ReadOptions
    source: Source
    lease: Lease
    letters: DeadLetters
    status: Status
    place: Place
    halt: asyncio.Event = field(default_factory=asyncio.Event)
    told: Callable[[Run], None] | None = None
    """Called after each slice."""
    counts: Counts = field(default_factory=Counts)
    reading: Reading | None = None
    began: float = field(default_factory=time.monotonic)

    async def go(self) -> None:
        """Do it; `counts` says what was done, however it ends.

        Raises:
            Halted: it ended early because it was asked to.
            LeaseLost: somebody else has the feed.
            FeedError: the feed cannot be fetched or read further.
            BatchInterrupted, StoreError: the store failed.
        """
        async with aclosing(_closable(self.source.documents(self.place.done))) as documents:
            while (document := await self._next(documents)) is not None:
                await self._read(document)
                if self._is_full():
                    return

    async def _next(self, documents: AsyncIterator[Document]) -> Document | None:
        """The next document; fetching it is broken off where the run is to end."""
        self._check_halt()
        getting = asyncio.ensure_future(_next_of(documents))
        halting = asyncio.create_task(self.halt.wait())
        try:
            await asyncio.wait({getting, halting}, return_when=asyncio.FIRST_COMPLETED)
            if not getting.done():
                raise Halted
            return getting.result()
        finally:
            halting.cancel()
            getting.cancel()
            await asyncio.wait({getting, halting})

    async def _read(self, document: Document) -> None:
        self.status.document = fit(document.name, MAX_NAME_CHARS)
        left = self.definition.max_records - self.counts.read
        self.reading = Reading(
            document,
            self.options,
            left if self.definition.max_records else None,
            whole=self.definition.is_fetched,
            latest_ms=self._latest_ms(),
        )
        try:
            pass_over = self.place.begun(document.identity)
            try:
                await self.reading.open(pass_over)
            except FeedError as exc:
                self._refuse(document, exc)
                return
            await self._slices(document, self.reading, pass_over)
        finally:
            await self.reading.close()
            self.reading = None

    def _refuse(self, document: Document, reason: FeedError) -> None:
        """Of many documents one that cannot be read is left for the next run; else it is told."""
        refuse = getattr(self.source, "refuse", None)
        if refuse is None:
            raise reason
        refuse(document, str(reason))

    async def _slices(self, document: Document, reading: Reading, records: int) -> None:
        while True:
            part = await reading.next()
            await self._take_in(document, reading.feed.format, part, records)
            records += len(part.items)
            if part.is_last:
                self.place = self.place.past(document.identity, document.after)
                self.counts.documents += 1
            else:
                self.place = Place(self.place.of, self.place.done, document.identity, records)
            await self.lease.keep(status=self._status(), position=encode_place(self.place))
            if self.told is not None:
                self.told(self)
            if part.failure is not None:
                self._refuse(document, FeedError(f"{document.name}: {part.failure}"))
                return
            if part.is_last or self._is_full():
                return
            self._check_halt()

    async def _take_in(
        self, document: Document, format_name: str, part: Slice, before: int
    ) -> None:
        """Send a slice, and keep what of it cannot be used; only then it is done."""
        found: list[Letter] = []

        def rejected(rejection: Rejection, item: Any) -> None:
            problem = problem_of(rejection, item, before)
            own = format_name if isinstance(item, Unreadable) else "ndjson"
            found.append(letter(self.definition.name, document.name, problem, format=own))

        if part.items:
            result = await self.periscope.add_threats_batch(
                part.items, wait_s=WAIT_S, rejected=rejected
            )
            self._count(result)
        if found:
            await asyncio.to_thread(self.letters.add, self.definition.name, found)
        self.counts.dead_letters += len(found)
        self.counts.read += part.read
        self.counts.skipped += part.skipped
        newest = max(self.status.newest_ms or 0, part.newest_ms or 0)
        self.status.newest_ms = newest or None

    def _count(self, result: BatchResult) -> None:
        for name in ("added", "sightings", "duplicates", "suppressed"):
            setattr(self.counts, name, getattr(self.counts, name) + getattr(result, name))
        self.counts.rejected += result.rejected_count

    def _status(self) -> bytes:
        """The status as it is to be stored now: with what this run has done so far."""
        total = msgspec.structs.replace(self.status.counts)
        total.add(self.counts)
        return encode(msgspec.structs.replace(self.status, counts=total))

    def _latest_ms(self) -> float:
        """Up to when a record can have been observed, by the server's clock and with some grace."""
        began_ms = self.status.last_run_ms
        if began_ms is None:
            return math.inf
        return began_ms + (time.monotonic() - self.began) * 1000 + CLOCKS_APART_MS

    def _is_full(self) -> bool:
        return 0 < self.definition.max_records <= self.counts.read

    def _check_halt(self) -> None:
        if self.halt.is_set() or self.lease.is_asked_to_stop:
            raise Halted


def problem_of(rejection: Rejection, item: Any, before: int = 0) -> Unreadable:
    """What a letter says of a record that the reader, or the engine, has rejected.

    `before` is how many reports of the same document came before those of this batch.
    """
    if isinstance(item, Unreadable):
        return item
    try:
        excerpt: bytes | None = msgspec.json.encode(item)
    except Exception:  # it was rejected for what it is: that may be in the way here as well
        excerpt = repr(item)[: 64 * 1024].encode("utf-8", "backslashreplace")
    place = f"report {before + rejection.index + 1:,}"
    return Unreadable(rejection.reason, rejection.threat_id, place, excerpt)


async def _next_of(documents: AsyncIterator[Document]) -> Document | None:
    return await anext(documents, None)


def _closable(documents: AsyncIterator[Document]) -> Any:
    """An async generator has `aclose`; a plain iterator needs none."""
    return documents if hasattr(documents, "aclose") else _passing_on(documents)


async def _passing_on(documents: AsyncIterator[Document]) -> AsyncIterator[Document]:
    async for document in documents:
        yield document
