"""Promotes what analysts have made eligible."""

from __future__ import annotations

import logging
from datetime import timedelta

from periscope.periscope import Periscope
from periscope.work import PromotionStats
from periscope.workers.worker import Worker

log = logging.getLogger(__name__)

EVERY = timedelta(seconds=30)


class PromotionWorker(Worker[PromotionStats]):
    """Promotes every threat that is latched for it and that nobody holds.

    Eligibility is decided by the interaction itself and kept, so nothing is missed however seldom
    this runs; claimed threats are promoted when they are released.
    """

    name = "promotion"

    def __init__(self, periscope: Periscope, interval: timedelta = EVERY) -> None:
        super().__init__(periscope, interval)

    async def _work(self) -> PromotionStats:
        stats = await self._as_far_as_possible(self.periscope.promote_eligible_threats())
        if stats.failed:
            log.error(
                "promotion: %d threats cannot be promoted as they cannot be read; "
                "see `periscope ledger --deep`",
                stats.failed,
            )
        return stats
