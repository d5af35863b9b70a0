"""Opening and closing that no signal breaks off: the bench never leaves a server behind."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any, TypeVar

T = TypeVar("T")


@asynccontextmanager
async def held(enter: Callable[[AsyncExitStack], Coroutine[Any, Any, T]]) -> AsyncIterator[T]:
    """What `enter` opens on its stack, all of which is closed afterwards.

    Both run to their end: a second Ctrl-C or SIGTERM during the first one's cleaning up would
    otherwise cancel it, and leave a server that nobody stops.
    """
    stack = AsyncExitStack()
    try:
        yield await to_the_end(enter(stack))
    finally:
        await to_the_end(stack.aclose())


async def to_the_end(work: Awaitable[T]) -> T:
    """Await this to its end however often we are cancelled; then the cancellation is raised."""
    task = asyncio.ensure_future(work)
    cancelled: asyncio.CancelledError | None = None
    while not task.done():
        try:
            await asyncio.shield(task)
        except asyncio.CancelledError as exc:
            cancelled = exc
    if cancelled is not None and not task.cancelled():
        raise cancelled from task.exception()
    return task.result()
