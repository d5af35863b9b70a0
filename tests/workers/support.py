"""What the tests of the workers share: waiting, and a job whose runs are made to order."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any

from periscope import Periscope
from periscope.workers import Worker

QUICK = timedelta(milliseconds=1)

Act = Callable[[], Awaitable[Any]] | BaseException | int


async def wait_until(holds: Callable[[], bool], what: str, within_s: float = 20) -> None:
    try:
        async with asyncio.timeout(within_s):
            while not holds():
                await asyncio.sleep(0.002)
    except TimeoutError:
        raise AssertionError(f"not within {within_s} s: {what}") from None


class Job(Worker[Any]):
    """Runs the acts given, one a run, then returns the number of the run for ever."""

    name = "job"

    def __init__(self, *acts: Act, prepares: tuple[Act, ...] = ()) -> None:
        super().__init__(Periscope.open("unix:///nowhere"), QUICK)
        self.acts = list(acts)
        self.prepares = list(prepares)
        self.finished = 0

    async def _prepare(self) -> None:
        if self.prepares:
            await _carry_out(self.prepares.pop(0))

    async def _work(self) -> Any:
        result = await _carry_out(self.acts.pop(0)) if self.acts else self.status().runs
        self.finished += 1
        return result


async def _carry_out(act: Act) -> Any:
    if isinstance(act, BaseException):
        raise act
    return act if isinstance(act, int) else await act()
