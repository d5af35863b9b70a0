"""One question to the index as it is now: its rows, how many they are, and a page of them."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta

from periscope.functions import RankQuery
from periscope.index.asking import Counted
from periscope.index.buckets import Buckets
from periscope.index.finding import FEW, MANY, Finder, Stand, Stretched, check
from periscope.index.life import ANSWER_S, COUNT_S, Life
from periscope.index.selecting import (
    ANYTHING,
    Selection,
    Tallied,
    is_led,
    left_out,
    left_out_tallied,
    of_level,
    of_severities,
    selection,
    state_of,
    tallied,
    with_all,
)
from periscope.index.sheet import TAG
from periscope.index.where import Wanted
from periscope.periscope import Periscope
from periscope.queries import Entry
from periscope.rules import Rules

MOST_OF_FEW = 10_000  # ids whose places are asked for; with more, the ranking is walked,
PROBE_S = 0.5  # as it is where it takes longer to find out,
SURE_S = 1.5  # or so long where it is known that they are few
HISTOGRAM_S = 0.5
_MS = timedelta(milliseconds=1)


class Asked:
    """What `wanted` means, in the part of level 1 that `query` names (None: in all levels)."""

    def __init__(
        self,
        periscope: Periscope,
        life: Life,
        wanted: Wanted,
        query: RankQuery | None = None,
        level: int | None = None,
    ) -> None:
        self._periscope, self._life, self._wanted = periscope, life, wanted
        self._query = query
        self.state = ANYTHING if query is None else state_of(query, wanted)
        if level is not None:
            self.state &= of_level(level, wanted)

    def rows(self, as_of_ms: int | None = None) -> Selection:
        """The rows that fit."""
        return self.state & self._selection(self._wanted, as_of_ms)

    def each(self, as_of_ms: int | None = None) -> Selection:
        """Whether a row that is at hand fits."""
        return self._selection(self._wanted, as_of_ms, each=True)

    async def number(self) -> int | None:
        """How many rows fit; None where counting would take too long."""
        if (kept := tallied(self._wanted)) is not None:
            whole = kept & self.state
            return await self._life.ask(lambda asker: asker.count_tallied(whole))
        found = None
        if (less := self._less()) and (kept := tallied(with_all(self._wanted))):
            found = await self._number_of_rest(kept & self.state, *less)
        return await self._life.number(self.rows()) if found is None else found

    async def _number_of_rest(
        self, whole: Tallied, likely: Selection, less: Selection
    ) -> int | None:
        return await self._life.counted(
            lambda asker: asker.count_rest(whole, likely, less, COUNT_S)
        )

    async def facets(self) -> dict[str, dict[str, int]] | None:
        """Counts by facet and value; None where counting would take too long."""
        state = of_severities(with_all(self._wanted))
        if state is not None:
            if with_all(self._wanted) is self._wanted:
                whole = self.state & state
                return await self._life.counted(lambda asker: asker.tallies(whole, COUNT_S))
            if found := await self._facets_of_rest(self.state & state):
                return found
        rows = self.rows()
        return await self._life.counted(lambda asker: asker.facets(rows, COUNT_S))

    async def _facets_of_rest(self, state: Selection) -> dict[str, dict[str, int]] | None:
        likely, less = self._less() or (ANYTHING, ANYTHING)
        return await self._life.counted(
            lambda asker: asker.facets_of_rest(state, likely, less, COUNT_S)
        )

    async def histogram(self, within: Buckets) -> list[int] | None:
        """How many were first seen in each bucket; None where counting would take too long."""
        wanted, state = with_all(self._wanted, "not_tags"), self.state.aside()
        if is_led(self._wanted):
            counted, less = Counted(self.rows(), is_led=True), None
        else:  # tags are looked up row by row: of those with any of them, which are fewer
            each = state & self._selection(wanted, each=True)
            counted, less = Counted(each, is_led=False), None
            if wanted is not self._wanted:
                less = each & left_out(self._wanted, TAG)
        return await self._life.counted(
            lambda asker: asker.histogram(counted, less, within, HISTOGRAM_S)
        )

    def _less(self) -> tuple[Selection, Selection] | None:
        """What is left out of all else that fits: tallies of it, and rows; None: nothing is."""
        whole = with_all(self._wanted)
        if whole is self._wanted:
            return None
        rows = self.state.aside() & self._selection(whole, each=True) & left_out(self._wanted)
        return left_out_tallied(self._wanted) & self.state, rows

    def _selection(
        self, wanted: Wanted, as_of_ms: int | None = None, *, each: bool = False
    ) -> Selection:
        moment = self._life.feeder.now_ms if as_of_ms is None else as_of_ms
        return selection(wanted, moment, self._targets, each=each)

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
        within_s = PROBE_S
        if tallied(self._wanted) is not None:
            total = await self.number()
            if total is None or total > MOST_OF_FEW:
                return None
            within_s = SURE_S
        rows = self.rows(as_of_ms)
        return await self._life.counted(lambda asker: asker.ids(rows, MOST_OF_FEW, within_s))

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
