"""Concurrent questions about single threats become few calls, as `coalesce` does for changes."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Iterator, Sequence
from copy import copy
from typing import Generic, TypeVar

from periscope.bound import Bound, no_answer
from periscope.connection import CLOSED
from periscope.errors import StoreUnavailable
from periscope.keys import PartitionKeys
from periscope.room import Room

FEW = 2  # calls about a partition that are under way at once
CROWD = 16  # questions that are worth a call of their own while another one is under way
T = TypeVar("T")
_Asked = tuple[bytes, float, asyncio.Future[T]]  # an id, when its caller came, the answer


class Gathered(Generic[T]):
    """Single questions about threats of a partition, asked together; answers in the same order."""

    def __init__(
        self,
        ask: Callable[[PartitionKeys, Sequence[bytes]], Awaitable[Sequence[T]]],
        most: int,
        room: Room,
    ) -> None:
        self._ask, self._most, self._room = ask, most, room
        self._waiting: dict[PartitionKeys, deque[_Asked[T]]] = {}
        self._under_way: list[list[_Asked[T]]] = []
        self._bound = Bound(room.most_s, self._let_go)
        self._tasks: dict[PartitionKeys, set[asyncio.Task[None]]] = {}
        self._alone: set[PartitionKeys] = set()

    async def __call__(self, keys: PartitionKeys, threat_id: bytes) -> T:
        """The answer about one threat."""
        if keys not in self._alone and not self._tasks.get(keys) and not self._waiting.get(keys):
            return await self._ask_alone(keys, threat_id)
        loop = asyncio.get_running_loop()
        since = loop.time()
        await self._room.take(len(threat_id), since)
        future: asyncio.Future[T] = loop.create_future()
        self._waiting.setdefault(keys, deque()).append((threat_id, since, future))
        self._bound.watch(since)
        self._start(keys)
        return await future

    async def _ask_alone(self, keys: PartitionKeys, threat_id: bytes) -> T:
        """Nobody else asks: the caller does it at once, and without a task of its own."""
        self._room.check()
        self._room.tally.note(1)
        self._alone.add(keys)
        try:
            (answer,) = await self._ask(keys, [threat_id])
        finally:
            self._alone.discard(keys)
            if self._waiting.get(keys):
                self._start(keys)
        return answer

    def _start(self, keys: PartitionKeys) -> None:
        tasks = self._tasks.setdefault(keys, set())
        under_way = len(tasks) + (keys in self._alone)
        if under_way < FEW and (not under_way or len(self._waiting[keys]) >= CROWD):
            task = asyncio.create_task(self._run(keys))
            tasks.add(task)

    async def _run(self, keys: PartitionKeys) -> None:
        try:
            await self._ask_all(keys)
        finally:
            # At once, not in a callback: a question that came between would wait for a dead task.
            self._tasks[keys].discard(asyncio.current_task())

    async def _ask_all(self, keys: PartitionKeys) -> None:
        while asked := list(self._take(keys)):
            self._under_way.append(asked)
            self._room.tally.note(len(asked))
            try:
                answers = await self._ask(keys, [threat_id for threat_id, _, _ in asked])
            except Exception as exc:
                _fail(asked, exc)
                continue
            except asyncio.CancelledError:
                _fail(asked, StoreUnavailable(CLOSED))
                raise
            finally:
                self._under_way.remove(asked)
            for (_, _, future), answer in zip(asked, answers, strict=True):
                if not future.done():
                    future.set_result(answer)
            await asyncio.sleep(0)

    def _take(self, keys: PartitionKeys) -> Iterator[_Asked[T]]:
        waiting, taken = self._waiting[keys], 0
        # Half of a crowd: while the server has these, the answers to the others are dealt with.
        most = min(self._most, max(CROWD, len(waiting) // FEW))
        while waiting and taken < most:
            one = waiting.popleft()
            # Not when its caller gives up: until here a question takes memory.
            self._room.give(len(one[0]))
            if not one[2].done():
                taken += 1
                yield one

    def _let_go(self, before: float) -> float | None:
        """Tell those who asked before that time that it takes too long; the oldest of the rest."""
        asked = [*self._waiting.values(), *self._under_way]
        late = StoreUnavailable(no_answer(self._bound.most_s))
        for some in asked:
            _fail([one for one in some if one[1] <= before], late)
        rest = (since for some in asked for _, since, future in some if not future.done())
        return min(rest, default=None)

    def abort(self) -> None:
        """The database is closed: nobody is left waiting for ever."""
        self._room.close()
        self._bound.close()
        for tasks in self._tasks.values():
            for task in tasks:
                task.cancel()
        for waiting in self._waiting.values():
            for _, _, future in waiting:
                if not future.done():
                    future.set_exception(StoreUnavailable(CLOSED))


def _fail(asked: list[_Asked[T]], exc: Exception) -> None:
    for _, _, future in asked:
        if not future.done():
            future.set_exception(copy(exc))  # one for each: tracebacks are theirs
