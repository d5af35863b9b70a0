"""Which threats are known, answered here where that is certain.

A local "no" is given only while the id's partition was read to its end within the last second, and
nothing can have been missed before that (see `follower.py`). All else is for the server to answer.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Collection, Iterable, Sequence
from itertools import islice
from typing import NoReturn

from rbloom import Bloom

from periscope.errors import PartitionsMissing, PeriscopeError, StoreUnavailable
from periscope.functions import Functions
from periscope.keys import Keyspace, PartitionKeys
from periscope.membership.calls import ANSWER_S, MemberCalls
from periscope.membership.filter import Filter
from periscope.membership.follower import Follower, clock
from periscope.membership.status import FilterState, MembershipStatus, Seen
from periscope.models import Level
from periscope.reader import encoded, missing, some_of, steady
from periscope.rules import Rules
from periscope.settings import Settings

CHECK_S = 1.0  # how often it is looked whether the filter must be built anew
SLICE = 4096  # ids of one look into the filter: a millisecond, then others have their turn
CHUNK = 500  # ids of one call,
AT_ONCE = 4  # and so many calls under way
log = logging.getLogger("periscope")


class Membership:
    """The filter of one open database. Nothing happens until `begin`."""

    def __init__(self, functions: Functions, keyspace: Keyspace, settings: Settings) -> None:
        self._functions = functions
        self._keyspace = keyspace
        self._calls = MemberCalls(functions)
        self._wanted = settings.filter == "auto"
        self._error = settings.filter_error
        self._patience_s = settings.retry_s
        self._filters: list[Filter] = []  # the one that answers, then the one that is being built
        self._layers: list[Bloom] = []  # of the one that answers
        self._followers: tuple[Follower, ...] = ()
        self._task: asyncio.Task[None] | None = None
        self._begun = asyncio.Event()
        self._local = self._asked = self._built = self._gaps_before = 0

    def begin(self) -> None:
        """Build the filter in the background, if it is wanted and not there yet."""
        if self._wanted and self._task is None:
            self._task = asyncio.create_task(self._run(), name="filter")
            self._task.add_done_callback(self._ended)

    async def ready(self) -> None:
        """See `Periscope.membership_ready`."""
        self.begin()
        if self._task is not None:
            await self._begun.wait()
        self.hurry()
        if self._filters and (away := await self._filters[0].complete(self._patience_s)):
            raise _missing(away, len(self._keyspace.partitions))

    def hurry(self) -> None:
        """Read on now, wherever it rests."""
        for one in self._filters:
            for follower in one.followers:
                follower.hurry()

    async def close(self) -> None:
        """Stop following; idempotent."""
        task, self._task, self._wanted = self._task, None, False
        if task is not None:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
        filters, self._filters, self._layers, self._followers = self._filters, [], [], ()
        for one in filters:
            await one.stop()

    def is_absent(self, threat_id: str) -> bool:
        """Is it certain, here and now, that this threat is not known? Half a microsecond.

        Raises:
            UsageError: not text.
        """
        followers = self._followers
        if followers:
            try:
                key = threat_id.encode()
            except (UnicodeEncodeError, AttributeError):
                return not encoded(threat_id)
            for layer in self._layers:
                if key in layer:
                    break
            else:
                one = followers[0]
                if len(followers) > 1:
                    one = followers[self._keyspace.partition_of(key).number]
                if clock() <= one.fresh_until:
                    self._local += 1
                    return True
        self._asked += 1
        return False

    def possible(self, ids: Sequence[bytes]) -> list[bytes]:
        """Those of `ids` of which it is not certain that they are unknown."""
        denied = set(self._filters[0].denied(ids)) if self._followers else set()
        now = clock()
        if denied and not all(now <= one.fresh_until for one in self._followers):
            fresh = [now <= one.fresh_until for one in self._followers]
            denied = {key for key in denied if fresh[self._keyspace.partition_of(key).number]}
        found = [key for key in ids if key not in denied]
        self._asked += len(found)
        self._local += len(ids) - len(found)
        return found

    def note(self, ids: Iterable[bytes]) -> None:
        """Take in what this process has stored, before anybody is told that it is stored."""
        if self._filters:
            noted = ids if isinstance(ids, Sequence) else list(ids)
            for one in self._filters:
                one.add(noted)

    async def seen(self, ids: Iterable[str], *, exact: bool) -> dict[str, Seen]:
        """See `Periscope.seen`."""
        waiting: dict[PartitionKeys, list[bytes]] = {}
        chunks: list[tuple[PartitionKeys, list[bytes]]] = []
        async for part in _slices(ids):
            possible = part if exact else self.possible(part)
            self._asked += len(part) if exact else 0
            for key in possible:
                keys = self._keyspace.partition_of(key)
                waiting.setdefault(keys, []).append(key)
                if len(waiting[keys]) == CHUNK:
                    chunks.append((keys, waiting.pop(keys)))
        chunks += waiting.items()
        return await self._look(chunks)

    async def _look(self, chunks: list[tuple[PartitionKeys, list[bytes]]]) -> dict[str, Seen]:
        """What the server says of these ids, a few calls at once."""
        found: dict[str, Seen] = {}
        away: dict[int, BaseException] = {}
        work = iter(chunks)

        async def look() -> None:
            for keys, ids in work:
                if keys.number in away:
                    continue
                try:
                    told = await self._ask(keys, ids)
                except StoreUnavailable as exc:
                    away[keys.number] = exc
                    continue
                for key, (level, last_activity_ms) in zip(ids, told, strict=True):
                    if level:
                        threat_id = key.decode()
                        found[threat_id] = Seen(threat_id, Level(level), last_activity_ms)

        try:
            async with asyncio.TaskGroup() as group:
                for _ in range(min(AT_ONCE, len(chunks))):
                    group.create_task(look())
        except ExceptionGroup as several:
            raise several.exceptions[0] from None
        if away:
            self._raise_missing(away, {keys.number for keys, _ in chunks}, found)
        return found

    def _raise_missing(
        self, away: dict[int, BaseException], asked: Collection[int], found: dict[str, Seen]
    ) -> NoReturn:
        if len(self._keyspace.partitions) == 1:
            raise away[0]
        raise missing(away, len(asked), found)

    async def _ask(self, keys: PartitionKeys, ids: list[bytes]) -> list[tuple[int, int]]:
        async def read(_: Rules) -> list[tuple[int, int]]:
            return await self._calls.seen(keys, ids)

        return await steady(self._functions, read)

    @property
    def status(self) -> MembershipStatus:
        """What the filter is doing, and how many questions it answered."""
        moments = [one.as_of_ms for one in self._followers if one.as_of_ms is not None]
        answering = self._filters[0] if self._filters else None
        return MembershipStatus(
            state=self._state(),
            as_of_ms=min(moments, default=None),
            ids=answering.held if answering else 0,
            room=answering.room if answering else 0,
            size_bytes=sum(one.size_bytes for one in self._filters),
            local=self._local,
            asked=self._asked,
            gaps=self._gaps_before + sum(one.gaps for one in self._followers),
            built=self._built,
        )

    def _state(self) -> FilterState:
        if self._task is None:
            return FilterState.OFF
        now = clock()
        if self._followers and all(now <= one.fresh_until for one in self._followers):
            return FilterState.FOLLOWING
        for one in self._followers:
            if not one.trusted.is_set() and one.gaps:
                return FilterState.GAP
        filled = self._followers and all(one.trusted.is_set() for one in self._followers)
        away = any(one.trouble for one in self._followers)
        return FilterState.BEHIND if filled or away else FilterState.FILLING

    async def _run(self) -> None:
        """Build the filter, and a new one whenever it is worn."""
        while True:
            ids = await self._count()
            new = Filter(self._calls, self._keyspace, ids, self._error)
            # From here on `note` reaches it; what it is filled with is read afterwards.
            self._filters.append(new)
            self._begun.set()
            new.start()
            if len(self._filters) == 1:  # answers for each partition as soon as that is filled
                self._layers, self._followers = new.layers, new.followers
            await new.complete()
            self._built += 1
            await self._retire_before(new)
            while True:
                await asyncio.sleep(CHECK_S)
                if new.worn:
                    break
            log.info("filter: built anew, %d ids of %d", new.held, new.members)

    async def _retire_before(self, new: Filter) -> None:
        """Answer from the new filter, and let go of the old one."""
        self._layers, self._followers = new.layers, new.followers
        while self._filters[0] is not new:
            old = self._filters.pop(0)
            self._gaps_before += sum(one.gaps for one in old.followers)
            await old.stop()

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._begun.set()
        if not task.cancelled() and (failure := task.exception()) is not None:
            log.error("the filter ended by a bug; it grows no more", exc_info=failure)

    async def _count(self) -> int:
        """About how many threats there are: where nobody answers, as many as elsewhere.

        If nobody answers at all, as many as were held before; a filter that turns out too small
        grows, and is built anew.
        """
        counts = await asyncio.gather(*map(self._count_in, self._keyspace.partitions))
        told = [count for count in counts if count is not None]
        if not told:
            return self._filters[0].held if self._filters else 0
        return sum(told) * len(counts) // len(told)

    async def _count_in(self, keys: PartitionKeys) -> int | None:
        async def read(_: Rules) -> int:
            return (await self._calls.follow(keys, "", 0)).members

        try:
            async with asyncio.timeout(ANSWER_S):
                return await steady(self._functions, read)
        except (PeriscopeError, TimeoutError) as exc:
            log.debug("filter: cannot count partition %d: %s", keys.number, exc)
            return None


def _missing(away: Sequence[Follower], partitions: int) -> PartitionsMissing:
    numbers = tuple(one.number for one in away)
    error = PartitionsMissing(
        f"the filter does not answer for {len(away)} of {partitions} partitions "
        f"({some_of(numbers)}), the server is asked about those: {away[0].trouble}",
        missing=numbers,
    )
    error.__cause__ = away[0].trouble
    return error


async def _slices(ids: Iterable[str]) -> AsyncIterator[list[bytes]]:
    """Ids as bytes, each once in a slice; what cannot be an id is left out."""
    source = iter(ids)
    while part := list(islice(source, SLICE)):
        yield [key for key in dict.fromkeys(map(encoded, part)) if key]
        await asyncio.sleep(0)
