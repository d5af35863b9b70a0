"""The ids themselves: a Bloom filter, and the followers that keep it up with their partitions."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from contextlib import suppress
from math import inf

from rbloom import Bloom

from periscope.keys import Keyspace
from periscope.membership.calls import MemberCalls
from periscope.membership.follower import Follower, clock

LEAST_ROOM = 65_536  # ids: 130 KB; below it nothing is worth building anew
SPARE = 2  # times the ids there are: what is built has room to grow
FULL_AT = 0.9  # of its room a layer takes no more
MOST_LAYERS = 3  # each costs a question 70 ns; beyond them a new filter is built
GONE_AT = 1 / 3  # of the ids: then a new filter is built as well
LOOK_S = 0.1  # how often it is looked who is away, by those who wait for all to be filled
FILLED_AT_ONCE = 2  # partitions: filling is work for the server, and nobody waits for it
log = logging.getLogger("periscope")


class Filter:
    """Everything in it is answered "maybe"; so is, at a rate below `error`, what is not.

    It grows by layers: when one is full the next has twice its room, and half its share of the
    error, so that their sum stays below `error` at any time and nothing must be read again.

    Ids are hashed by Python's own hash of bytes, whose key is drawn anew for each process: nobody
    outside can choose ids that collide. So a filter is never stored.
    """

    def __init__(self, calls: MemberCalls, keyspace: Keyspace, ids: int, error: float) -> None:
        self.room = 0
        self.layers: list[Bloom] = []
        self._error = error
        self._grow(max(LEAST_ROOM, SPARE * ids))
        filling = asyncio.Semaphore(FILLED_AT_ONCE)
        self.followers = tuple(
            Follower(calls, keys, self.add, filling) for keys in keyspace.partitions
        )
        self._tasks: list[asyncio.Task[None]] = []
        self._added = self._counted_at = self._held = 0

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
        for layer in self.layers[:-1]:
            ids = [one for one in ids if one not in layer]
        self.layers[-1].update(ids)
        self._added += len(ids)
        self._left -= len(ids)
        if self._left <= 0:
            self._make_room()

    def denied(self, ids: Sequence[bytes]) -> list[bytes]:
        """Those of `ids` that are certainly not in it."""
        for layer in self.layers:
            ids = [one for one in ids if one not in layer]
        return list(ids)

    def _make_room(self) -> None:
        """The last layer may be full: it is counted (2 ms at a million), and closed if it is."""
        room = self._last_room
        self._left = int(room * FULL_AT - self.layers[-1].approx_items)
        if self._left < room // 50:
            self._grow(2 * room)

    def _grow(self, room: int) -> None:
        share = self._error / 2 ** (len(self.layers) + 1)
        self.layers.append(Bloom(room, share))
        self.room += room
        self._last_room, self._left = room, int(room * FULL_AT)

    async def complete(self, patience_s: float = inf) -> list[Follower]:
        """Wait until it answers for every partition, or is stopped.

        Returns those that it does not answer for, if none of them could be read for so long. A
        follower never ends by itself; a bug that ends one is raised here.
        """
        since = clock()
        while self._tasks and (
            waited := [one for one in self.followers if not one.trusted.is_set()]
        ):
            if all(one.is_away(patience_s, since) for one in waited):
                return waited
            for task in self._tasks:
                if task.done() and not task.cancelled():
                    task.result()
            with suppress(TimeoutError):
                async with asyncio.timeout(LOOK_S):
                    await waited[0].trusted.wait()
        return []

    @property
    def held(self) -> int:
        """About how many ids are in it; counted anew after 5 % more."""
        if self._added > self._counted_at + self.room // 20 or not self._held:
            self._counted_at = self._added
            self._held = round(sum(layer.approx_items for layer in self.layers))
        return self._held

    @property
    def members(self) -> int:
        """How many threats there are, as the followers heard last."""
        return sum(follower.members for follower in self.followers)

    @property
    def worn(self) -> bool:
        """Has it too many layers, or are too many of its ids gone?"""
        gone = self.held - self.members
        many = self.held > LEAST_ROOM / SPARE
        return len(self.layers) > MOST_LAYERS or (many and gone > self.held * GONE_AT)

    @property
    def size_bytes(self) -> int:
        """Its memory: at an error of 0.001, 4 bytes an id when built, 2 when full, 7 when grown."""
        return sum(layer.size_in_bits for layer in self.layers) // 8


def _tell_failure(task: asyncio.Task[None]) -> None:
    if not task.cancelled() and (failure := task.exception()) is not None:
        # Without a follower its partition is never fresh: the server is asked, and all is right.
        log.error("%s ended by a bug; the server is asked instead", task.get_name(),
                  exc_info=failure)  # fmt: skip
