"""Every change: reports go in here, and each is accounted for whatever happens on the way."""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncIterable, AsyncIterator, Callable, Iterable, Sequence
from contextlib import aclosing, asynccontextmanager
from itertools import islice
from typing import Any

from periscope.batches import Batches, SourceFailed
from periscope.errors import BatchInterrupted, PeriscopeError, ReportRejected
from periscope.functions import Functions
from periscope.intake import Intake, Packed
from periscope.keys import Keyspace, PartitionKeys
from periscope.lane import Answer, Chunk, Lane
from periscope.models import BatchResult, Outcome, Rejection
from periscope.settings import Settings

CHUNK_REPORTS = 500
CHUNK_BYTES = 1024 * 1024
MAX_REJECTIONS_KEPT = 100_000


class Engine:
    """Takes in reports. `guard` is called before each chunk and raises when there is no room."""

    def __init__(
        self,
        functions: Functions,
        keyspace: Keyspace,
        intake: Intake,
        settings: Settings,
        guard: Callable[[], None],
    ) -> None:
        self._functions = functions
        self._keyspace = keyspace
        self._intake = intake
        self._settings = settings
        self._guard = guard

    async def add_batch(self, reports: Iterable[Any] | AsyncIterable[Any]) -> BatchResult:
        """Take in reports; see `Periscope.add_threats_batch`."""
        batch = _Batch(self._keyspace)
        source = Batches(reports, CHUNK_REPORTS)
        async with self._lane() as lane, aclosing(source):
            try:
                async for items in source:
                    batch.take(*self._intake.prepare(items, batch.met), len(items))
                    await self._send_ready(lane, batch)
                    if len(items) < CHUNK_REPORTS:
                        await self._finish(lane, batch)  # the source pauses: let nothing wait
                await self._finish(lane, batch)
            except (SourceFailed, PeriscopeError) as exc:
                await self._settle(lane, batch, flush=isinstance(exc, SourceFailed))
                cause = exc.__cause__ if isinstance(exc, SourceFailed) else exc
                raise batch.interrupted(exc, lane.unanswered, await source.aclose()) from cause
        return batch.result

    async def add_one(self, item: Any) -> Outcome:
        """Take in one report; see `Periscope.add_threat`."""
        try:
            packed = self._intake.one(item)
        except ReportRejected:
            await self._send_alone(Chunk(self._keyspace.partitions[0], [], rejected=1))
            raise
        self._guard()
        answer = await self._send_alone(Chunk(self._keyspace.partition_of(packed[0]), [packed]))
        return answer.runs[0][1]

    async def _send_alone(self, chunk: Chunk) -> Answer:
        async with self._lane() as lane:
            await lane.submit(chunk)
            await lane.drain()
            (answer,) = lane.answers()
        if answer.refusal is not None:
            raise answer.refusal
        return answer

    async def _send_ready(self, lane: Lane, batch: _Batch) -> None:
        while batch.ready:
            self._guard()
            # Popped first: from here on the lane accounts for it, as unanswered.
            await lane.submit(batch.ready.popleft())
            batch.note(lane.answers())

    async def _finish(self, lane: Lane, batch: _Batch) -> None:
        batch.close_all()
        await self._send_ready(lane, batch)
        await lane.drain()
        batch.note(lane.answers())

    async def _settle(self, lane: Lane, batch: _Batch, *, flush: bool) -> None:
        """After a failure: learn what became of all that is out, so that little stays unknown."""
        try:
            if flush:
                await self._finish(lane, batch)
            await lane.drain()
        except PeriscopeError:
            pass  # the failure that is being told already; what it cost is counted below
        finally:
            batch.count(lane.answers())

    @asynccontextmanager
    async def _lane(self) -> AsyncIterator[Lane]:
        async with self._functions.connections.lease(self._settings.retry_s) as connection:
            settings = self._settings
            lane = Lane(self._functions, connection, settings.in_flight, settings.retry_s)
            try:
                yield lane
            finally:
                await lane.abandon()


