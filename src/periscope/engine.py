"""Reports and acts go in here, and each is accounted for whatever happens on the way."""

from __future__ import annotations

from collections.abc import AsyncIterable, AsyncIterator, Callable, Iterable
from contextlib import aclosing, asynccontextmanager
from typing import Any

from periscope.acts import ActReply, PackedAct
from periscope.batch import CHUNK_ENTRIES, ActBatch, Batch, ReportBatch
from periscope.batches import Batches, SourceFailed
from periscope.errors import PeriscopeError, ReportRejected
from periscope.functions import Functions
from periscope.intake import Intake
from periscope.keys import Keyspace, PartitionKeys
from periscope.lane import ActChunk, Answer, Chunk, Lane, ReportChunk
from periscope.models import BatchResult, Outcome
from periscope.settings import Settings
from periscope.work import InteractionsResult


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
        batch = ReportBatch(self._keyspace, self._intake)
        await self._run_batch(reports, batch, self._guard)
        return batch.result

    async def act_batch(self, entries: Iterable[Any] | AsyncIterable[Any]) -> InteractionsResult:
        """Record interactions; see `Periscope.record_interactions_batch`."""
        batch = ActBatch(self._keyspace)
        await self._run_batch(entries, batch, _no_guard)
        return batch.result

    async def act(self, act: PackedAct) -> ActReply:
        """Carry out one act of an analyst; safe to repeat, as its request id is remembered."""
        keys = self._keyspace.partition_of(act.threat_id)
        answer = await self._send_alone(ActChunk(keys, [act], full=True))
        (reply,) = answer.result
        return reply  # type: ignore[no-any-return]

    async def act_on_first(self, keys: PartitionKeys, acts: list[PackedAct]) -> list[ActReply]:
        """Carry out the first of these acts that is possible, and none of the others."""
        answer = await self._send_alone(ActChunk(keys, acts, full=True, first=True))
        return answer.result  # type: ignore[no-any-return]

    async def _run_batch(
        self, entries: Iterable[Any] | AsyncIterable[Any], batch: Batch, guard: Callable[[], None]
    ) -> None:
        source = Batches(entries, CHUNK_ENTRIES)
        async with self._lane() as lane, aclosing(source):
            try:
                async for items in source:
                    batch.take(items)
                    await self._send_ready(lane, batch, guard)
                    if len(items) < CHUNK_ENTRIES:
                        await self._finish(lane, batch, guard)  # it pauses: let nothing wait
                await self._finish(lane, batch, guard)
            except (SourceFailed, PeriscopeError) as exc:
                failed = isinstance(exc, SourceFailed)
                await self._settle(lane, batch, guard if failed else None)
                cause = exc.__cause__ if isinstance(exc, SourceFailed) else exc
                raise batch.interrupted(exc, lane.unanswered, await source.aclose()) from cause

    async def add_one(self, item: Any) -> Outcome:
        """Take in one report; see `Periscope.add_threat`."""
        try:
            packed = self._intake.one(item)
        except ReportRejected:
            await self._send_alone(ReportChunk(self._keyspace.partitions[0], [], rejected=1))
            raise
        self._guard()
        chunk = ReportChunk(self._keyspace.partition_of(packed[0]), [packed])
        ((_, outcome),) = (await self._send_alone(chunk)).result
        return outcome  # type: ignore[no-any-return]

    async def _send_alone(self, chunk: Chunk) -> Answer:
        async with self._lane() as lane:
            await lane.submit(chunk)
            await lane.drain()
            (answer,) = lane.answers()
        if answer.refusal is not None:
            raise answer.refusal
        return answer

    async def _send_ready(self, lane: Lane, batch: Batch, guard: Callable[[], None]) -> None:
        while batch.ready:
            guard()
            # Popped first: from here on the lane accounts for it, as unanswered.
            await lane.submit(batch.ready.popleft())
            batch.note(lane.answers())

    async def _finish(self, lane: Lane, batch: Batch, guard: Callable[[], None]) -> None:
        batch.close_all()
        await self._send_ready(lane, batch, guard)
        await lane.drain()
        batch.note(lane.answers())

    async def _settle(self, lane: Lane, batch: Batch, guard: Callable[[], None] | None) -> None:
        """After a failure: learn what became of all that is out, so that little stays unknown.

        With a guard, what is still to be sent is sent first.
        """
        try:
            if guard is not None:
                await self._finish(lane, batch, guard)
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


def _no_guard() -> None:
    """Acts are taken however full the disk is: they are few, and somebody waits for them."""
