"""Keeps the index up: follows the events, reads again what changed, and pauses for others.

The events only say what is to be read again; what is in the index was read from the records. So an
event that comes twice, late or together with others does no harm, and after a gap a walk over
everything mends it all: rows whose record is still the same are passed over.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import suppress
from itertools import islice
from typing import Any, TypeVar

from periscope.errors import EventsLost, StoreUnavailable
from periscope.functions import PolicyMoved
from periscope.index.calls import holders_of
from periscope.index.dirty import Changes, Dirty
from periscope.index.pace import Pace
from periscope.index.position import has_reached
from periscope.index.sheet import Sheet
from periscope.index.status import Applied
from periscope.keys import PartitionKeys
from periscope.membership.calls import MemberCalls
from periscope.periscope import Periscope
from periscope.reader import as_record
from periscope.rules import Rules
from periscope.threat import Record
from periscope.work import Event

BATCH = 1_000
BATCH_WHEN_BUSY = 50  # a few milliseconds of the index's thread
LAPSE_S = 1.0  # how often it is looked whose claim has ended
MOST_LAPSED = 1_000
SLICE = 4_096  # ids that are looked at in one go: some milliseconds, then others have their turn
CENSUS_S = 5.0
AGAIN_S = 0.5  # while the store is away
T = TypeVar("T")
Follow = Callable[[str], AsyncIterator[Event]]
InThread = Callable[..., Awaitable[Any]]
log = logging.getLogger("periscope")


class Feeder:
    """Brings one sheet up to one database. `run` until it raises, or is cancelled."""

    def __init__(
        self,
        periscope: Periscope,
        sheet: Sheet,
        in_thread: InThread,
        applied: Applied,
        follow: Follow | None = None,
    ) -> None:
        self._periscope, self._sheet, self._in_thread = periscope, sheet, in_thread
        self._applied = applied
        self._follow = follow or (lambda since: periscope.events(since))
        self.dirty = Dirty()
        self.pace = Pace()
        self.moved = asyncio.Event()  # set, and replaced, whenever the position moves on
        self._broken: asyncio.Future[Exception] = asyncio.get_running_loop().create_future()
        self._in_hand: set[str] = set()
        self._under_way = 0
        self._under_way_since: int | None = None
        self._server: tuple[int, float] | None = None
        self._lapses_at = self._census_at = 0.0
        self._tried = 0

    @property
    def lag(self) -> int | None:
        """Threats that wait to be read again; None: only a walk can tell."""
        return None if self.dirty.lost else len(self.dirty) + self._under_way

    @property
    def lag_ms(self) -> int:
        """For how long the first of what waits has waited, by the time of the newest event."""
        since = self._under_way_since or self.dirty.since_ms
        return 0 if since is None or self.dirty.at_ms is None else self.dirty.at_ms - since

    @property
    def now_ms(self) -> int:
        """The server's time, as far as is known here."""
        if self._server is None:
            return int(1000 * time.time())
        server_ms, at = self._server
        return server_ms + int(1000 * (time.monotonic() - at))

    def unsure(self, position: str | None) -> Callable[[str], bool]:
        """Whether a threat may have changed up to this event since it was last read."""
        dirty, in_hand = self.dirty, self._in_hand
        if dirty.lost or (position is not None and not has_reached(dirty.position, position)):
            return lambda _: True
        return lambda threat_id: threat_id in dirty or threat_id in in_hand

    async def run(self) -> None:
        """Follow and bring up, for ever.

        Raises:
            sqlite3.Error: the file cannot be written.
            StoreError: the database is no longer the one that was opened.
        """
        async with asyncio.TaskGroup() as group:
            group.create_task(self._listen(), name="index-events")
            group.create_task(self._bring_up_for_ever(), name="index")
            group.create_task(self._until_broken(), name="index-file")

    def give_up(self, error: Exception) -> None:
        """Those who read found that the file cannot be used: `run` ends with this."""
        if not self._broken.done():
            self._broken.set_result(error)

    async def _until_broken(self) -> None:
        raise await self._broken

    async def _listen(self) -> None:
        while True:
            try:
                position = await self._periscope.get_event_position()
                self.dirty.follow(position)
                async for event in self._follow(position):
                    self.dirty.note(event)
            except EventsLost as exc:
                log.warning("index: reads everything again: %s", exc)
            except StoreUnavailable as exc:
                log.warning("index: waits for the server: %s", exc)
            self.dirty.lose(follows=False)
            await asyncio.sleep(AGAIN_S)

    async def _bring_up_for_ever(self) -> None:
        while True:
            try:
                await self._step()
            except StoreUnavailable:
                await asyncio.sleep(AGAIN_S)
            except PolicyMoved:
                with suppress(StoreUnavailable):
                    await self._periscope.refresh()
                await asyncio.sleep(AGAIN_S)

    async def _step(self) -> None:
        dirty = self.dirty
        if dirty.lost and dirty.position is not None:
            try:
                await self._walk()
            except BaseException:
                dirty.lose()
                raise
        elif not dirty.lost and (len(dirty) or dirty.position != self._applied.position):
            await self._bring_up(dirty.take())
        else:
            dirty.arrived.clear()
            with suppress(TimeoutError):
                async with asyncio.timeout(LAPSE_S):
                    await dirty.arrived.wait()
        await self._look_for_lapses()
        await self._take_census()

    async def _walk(self) -> None:
        """Go through all there is; rows that are met by nobody are looked at once more."""
        begun, position, at_ms = time.monotonic(), self.dirty.position, self.dirty.at_ms
        self.dirty.begin()
        await self._in_thread(self._sheet.begin_walk)
        calls = MemberCalls(self._periscope.functions)
        for keys in self._periscope.keyspace.partitions:
            async for ids in calls.members(keys):
                await self._read_all(ids, frozenset())
        async for ids in self._to_be_sure():
            await self._read_all(ids, frozenset(ids))
        changes = self.dirty.take()
        await self._bring_up(changes)
        if changes.position is None:
            self._move_on(position, at_ms)
        if self._applied.built_s is None:
            self._applied.built_s = time.monotonic() - begun
            log.info(
                "index: built of %d threats in %.1f s", self._sheet.threats, self._applied.built_s
            )

    async def _to_be_sure(self) -> AsyncIterator[list[bytes]]:
        """What a walk cannot know: rows that nobody met may be gone, claims may be others."""
        for find in (self._sheet.unmet, self._sheet.held):
            after: int | None = 0
            while after is not None:
                ids, after = await self._in_thread(find, after)
                yield ids
        reads = self._periscope.reads
        for keys in self._periscope.keyspace.partitions:
            async for pairs in reads.scan(keys, _claims_of(keys)):
                yield [pair[0] for pair in pairs]

    async def _bring_up(self, changes: Changes) -> None:
        self._in_hand = changes.ids
        self._under_way, self._under_way_since = len(changes.ids), changes.since_ms
        ids, away = iter(changes.ids), None
        try:
            while part := list(islice(ids, SLICE)):
                try:
                    await self._bring_up_some(part, changes.touched)
                except StoreUnavailable as exc:
                    away = exc
            if away is not None:
                raise away
        except BaseException:
            self.dirty.put_back(changes)
            raise
        finally:
            self._in_hand = set()
            self._under_way, self._under_way_since = 0, None
        if changes.position is not None:
            self._move_on(changes.position, changes.at_ms)

    async def _bring_up_some(self, ids: Sequence[str], touched: set[str]) -> None:
        """Those of other servers are seen to before it raises for one that is away."""
        also = {threat_id.encode() for threat_id in ids if threat_id in touched}
        parts = self._periscope.reads.by_partition(threat_id.encode() for threat_id in ids)

        async def read(keys: PartitionKeys) -> None:
            await self._read_all(parts[keys], also)

        await self._periscope.reads.each(list(parts), read, len)

    def _move_on(self, position: str | None, at_ms: int | None) -> None:
        self._applied.position, self._applied.as_of_ms = position, at_ms
        moved, self.moved = self.moved, asyncio.Event()
        moved.set()

    async def _read_all(self, ids: Sequence[bytes], touched: set[bytes] | frozenset[bytes]) -> None:
        """Read these, and put what they are now into the index, in slices."""
        start = 0
        while start < len(ids):
            part = ids[start : start + (BATCH_WHEN_BUSY if self.pace.is_busy else BATCH)]
            records = await self._records(part)
            holders = await self._holders([one for one in part if one in touched])
            spent_s = await self._in_thread(self._apply, records, holders)
            start += len(part)
            self._under_way = max(0, self._under_way - len(part))
            self.pace.spent(spent_s, len(part))
            await self._rest(self.pace.rest_s())

    async def _rest(self, seconds: float) -> None:
        until = time.monotonic() + seconds
        await asyncio.sleep(seconds)
        self.pace.rested(time.monotonic() - until)

    def _apply(
        self, records: Sequence[tuple[bytes, bytes]], holders: dict[bytes, tuple[str, int]]
    ) -> float:
        begun = time.thread_time()
        self._applied.threats = self._sheet.apply(records, holders)
        return time.thread_time() - begun

    async def _records(self, ids: Sequence[bytes]) -> list[tuple[bytes, bytes]]:
        """(id, record) of each, b'' where there is none."""
        reads = self._periscope.reads

        async def read(rules: Rules) -> list[tuple[bytes, bytes]]:
            found: dict[bytes, Record] = {}
            for keys, members in reads.by_partition(ids).items():
                now_ms = await reads.fetch(keys, rules, members, None, found, as_record)
                if now_ms is not None:
                    self._server = now_ms, time.monotonic()
            return [(one, found[one].record if one in found else b"") for one in ids]

        return await reads.steady(read)

    async def _holders(self, ids: Sequence[bytes]) -> dict[bytes, tuple[str, int]]:
        reads, found = self._periscope.reads, dict[bytes, tuple[str, int]]()
        for keys, members in reads.by_partition(ids).items():
            holders = await holders_of(self._periscope.functions, keys, members)
            found |= zip(members, holders, strict=True)
        return found

    async def _take_census(self) -> None:
        """Are there as many threats as here? A store that was emptied may not tell by events."""
        now, position = time.monotonic(), self._applied.position
        if self.lag != 0 or position is None or now < self._census_at:
            return
        self._census_at = now + CENSUS_S
        calls, count = MemberCalls(self._periscope.functions), 0
        places = position.split(",")
        for keys, place in zip(self._periscope.keyspace.partitions, places, strict=True):
            reply = await calls.follow(keys, "", 0)
            if reply.last != place:
                return  # something happens just now
            count += reply.members
        missing = count - self._sheet.threats
        tried, self._tried = self._tried, missing
        if missing not in (0, tried):  # what a walk did not mend, no other one will
            log.warning("index: has %d threats of %d; reads all", self._sheet.threats, count)
            self.dirty.lose()

    async def _look_for_lapses(self) -> None:
        """A claim that was prolonged told nobody: when it seems to end it is looked at again."""
        now = time.monotonic()
        if self._server is None or now < self._lapses_at:
            return
        self._lapses_at = now + LAPSE_S
        lapsed = await self._in_thread(self._sheet.lapsed, self.now_ms, MOST_LAPSED)
        if not self.dirty.lost:
            self.dirty.add(threat_id.decode() for threat_id in lapsed)


def _claims_of(keys: PartitionKeys) -> Callable[[int], tuple[bytes | str | int, ...]]:
    return lambda at: ("ZSCAN", keys.claims, at, "COUNT", 500)
