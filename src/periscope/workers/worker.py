"""One periodic job that outlives whatever goes wrong in it, and ends when it is told to."""

from __future__ import annotations

import asyncio
import logging
from abc import ABC, abstractmethod
from collections.abc import Awaitable
from dataclasses import replace
from datetime import timedelta
from types import TracebackType
from typing import ClassVar, Generic, Self, TypeVar

from periscope.errors import (
    ArchiveMismatch,
    BugError,
    PartitionsMissing,
    PeriscopeError,
    UsageError,
)
from periscope.periscope import Periscope
from periscope.workers.backoff import backoff_s
from periscope.workers.status import State, WorkerStatus, one_line

log = logging.getLogger(__name__)

R = TypeVar("R")
T = TypeVar("T")

# Together less than the 2 s within which a worker promises to stop.
GRACE = timedelta(seconds=1.5)
CANCEL_AGAIN_S = 0.1
CANCEL_TIMES = 4

# What waiting does not mend: raised by `start` instead of being tried again.
HOPELESS = (ArchiveMismatch, UsageError)


class Worker(ABC, Generic[R]):
    """Does one job, then again whenever `interval` has passed since the last time.

    Every job is safe to repeat and to break off anywhere, and the store sees to it that any number
    of workers at once, in any number of processes, do nothing twice. A failed run is logged and
    counted, and tried again after a while (`backoff.py`). Partitions that are away are passed over,
    and said once in the log. It uses the event loop of the `Periscope` it is given, starts no
    thread, and never closes what it was given.
    """

    name: ClassVar[str]

    def __init__(self, periscope: Periscope, interval: timedelta) -> None:
        if interval <= timedelta(0):
            raise UsageError(f"interval: {interval} is not more than 0")
        self.periscope = periscope
        self.interval = interval
        self.task: asyncio.Task[None] | None = None
        self._status = WorkerStatus(self.name)
        self._started = False
        self._prepared = False
        self._pause_s = 0.0
        self._missed: list[PartitionsMissing] = []  # by parts of this run
        self._told_missing: set[int] = set()
        self._stopping = asyncio.Event()
        self._one_at_a_time = asyncio.Lock()

    async def start(self) -> Self:
        """Get ready, and work from now on; the first run begins at once.

        A server that is away is no reason to fail: the worker tries again until it is there.

        Raises:
            ArchiveMismatch: the archive is not that of this database.
            UsageError: it runs already, or the database is not open.
        """
        if self._started:
            raise UsageError(f"the {self.name} worker runs already")
        self._started = True
        self._stopping.clear()
        self._pause_s = 0.0
        try:
            await self._prepare_or_wait()
            self.launch()
        except BaseException:
            self._started = False
            raise
        return self

    async def stop(self, grace: timedelta = GRACE) -> None:
        """End: the run in hand may finish for `grace`, then it is cancelled. Idempotent.

        A cancelled run leaves nothing by halves: what it had not done is done by the next worker.
        """
        self._stopping.set()
        if self.task is not None:
            await _end(self.task, grace, self.name)
        if self._started:
            self._status = replace(self._status, state=State.STOPPED)
            self._started = False

    async def __aenter__(self) -> Self:
        return await self.start()

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        exc: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.stop()

    async def run_once(self) -> R:
        """Do the job once, now, started or not, and return what was done.

        Waits for a run that is under way. Raises whatever the job raises.

        Raises:
            PartitionsMissing: some are away; done in the others, as `partial` says.
        """
        async with self._one_at_a_time:
            self._status, self._missed = self._status.begun(), []
            try:
                await self._prepare_once()
                result = await self._work()
            except Exception as exc:
                self._prepared = False  # what failed may have left something behind
                self._missed.clear()
                self._status = self._status.failed(exc)
                raise
            self._status = self._status.succeeded(result, self._resting_state())
            if self._missed:
                away = self._missed[0]
                self._status = replace(self._status, last_error=one_line(away))
                raise away.having(result) from away.__cause__
            return result

    def status(self) -> WorkerStatus:
        """How it is doing just now."""
        return self._status

    def launch(self) -> None:
        """Start the task; for a supervisor, to start one again that ended by itself."""
        self.task = asyncio.create_task(self._loop(), name=f"periscope-{self.name}")
        self.task.add_done_callback(self._ended)

    def relaunch(self) -> None:
        """Start a task again that ended by itself."""
        self._status = replace(self._status, restarts=self._status.restarts + 1)
        self.launch()

    async def _prepare(self) -> None:
        """What must succeed before the first run, and after a failed one; nothing by default."""

    @abstractmethod
    async def _work(self) -> R:
        """The job."""

    def _resting_state(self) -> State:
        return State.WAITING

    def _rest_s(self) -> float:
        """How long to wait after a run that went well, in seconds."""
        return self.interval.total_seconds()

    async def _as_far_as_possible(self, job: Awaitable[T]) -> T:
        """Await a part of the job; what it could not reach is told when the run ends."""
        try:
            return await job
        except PartitionsMissing as exc:
            if exc.partial is None:
                raise
            self._missed.append(exc)
            return exc.partial  # type: ignore[no-any-return]

    async def _prepare_once(self) -> None:
        if not self._prepared:
            await self._prepare()
            self._prepared = not self._missed

    async def _prepare_or_wait(self) -> None:
        try:
            await self._prepare_once()
        except HOPELESS:
            raise
        except Exception as exc:
            self._status = self._status.failed(exc)
            self._back_off(exc)

    async def _loop(self) -> None:
        while not self._stopping.is_set():
            await self._rest()
            if not self._stopping.is_set():
                await self._turn()

    async def _turn(self) -> None:
        """One run, whatever comes of it; afterwards `_pause_s` says how long to wait."""
        try:
            await self.run_once()
        except asyncio.CancelledError as exc:
            if _is_cancelled():
                raise
            # Not for us: something that the job awaited was cancelled by somebody else.
            self._status = self._status.failed(exc)
            self._back_off(exc)
        except Exception as exc:
            if not self._missed:
                self._back_off(exc)
                return
            self._pause_s = self._rest_s()
            self._tell_missing(exc)
        else:
            self._pause_s = self._rest_s()
            self._tell_missing(None)

    def _back_off(self, exc: BaseException) -> None:
        count = self._status.consecutive_failures
        self._pause_s = backoff_s(count, exc)
        expected = isinstance(exc, PeriscopeError) and not isinstance(exc, BugError)
        # A server that is away for an hour need not fill the log: the 1st, 2nd, 4th, 8th ... time.
        level = logging.DEBUG if expected and count & (count - 1) else logging.ERROR
        log.log(
            level,
            "worker %s failed (%d in a row), next try in %.1f s: %s",
            *(self.name, count, self._pause_s, one_line(exc)),
            exc_info=None if expected else exc,
        )

    def _tell_missing(self, exc: Exception | None) -> None:
        """Say which partitions the run passed over, once for as long as they are the same."""
        missing = set(exc.missing) if isinstance(exc, PartitionsMissing) else set[int]()
        if missing == self._told_missing:
            return
        self._told_missing = missing
        if exc is not None:
            log.warning("worker %s goes on with the others: %s", self.name, one_line(exc))
        else:
            log.warning("worker %s: no partition is away any more", self.name)

    async def _rest(self) -> None:
        try:
            async with asyncio.timeout(self._pause_s):
                await self._stopping.wait()
        except TimeoutError:
            return

    def _ended(self, task: asyncio.Task[None]) -> None:
        """Said of every end of the task, so that none is silent."""
        error = asyncio.CancelledError("cancelled") if task.cancelled() else task.exception()
        if self._stopping.is_set():
            return
        error = error or BugError("its loop came to an end")
        self._status = self._status.failed(error, State.ENDED)
        self._pause_s = backoff_s(self._status.consecutive_failures, error)
        log.error("worker %s ended by itself: %s", self.name, one_line(error), exc_info=error)


def _is_cancelled() -> bool:
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


async def _end(task: asyncio.Task[None], grace: timedelta, name: str) -> None:
    try:
        await asyncio.wait({task}, timeout=grace.total_seconds())
    finally:
        task.cancel()
    for _ in range(CANCEL_TIMES):
        if task.done():
            return
        # Again, because what a job awaits may drop a cancellation that comes with its result.
        await asyncio.wait({task}, timeout=CANCEL_AGAIN_S)
        task.cancel()
    if not task.done():
        log.error("worker %s does not end although it was cancelled; it is left behind", name)
