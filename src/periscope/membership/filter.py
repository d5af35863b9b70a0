"""The ids themselves: a Bloom filter, and the followers that keep it up with their partitions."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence

from rbloom import Bloom

from periscope.keys import Keyspace
from periscope.membership.calls import MemberCalls
from periscope.membership.follower import Follower

LEAST_ROOM = 65_536  # ids: 120 KB; below it nothing is worth building anew
SPARE = 2  # times the ids there are: what is built has room to grow
WORN_AT = 0.9  # of the room: the next one is built before the rate passes the setting
GONE_AT = 1 / 3  # of the ids
FILLED_AT_ONCE = 2  # partitions: filling is work for the server, and nobody waits for it
log = logging.getLogger("periscope")


class Filter:
    """Everything in it is answered "maybe"; so is, at the rate `error`, what is not.

    Ids are hashed by Python's own hash of bytes, whose key is drawn anew for each process: nobody
    outside can choose ids that collide. So a filter is never stored.
    """

    def __init__(self, calls: MemberCalls, keyspace: Keyspace, ids: int, error: float) -> None:
        self.room = max(LEAST_ROOM, SPARE * ids)
        self.bloom = Bloom(self.room, error)
        filling = asyncio.Semaphore(FILLED_AT_ONCE)
        self.followers = tuple(
            Follower(calls, keys, self.add, filling) for keys in keyspace.partitions
        )
        self._tasks: list[asyncio.Task[None]] = []
        self._added = 0
        self._counted_at = 0
        self._held = 0

    def start(self) -> None:
        """Begin to fill and follow, in the background."""
        for follower in self.followers:
            task = asyncio.create_task(follower.run(), name=f"filter of {follower.name}")
            task.add_done_callback(_tell_failure)
            self._tasks.append(task)

    async def stop(self) -> None:
        """End the followers; idempotent."""
        tasks, self._tasks = self._tasks, []
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def add(self, ids: Sequence[bytes]) -> None:
        """Take ids in, known ones too."""
        self.bloom.update(ids)
        self._added += len(ids)

    async def complete(self) -> None:
        """Wait until it answers for every partition."""
        while not all(follower.trusted.is_set() for follower in self.followers):
            await asyncio.gather(*(follower.trusted.wait() for follower in self.followers))

    @property
    def held(self) -> int:
        """About how many ids are in it; counted anew (2 ms at a million) after 5 % more."""
        if self._added > self._counted_at + self.room // 20 or not self._held:
            self._counted_at, self._held = self._added, round(self.bloom.approx_items)
        return self._held

    @property
    def members(self) -> int:
        """How many threats there are, as the followers heard last."""
        return sum(follower.members for follower in self.followers)

    @property
    def worn(self) -> bool:
        """Is it almost full, or are too many of its ids gone?"""
        held = self.held
        gone = held - self.members
        return held > self.room * WORN_AT or (held > LEAST_ROOM / SPARE and gone > held * GONE_AT)

    @property
    def size_bytes(self) -> int:
        """Its memory."""
        return self.bloom.size_in_bits // 8


def _tell_failure(task: asyncio.Task[None]) -> None:
    if not task.cancelled() and (failure := task.exception()) is not None:
        # Without a follower its partition is never fresh: the server is asked, and all is right.
        log.error("%s ended by a bug; the server is asked instead", task.get_name(),
                  exc_info=failure)  # fmt: skip
