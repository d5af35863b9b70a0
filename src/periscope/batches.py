"""From any iterable to lists of at most `size` items, in bounded memory, without waiting long."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Iterable, Iterator
from itertools import islice
from typing import Generic, TypeVar

T = TypeVar("T")

LINGER_S = 0.05


class SourceFailed(Exception):
    """The caller's own iterable raised; what it gave before is in the lists before."""

    def __init__(self, cause: Exception) -> None:
        super().__init__(f"the source of the reports failed: {type(cause).__name__}: {cause}")


class Batches(Generic[T]):
    """Lists of the items in order; an async source that pauses is not waited for beyond 50 ms.

    A short list, maybe an empty one, says that it pauses: there is time to settle what came before.
    Iterating raises `SourceFailed` after everything that the source gave has been given.
    """

    def __init__(self, source: Iterable[T] | AsyncIterable[T], size: int) -> None:
        self._queue = _Ahead[T](maxsize=2 * size)
        if isinstance(source, AsyncIterable):
            self._lists = _async_batches(source, size, self._queue)
        else:
            self._lists = _yielding(_sync_batches(source, size))

    def __aiter__(self) -> AsyncIterator[list[T]]:
        return self._lists

    async def aclose(self) -> int:
        """Stop reading; return how many items were read ahead and never given."""
        await self._lists.aclose()
        return self._queue.qsize() + self._queue.held


class _Ahead(asyncio.Queue[T]):
    """What was read ahead; `held` is one more, if it waits for its place."""

    held = 0

    async def put(self, item: T) -> None:
        self.held = 1
        await super().put(item)
        self.held = 0


async def _yielding(lists: Iterator[list[T]]) -> AsyncGenerator[list[T], None]:
    for batch in lists:
        yield batch
        await asyncio.sleep(0)


def _sync_batches(source: Iterable[T], size: int) -> Iterator[list[T]]:
    items = iter(source)
    while True:
        batch: list[T] = []
        try:
            for item in islice(items, size):
                batch.append(item)  # noqa: PERF402 - what came before an error must survive it
        except Exception as exc:
            if batch:
                yield batch
            raise SourceFailed(exc) from exc
        if not batch:
            return
        yield batch


async def _async_batches(
    source: AsyncIterable[T], size: int, queue: _Ahead[T]
) -> AsyncGenerator[list[T], None]:
    pump = asyncio.create_task(_pump(source, queue))
    try:
        whole = False
        while True:
            batch = await _gather(queue, pump, size, linger=whole)
            if not batch and pump.done() and queue.empty():
                break
            yield batch
            whole = len(batch) == size
        if (exc := pump.exception()) is not None:
            if isinstance(exc, Exception):
                raise SourceFailed(exc) from exc
            raise exc
    finally:
        pump.cancel()
        await asyncio.wait({pump})  # and not for its result: whoever cancels us must be heard
        if not pump.cancelled():
            pump.exception()


async def _pump(source: AsyncIterable[T], queue: _Ahead[T]) -> None:
    async for item in source:
        if queue.full():
            await queue.put(item)
        else:
            queue.put_nowait(item)


async def _gather(
    queue: asyncio.Queue[T], pump: asyncio.Task[None], size: int, *, linger: bool
) -> list[T]:
    """The next list: whole when the source is fast, short when it lingers, empty at its end.

    With `linger` it is not waited for even if nothing comes at all.
    """
    batch: list[T] = []
    loop = asyncio.get_running_loop()
    deadline = loop.time() + LINGER_S if linger else None
    while len(batch) < size:
        while len(batch) < size and not queue.empty():
            batch.append(queue.get_nowait())
        if len(batch) == size or (pump.done() and queue.empty()):
            break
        if batch and deadline is None:
            deadline = loop.time() + LINGER_S
        if not await _wait_for_item(queue, pump, deadline, batch):
            break
    return batch


async def _wait_for_item(
    queue: asyncio.Queue[T], pump: asyncio.Task[None], deadline: float | None, batch: list[T]
) -> bool:
    """Wait until there is an item or the source ended; False when the deadline passed first."""
    getter = asyncio.create_task(queue.get())
    timeout = None if deadline is None else max(0, deadline - asyncio.get_running_loop().time())
    try:
        await asyncio.wait({getter, pump}, timeout=timeout, return_when=asyncio.FIRST_COMPLETED)
    finally:
        # A getter that has its item must not be cancelled: the item would be lost with it.
        if getter.done():
            batch.append(getter.result())
        else:
            getter.cancel()
    return (getter.done() and not getter.cancelled()) or pump.done()
