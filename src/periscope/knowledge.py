"""Reads beside the queue: levels 2 and 3, what is overdue, who is at work."""

from __future__ import annotations

from collections import deque
from collections.abc import Awaitable, Sequence
from heapq import merge

from periscope.calls import Calls, DueEntry, DueStretch, LevelEntry, LevelStretch, decode
from periscope.errors import PartitionsMissing
from periscope.functions import Functions
from periscope.keys import Keyspace, PartitionKeys, control_key
from periscope.models import SEVERITIES, Severity
from periscope.rank_queries import severity_query
from periscope.reader import (
    STRETCH,
    THREATS,
    P,
    Reader,
    Shape,
    T,
    at_one_moment,
    check_count,
    check_same_policy,
    encoded,
    over,
)
from periscope.rules import Rules
from periscope.threat import Page
from periscope.work import Claim, Desk, LastAct

_LAST_ID = b"\xff"  # sorts after every id, which is UTF-8


class Knowledge(Reader):
    """Lists of one database that are not the queue."""

    def __init__(self, functions: Functions, keyspace: Keyspace, secret: bytes) -> None:
        super().__init__(functions, keyspace, secret)
        self._calls = Calls(functions)

    async def level(self, level: int, industry: str, cursor: str | None, count: int) -> Page:
        """A page of level 2 or 3; see `Periscope.get_short_term`."""
        return await self.level_as(THREATS, level, industry, cursor, count)

    async def level_as(
        self, shape: Shape[T, P], level: int, industry: str, cursor: str | None, count: int
    ) -> P:
        """A page of level 2 or 3, made of what the reader wants."""
        check_count(count)
        query = ("level", level, industry)
        walk = await self.resume(query, cursor)

        async def read(rules: Rules) -> P:
            check_same_policy(walk, rules)
            as_of_ms = walk.as_of_ms if walk else None
            after = (walk.position[0], walk.position[1]) if walk else (b"", b"")
            items: list[T] = []
            while True:
                ask = min(STRETCH, count - len(items))
                parts, away = await _reached(
                    self._levels(rules, level, industry, ask, as_of_ms, after)
                )
                as_of_ms = parts[0].now_ms
                entries, more = _first_of(
                    [part.entries for part in parts], ask, rules.policy.decay_floor
                )
                items += await self.complete(rules, as_of_ms, _records(entries), shape.make)
                after = _after(entries, after)
                if away is not None:
                    page = shape.page(items, None, as_of_ms, sum(part.total for part in parts))
                    raise away.having(page) from away.__cause__
                if not more or len(items) >= count:
                    break
            token = self.token(rules, as_of_ms, query, after) if more else None
            return shape.page(items, token, as_of_ms, sum(part.total for part in parts))

        return await self.steady(read)

    async def _levels(
        self,
        rules: Rules,
        level: int,
        industry: str,
        count: int,
        as_of_ms: int | None,
        after: tuple[bytes, bytes],
    ) -> list[LevelStretch]:
        """One stretch of each partition, all of one moment."""
        return await at_one_moment(
            self._keyspace.partitions,
            as_of_ms,
            lambda keys, at: self._calls.levels(
                keys, rules, level, industry, count + 1, records=count, as_of_ms=at, after=after
            ),
        )

    async def overdue(
        self, severity: Severity | str | None, cursor: str | None, count: int
    ) -> Page:
        """A page of what is overdue; see `Periscope.get_overdue`."""
        return await self.overdue_as(THREATS, severity, cursor, count)

    async def overdue_as(
        self, shape: Shape[T, P], severity: Severity | str | None, cursor: str | None, count: int
    ) -> P:
        """A page of what is overdue, made of what the reader wants."""
        check_count(count)
        rank = -1 if severity is None else severity_query(severity).severity
        query = ("overdue", rank)
        walk = await self.resume(query, cursor)

        async def read(rules: Rules) -> P:
            check_same_policy(walk, rules)
            as_of_ms = walk.as_of_ms if walk else None
            after = (walk.position[0], walk.position[1]) if walk else (0, b"")
            total = walk.position[2] if walk else None
            items: list[T] = []
            while True:
                ask = min(STRETCH, count - len(items))
                parts, away = await _reached(self._due(rules, rank, ask, as_of_ms, after))
                as_of_ms = parts[0].now_ms
                entries, more, after = _due_of(parts, ask, after)
                items += await self.complete(rules, as_of_ms, _records(entries), shape.make)
                if away is not None:
                    page = shape.page(items, None, as_of_ms, len(items))
                    raise away.having(page) from away.__cause__
                if not more or len(items) >= count:
                    break
            if total is None:
                total = await self._count_overdue(rules, rank, as_of_ms)
            token = self.token(rules, as_of_ms, query, (*after, total)) if more else None
            return shape.page(items, token, as_of_ms, total)

        return await self.steady(read)

    async def _due(
        self,
        rules: Rules,
        severity: int,
        count: int,
        as_of_ms: int | None,
        after: tuple[int, bytes],
    ) -> list[DueStretch]:
        return await at_one_moment(
            self._keyspace.partitions,
            as_of_ms,
            lambda keys, at: self._calls.overdue(
                keys, rules, severity, count + 1, records=count, as_of_ms=at, after=after
            ),
        )

    async def _count_overdue(self, rules: Rules, severity: int, as_of_ms: int) -> int:
        ranks = range(len(SEVERITIES)) if severity < 0 else [severity]

        async def count(keys: PartitionKeys) -> int:
            return sum(
                [await self._calls.count_overdue(keys, rules, rank, as_of_ms) for rank in ranks]
            )

        return sum(await over(self._keyspace.partitions, count))

    async def desk(self, threat_id: str) -> Desk:
        """Who holds a threat, and who did what last; see `Periscope.get_desk`."""
        key_bytes = encoded(threat_id)
        keys = self._keyspace.partition_of(key_bytes)
        now_ms, found = await self.bounded(self._calls.desk(keys, key_bytes))
        claim = None
        if b"" in found:
            until_ms, _, token, holder = decode(found[b""])
            claim = Claim(threat_id, holder, token, until_ms) if until_ms > now_ms else None
        acts = [
            LastAct(name.decode(), *decode(packed))
            for name, packed in found.items()
            if name not in (b"", b"\x01")
        ]
        return Desk(claim, tuple(sorted(acts, key=lambda act: act.at_ms, reverse=True)))

    async def note(self, name: str, expected: str, value: str) -> str:
        """Compare and set a note on the whole database; see `Periscope.note`."""
        control = control_key(self._keyspace.namespace)
        return await self.bounded(self._calls.note(control, f"note_{name}", expected, value))

    async def fading(self) -> int:
        """How many level 3 threats decay now."""
        partitions = self._keyspace.partitions
        counts = await over(partitions, lambda keys: self.run("ZCOUNT", keys.long, "-inf", "(inf"))
        return sum(counts)

    async def holdings(self) -> dict[str, int]:
        """What else the database holds; see `Periscope.get_holdings`."""
        parts = await self.bounded(over(self._keyspace.partitions, self._calls.holdings))
        return {name: sum(part[name] for part in parts) for name in parts[0]}


