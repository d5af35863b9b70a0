"""Pages of threats that fit, in the order of the board: two plans, the same answer.

What fits is known from elsewhere, and where a threat ranks only from the board, all as of one
moment. With *few* that fit, the board is asked where each of them stands. With *many* the ranking
itself is walked, and what fits is kept. Either way a walk stands still like one over the whole
queue, and what is on a page was judged by the record that was read for it.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass
from heapq import nlargest
from typing import NamedTuple

from periscope.cursor import Cursor
from periscope.errors import CursorInvalid, PartitionsMissing
from periscope.functions import RankQuery
from periscope.header import read_threat
from periscope.index.calls import PLACES, holders_of, places_of
from periscope.index.where import Wanted
from periscope.keys import PartitionKeys
from periscope.models import STATUSES, Level
from periscope.periscope import Periscope
from periscope.policy import Policy
from periscope.queries import SPAN, Entry, position_of, query_of
from periscope.reader import check_count, check_same_policy
from periscope.rules import Rules
from periscope.threat import Record, Threat

FEW, MANY = "few", "many"
STEP = 500  # ranks of one call when they are walked without records,
STEP_WITH_RECORDS = 250  # and with them
MOST_EXAMINED = 10_000  # ranks of one page,
BUDGET_S = 0.25  # or so long: then the page is short, and its cursor leads on
BUCKETS, BUCKETS_OF_SEVERITY, BUCKETS_OF_ESCALATIONS = 176, 44, 11
_NOWHERE = -1

Sieve = Callable[[Rules, int, list[Entry]], Awaitable[list[Entry]]]
"""Which of these entries fit, in their order."""


class Found(NamedTuple):
    """A threat of a page, and the record that it was read from."""

    threat: Threat
    record: Record


@dataclass(frozen=True, slots=True)
class Stand:
    """Where a walk stands: as of when, after which entry, and what was counted at its start."""

    plan: str | None = None
    as_of_ms: int | None = None
    after: tuple[float, int, bytes, int] | None = None  # as the first four of an Entry
    total: int | None = None


@dataclass(slots=True)
class Stretched:
    """What a plan came to: threats, and the entry that the next page follows."""

    items: list[Found]
    as_of_ms: int
    last: Entry | None
    more: bool
    total: int | None


class Finder:
    """Finds what fits one question, page by page."""

    def __init__(self, periscope: Periscope, query: RankQuery, wanted: Wanted) -> None:
        self._reads, self._functions = periscope.reads, periscope.functions
        self.query, self.wanted = query, wanted
        self._words = ("find", *query_of(query)[1:], wanted.digest)

    async def resume(self, cursor: str | None) -> tuple[Stand, Cursor | None]:
        """Where the walk of this cursor stands.

        Raises:
            CursorInvalid: not a cursor of this question and database.
        """
        walk = await self._reads.resume(self._words, cursor)
        if walk is None:
            return Stand(), None
        try:
            plan, place, score, threat_id, total = walk.position
        except ValueError:
            raise CursorInvalid("this cursor belongs to another query") from None
        after = (score, place % SPAN, threat_id, place)
        return Stand(plan, walk.as_of_ms, after, None if total < 0 else total), walk

    def token(self, rules: Rules, plan: str, done: Stretched) -> str | None:
        """The cursor for what comes after; None if nothing does."""
        if not done.more or done.last is None:
            return None
        score, _, threat_id, place, _ = done.last
        total = -1 if done.total is None else done.total
        position = (plan, place, score, threat_id, total)
        return self._reads.token(rules, done.as_of_ms, self._words, position)

    async def few(self, rules: Rules, ids: Iterable[bytes], count: int, stand: Stand) -> Stretched:
        """The next `count` among these ids, wherever the board has them."""
        as_of_ms, total, best = stand.as_of_ms, 0, list[Entry]()
        parts, away = self._reads.by_partition(ids), None

        async def place(keys: PartitionKeys) -> None:
            nonlocal as_of_ms, total, best
            async for moment, entries in self._placed(rules, keys, parts[keys], as_of_ms):
                as_of_ms, total = moment, total + len(entries)
                if stand.after is not None:
                    entries = [entry for entry in entries if entry[:3] < stand.after[:3]]
                best = nlargest(count + 1, [*best, *entries], key=_rank)

        try:
            await self._reads.each(list(parts), place, len)
        except PartitionsMissing as exc:
            away = exc
        page, as_of_ms = best[:count], await self._moment(as_of_ms)
        items = await self.read(rules, as_of_ms, page)
        if away is not None:
            raise away.having(Stretched(items, as_of_ms, None, False, total)) from away.__cause__
        return Stretched(items, as_of_ms, page[-1] if page else None, len(best) > count, total)

    async def _placed(
        self, rules: Rules, keys: PartitionKeys, ids: Sequence[bytes], as_of_ms: int | None
    ) -> AsyncIterator[tuple[int, list[Entry]]]:
        """Those of these ids that the query asks for, as they stand at one moment; and when."""
        for start in range(0, len(ids), PLACES):
            part = ids[start : start + PLACES]
            as_of_ms, places = await places_of(self._functions, keys, rules, part, as_of_ms)
            yield as_of_ms, list(self._entries(part, places))

    async def many(
        self, rules: Rules, sieve: Sieve, count: int, stand: Stand, *, records: bool
    ) -> Stretched:
        """The next `count` that the sieve keeps of the ranking, or fewer after many others."""
        loop = asyncio.get_running_loop()
        until, examined = loop.time() + BUDGET_S, 0
        as_of_ms, last, more = stand.as_of_ms, _last_of(stand), True
        items: list[Found] = []
        while more and len(items) < count:
            step = STEP_WITH_RECORDS if records else STEP
            after = position_of(last) if last else None
            try:
                stretch = await self._reads.stretch(
                    rules, self.query, step, as_of_ms, after, records=records
                )
            except PartitionsMissing as exc:
                partial = Stretched(items, await self._moment(as_of_ms), None, False, None)
                raise exc.having(partial) from exc.__cause__
            as_of_ms, more, examined = stretch.as_of_ms, stretch.more, examined + step
            kept = await sieve(rules, as_of_ms, stretch.entries)
            chosen = kept[: count - len(items)]
            items += await self.read(rules, as_of_ms, chosen)
            if len(chosen) < len(kept):
                last, more = chosen[-1], True
            elif stretch.entries:
                last = stretch.entries[-1]
            if len(items) < count and (examined >= MOST_EXAMINED or loop.time() > until):
                break
        return Stretched(items, await self._moment(as_of_ms), last, more, stand.total)

    async def read(self, rules: Rules, as_of_ms: int, entries: Sequence[Entry]) -> list[Found]:
        """The threats of these entries that still fit, by the records as they are now."""
        found = {
            entry.threat_id: _found(entry.threat_id, entry.record, as_of_ms, rules.policy)
            for entry in entries
            if entry.record is not None
        }
        missing = [entry.threat_id for entry in entries if entry.record is None]
        for keys, members in self._reads.by_partition(missing).items():
            await self._reads.fetch(keys, rules, members, as_of_ms, found, _found)
        holders = await self._holders(list(found))
        return [
            found[entry.threat_id]
            for entry in entries
            if entry.threat_id in found
            and self.fits(found[entry.threat_id].threat, holders.get(entry.threat_id, ""))
        ]

    async def by_record(self, rules: Rules, as_of_ms: int, entries: list[Entry]) -> list[Entry]:
        """A sieve that needs no index: reads every record."""
        fit = {one.record.threat_id for one in await self.read(rules, as_of_ms, entries)}
        return [entry for entry in entries if entry.threat_id in fit]

    def fits(self, threat: Threat, holder: str) -> bool:
        """Is this threat, as it was read, one that was asked for?"""
        query = self.query
        return (
            threat.level is Level.WORKING
            and threat.status is STATUSES[query.status]
            and (query.severity < 0 or threat.severity.rank == query.severity)
            and self.wanted.fits(threat, holder)
        )

    async def _holders(self, ids: Sequence[bytes]) -> dict[bytes, str]:
        found: dict[bytes, str] = {}
        if self.wanted.is_about_holders:
            for keys, members in self._reads.by_partition(ids).items():
                holders = await holders_of(self._functions, keys, members)
                found |= {one: who for one, (who, _) in zip(members, holders, strict=True)}
        return found

    def _entries(
        self, ids: Sequence[bytes], places: Sequence[tuple[float, float]]
    ) -> Iterable[Entry]:
        """Those of the ids that the board has where the query asks for them."""
        query = self.query
        low = float("-inf") if query.lowest is None else query.lowest
        high = float("inf") if query.highest is None else query.highest
        for threat_id, (place, score) in zip(ids, places, strict=True):
            number = int(place)
            status, bucket = divmod(number // SPAN, BUCKETS)
            if (
                number != _NOWHERE
                and status == query.status
                and low <= score <= high
                and query.severity in (-1, bucket // BUCKETS_OF_SEVERITY)
                and bucket % BUCKETS_OF_ESCALATIONS >= query.interactions
            ):
                yield Entry(score, number % SPAN, threat_id, number, None)

    async def _moment(self, as_of_ms: int | None) -> int:
        """The moment of the page, also where nothing was asked."""
        if as_of_ms is not None:
            return as_of_ms
        nobody = [b"-"]
        keys, rules = next(iter(self._reads.by_partition(nobody))), self._functions.rules
        now_ms, _ = await places_of(self._functions, keys, rules, nobody, None)
        return now_ms


def check(walk: Cursor | None, rules: Rules, count: int) -> None:
    """Refuse a count that is none, and a walk that another policy ranked."""
    check_count(count)
    check_same_policy(walk, rules)


def _found(threat_id: bytes, record: bytes, as_of_ms: int, policy: Policy) -> Found:
    return Found(read_threat(threat_id, record, as_of_ms, policy), Record(threat_id, record))


def _rank(entry: Entry) -> tuple[float, int, bytes]:
    return entry[:3]


def _last_of(stand: Stand) -> Entry | None:
    return None if stand.after is None else Entry(*stand.after, None)
