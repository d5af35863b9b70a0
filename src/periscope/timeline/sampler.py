"""Writes down once a minute how the queue is."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from periscope.periscope import Periscope
from periscope.timeline.samples import EVERY_MS, keep_sample, minute_of, sample_of
from periscope.workers import Worker

EVERY = timedelta(milliseconds=EVERY_MS)


@dataclass(frozen=True, slots=True)
class SampleStats:
    """What one run did: `kept` is 1, or 0 where another process had kept that minute's sample."""

    kept: int = 0


class Sampler(Worker[SampleStats]):
    """Keeps a sample of every minute, as soon as it has begun.

    It goes by the server's clock, so of any number of processes the first one keeps it. A minute in
    which the store is away has none; nor is one kept of counts that are not of all partitions.
    """

    name = "timeline"

    def __init__(self, periscope: Periscope) -> None:
        super().__init__(periscope, EVERY)
        self._sampled_ms = 0

    async def sample(self) -> bool:
        """Keep the sample of this minute, now; False if there was one. Safe to repeat.

        Raises:
            PartitionsMissing: some are away, so nothing is kept.
            StoreError: nothing is kept.
        """
        stats = await self.periscope.get_stats()
        self._sampled_ms = stats.as_of_ms
        namespace = self.periscope.settings.namespace
        return await keep_sample(self.periscope.functions, namespace, sample_of(stats))

    async def _work(self) -> SampleStats:
        return SampleStats(int(await self.sample()))

    def _rest_s(self) -> float:
        """Until the next minute of the server's clock."""
        return (EVERY_MS - (self._sampled_ms - minute_of(self._sampled_ms))) / 1000
