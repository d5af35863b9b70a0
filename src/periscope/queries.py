"""Every read. Nothing here can write; scores are of one moment, the page's `as_of`."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from heapq import merge
from itertools import islice
from typing import Any, NamedTuple, TypeVar

from redis.exceptions import RedisError

from periscope import cursor as cursors
from periscope.connection import LOST
from periscope.cursor import Cursor
from periscope.errors import CursorStale, StoreDamaged, UsageError
from periscope.functions import Functions, PolicyMoved, Position, Ranked, RankQuery, Rules
from periscope.header import read_threat
from periscope.keys import Keyspace, PartitionKeys
from periscope.ledger import Ledger, Stats, add_up
from periscope.models import SEVERITIES, Page, Severity, Threat

MAX_PAGE = 1000
STRETCH = 250  # threats of one call: what a server does within a few milliseconds at worst
DEEP_BATCH = 500
ATTEMPTS = 3
T = TypeVar("T")
_SPAN = 2**42


class _Entry(NamedTuple):
    """One threat of a ranking; tuples of these compare as the ranking does."""

    score: float
    last_activity_ms: int
    threat_id: bytes
    place: int
    record: bytes | None


@dataclass(frozen=True, slots=True)
class _Stretch:
    """A stretch of the whole ranking, merged over the partitions."""

    entries: list[_Entry]
    more: bool
    as_of_ms: int
    total: int


class Queries:
    """Reads of one database."""

    def __init__(self, functions: Functions, keyspace: Keyspace, secret: bytes) -> None:
        self._functions = functions
        self._keyspace = keyspace
        self._secret = secret

    async def threats(self, ids: Iterable[str]) -> list[Threat]:
        """The known ones among `ids`, in the order given, each as often as asked for."""
        keyed = [_encoded(threat_id) for threat_id in ids]

        async def read(rules: Rules) -> dict[bytes, Threat]:
            found: dict[bytes, Threat] = {}
            as_of_ms: int | None = None
            for keys, members in self._by_partition(keyed).items():
                as_of_ms = await self._fetch(keys, rules, members, as_of_ms, found)
            return found

        found = await self._steady(read)
        return [found[threat_id] for threat_id in keyed if threat_id in found]

    async def exists(self, threat_id: str) -> bool:
        """Is there a record of it, whatever its level?"""
        key_bytes = _encoded(threat_id)
        if not key_bytes:
            return False
        key = self._keyspace.partition_of(key_bytes).record(key_bytes)
        return bool(await self._run("EXISTS", key))

    async def page(self, query: RankQuery, cursor: str | None, count: int) -> Page:
        """A page of the live ranking; see `Periscope.get_active_paginated`."""
        _check_count(count, MAX_PAGE)
        if cursor is None:
            return await self._gather(query, count, None)
        walk = await self._resume(query, cursor)
        return await self._gather(query, count, walk)

    async def top(self, limit: int) -> list[Threat]:
        """The first `limit` of the queue, ranked as of one instant."""
        _check_count(limit, None)
        return (await self._gather(RankQuery(), limit, None)).items

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
            return add_up([await self._functions.stats(keys) for keys in self._keyspace.partitions])

        return await self._steady(read)

    async def ledger(self, *, deep: bool = False) -> Ledger:
        """The conservation law; deep recounts every record against its board."""
        stats = await self.stats()
        if not deep:
            return stats.ledger
        faults: dict[str, int] = {}
        records = 0
        for keys in self._keyspace.partitions:
            records += await self._recount(keys, faults)
        return replace(stats.ledger, records=records, faults=faults)

    async def _steady(self, read: Callable[[Rules], Awaitable[T]]) -> T:
        """Read under one policy from start to end; begin anew when it changes meanwhile."""
        for _ in range(ATTEMPTS):
            rules = self._functions.rules
            try:
                return await read(rules)
            except PolicyMoved as exc:
                moved = exc
                await self._functions.refresh()
        raise moved

    async def _run(self, *command: bytes | str | int) -> Any:
        connections = self._functions.connections
        try:
            return await connections.run(*command)
        except (RedisError, *LOST) as exc:
            raise connections.explain(exc) from exc

    async def _gather(self, query: RankQuery, count: int, walk: Cursor | None) -> Page:
        async def read(rules: Rules) -> Page:
            if walk is not None and walk.policy_revision != rules.revision:
                raise CursorStale("the policy changed during this walk; start again without it")
            return await self._gather_under(rules, query, count, walk)

        return await self._steady(read)

    async def _gather_under(
        self, rules: Rules, query: RankQuery, count: int, walk: Cursor | None
    ) -> Page:
        """The next `count` of a ranking that stands still, in stretches that delay nobody."""
        after = walk.position if walk else None
        as_of_ms = walk.as_of_ms if walk else None
        items: list[Threat] = []
        while True:
            ask = min(STRETCH, count - len(items))
            stretch = await self._stretch(rules, query, ask, as_of_ms, after)
            items += await self._read_all(rules, stretch)
            if not stretch.more or len(items) >= count:
                break
            as_of_ms, after = stretch.as_of_ms, _position(stretch.entries[-1])
        token = self._token(rules, query, stretch) if stretch.more else None
        return Page(items, token, stretch.as_of_ms, stretch.total)

    async def _fetch(
        self,
        keys: PartitionKeys,
        rules: Rules,
        ids: Sequence[bytes],
        as_of_ms: int | None,
        found: dict[bytes, Threat],
    ) -> int | None:
        done = 0
        while done < len(ids):
            asked = ids[done : done + STRETCH]
            now_ms, records = await self._functions.threats(keys, rules, asked, as_of_ms)
            as_of_ms = now_ms if as_of_ms is None else as_of_ms
            for threat_id, record in zip(asked, records, strict=False):
                if record:
                    found[threat_id] = read_threat(threat_id, record, as_of_ms, rules.policy)
            done += len(records)
        return as_of_ms

    def _by_partition(self, ids: Iterable[bytes]) -> dict[PartitionKeys, list[bytes]]:
        sorted_out: dict[PartitionKeys, list[bytes]] = {}
        for threat_id in dict.fromkeys(ids):
            if threat_id:
                keys = self._keyspace.partition_of(threat_id)
                sorted_out.setdefault(keys, []).append(threat_id)
        return sorted_out

    async def _stretch(
        self,
        rules: Rules,
        query: RankQuery,
        count: int,
        as_of_ms: int | None,
        after: Position | None,
    ) -> _Stretch:
        """The next `count` over all partitions: one call to each, at one moment."""
        first, *others = self._keyspace.partitions
        # One more than asked for tells whether there is a next page.
        head = await self._functions.rank(
            first, rules, query, count + 1, records=count, as_of_ms=as_of_ms, after=after
        )
        rest = await asyncio.gather(
            *(
                self._functions.rank(
                    keys, rules, query, count + 1, records=count, as_of_ms=head.now_ms, after=after
                )
                for keys in others
            )
        )
        parts = [head, *rest]
        ranked = merge(*(self._entries(part) for part in parts), key=_rank_key, reverse=True)
        entries = list(islice(ranked, count))
        more = sum(len(part.places) for part in parts) > count
        return _Stretch(entries, more, head.now_ms, sum(part.total for part in parts))

    def _entries(self, part: Ranked) -> list[_Entry]:
        # The scores are the server's: this machine's exp() might round differently.
        records: list[bytes | None] = [*part.records]
        records += [None] * (len(part.places) - len(records))
        return [
            _Entry(score, place % _SPAN, threat_id, place, record)
            for (threat_id, place, score), record in zip(part.places, records, strict=True)
        ]

    async def _read_all(self, rules: Rules, stretch: _Stretch) -> list[Threat]:
        """Threats of the entries; records that the reply was cut before are fetched now."""
        cut = [entry.threat_id for entry in stretch.entries if entry.record is None]
        fetched: dict[bytes, Threat] = {}
        for keys, members in self._by_partition(cut).items():
            await self._fetch(keys, rules, members, stretch.as_of_ms, fetched)
        if len(fetched) < len(cut):
            raise StoreDamaged("the board names a threat that has no record; see `ledger --deep`")
        return [
            fetched[entry.threat_id]
            if entry.record is None
            else read_threat(entry.threat_id, entry.record, stretch.as_of_ms, rules.policy)
            for entry in stretch.entries
        ]

    async def _resume(self, query: RankQuery, cursor: str) -> Cursor:
        """The walk of a cursor; another process may know of a newer policy than this one."""
        walk = cursors.decode(cursor, self._secret, query=query)
        if walk.policy_revision != self._functions.rules.revision:
            await self._functions.refresh()
        return walk

    def _token(self, rules: Rules, query: RankQuery, stretch: _Stretch) -> str:
        position = _position(stretch.entries[-1])
        cursor = Cursor(
            cursors.VERSION,
            rules.revision,
            stretch.as_of_ms,
            cursors.query_of(query),
            *position,
        )
        return cursors.encode(cursor, self._secret)

    async def _recount(self, keys: PartitionKeys, faults: dict[str, int]) -> int:
        """Check every record of a partition against its board, and every place against a record."""
        records = 0
        async for ids in self._scan_ids(keys):
            records += len(ids)
            await self._judge(keys, ids, faults)
        async for ids in self._scan_board(keys):
            await self._judge(keys, ids, faults, only=("NO_RECORD",))
        return records

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
        at, seen = 0, set[bytes]()
        while True:
            at, names = await self._run("SCAN", at, "MATCH", pattern + b"*", "COUNT", DEEP_BATCH)
            fresh = [name[len(prefix) :] for name in names if name not in seen]
            seen.update(names)
            if fresh:
                yield fresh
            if not at:
                return

    async def _scan_board(self, keys: PartitionKeys) -> AsyncIterator[list[bytes]]:
        at = 0
        while True:
            at, places = await self._run("ZSCAN", keys.board, at, "COUNT", DEEP_BATCH)
            members = [place[0] if isinstance(place, tuple) else place for place in places]
            if members:
                yield members
            if not at:
                return


def severity_query(severity: Severity | str) -> RankQuery:
    """The query for one severity.

    Raises:
        UsageError: no such severity.
    """
    try:
        return RankQuery(severity=Severity(severity).rank)
    except ValueError:
        known = ", ".join(SEVERITIES)
        raise UsageError(f"unknown severity {severity!r}; use one of {known}") from None


def score_query(lowest: float, highest: float) -> RankQuery:
    """The query for scores from `lowest` to `highest`, both included.

    Raises:
        UsageError: not two finite numbers in order.
    """
    for bound in (lowest, highest):
        if isinstance(bound, bool) or not isinstance(bound, int | float):
            raise UsageError(f"a score bound must be a number, not {bound!r}")
    if not -1e9 < lowest <= highest < 1e9:
        raise UsageError("not a score range: give the lower bound first, both finite")
    return RankQuery(lowest=float(lowest), highest=float(highest))


def _rank_key(entry: _Entry) -> tuple[float, int, bytes]:
    return entry[:3]


def _position(entry: _Entry) -> Position:
    return Position(entry.place, entry.threat_id)


def _encoded(threat_id: str) -> bytes:
    """The id as bytes; what cannot be an id is the id of no threat."""
    if not isinstance(threat_id, str):
        raise UsageError(f"a threat id must be text, not {type(threat_id).__name__}")
    try:
        return threat_id.encode()
    except UnicodeEncodeError:
        return b""


def _check_count(count: int, most: int | None) -> None:
    if isinstance(count, bool) or not isinstance(count, int):
        raise UsageError(f"count must be a whole number, not {type(count).__name__}")
    if not 1 <= count <= (most or 2**31):
        raise UsageError(f"count must be from 1 to {most or 2**31:,}; walk the pages for more")
