"""Several workers as one: started together, kept alive, stopped within 2 s."""

from __future__ import annotations

import asyncio
import logging
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from types import TracebackType
from typing import Any, Self

from periscope.errors import UsageError
from periscope.spans import short
from periscope.workers.status import WorkerStatus
from periscope.workers.worker import GRACE, Worker

log = logging.getLogger(__name__)

SIGNALS = (signal.SIGTERM, signal.SIGINT)


class Supervisor:
    """Runs workers side by side in the event loop that it is started in.

    A worker whose task ends by itself, whatever the reason, is started again.
    """

    def __init__(self, *workers: Worker[Any]) -> None:
        if not workers:
            raise UsageError("a supervisor needs at least one worker")
        self.workers = workers
        self._started = False
        self._watching: asyncio.Task[None] | None = None

    async def start(self) -> Self:
        """Start every worker; if one refuses to, those before it are stopped again.

        Raises:
            ArchiveMismatch: the archive is not that of the database.
            UsageError: it runs already, or the database is not open.
        """
        if self._started:
            raise UsageError("this supervisor runs already")
        self._started = True
        try:
            for worker in self.workers:
                await worker.start()
        except BaseException:
            await self.stop()
            raise
        self._watching = asyncio.create_task(self._watch(), name="periscope-supervisor")
        log.info(
            "workers: %s", ", ".join(f"{w.name} every {short(w.interval)}" for w in self.workers)
        )
        return self

    async def stop(self, grace: timedelta = GRACE) -> None:
        """Stop all at once: runs in hand may finish for `grace`, then they are cancelled."""
        if self._watching is not None:
            self._watching.cancel()
        await asyncio.gather(*(worker.stop(grace) for worker in self.workers))
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

    async def run(self) -> None:
        """Start, work until SIGTERM or SIGINT, stop. For the main thread of a program.

        Raises what `start` raises.
        """
        told = asyncio.Event()
        with _signals(told.set):
            starting = asyncio.create_task(self.start())
            telling = asyncio.create_task(told.wait())
            try:
                await asyncio.wait({starting, telling}, return_when=asyncio.FIRST_COMPLETED)
                if starting.done():
                    await starting
                    await telling
            finally:
                starting.cancel()
                telling.cancel()
                await asyncio.wait({starting, telling})
                await self.stop()

    def status(self) -> list[WorkerStatus]:
        """How each worker is doing just now, in the order given."""
        return [worker.status() for worker in self.workers]

    async def _watch(self) -> None:
        while True:
            tasks = {worker.task: worker for worker in self.workers if worker.task is not None}
            ended, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in ended:
                tasks[task].relaunch()


@contextmanager
def _signals(act: Callable[[], None]) -> Iterator[None]:
    """Call `act` on a signal that asks the process to end; afterwards all is as it was."""
    loop = asyncio.get_running_loop()
    before = {number: signal.getsignal(number) for number in SIGNALS}
    for number in SIGNALS:
        loop.add_signal_handler(number, act)
    try:
        yield
    finally:
        for number, handler in before.items():
            loop.remove_signal_handler(number)
            signal.signal(number, handler)
