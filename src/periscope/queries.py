"""Every read. Nothing here can write; scores are of one moment, the page's `as_of`."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Sequence
from dataclasses import dataclass, replace
from heapq import merge
from itertools import islice
from typing import Any, NamedTuple

from periscope.cursor import Cursor
from periscope.errors import PartitionsMissing
from periscope.functions import Functions, Position, Ranked, RankQuery
from periscope.gathered import Gathered
from periscope.header import read_threat
from periscope.keys import Keyspace, PartitionKeys
from periscope.ledger import Ledger, Stats, add_up
from periscope.reader import (
    MAX_PAGE,
    STRETCH,
    THREATS,
    Make,
    P,
    Reader,
    Shape,
    T,
    as_record,
    check_count,
    check_same_policy,
    encoded,
    in_shares,
    over,
    padded,
)
from periscope.room import Room
from periscope.rules import Rules
from periscope.suppressed import SuppressedCalls
from periscope.threat import Page, Record, Threat

DEEP_BATCH = 500
SPAN = 2**42


class Entry(NamedTuple):
    """One threat of a ranking; tuples of these compare as the ranking does."""

    score: float
    last_activity_ms: int
    threat_id: bytes
    place: int
    record: bytes | None


@dataclass(frozen=True, slots=True)
class Stretch:
    """A stretch of the whole ranking, merged over the partitions."""

    entries: list[Entry]
    more: bool
    as_of_ms: int
    total: int


class Queries(Reader):
    """Reads of the queue, of threats by id, and of the ledger."""

    def __init__(self, functions: Functions, keyspace: Keyspace, secret: bytes, room: Room) -> None:
        super().__init__(functions, keyspace, secret)
        self._gathered = Gathered(self._records, STRETCH, room)
        self.tally = room.tally

    def close(self) -> None:
        """Answer everybody who waits for a single threat."""
        self._gathered.abort()

    async def threats(self, ids: Iterable[str]) -> list[Threat]:
        """The known ones among `ids`, in the order given, each as often as asked for."""
        return (await self._by_id(read_threat, ids))[1]

    async def records(self, ids: Iterable[str]) -> tuple[int, list[Record]]:
        """The moment, and the records of the known ones among `ids`."""
        return await self._by_id(as_record, ids)

    async def _by_id(self, make: Make[T], ids: Iterable[str]) -> tuple[int, list[T]]:
        keyed = [encoded(threat_id) for threat_id in ids]

        async def read(rules: Rules) -> tuple[int, list[T]]:
            found: dict[bytes, T] = {}
            as_of_ms: int | None = None
            parts = self.by_partition(keyed)

            async def fetch(keys: PartitionKeys) -> None:
                nonlocal as_of_ms
                as_of_ms = await self.fetch(keys, rules, parts[keys], as_of_ms, found, make)

            def in_order(_: object) -> tuple[int, list[T]]:
                return as_of_ms or 0, [found[one] for one in keyed if one in found]

            try:
                return await self.each(list(parts), fetch, in_order)
            except PartitionsMissing as exc:
                raise exc.having(exc.partial[1] if exc.partial else None) from exc.__cause__

        return await self.steady(read)

    async def threat(self, threat_id: str) -> Threat | None:
        """One threat; those that are asked for at the same time are read together."""
        key_bytes = encoded(threat_id)
        if not key_bytes:
            return None
        keys = self._keyspace.partition_of(key_bytes)
        now_ms, record = await self._gathered(keys, key_bytes)
        if not record:
            return None
        return read_threat(key_bytes, record, now_ms, self._functions.rules.policy)

    async def _records(self, keys: PartitionKeys, ids: Sequence[bytes]) -> list[tuple[int, bytes]]:
        """(server time, record) of each, in calls that are cut at a bounded size."""

        async def read(rules: Rules) -> list[tuple[int, bytes]]:
            found: list[tuple[int, bytes]] = []
            while len(found) < len(ids):
                now_ms, records = await self._functions.threats(keys, rules, ids[len(found) :])
                found += [(now_ms, record) for record in records]
            return found

        return await self.steady(read)

    async def exists(self, threat_id: str) -> bool:
        """Is there a record of it, whatever its level?"""
        return await self.threat(threat_id) is not None

    async def page(self, query: RankQuery, cursor: str | None, count: int) -> Page:
        """A page of the live ranking; see `Periscope.get_active_paginated`."""
        return await self.page_as(THREATS, query, cursor, count)

    async def page_as(
        self, shape: Shape[T, P], query: RankQuery, cursor: str | None, count: int
    ) -> P:
        """A page of the live ranking, made of what the reader wants."""
        check_count(count, MAX_PAGE)
        walk = await self.resume(query_of(query), cursor)
        return await self._gather(shape, query, count, walk)

    async def top(self, limit: int) -> list[Threat]:
        """The first `limit` of the queue, ranked as of one instant."""
        check_count(limit, None)
        return (await self._gather(THREATS, RankQuery(), limit, None)).items

    async def walk(self, query: RankQuery, count: int = 500) -> AsyncIterator[Threat]:
        """Every match in rank order, page by page."""
        cursor: str | None = None
        while True:
            page = await self.page(query, cursor, count)
            for threat in page.items:
                yield threat
            if (cursor := page.next_cursor) is None:
                return

    async def stats(self) -> Stats:
        """Counts over all partitions."""

        async def read(_: Rules) -> Stats:
            try:
                return add_up(await over(self._keyspace.partitions, self._functions.stats))
            except PartitionsMissing as exc:
                raise exc.having(add_up(exc.partial) if exc.partial else None) from exc.__cause__

        return await self.steady(read)

    async def ledger(self, *, deep: bool = False) -> Ledger:
        """The conservation law; deep recounts every record against its board."""
        try:
            stats = await self.stats()
        except PartitionsMissing as exc:
            partial = exc.partial.ledger if exc.partial else None
            raise exc.having(partial) from exc.__cause__
        if not deep:
            return stats.ledger
        faults: dict[str, int] = {}
        records = 0
        for keys in self._keyspace.partitions:
            records += await self._recount(keys, faults)
            await self._compare_ranks(keys, faults)
            await self._compare_suppressed(keys, faults)
        return replace(stats.ledger, records=records, faults=faults)

    async def _gather(
        self, shape: Shape[T, P], query: RankQuery, count: int, walk: Cursor | None
    ) -> P:
        async def read(rules: Rules) -> P:
            check_same_policy(walk, rules)
            return await self._gather_under(shape, rules, query, count, walk)

        return await self.steady(read)

    async def _gather_under(
        self, shape: Shape[T, P], rules: Rules, query: RankQuery, count: int, walk: Cursor | None
    ) -> P:
        """The next `count` of a ranking that stands still, in stretches that delay nobody."""
        after = Position(*walk.position) if walk else None
        as_of_ms = walk.as_of_ms if walk else None
        items: list[T] = []
        while True:
            ask = min(STRETCH, count - len(items))
            try:
                stretch = await self.stretch(rules, query, ask, as_of_ms, after)
            except PartitionsMissing as exc:
                raise await self._as_page(shape, exc, rules, ask, items) from exc.__cause__
            entries = [(entry.threat_id, entry.record) for entry in stretch.entries]
            items += await self.complete(rules, stretch.as_of_ms, entries, shape.make)
            if not stretch.more or len(items) >= count:
                break
            as_of_ms, after = stretch.as_of_ms, position_of(stretch.entries[-1])
        token = None
        if stretch.more:
            position = position_of(stretch.entries[-1])
            token = self.token(rules, stretch.as_of_ms, query_of(query), position)
        return shape.page(items, token, stretch.as_of_ms, stretch.total)

    async def _as_page(
        self,
        shape: Shape[T, P],
        exc: PartitionsMissing,
        rules: Rules,
        count: int,
        items: list[T],
    ) -> PartitionsMissing:
        """The same error with a page of what could be read; it cannot be gone on with."""
        page = None
        if exc.partial:
            stretch = self._merged(exc.partial, count)
            entries = [(entry.threat_id, entry.record) for entry in stretch.entries]
            found = items + await self.complete(rules, stretch.as_of_ms, entries, shape.make)
            page = shape.page(found, None, stretch.as_of_ms, stretch.total)
        return exc.having(page)

    async def stretch(
        self,
        rules: Rules,
        query: RankQuery,
        count: int,
        as_of_ms: int | None,
        after: Position | None,
        *,
        records: bool = True,
    ) -> Stretch:
        """The next `count` over all partitions, at one moment; with their records, or without."""
        # One more than asked for tells whether there is a next page.
        parts = await in_shares(
            self._keyspace.partitions,
            count + 1,
            as_of_ms,
            lambda keys, wanted, at: self._functions.rank(
                *(keys, rules, query, wanted),
                records=min(wanted, count) if records else 0,
                as_of_ms=at,
                after=after,
            ),
            _ranks_of,
        )
        return self._merged(parts, count)

    def _merged(self, parts: Sequence[Ranked], count: int) -> Stretch:
        ranked = merge(*(self._entries(part) for part in parts), key=_rank_key, reverse=True)
        entries = list(islice(ranked, count))
        more = sum(len(part.places) for part in parts) > count
        return Stretch(entries, more, parts[0].now_ms, sum(part.total for part in parts))

    def _entries(self, part: Ranked) -> list[Entry]:
        # The scores are the server's: this machine's exp() might round differently.
        records = padded(part.records, len(part.places))
        return [
            Entry(score, place % SPAN, threat_id, place, record)
            for (threat_id, place, score), record in zip(part.places, records, strict=True)
        ]

    async def _recount(self, keys: PartitionKeys, faults: dict[str, int]) -> int:
        """Check every record of a partition against its board, and every place against a record."""
        records = 0
        async for ids in self._scan_ids(keys):
            records += len(ids)
            await self._judge(keys, ids, faults)
        for place in (keys.board, keys.short, keys.long, keys.exceptions, keys.promotable):
            async for ids in self._scan_set(keys, place):
                await self._judge(keys, ids, faults, only=("NO_RECORD",))
        return records

    async def _compare_ranks(self, keys: PartitionKeys, faults: dict[str, int]) -> None:
        """Has each rank as many members as its level?"""
        found = (
            await self.run("ZCARD", keys.short_rank),
            await self.run("ZLEXCOUNT", keys.long_rank, b"[\0", b"(\1"),
        )
        levels = [await self.run("ZCARD", keys.short), await self.run("ZCARD", keys.long)]
        if (wrong := sum(abs(a - b) for a, b in zip(found, levels, strict=True))) > 0:
            faults["RANKS_DIFFER"] = faults.get("RANKS_DIFFER", 0) + wrong

    async def _compare_suppressed(self, keys: PartitionKeys, faults: dict[str, int]) -> None:
        """Has each suppressed entry an age, and is each counted by its cause?"""
        entries = await self.run("HLEN", keys.suppressed)
        ages = await self.run("ZCARD", keys.suppressed_ages)
        causes = await SuppressedCalls(self._functions).causes(keys)
        wrong = abs(entries - ages) + abs(entries - sum(causes.values()))
        if wrong:
            faults["SUPPRESSED_DIFFER"] = faults.get("SUPPRESSED_DIFFER", 0) + wrong

    async def _judge(
        self,
        keys: PartitionKeys,
        ids: Sequence[bytes],
        faults: dict[str, int],
        only: tuple[str, ...] = (),
    ) -> None:
        for verdict in await self._functions.verify(keys, ids):
            if verdict not in ("OK", "GONE") and (not only or verdict in only):
                faults[verdict] = faults.get(verdict, 0) + 1

    async def _scan_ids(self, keys: PartitionKeys) -> AsyncIterator[list[bytes]]:
        prefix = keys.record_prefix
        pattern = b"".join(b"\\" + bytes((c,)) if c in b"*?[]\\" else bytes((c,)) for c in prefix)
        seen = set[bytes]()

        def command(at: int) -> tuple[bytes | str | int, ...]:
            return ("SCAN", at, "MATCH", pattern + b"*", "COUNT", DEEP_BATCH)

        async for names in self.scan(keys, command):
            if fresh := set(names) - seen:
                yield [name[len(prefix) :] for name in fresh]
            seen |= fresh

    async def _scan_set(self, keys: PartitionKeys, key: bytes) -> AsyncIterator[list[bytes]]:
        seen = set[bytes]()

        async for places in self.scan(keys, lambda at: ("ZSCAN", key, at, "COUNT", DEEP_BATCH)):
            members = {place[0] if isinstance(place, tuple) else place for place in places}
            if fresh := members - seen:
                yield list(fresh)
            seen |= fresh


def query_of(query: RankQuery) -> tuple[Any, ...]:
    """A query as a cursor holds it."""
    bounds = (query.lowest, query.highest, query.interactions)
    return ("queue", query.status, query.severity, *bounds)


def _ranks_of(part: Ranked) -> list[tuple[float, int, bytes]]:
    return [(score, place % SPAN, threat_id) for threat_id, place, score in part.places]


def _rank_key(entry: Entry) -> tuple[float, int, bytes]:
    return entry[:3]


def position_of(entry: Entry) -> Position:
    """Where an entry stands, as the server is told of it."""
    return Position(entry.place, entry.threat_id)
