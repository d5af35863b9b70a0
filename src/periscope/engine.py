"""Reports and acts go in here, and each is accounted for whatever happens on the way."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterable, Awaitable, Callable, Iterable
from contextlib import aclosing
from typing import Any

from periscope.acts import ActReply, PackedAct
from periscope.awaits import SHORT, Awaits, asked_for
from periscope.batch import CHUNK_ENTRIES, ActBatch, Batch, ReportBatch, Told
from periscope.batches import Batches, SourceFailed
from periscope.bound import until
from periscope.chunks import ActChunk, Answer
from periscope.coalesce import Coalescer, let_go
from periscope.errors import (
    OutcomeUnknown,
    PeriscopeError,
    ReportRejected,
    StoreFull,
)
from periscope.functions import Functions
from periscope.intake import Intake
from periscope.keys import Keyspace, PartitionKeys
from periscope.lane import FULL_PAUSE_S, Lane
from periscope.marks import Marker
from periscope.models import BatchResult, Outcome
from periscope.noise import NoiseKeeper
from periscope.room import Tally
from periscope.settings import Acknowledgement, Settings
from periscope.work import InteractionsResult

log = logging.getLogger("periscope")
Guard = Callable[[], Awaitable[None]]


class Engine:
    """Takes in reports and acts.

    `noise`, where it is set, lets reports in once it is known what is noise. `guard` is called
    before each chunk of reports and raises when there is no room; `noted` gets the ids of reports
    that were stored, before anybody is told.
    """

    def __init__(
        self,
        functions: Functions,
        keyspace: Keyspace,
        intake: Intake,
        settings: Settings,
        guard: Callable[[], None],
        noted: Callable[[Iterable[bytes]], None],
    ) -> None:
        self._functions = functions
        self._keyspace = keyspace
        self._intake = intake
        self._settings = settings
        self._guard = guard
        self._noted = noted
        self.noise: NoiseKeeper | None = None
        self._coalescer = Coalescer(functions, keyspace, settings, self._stored)

    @property
    def marker(self) -> Marker | None:
        """What says which reports are noise; None for nothing. Holds for all that come after."""
        return self._intake.marking.marker

    @marker.setter
    def marker(self, marker: Marker | None) -> None:
        self._intake.marking.marker = marker

    @property
    def tally(self) -> Tally:
        """How single calls travelled together."""
        return self._coalescer.room.tally

    async def close(self) -> None:
        """Answer everybody who waits for a single call. Idempotent."""
        await self._coalescer.close()

    async def add_batch(
        self,
        reports: Iterable[Any] | AsyncIterable[Any],
        durability: Acknowledgement | None = None,
        wait_s: float = 0.0,
        rejected: Told | None = None,
        request_id: str | None = None,
    ) -> BatchResult:
        """Take in reports; see `Periscope.add_threats_batch`."""
        name = b"" if request_id is None else request_id.encode()
        batch = ReportBatch(self._keyspace, self._intake, self._awaits(durability), name)
        batch.told = rejected
        await self._run_batch(reports, batch, self._guard, wait_s)
        return batch.result

    async def act_batch(
        self,
        entries: Iterable[Any] | AsyncIterable[Any],
        durability: Acknowledgement | None = None,
    ) -> InteractionsResult:
        """Record interactions; see `Periscope.record_interactions_batch`."""
        batch = ActBatch(self._keyspace, self._awaits(durability))
        await self._run_batch(entries, batch, _no_guard, 0.0)
        return batch.result

    async def add_one(self, item: Any, durability: Acknowledgement | None = None) -> Outcome:
        """Take in one report; see `Periscope.add_threat`."""
        awaits = self._awaits(durability)
        if self.noise is not None and self.noise.is_due:
            await self.noise.gate()
        try:
            packed = self._intake.one(item)
        except ReportRejected:
            await self._coalescer.report(self._keyspace.partitions[0], None, awaits)
            raise
        self._guard()
        keys = self._keyspace.partition_of(packed[0])
        return await self._coalescer.report(keys, packed, awaits)

    async def act(self, act: PackedAct, durability: Acknowledgement | None = None) -> ActReply:
        """Carry out one act of an analyst; safe to repeat, as its request id is remembered."""
        if self.noise is not None and self.noise.is_busy:
            await self.noise.turn()  # behind the reports that came before it
        keys = self._keyspace.partition_of(act.threat_id)
        return await self._coalescer.act(keys, act, self._awaits(durability))

    async def act_on_first(
        self,
        keys: PartitionKeys,
        acts: list[PackedAct],
        durability: Acknowledgement | None = None,
        since: float | None = None,
    ) -> list[ActReply]:
        """Carry out the first of these acts that is possible, and none of the others.

        Raises:
            StoreError: nothing was done. OutcomeUnknown: no answer in time, of a call that began at
                `since`.
        """
        chunk = ActChunk(keys, acts, full=True, first=True, awaits=self._awaits(durability))
        answer = await self._alone(chunk, since)
        if answer.refusal is not None:
            raise answer.refusal
        if answer.short:
            raise OutcomeUnknown(SHORT)
        return answer.result  # type: ignore[no-any-return]

    async def _alone(self, chunk: ActChunk, since: float | None) -> Answer:
        """Send a chunk over a lane of its own; its answer, unless the call takes too long."""
        most_s, is_sent = self._settings.operation_timeout_s, False
        try:
            async with (
                asyncio.timeout_at(until(most_s, since)) as bound,
                self._coalescer.lone_lane() as lane,
            ):
                is_sent = True
                await lane.submit(chunk)
                await lane.drain()
                (answer,) = lane.answers()
                return answer
        except TimeoutError as exc:
            if not bound.expired():
                raise
            raise let_go(most_s, is_sent=is_sent) from exc

    def _awaits(self, durability: Acknowledgement | None) -> Awaits:
        return asked_for(self._settings, self._functions.connections.facts, durability)

    def _stored(self, answer: Answer) -> None:
        self._noted(answer.stored_ids())

    async def _run_batch(
        self,
        entries: Iterable[Any] | AsyncIterable[Any],
        batch: Batch,
        check: Callable[[], None],
        wait_s: float,
    ) -> None:
        source, guard = Batches(entries, CHUNK_ENTRIES), _patient(check, wait_s)
        batch.stored = self._stored
        lane = Lane(self._functions, self._settings, wait_s=wait_s)
        async with lane, aclosing(source):
            try:
                async for items in source:
                    batch.take(items)
                    await self._send_ready(lane, batch, guard)
                    if len(items) < CHUNK_ENTRIES:
                        await self._finish(lane, batch, guard)  # it pauses: let nothing wait
                        if not lane.offer(_nothing):
                            await lane.close()
                await self._finish(lane, batch, guard)
            except (SourceFailed, PeriscopeError) as exc:
                failed = isinstance(exc, SourceFailed)
                await self._settle(lane, batch, guard if failed else None)
                unsent = lane.unsent + await source.aclose()
                cause = exc.__cause__ if isinstance(exc, SourceFailed) else exc
                raise batch.interrupted(exc, lane.unknown, unsent) from cause

    async def _send_ready(self, lane: Lane, batch: Batch, guard: Guard) -> None:
        while batch.ready:
            await guard()
            await lane.make_room()
            # With room there, the lane accounts for it from here on, as unanswered.
            await lane.submit(batch.ready.popleft())
            batch.note(lane.answers())

    async def _finish(self, lane: Lane, batch: Batch, guard: Guard) -> None:
        batch.close_all()
        await self._send_ready(lane, batch, guard)
        await lane.drain()
        batch.note(lane.answers())

    async def _settle(self, lane: Lane, batch: Batch, guard: Guard | None) -> None:
        """After a failure: learn what became of all that is out, so that little stays unknown.

        With a guard, what is still to be sent is sent first; where a server was given up, what is
        for the others is, so that they take all that was read.
        """
        try:
            if guard is not None:
                await self._finish(lane, batch, guard)
            if lane.has_lost:
                await self._send_rest(lane, batch)
            await lane.drain()
        except PeriscopeError:
            pass  # the failure that is being told already; what it cost is counted below
        finally:
            batch.count(lane.answers())

    async def _send_rest(self, lane: Lane, batch: Batch) -> None:
        """Send what was read, and wait no longer: what is for a lost server is refused at once."""
        lane.hurry()
        batch.close_all()
        while batch.ready:
            await lane.make_room()
            await lane.submit(batch.ready.popleft())
            batch.count(lane.answers())


def _patient(check: Callable[[], None], wait_s: float) -> Guard:
    """A guard that waits for room, up to `wait_s` seconds in a row, before it refuses."""
    full_since: float | None = None

    async def guard() -> None:
        nonlocal full_since
        while True:
            try:
                check()
            except StoreFull as exc:
                now = asyncio.get_running_loop().time()
                if full_since is None and wait_s:
                    log.warning("waiting for up to %.0f s: %s", wait_s, exc)
                full_since = full_since or now
                if now >= full_since + wait_s:
                    raise
                await asyncio.sleep(FULL_PAUSE_S)
            else:
                full_since = None
                return

    return guard


def _nothing() -> None:
    """A connection that nobody used went to somebody else."""


def _no_guard() -> None:
    """Acts are taken however full the disk is: they are few, and somebody waits for them."""
