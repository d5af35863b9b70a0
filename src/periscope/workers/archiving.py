"""Moves the audit trail into the archive, settles leftovers, and lets go of what is old there."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from datetime import timedelta

from periscope.archive import Archive
from periscope.periscope import Periscope
from periscope.workers.clock import ClockGuard
from periscope.workers.worker import Worker

log = logging.getLogger(__name__)

EVERY = timedelta(seconds=10)
DAY_MS = 86_400_000
PURGE_ROWS = 5_000


@dataclass(frozen=True, slots=True)
class ArchiveStats:
    """What one run did in the archive.

    Acts moved there from the store, departures of crashed workers made final, old rows purged.
    """

    moved: int = 0
    resolved: int = 0
    purged: int = 0


class ArchiveWriter(Worker[ArchiveStats]):
    """Keeps the audit trail short in the store and whole in the archive.

    Analysts' acts are refused once the trail in the store is at its limit, so this should run often
    and somewhere always. With the setting `archive_keep_days` it purges what is older; the clock
    must be trusted for that, as for a sweep.
    """

    name = "archive"

    def __init__(self, periscope: Periscope, archive: Archive, interval: timedelta = EVERY) -> None:
        super().__init__(periscope, interval)
        self.archive = archive
        self.guard = ClockGuard(periscope)

    async def _prepare(self) -> None:
        await self.periscope.adopt_archive(self.archive)

    async def _work(self) -> ArchiveStats:
        moved = await self._as_far_as_possible(self.periscope.archive_audit(self.archive))
        resolved = await self._as_far_as_possible(self.periscope.resolve_departures(self.archive))
        return ArchiveStats(moved, resolved, await self._purge())

    async def _purge(self) -> int:
        """Purge what is past its time in bounded steps; nothing while the clock is in doubt."""
        days = self.periscope.settings.archive_keep_days
        if not days:
            return 0
        pause = await self.guard.check()
        if pause is not None:
            log.error("the archive purges nothing: %s", pause.explain())
            return 0
        older_than_ms = self.guard.now_ms - days * DAY_MS
        purged = 0
        while rows := await self.archive.retain(older_than_ms, limit=PURGE_ROWS):
            purged += rows
        return purged
