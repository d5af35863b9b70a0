"""Opens snoozed threats again when their time has come."""

from __future__ import annotations

import logging
from datetime import timedelta

from periscope.periscope import Periscope
from periscope.work import WakeStats
from periscope.workers.worker import Worker

log = logging.getLogger(__name__)

EVERY = timedelta(seconds=1)


class SnoozeWorker(Worker[WakeStats]):
    """Wakes every snoozed threat whose time has come.

    It asks each partition for the old end of one sorted set, so a run that finds nothing costs one
    small call a partition, however many threats are snoozed. One that comes late wakes them late:
    nothing else is lost.
    """

    name = "snooze"

    def __init__(self, periscope: Periscope, interval: timedelta = EVERY) -> None:
        super().__init__(periscope, interval)

    async def _work(self) -> WakeStats:
        stats = await self._as_far_as_possible(self.periscope.wake_snoozed_threats())
        if stats.failed:
            log.error(
                "snooze: %d threats cannot be woken as they cannot be read; "
                "see `periscope ledger --deep`",
                stats.failed,
            )
        return stats
