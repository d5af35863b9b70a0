"""How long a single call may take in all, as its caller sees it: `operation_timeout_s`."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

from periscope.errors import StoreUnavailable

NEVER = float("inf")
T = TypeVar("T")


class Bound:
    """One timer for many callers: a hundred thousand calls a second have none of their own.

    `end` ends those that began at or before a time of the loop's, and returns when the oldest of
    the others began; None if there are no others.
    """

    def __init__(self, most_s: float, end: Callable[[float], float | None]) -> None:
        self.most_s = most_s
        self._end = end
        self._oldest = NEVER
        self._timer: asyncio.TimerHandle | None = None

    def watch(self, since: float) -> None:
        """Watch over a call that began then; it need not be told when the call ends."""
        if since < self._oldest:
            self.close()
            self._oldest = since
            loop = asyncio.get_running_loop()
            self._timer = loop.call_at(since + self.most_s, self._fire)

    def close(self) -> None:
        """Watch over nobody any more. Idempotent."""
        if self._timer is not None:
            self._timer.cancel()
        self._timer, self._oldest = None, NEVER

    def _fire(self) -> None:
        before = self._oldest
        self._timer, self._oldest = None, NEVER
        now = asyncio.get_running_loop().time()
        oldest = self._end(max(before, now - self.most_s))
        if oldest is not None:
            self.watch(oldest)


async def within(most_s: float, call: Awaitable[T], since: float | None = None) -> T:
    """Await a read that is one to its caller, or part of something that began at `since`.

    Raises:
        StoreUnavailable: it took longer.
    """
    try:
        async with asyncio.timeout_at(until(most_s, since)) as bound:
            return await call
    except TimeoutError as exc:
        if not bound.expired():
            raise
        raise StoreUnavailable(no_answer(most_s)) from exc


def until(most_s: float, since: float | None = None) -> float:
    """The time of the loop's at which something that began at `since` (now) has taken too long."""
    return (asyncio.get_running_loop().time() if since is None else since) + most_s


def no_answer(most_s: float) -> str:
    """What is told to a caller who was let go."""
    return (
        f"no answer within {most_s:g} s (setting operation_timeout_s): the server is slow, or all "
        "connections to it are busy; try again"
    )
