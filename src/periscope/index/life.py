"""One life of the index, from an empty file to its removal: its threads, and who may use them."""

from __future__ import annotations

import asyncio
import queue
import sqlite3
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from periscope.errors import IndexUnavailable
from periscope.index.asking import Asker, TooLong
from periscope.index.feeder import Feeder, Follow
from periscope.index.place import Place
from periscope.index.selecting import Selection
from periscope.index.sheet import Sheet
from periscope.index.status import Applied
from periscope.periscope import Periscope

READERS = 3
ANSWER_S = 2.0  # a question that takes longer is refused,
COUNT_S = 0.2  # a count is left out
T = TypeVar("T")
_BUILT_ANEW = "the read index is being built anew; ask again in a moment"


class Life:
    """A file, the thread that writes it, those that read it, and what keeps it up."""

    def __init__(self, place: Place, writer: ThreadPoolExecutor, sheet: Sheet) -> None:
        self.place = place
        self.feeder: Feeder
        self._has_ended = False
        self._writer, self._sheet = writer, sheet
        self._readers = ThreadPoolExecutor(READERS, thread_name_prefix="index-reader")
        self._askers: queue.SimpleQueue[Asker] = queue.SimpleQueue()
        for _ in range(READERS):
            self._askers.put(Asker(place.file))

    @classmethod
    async def begin(
        cls, periscope: Periscope, home: Path, applied: Applied, follow: Follow | None
    ) -> Life:
        """Make the file; nothing is in it yet.

        Raises:
            sqlite3.Error, OSError: it cannot be made.
        """
        loop = asyncio.get_running_loop()
        writer = ThreadPoolExecutor(1, thread_name_prefix="index-writer")
        policy = periscope.functions.rules.policy

        def make() -> Life:
            place = Place(home)
            try:
                return cls(place, writer, Sheet(place.file, policy))
            except BaseException:
                place.remove()
                raise

        making = loop.run_in_executor(writer, make)
        try:
            life = await asyncio.shield(making)
        except asyncio.CancelledError:
            with suppress(sqlite3.Error, OSError):
                await (await making).end()
            raise
        except BaseException:
            writer.shutdown(wait=False)
            raise
        life.feeder = Feeder(periscope, life._sheet, life._write, applied, follow)
        return life

    async def end(self) -> None:
        """Wait for what is under way, then take the file away."""
        await asyncio.to_thread(self._end)

    def _end(self) -> None:
        self._has_ended = True
        self._readers.shutdown(cancel_futures=True)
        self._writer.shutdown(cancel_futures=True)
        while not self._askers.empty():
            self._askers.get().close()
        self._sheet.close()
        self.place.remove()

    async def ask(self, question: Callable[[Asker], T]) -> T:
        """Put a question in a thread that reads.

        Raises:
            IndexUnavailable: it took too long, or this life of the index has ended.
        """
        try:
            return await self._asked(question)
        except TooLong:
            raise IndexUnavailable("the read index took too long; ask for less") from None

    async def counted(self, question: Callable[[Asker], T]) -> T | None:
        """As `ask`; None where it would take too long."""
        try:
            return await self._asked(question)
        except TooLong:
            return None

    async def _asked(self, question: Callable[[Asker], T]) -> T:
        loop = asyncio.get_running_loop()
        try:
            return await loop.run_in_executor(self._readers, partial(self._answer, question))
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if not self._has_ended or (task is not None and task.cancelling()):
                raise
            raise IndexUnavailable(_BUILT_ANEW) from None
        except sqlite3.Error as exc:
            self.feeder.give_up(exc)
            raise IndexUnavailable(_BUILT_ANEW) from exc
        except RuntimeError as exc:  # its threads have ended
            raise IndexUnavailable(_BUILT_ANEW) from exc

    async def number(self, wanted: Selection) -> int | None:
        """How many rows fit; None where counting would take too long."""
        return await self.counted(lambda asker: asker.count(wanted, COUNT_S))

    def _answer(self, question: Callable[[Asker], T]) -> T:
        asker = self._askers.get()
        try:
            return question(asker)
        finally:
            self._askers.put(asker)

    async def _write(self, act: Callable[..., T], *given: Any) -> T:
        """Do something in the thread that writes; what has begun is done, whoever gives up."""
        loop = asyncio.get_running_loop()
        return await asyncio.shield(loop.run_in_executor(self._writer, partial(act, *given)))


def words_of(exc: BaseException) -> str:
    """What went wrong, in one line."""
    if isinstance(exc, sqlite3.Error):
        return f"its file cannot be used: {exc}"
    if isinstance(exc, OSError):
        return f"there is no place for its file: {exc.strerror}"
    return str(exc)


def first_of(group: BaseExceptionGroup[BaseException]) -> BaseException:
    """The first error of a group, however deep it lies."""
    error = group.exceptions[0]
    return first_of(error) if isinstance(error, BaseExceptionGroup) else error
