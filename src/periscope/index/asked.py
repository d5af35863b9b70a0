"""One question to the index as it is now: its rows, how many they are, and a page of them."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta

from periscope.functions import RankQuery
from periscope.index.asking import Selection, selection, state_of, tallied
from periscope.index.finding import FEW, MANY, Finder, Stand, Stretched, check
from periscope.index.life import ANSWER_S, COUNT_S, Life
from periscope.index.where import EVERYTHING, Wanted
from periscope.periscope import Periscope
from periscope.queries import Entry
from periscope.rules import Rules

MOST_OF_FEW = 10_000  # ids whose places are asked for; with more, the ranking is walked,
PROBE_S = 0.5  # as it is where it takes longer to find out
ANYTHING = Selection("1", ())
_MS = timedelta(milliseconds=1)


class Asked:
    """What `wanted` means, in the part of level 1 that `query` names (None: in all levels)."""

    def __init__(
        self, periscope: Periscope, life: Life, wanted: Wanted, query: RankQuery | None = None
    ) -> None:
        self._periscope, self._life, self._wanted = periscope, life, wanted
        self._query = query
        self.state = ANYTHING if query is None else state_of(query, wanted)

    def rows(self, as_of_ms: int | None = None) -> Selection:
        """The rows that fit."""
        moment = self._life.feeder.now_ms if as_of_ms is None else as_of_ms
        return self.state & selection(self._wanted, moment, self._targets)

    def each(self, as_of_ms: int | None = None) -> Selection:
        """Whether a row that is at hand fits."""
        moment = self._life.feeder.now_ms if as_of_ms is None else as_of_ms
        return selection(self._wanted, moment, self._targets, each=True)

    async def number(self) -> int | None:
        """How many rows fit; None where counting would take too long."""
        if (kept := tallied(self._wanted)) is not None:
            whole = kept & self.state
            return await self._life.ask(lambda asker: asker.count_tallied(whole))
        return await self._life.number(self.rows())

    async def facets(self) -> dict[str, dict[str, int]] | None:
        """Counts by facet and value; None where counting would take too long."""
        if self._wanted.where == EVERYTHING:
            return await self._life.counted(lambda asker: asker.tallies(self.state, COUNT_S))
        rows = self.rows()
        return await self._life.counted(lambda asker: asker.facets(rows, COUNT_S))

    async def page(self, cursor: str | None, count: int) -> tuple[Stretched, str | None]:
        """The next threats that fit, and the cursor for those after them."""
        reads, query = self._periscope.reads, self._query or RankQuery()
        finder = Finder(self._periscope, query, self._wanted)
        stand, walk = await finder.resume(cursor)

        async def read(rules: Rules) -> tuple[Stretched, str | None]:
            check(walk, rules, count)
            plan, done = await self._by_plan(finder, rules, count, stand)
            return done, finder.token(rules, plan, done)

        return await reads.steady(read)

    async def _by_plan(
        self, finder: Finder, rules: Rules, count: int, stand: Stand
    ) -> tuple[str, Stretched]:
        life, ids = self._life, None
        if stand.plan != MANY:  # few may become many on the way: the ranking is the same one
            ids = await self._few(stand.as_of_ms)
        if ids is not None:
            return FEW, await finder.few(rules, ids, count, stand)

        async def sieve(_: Rules, as_of_ms: int, entries: list[Entry]) -> list[Entry]:
            asked, each = [entry.threat_id for entry in entries], self.each(as_of_ms)
            kept = await life.ask(lambda asker: asker.sieve(asked, each, ANSWER_S))
            return [entry for entry in entries if entry.threat_id in kept]

        total, done = await asyncio.gather(
            self._total(stand), finder.many(rules, sieve, count, stand, records=False)
        )
        return MANY, replace(done, total=total)

    async def _few(self, as_of_ms: int | None) -> list[bytes] | None:
        """The ids of all that fit, if they are few and soon found."""
        if tallied(self._wanted) is not None:
            total = await self.number()
            if total is None or total > MOST_OF_FEW:
                return None
        rows = self.rows(as_of_ms)
        return await self._life.counted(lambda asker: asker.ids(rows, MOST_OF_FEW, PROBE_S))

    async def _total(self, stand: Stand) -> int | None:
        """How many fit: as it was told on the walk's first page, or counted now for that."""
        if stand.plan is not None:
            return stand.total
        return None if self._is_narrower else await self.number()

    @property
    def _is_narrower(self) -> bool:
        """Does the query ask for less than the index can tell: scores, or interactions?"""
        query = self._query or RankQuery()
        bounds = (query.lowest, query.highest)
        return bounds != (None, None) or query.interactions > 0

    @property
    def _targets(self) -> Sequence[int]:
        policy = self._periscope.functions.rules.policy
        return [target // _MS for target in policy.targets]