async def _reached(call: Awaitable[list[T]]) -> tuple[list[T], PartitionsMissing | None]:
    """The answers of a call to all partitions, and what is to be raised if some are away."""
    try:
        return await call, None
    except PartitionsMissing as exc:
        if not exc.partial:
            raise exc.having(None) from exc.__cause__
        return exc.partial, exc


def normal_industry(industry: str | None) -> str:
    """An industry as the index has it: '' for all."""
    name = "" if industry is None else industry.strip()
    return name.encode(errors="replace").lower().decode()


def _first_of(
    lists: Sequence[list[LevelEntry]], count: int, floor: float
) -> tuple[list[LevelEntry], bool]:
    """The first `count` of the partitions' lists, and whether there are more.

    Each class is in the order of its places; the two are merged as the server merges them.
    """
    kept, fading = (
        deque(
            sorted(
                (entry for part in lists for entry in part if entry.fades is fades),
                key=lambda entry: entry.place,
                reverse=True,
            )
        )
        for fades in (False, True)
    )
    ranked: list[LevelEntry] = []
    while kept or fading:
        first = kept if not fading or (kept and _before(kept[0], fading[0], floor)) else fading
        ranked.append(first.popleft())
    return ranked[:count], len(ranked) > count


def _before(kept: LevelEntry, fading: LevelEntry, floor: float) -> bool:
    if kept.value != fading.value or kept.value == floor:
        return kept.value >= fading.value
    return kept[:3] > fading[:3]


def _after(entries: Sequence[LevelEntry], before: tuple[bytes, bytes]) -> tuple[bytes, bytes]:
    """Where both classes of a level have come to."""
    kept, fading = before
    for entry in entries:
        if entry.fades:
            fading = entry.place
        else:
            kept = entry.place
    return kept, fading


def _due_of(
    parts: Sequence[DueStretch], count: int, before: tuple[int, bytes]
) -> tuple[list[DueEntry], bool, tuple[int, bytes]]:
    """The first `count` that are known to be the first, whether there are more, and from where."""
    cuts = [part.cut_ms for part in parts if part.cut_ms]
    cut_ms = min(cuts, default=None)
    ranked = list(merge(*(part.entries for part in parts), key=lambda entry: entry[:2]))
    known = [entry for entry in ranked if cut_ms is None or entry.due_ms < cut_ms]
    if len(known) > count:
        last = known[count - 1]
        return known[:count], True, (last.due_ms, last.threat_id)
    if cut_ms is not None:
        return known, True, (cut_ms - 1, _LAST_ID)
    after = (known[-1].due_ms, known[-1].threat_id) if known else before
    return known, False, after


def _records(
    entries: Sequence[LevelEntry] | Sequence[DueEntry],
) -> list[tuple[bytes, bytes | None]]:
    return [(entry.threat_id, entry.record) for entry in entries]
