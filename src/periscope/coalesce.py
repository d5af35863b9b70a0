"""Concurrent awaits become few calls: whatever waits for the same partition travels together.

A caller that is alone is sent at once. Each caller has a future of its own: who is cancelled takes
nobody along, and an answer that nobody waits for any more is dropped. Order per threat is the order
of the calls.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Iterator
from copy import copy
from dataclasses import dataclass, field
from typing import Any, TypeVar

import msgspec

from periscope.acts import ActReply, PackedAct
from periscope.awaits import DOUBT, SHORT, Awaits, unsent
from periscope.batch import CHUNK_ACTS, CHUNK_BYTES, CHUNK_ENTRIES
from periscope.bound import Bound
from periscope.chunks import ActChunk, Answer, Chunk, ReportChunk
from periscope.connection import CLOSED
from periscope.errors import BugError, OutcomeUnknown, StoreDamaged, StoreError, StoreUnavailable
from periscope.functions import Functions
from periscope.keys import Keyspace, PartitionKeys
from periscope.lane import Lane
from periscope.marks import Packed, pack_marks
from periscope.models import Outcome
from periscope.room import Room
from periscope.settings import Settings

FEW = 2  # chunks under way before another one waits until it is full
CROWD = 32  # callers at which they are parted in two
BURST = 64  # chunks after which others may have the connection
T = TypeVar("T")
_NOT_SENT = (
    "waited {:g} s (setting operation_timeout_s) for a connection to the server: all are busy, or "
    "it is away; nothing was sent: try again"
)
_NO_ANSWER = f"no answer within {{:g}} s (setting operation_timeout_s); {DOUBT}"


@dataclass(slots=True, eq=False)
class _Waiting:
    """A caller, and a report, an act, or (None) a rejection that is to be counted."""

    entry: Packed | PackedAct | None
    is_act: bool
    size: int
    awaits: Awaits
    future: asyncio.Future[Any]
    since: float
    alone: bool = False

    @property
    def threat_id(self) -> bytes:
        return self.entry[0] if self.entry is not None else b""


class _Parking:
    """Lanes that nobody uses now, kept open for the next call: at most half of the connections.

    Their connections go to whoever has to wait for one.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._parked: dict[_Pump, tuple[Lane, float]] = {}

    async def take(self, pump: _Pump, idle_s: float) -> Lane | None:
        """The lane of this pump, unless it was idle for longer: the line may be dead by now."""
        lane, since = self._parked.pop(pump, (None, 0.0))
        if lane is not None and asyncio.get_running_loop().time() - since > idle_s:
            await lane.close()
            return None
        return lane

    async def park(self, pump: _Pump, lane: Lane) -> None:
        """Keep a lane, if nobody waits for its connection; the one parked first gives way."""
        await self._close(pump)
        if self._most and lane.offer(lambda: self._forget(pump)):
            self._parked[pump] = (lane, asyncio.get_running_loop().time())
        else:
            await lane.close()
        while len(self._parked) > self._most:
            await self._close(next(iter(self._parked)))

    def _forget(self, pump: _Pump) -> None:
        self._parked.pop(pump, None)

    async def close(self) -> None:
        """Close all of them."""
        for pump in list(self._parked):
            await self._close(pump)

    async def _close(self, pump: _Pump) -> None:
        lane, _ = self._parked.pop(pump, (None, 0.0))
        if lane is not None:
            await lane.close()


