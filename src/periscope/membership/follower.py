"""Keeps a filter up with one partition: read once, then followed event by event.

What it must never do is believe that it knows everything when it does not. So each reply shows, and
each is checked for it: that the entry read last is still there, that as many entries came as were
added, that the ledger counts as many new threats as the events told of, and that ledger and levels
still differ by what they differed by. Whatever does not fit is a gap: the partition is read anew.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from hashlib import sha1

import msgspec

from periscope.errors import PeriscopeError
from periscope.functions import PolicyMoved
from periscope.keys import PartitionKeys
from periscope.membership.calls import ANSWER_S, Followed, MemberCalls

POLL_S = 0.3
MAX_AGE_S = 1.0  # a local "no" is of this long ago at most
ENTRIES = 64  # of one reply
FIRST_PAUSE_S = 0.1
LONGEST_PAUSE_S = 2.0  # after an error: a server that is back is followed again soon,
LONGEST_GAP_S = 30.0  # after a gap: to read a partition anew is work for the server
CALM_S = 10.0  # so long without trouble, and the next one is the first again
GONE = ("expired", "removed", "allow")  # events that tell of no threat that is here
NEVER = float("-inf")
log = logging.getLogger("periscope")


class _Told(msgspec.Struct, array_like=True):
    """An event, as far as a filter is concerned."""

    kind: str
    what: list[str] | str


_DECODER = msgspec.msgpack.Decoder(tuple[float, list[_Told]])


class Gap(Exception):
    """Something was missed, or may have been; says what."""


@dataclass(slots=True)
class _Place:
    """Where the stream has been read to, and the counts that belong there."""

    entry: str
    mark: str
    entries: int
    added: int
    unaccounted: int


def clock() -> float:
    """Seconds that also pass while the machine sleeps, where the system can tell."""
    return time.clock_gettime(_CLOCK)


_CLOCK: int = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)


class Follower:
    """One partition's part of a filter. Until `fresh_until` (by `clock`) it can be relied on."""

    def __init__(
        self,
        calls: MemberCalls,
        keys: PartitionKeys,
        add: Callable[[Sequence[bytes]], None],
        filling: asyncio.Semaphore,
    ) -> None:
        self.name = keys.tag.decode()
        self.fresh_until = NEVER
        self.as_of_ms: int | None = None
        self.trusted = asyncio.Event()
        self.members = 0
        self.gaps = 0
        self.number = keys.number
        self.trouble: PeriscopeError | None = None  # for which it cannot be read just now
        self._away_since = self._tried_at = NEVER
        self._calls, self._keys, self._add, self._filling = calls, keys, add, filling
        self._place: _Place | None = None
        self._hurry = asyncio.Event()
        self._troubles = 0
        self._trouble_at = NEVER

    async def run(self) -> None:
        """Fill, then follow, for ever; whatever goes wrong heals by itself."""
        while True:
            pause, begun = POLL_S, clock()
            try:
                if self._place is None:
                    await self._fill_in_turn()
                await self._follow()
                self.trouble = None
            except Gap as exc:
                self._distrust()
                self.gaps += 1
                pause = self._pause(exc, LONGEST_GAP_S)
            except PolicyMoved as exc:
                pause = await self._refresh(exc, begun)
            except PeriscopeError as exc:
                self._note(exc, begun)
                pause = self._pause(exc, LONGEST_PAUSE_S)
            await self._rest(pause)

    def hurry(self) -> None:
        """Read on now, if it rests."""
        self._hurry.set()

    def is_away(self, patience_s: float, since: float) -> bool:
        """Was it tried since then, in vain as for all of so long?"""
        tried = self.trouble is not None and self._tried_at >= since
        return tried and clock() - self._away_since > patience_s

    async def _fill_in_turn(self) -> None:
        # Asked before, as those who do not answer would keep the others from their turn.
        await self._calls.follow(self._keys, "", 0)
        async with self._filling:
            await self._fill()

    async def _fill(self) -> None:
        """Read all ids, and meanwhile what happens, so that nobody slips from level to level."""
        end = await self._calls.follow(self._keys, "", 0)
        place = _Place(end.last, end.mark, end.entries_added, end.added, end.unaccounted)
        read_at = clock()
        async for ids in self._calls.members(self._keys):
            self._add(ids)
            if clock() > read_at + POLL_S:
                await self._read_on(place)
                read_at = clock()
        self._place = place

    async def _follow(self) -> None:
        """Read to the end of the stream; from then on it is fresh as of the last question."""
        assert self._place is not None  # noqa: S101 - filled before
        sent, reply = await self._read_on(self._place)
        self.fresh_until, self.as_of_ms = sent + MAX_AGE_S, reply.now_ms
        self.members = reply.members
        if not self.trusted.is_set():
            log.info("filter: follows partition %s", self.name)
            self.trusted.set()

    async def _read_on(self, place: _Place) -> tuple[float, Followed]:
        """Take in what the stream has after `place`; when the last question was sent, its reply.

        Raises:
            Gap: it cannot be shown that nothing was missed.
        """
        while True:
            sent = clock()
            reply = await self._calls.follow(self._keys, place.entry, ENTRIES)
            self._check_place(place, reply)
            for name, payload in reply.entries:
                place.added += self._take(payload)
                place.entries += 1
                place.entry = name
            if reply.entries:
                place.mark = sha1(reply.entries[-1][1], usedforsecurity=False).hexdigest()
            if not reply.more:
                self._check_counts(place, reply)
                return sent, reply

    def _check_place(self, place: _Place, reply: Followed) -> None:
        # What the engine itself let go of may be gone up to here; the counts show what is missing.
        let_go = reply.lost != "" and _order(reply.lost) >= _order(place.entry)
        if reply.mark != place.mark and not let_go:
            raise Gap("the event read last is not there any more")

    def _check_counts(self, place: _Place, reply: Followed) -> None:
        for what, seen, there in (
            ("entries", place.entries, reply.entries_added),
            ("new threats", place.added, reply.added),
            ("threats beside the ledger", place.unaccounted, reply.unaccounted),
        ):
            if seen != there:
                raise Gap(f"{there:,} {what}, where {seen:,} were heard of")

    def _take(self, payload: bytes) -> int:
        """Take in the ids of one entry; how many of them are of new threats."""
        try:
            _, events = _DECODER.decode(payload)
        except msgspec.DecodeError as exc:
            raise Gap(f"an event that cannot be read: {exc}") from None
        added = 0
        for event in events:
            if event.kind in GONE:
                continue
            told = [event.what] if isinstance(event.what, str) else event.what
            self._add([one.encode() for one in told])
            added += len(told) if event.kind == "added" else 0
        return added

    def _distrust(self) -> None:
        self._place, self.fresh_until, self.as_of_ms = None, NEVER, None
        self.trusted.clear()

    async def _refresh(self, exc: PolicyMoved, begun: float) -> float:
        """The partition was emptied; prepare it again, and read it anew."""
        self._distrust()
        try:
            async with asyncio.timeout(ANSWER_S):
                await self._calls.functions.refresh()
        except TimeoutError:  # others hang; this one's own server has been asked by now
            self._note(exc, begun)
        except PeriscopeError as refused:
            self._note(refused, begun)
            return self._pause(refused, LONGEST_PAUSE_S)
        return self._pause(exc, LONGEST_PAUSE_S)

    def _note(self, exc: PeriscopeError, begun: float) -> None:
        if self.trouble is None:
            self._away_since = begun
        self.trouble, self._tried_at = exc, begun

    def _pause(self, exc: Exception, longest: float) -> float:
        """How long to rest after trouble: longer each time, until it has been calm for a while."""
        now = clock()
        if now > self._trouble_at + CALM_S + longest:
            self._troubles = 0
            log.warning("filter: asks the server about partition %s: %s", self.name, exc)
        self._troubles, self._trouble_at = self._troubles + 1, now
        return float(min(longest, FIRST_PAUSE_S * 2.0 ** min(self._troubles, 16)))

    async def _rest(self, pause: float) -> None:
        self._hurry.clear()
        with suppress(TimeoutError):
            async with asyncio.timeout(pause):
                await self._hurry.wait()


def _order(entry: str) -> tuple[int, int]:
    moment, _, number = entry.partition("-")
    return int(moment), int(number)
