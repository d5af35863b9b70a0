"""What flows in a demo: the reports of real files, at first many at once, then a few at a time."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from periscope.errors import FeedError
from periscope.feeds import open_feed
from periscope.models import Report

if TYPE_CHECKING:
    from periscope.periscope import Periscope

SAMPLES = ("kev-sample.json", "stix-sample.json")
SOURCE_TREE = Path(__file__).parents[3]
AT_ONCE = 58
MOST_REPORTS = 100_000
SEED = 7
PAUSE_S = (0.8, 3.0)
FEW = (1, 3)


def samples(paths: Sequence[str]) -> list[Report]:
    """Return the reports of these files; without any, of the samples that the source tree has.

    Raises:
        FeedError: one cannot be read, or there is no report in them.
    """
    found = [one for path in paths or _own() for one in _reports(path)]
    if not found:
        raise FeedError("no report in these files: nothing would flow")
    return found


def _own() -> list[str]:
    for folder in (Path("samples"), SOURCE_TREE / "samples"):
        if all((folder / name).is_file() for name in SAMPLES):
            return [str(folder / name) for name in SAMPLES]
    raise FeedError("there is no samples/ here: name files whose reports are to flow")


def _reports(path: str) -> list[Report]:
    with open_feed(path) as feed:
        found = [one for one in islice(feed, MOST_REPORTS) if isinstance(one, Report)]
        if feed.failure is not None:
            raise FeedError(feed.failure)
        return found


class Flow:
    """Reports in an order that looks like chance and is the same each time."""

    def __init__(self, reports: Sequence[Report]) -> None:
        self._chance = random.Random(SEED)  # noqa: S311 - nobody must not guess it
        self._reports = list(reports)
        self._chance.shuffle(self._reports)

    async def begin(self, periscope: Periscope) -> None:
        """Take in the first ones at once, so that there is a queue."""
        await periscope.add_threats_batch(self._reports[:AT_ONCE])

    async def go_on(self, periscope: Periscope) -> None:
        """Take in a few every few seconds, for ever."""
        coming = self._coming()
        while True:
            await asyncio.sleep(self._chance.uniform(*PAUSE_S))
            few = self._chance.randint(*FEW)
            await periscope.add_threats_batch([next(coming) for _ in range(few)])

    def _coming(self) -> Iterator[Report]:
        """The others as they are; then any of them again, as seen just now."""
        yield from self._reports[AT_ONCE:]
        while True:
            again = self._chance.choice(self._reports)
            yield msgspec.structs.replace(again, observed_at=int(time.time() * 1000))