@dataclass(slots=True, eq=False)
class _Pump:
    """What waits for one partition, and the task that sends it."""

    coalescer: Coalescer
    keys: PartitionKeys
    waiting: deque[_Waiting] = field(default_factory=deque)
    sent: dict[Chunk, list[_Waiting]] = field(default_factory=dict)
    task: asyncio.Task[None] | None = None
    bound: Bound = field(init=False)

    def __post_init__(self) -> None:
        self.bound = Bound(self.coalescer.room.most_s, self._let_go)

    def put(self, waiting: _Waiting) -> None:
        """Put a call in the queue; it is sent at the next turn of the loop."""
        self.waiting.append(waiting)
        self.bound.watch(waiting.since)
        if self.task is None:
            self.task = asyncio.create_task(self._run())

    async def _run(self) -> None:
        lane: Lane | None = None
        try:
            while self.waiting:
                lane = await self.coalescer.lane(self)
                await self._pump(lane)
                await self.coalescer.park(self, lane)
                lane = None
        except Exception as exc:
            self._fail(exc if isinstance(exc, StoreError | BugError) else BugError(str(exc)))
        finally:
            self.task = None
            if lane is not None:
                await asyncio.shield(lane.close())

    async def _pump(self, lane: Lane) -> None:
        """Send what waits until nothing does, or others should have the connection."""
        chunks = 0
        while (self.waiting and chunks < BURST) or lane.under_way:
            while self.waiting and chunks < BURST and self._may_send(lane):
                chunks += 1
                chunk = self._next_chunk(self._most(lane))
                if chunk is not None:
                    await lane.submit(chunk)
            if lane.under_way:
                await lane.receive()
            for answer in lane.answers():
                await self._deliver(lane, answer)
            await asyncio.sleep(0)  # who was answered may have the next call ready

    def _may_send(self, lane: Lane) -> bool:
        full = len(self.waiting) >= _most_of(self.waiting[0])
        most = self.coalescer.in_flight
        return lane.under_way < (most if full else min(FEW, most))

    def _most(self, lane: Lane) -> int:
        """Of a crowd only half at first: while the server has one half, the other is dealt with."""
        if lane.under_way or len(self.waiting) < CROWD:
            return CHUNK_ENTRIES
        return (len(self.waiting) + 1) // 2

    def _next_chunk(self, most: int) -> Chunk | None:
        """The first calls of one kind; what they overtake concerns other threats."""
        taken: list[_Waiting] = []
        passed: list[_Waiting] = []
        overtaken: set[bytes] = set()
        size = 0
        while self.waiting:
            one = self.waiting.popleft()
            if one.future.done():
                self.coalescer.room.give(one.size)  # cancelled before it was sent
                continue
            if taken and not (_fits(one, taken, size) and one.threat_id not in overtaken):
                passed.append(one)
                overtaken.add(one.threat_id)
                if _is_full(taken, size):
                    break
                continue
            taken.append(one)
            size += one.size
            if len(taken) >= most:
                break
        self.waiting.extendleft(reversed(passed))
        return self._chunk_of(taken) if taken else None

    def _chunk_of(self, taken: list[_Waiting]) -> Chunk:
        awaits = Awaits.NOTHING
        for one in taken:
            if one.awaits:
                awaits |= one.awaits
        chunk: Chunk
        if taken[0].is_act:
            acts: list[Any] = [one.entry for one in taken]
            chunk = ActChunk(self.keys, acts, full=True, awaits=awaits)
        else:
            reports: list[Any] = [one.entry for one in taken if one.entry is not None]
            rejected = len(taken) - len(reports)
            marks = pack_marks(reports)
            chunk = ReportChunk(self.keys, reports, rejected, marks, awaits=awaits)
        self.sent[chunk] = taken
        self.coalescer.room.tally.note(len(taken))
        return chunk

    async def _deliver(self, lane: Lane, answer: Answer) -> None:
        taken = self.sent.pop(answer.chunk)
        if answer.refusal is None:
            self.coalescer.stored(answer)
            for one, result in zip(taken, _results(answer, taken), strict=True):
                self._settle(one, result, short=answer.short)
        elif len(taken) > 1 and _may_be_one_only(answer.refusal):
            await self._send_one_by_one(lane, taken)
        else:
            for one in taken:
                self._raise(one, answer.refusal)

    async def _send_one_by_one(self, lane: Lane, taken: list[_Waiting]) -> None:
        """One of them is the reason for the refusal: the others must not pay for it."""
        behind = [one for chunk in await lane.take_back() for one in self.sent.pop(chunk)]
        for one in taken:
            one.alone = True
        self.waiting.extendleft(reversed([*taken, *behind]))
        await lane.open(self.keys)

    def _settle(self, one: _Waiting, result: Any, *, short: bool) -> None:
        if short and one.awaits:
            self._raise(one, OutcomeUnknown(SHORT))
            return
        self.coalescer.room.give(one.size)
        if not one.future.done():
            one.future.set_result(result)

    def _raise(self, one: _Waiting, exc: Exception) -> None:
        self.coalescer.room.give(one.size)
        if not one.future.done():
            one.future.set_exception(copy(exc))  # one for each: tracebacks are theirs

    def _fail(self, exc: Exception) -> None:
        """The server is away: what was sent is unknown, what waits was not sent."""
        unknown, refused = exc, unsent(exc)
        if not isinstance(exc, OutcomeUnknown):
            unknown = OutcomeUnknown(f"{exc}; {DOUBT}")
        for chunk, taken in self.sent.items():
            for one in taken:
                self._raise(one, unknown if chunk.in_doubt else refused)
        self.sent.clear()
        while self.waiting:
            self._raise(self.waiting.popleft(), refused)

    def _let_go(self, before: float) -> float | None:
        """Tell those who came before that time that it takes too long; the oldest of the rest.

        What was sent stays where it is: its answer gives its room back.
        """
        late = [one for one in self.waiting if one.since <= before]
        if late:
            self.waiting = deque(one for one in self.waiting if one.since > before)
            for one in late:
                self._raise(one, let_go(self.bound.most_s, is_sent=False))
        sent = [one for taken in self.sent.values() for one in taken if not one.future.done()]
        for one in sent:
            if one.since <= before:
                one.future.set_exception(let_go(self.bound.most_s, is_sent=True))
        return min(
            (one.since for one in (*self.waiting, *sent) if one.since > before), default=None
        )

    def abort(self) -> None:
        """The database is closed: nobody is left waiting for ever."""
        self.bound.close()
        if self.task is not None:
            self.task.cancel()
        for taken in self.sent.values():
            for one in taken:
                self._raise(one, OutcomeUnknown("the database was closed before the answer came"))
        self.sent.clear()
        while self.waiting:
            self._raise(self.waiting.popleft(), StoreUnavailable(CLOSED))


