"""Reads that are asked for at the same time by many are read once.

Whoever asks while an equal read is under way does not get that one's answer, which may be older
than the question, but that of the next one, which begins when the one under way has ended: what is
answered was read after it was asked for, and of any number of askers at most two reads come.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Hashable
from typing import Any, TypeVar

from periscope.api.background import Background

T = TypeVar("T")


class SingleFlight:
    """Answers equal questions with one read. Cancelling one asker harms no other."""

    def __init__(self, background: Background) -> None:
        self._background = background
        self._flying: dict[Hashable, asyncio.Task[Any]] = {}
        self._waiting: dict[Hashable, asyncio.Task[Any]] = {}

    async def __call__(self, question: Hashable, read: Callable[[], Awaitable[T]]) -> T:
        """Answer the question by `read`, or by one that began after this was called."""
        task = self._waiting.get(question)
        if task is None:
            task = self._background.start(self._next(question, read))
            self._waiting[question] = task
        found: T = await asyncio.shield(task)
        return found

    async def _next(self, question: Hashable, read: Callable[[], Awaitable[T]]) -> T:
        """Wait for the read under way, then be the one under way."""
        me = self._waiting[question]
        if (before := self._flying.get(question)) is not None:
            await asyncio.wait({before})
        del self._waiting[question]
        self._flying[question] = me
        try:
            return await read()
        finally:
            if self._flying.get(question) is me:
                del self._flying[question]
