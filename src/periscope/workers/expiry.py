"""Lets go of what time has overtaken, into the archive."""

from __future__ import annotations

import logging
from datetime import timedelta

from periscope.archive import Archive
from periscope.periscope import Periscope
from periscope.work import SweepStats
from periscope.workers.clock import ClockGuard, ClockPause
from periscope.workers.status import State
from periscope.workers.worker import Worker

log = logging.getLogger(__name__)

EVERY = timedelta(seconds=60)


class ExpiryWorker(Worker[SweepStats | None]):
    """Sweeps: threats past their time go into the archive, recalled ones that are quiet go home.

    Before the first sweep it makes sure that the archive is the database's own and settles what
    crashed workers left behind. While the server's clock cannot be trusted it sweeps nothing: a
    clock that is a year ahead would expire everything at once. `pause` says so then, and a run
    returns None.
    """

    name = "expiry"

    def __init__(self, periscope: Periscope, archive: Archive, interval: timedelta = EVERY) -> None:
        super().__init__(periscope, interval)
        self.archive = archive
        self.guard = ClockGuard(periscope)
        self.pause: ClockPause | None = None

    async def _prepare(self) -> None:
        await self.periscope.adopt_archive(self.archive)
        await self._as_far_as_possible(self.periscope.resolve_departures(self.archive))

    async def _work(self) -> SweepStats | None:
        self.pause = await self.guard.check()
        if self.pause is not None:
            log.error("sweeps are paused: %s", self.pause.explain())
            return None
        return await self._as_far_as_possible(self.periscope.sweep(self.archive))

    def _resting_state(self) -> State:
        return State.WAITING if self.pause is None else State.PAUSED