class _Batch:
    """The books of one batch: chunks being filled, ready ones, and what became of those sent."""

    def __init__(self, keyspace: Keyspace) -> None:
        self.result = BatchResult()
        self.met = 0
        self.ready: deque[Chunk] = deque()
        self._keyspace = keyspace
        self._filling: dict[PartitionKeys, _Filling] = {}
        self._uncounted = 0
        self._refused = 0
        self._refusal: Exception | None = None

    def take(self, packed: Sequence[Packed], rejected: Sequence[Rejection], met: int) -> None:
        """Sort reports into their partitions; full chunks become ready."""
        self.met += met
        self._reject(rejected)
        for keys, reports in self._by_partition(packed):
            filling = self._filling.setdefault(keys, _Filling())
            if filling.take_all(reports):
                continue
            for report in reports:
                if not filling.has_room(report):
                    self._close(keys)
                    filling = self._filling[keys] = _Filling()
                filling.add(report)
        for keys in [keys for keys, filling in self._filling.items() if filling.full]:
            self._close(keys)

    def _by_partition(
        self, packed: Sequence[Packed]
    ) -> Iterable[tuple[PartitionKeys, Sequence[Packed]]]:
        if len(self._keyspace.partitions) == 1:
            return [(self._keyspace.partitions[0], packed)]
        groups: dict[PartitionKeys, list[Packed]] = {}
        for report in packed:
            groups.setdefault(self._keyspace.partition_of(report[0]), []).append(report)
        return groups.items()

    def close_all(self) -> None:
        """Make every chunk ready; also one for rejections that no chunk has carried yet."""
        for keys in list(self._filling):
            self._close(keys)
        if self._uncounted:
            self._make_ready(Chunk(self._keyspace.partitions[0], []))

    def note(self, answers: Iterable[Answer]) -> None:
        """Count what the server answered, then raise the first refusal among it."""
        self.count(answers)
        if self._refusal is not None:
            raise self._refusal

    def count(self, answers: Iterable[Answer]) -> None:
        """Count what the server answered."""
        for answer in answers:
            if answer.refusal is not None:
                self._refused += len(answer.chunk.reports)
                self._refusal = self._refusal or answer.refusal
            for count, outcome in answer.runs:
                self._count_outcome(outcome, count)

    def interrupted(self, cause: Exception, unknown: int, ahead: int) -> BatchInterrupted:
        """The one exception that accounts for every report that the source gave."""
        unsent = ahead + sum(len(filling.reports) for filling in self._filling.values())
        unsent += sum(len(chunk.reports) for chunk in self.ready)
        return BatchInterrupted(
            self.result, refused=self._refused + unsent, unknown=unknown, cause=cause
        )

    def _close(self, keys: PartitionKeys) -> None:
        filling = self._filling.pop(keys, None)
        if filling is not None and filling.reports:
            self._make_ready(Chunk(keys, filling.reports))

    def _make_ready(self, chunk: Chunk) -> None:
        chunk.rejected, self._uncounted = self._uncounted, 0
        self.ready.append(chunk)

    def _count_outcome(self, outcome: Outcome, count: int) -> None:
        match outcome:
            case Outcome.ADDED:
                self.result.added += count
            case Outcome.SIGHTING:
                self.result.sightings += count
            case Outcome.DUPLICATE:
                self.result.duplicates += count
            case Outcome.SUPPRESSED:
                self.result.suppressed += count

    def _reject(self, rejected: Sequence[Rejection]) -> None:
        self.result.rejected_count += len(rejected)
        self._uncounted += len(rejected)
        room = MAX_REJECTIONS_KEPT - len(self.result.rejected)
        self.result.rejected.extend(islice(rejected, max(0, room)))


class _Filling:
    """A chunk that still takes reports: 500 of them or 1 MiB, whichever comes first."""

    __slots__ = ("_bytes", "reports")

    def __init__(self) -> None:
        self.reports: list[Packed] = []
        self._bytes = 0

    @property
    def full(self) -> bool:
        """Is there no room for any more reports?"""
        return len(self.reports) >= CHUNK_REPORTS

    def take_all(self, reports: Sequence[Packed]) -> bool:
        """Take the reports if all of them fit; False if not, and none is taken."""
        size = sum(map(_size, reports))
        if len(self.reports) + len(reports) > CHUNK_REPORTS or self._bytes + size > CHUNK_BYTES:
            return False
        self.reports.extend(reports)
        self._bytes += size
        return True

    def has_room(self, report: Packed) -> bool:
        """Does the report fit? The first always does."""
        fits = self._bytes + _size(report) <= CHUNK_BYTES
        return not self.reports or (fits and not self.full)

    def add(self, report: Packed) -> None:
        """Take the report."""
        self.reports.append(report)
        self._bytes += _size(report)


def _size(report: Packed) -> int:
    return 2 * len(report[0]) + len(report[1])