class Coalescer:
    """Single reports and acts of one database, gathered into chunks."""

    def __init__(
        self,
        functions: Functions,
        keyspace: Keyspace,
        settings: Settings,
        stored: Callable[[Answer], None],
    ) -> None:
        self.room = Room(settings.queue_limit, settings.operation_timeout_s)
        self.in_flight = settings.in_flight
        self.stored = stored
        self._functions = functions
        # Somebody waits for each of these: they do not wait for an absent server as batches do.
        bridged_s = functions.connections.bridged_s
        self._settings = msgspec.structs.replace(settings, retry_s=bridged_s)
        self._pumps = {keys: _Pump(self, keys) for keys in keyspace.partitions}
        self._parking = _Parking(settings.connections // 2)

    async def report(self, keys: PartitionKeys, report: Packed | None, awaits: Awaits) -> Outcome:
        """Store one report (None: only count a rejection); waits while the queue is full.

        Raises:
            StoreError: refused, nothing was stored. OutcomeUnknown: repeat it.
        """
        outcome: Outcome = await self._put(keys, report, awaits)
        return outcome

    async def act(self, keys: PartitionKeys, act: PackedAct, awaits: Awaits) -> ActReply:
        """Carry out one act; as `report`."""
        reply: ActReply = await self._put(keys, act, awaits)
        return reply

    async def _put(self, keys: PartitionKeys, entry: Any, awaits: Awaits) -> Any:
        size = 2 * len(entry[0]) + len(entry[1]) if entry is not None else 0
        loop = asyncio.get_running_loop()
        future, since = loop.create_future(), loop.time()
        await self.room.take(size, since)
        is_act = isinstance(entry, PackedAct)
        self._pumps[keys].put(_Waiting(entry, is_act, size, awaits, future, since))
        return await future

    async def lane(self, pump: _Pump) -> Lane:
        """A lane to the pump's partition: the parked one, or a new one."""
        parked = await self._parking.take(pump, self._settings.health_check_s)
        if parked is not None:
            return parked
        lane = self.lone_lane()
        try:
            await lane.open(pump.keys)
        except BaseException:
            await lane.close()
            raise
        return lane

    def lone_lane(self) -> Lane:
        """A lane with the patience of a single call; not open yet."""
        return Lane(self._functions, self._settings)

    async def park(self, pump: _Pump, lane: Lane) -> None:
        """Keep the lane for the next call, or close it while others wait for a connection."""
        if pump.waiting or lane.has_lost:
            await lane.close()
        else:
            await self._parking.park(pump, lane)

    async def close(self) -> None:
        """Answer everybody who waits, and give the connections back. Idempotent."""
        self.room.close()
        tasks = [pump.task for pump in self._pumps.values() if pump.task is not None]
        for pump in self._pumps.values():
            pump.abort()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self._parking.close()


def let_go(most_s: float, *, is_sent: bool) -> StoreUnavailable:
    """The error for a caller whose change took too long."""
    if is_sent:
        return OutcomeUnknown(_NO_ANSWER.format(most_s))
    return StoreUnavailable(_NOT_SENT.format(most_s))


def _fits(one: _Waiting, taken: list[_Waiting], size: int) -> bool:
    """May this call travel with those taken?"""
    alike = one.is_act == taken[0].is_act and not (one.alone or taken[0].alone)
    return alike and not _is_full(taken, size + one.size)


def _is_full(taken: list[_Waiting], size: int) -> bool:
    return len(taken) >= _most_of(taken[0]) or size > CHUNK_BYTES or taken[0].alone


def _most_of(one: _Waiting) -> int:
    """How many calls of this kind a chunk takes."""
    return CHUNK_ACTS if one.is_act else CHUNK_ENTRIES


def _results(answer: Answer, taken: list[_Waiting]) -> Iterator[Any]:
    """What each caller is told: an outcome (None for a counted rejection), or the act's reply."""
    if isinstance(answer.chunk, ActChunk):
        yield from answer.result
        return
    outcomes = (outcome for count, outcome in answer.result for _ in range(count))
    for one in taken:
        yield next(outcomes) if one.entry is not None else None


def _may_be_one_only(refusal: Exception) -> bool:
    """Could a single threat of the chunk be why the whole of it was refused?"""
    return isinstance(refusal, StoreDamaged | BugError)
