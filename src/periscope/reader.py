"""What every read has in common: one policy from start to end, records by id, cursors."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from heapq import nlargest
from itertools import chain
from typing import Any, Generic, NamedTuple, Protocol, TypeVar

from redis.exceptions import RedisError

from periscope import cursor as cursors
from periscope.bound import within
from periscope.connection import LOST, Node
from periscope.cursor import Cursor
from periscope.errors import (
    CursorStale,
    OutcomeUnknown,
    PartitionsMissing,
    StoreDamaged,
    StoreUnavailable,
    UsageError,
)
from periscope.functions import Functions, PolicyMoved
from periscope.header import read_threat
from periscope.keys import Keyspace, PartitionKeys
from periscope.policy import Policy
from periscope.rules import Rules
from periscope.threat import Page, Record, RecordPage, Threat

MAX_PAGE = 1000
STRETCH = 250  # threats of one call: what a server does within a few milliseconds at worst
ATTEMPTS = 3
SCANS = 5
SPARE = 4  # asked of a partition beyond twice its share: chance seldom gives it more
R = TypeVar("R")
T = TypeVar("T")


class Momentary(Protocol):
    """An answer that says of which moment it is."""

    @property
    def now_ms(self) -> int:
        """Server time in ms."""


M = TypeVar("M", bound=Momentary)
P = TypeVar("P")
Make = Callable[[bytes, bytes, int, Policy], T]
"""Makes what is wanted of an id and its record, as of a moment, under a policy."""


class Shape(NamedTuple, Generic[T, P]):
    """What a reader wants: each record as a T, and a page of them as a P."""

    make: Make[T]
    page: Callable[[list[T], str | None, int, int], P]


def as_record(threat_id: bytes, record: bytes, as_of_ms: int, policy: Policy) -> Record:
    """A record as it is stored."""
    return Record(threat_id, record)


THREATS: Shape[Threat, Page] = Shape(read_threat, Page)
RECORDS: Shape[Record, RecordPage] = Shape(as_record, RecordPage)


class Reader:
    """Reads of one database."""

    def __init__(self, functions: Functions, keyspace: Keyspace, secret: bytes) -> None:
        self._functions = functions
        self._keyspace = keyspace
        self._secret = secret

    async def steady(self, read: Callable[[Rules], Awaitable[T]]) -> T:
        """Read under one policy from start to end; begin anew when it changes meanwhile.

        Raises:
            StoreUnavailable: all that took longer than `operation_timeout_s`.
        """
        return await self.bounded(steady(self._functions, read))

    async def bounded(self, call: Awaitable[T]) -> T:
        """A read that is one to its caller: within `operation_timeout_s`, or not at all."""
        return await within(self._functions.connections.settings.operation_timeout_s, call)

    async def each(
        self,
        partitions: Sequence[PartitionKeys],
        call: Callable[[PartitionKeys], Awaitable[T]],
        add_up: Callable[[list[T]], R],
    ) -> R:
        """Call for each of these partitions; see the function of this name."""
        return await each(self._functions, partitions, call, add_up)

    async def run(self, *command: bytes | str | int, key: bytes | None = None) -> Any:
        """Run a plain command that reads where its key is (None: its first argument)."""
        connections = self._functions.connections
        try:
            return await connections.run(*command, key=key)
        except (RedisError, *LOST) as exc:
            raise connections.explain(exc) from exc

    async def scan(
        self, keys: PartitionKeys, command: Callable[[int], tuple[bytes | str | int, ...]]
    ) -> AsyncIterator[list[Any]]:
        """The replies to SCAN or one of its kind, `command(cursor)`; what was seen may come again.

        To another server (after a failover, a restart, or a slot that moved) a cursor means
        nothing: where one took over in the midst, it begins anew.

        Raises:
            StoreUnavailable: they take turns all the time.
        """
        for _ in range(SCANS):
            server, at = await self._server_of(keys), 0
            while True:
                at, found = await self.run(*command(int(at)), key=keys.meta)
                yield found
                if not int(at):
                    break
            if await self._server_of(keys) == server:
                return
        raise StoreUnavailable("the server of these threats changes all the time; try again")

    async def _server_of(self, keys: PartitionKeys) -> str:
        """Which process serves a partition: a command with a key is told of a move, INFO is not."""
        await self.run("EXISTS", keys.meta)
        return str((await self.run("INFO", "server", key=keys.meta))["run_id"])

    async def resume(self, query: tuple[Any, ...], cursor: str | None) -> Cursor | None:
        """The walk of a cursor; another process may know of a newer policy than this one."""
        if cursor is None:
            return None
        walk = cursors.decode(cursor, self._secret, query=query)
        if walk.policy_revision != self._functions.rules.revision:
            await self._functions.refresh()
        return walk

    def token(
        self, rules: Rules, as_of_ms: int, query: tuple[Any, ...], position: Iterable[Any]
    ) -> str:
        """The cursor of a walk that stands at `position`."""
        cursor = Cursor(cursors.VERSION, rules.revision, as_of_ms, query, tuple(position))
        return cursors.encode(cursor, self._secret)

    async def fetch(
        self,
        keys: PartitionKeys,
        rules: Rules,
        ids: Sequence[bytes],
        as_of_ms: int | None,
        found: dict[bytes, T],
        make: Make[T],
    ) -> int | None:
        """Read the known ones among `ids` into `found`; return the moment of the first reply."""
        done = 0
        while done < len(ids):
            asked = ids[done : done + STRETCH]
            now_ms, records = await self._functions.threats(keys, rules, asked, as_of_ms)
            as_of_ms = now_ms if as_of_ms is None else as_of_ms
            for threat_id, record in zip(asked, records, strict=False):
                if record:
                    found[threat_id] = make(threat_id, record, as_of_ms, rules.policy)
            done += len(records)
        return as_of_ms

    async def complete(
        self,
        rules: Rules,
        as_of_ms: int,
        entries: Sequence[tuple[bytes, bytes | None]],
        make: Make[T],
    ) -> list[T]:
        """What `make` makes of (id, record), in order; where a reply was cut, fetched now."""
        cut = [threat_id for threat_id, record in entries if record is None]
        fetched: dict[bytes, T] = {}
        for keys, members in self.by_partition(cut).items():
            await self.fetch(keys, rules, members, as_of_ms, fetched, make)
        if len(fetched) < len(cut):
            raise StoreDamaged("an index names a threat that has no record; see `ledger --deep`")
        return [
            fetched[threat_id]
            if record is None
            else make(threat_id, record, as_of_ms, rules.policy)
            for threat_id, record in entries
        ]

    def by_partition(self, ids: Iterable[bytes]) -> dict[PartitionKeys, list[bytes]]:
        """Ids, each once, with the partition that holds them."""
        sorted_out: dict[PartitionKeys, list[bytes]] = {}
        for threat_id in dict.fromkeys(ids):
            if threat_id:
                keys = self._keyspace.partition_of(threat_id)
                sorted_out.setdefault(keys, []).append(threat_id)
        return sorted_out


async def over(
    partitions: Sequence[PartitionKeys], call: Callable[[PartitionKeys], Awaitable[T]]
) -> list[T]:
    """Call for each partition, several at once; the answers in their order.

    Raises:
        PartitionsMissing: some could not be reached; the others' answers are in `partial`.
    """
    if len(partitions) <= 1:
        return [await call(keys) for keys in partitions]
    answers = await asyncio.gather(*map(call, partitions), return_exceptions=True)
    away: dict[int, BaseException] = {}
    found: list[T] = []
    for keys, answer in zip(partitions, answers, strict=True):
        if isinstance(answer, StoreUnavailable):
            away[keys.number] = answer
        elif isinstance(answer, BaseException):
            raise answer
        else:
            found.append(answer)
    if away:
        raise missing(away, len(partitions), found)
    return found


async def at_one_moment(
    partitions: Sequence[PartitionKeys],
    as_of_ms: int | None,
    call: Callable[[PartitionKeys, int | None], Awaitable[M]],
) -> list[M]:
    """Call for each partition as of one moment: that of the first one to answer, if none is given.

    Raises:
        PartitionsMissing: some could not be reached; the others' answers are in `partial`.
    """
    answers: list[M] = []
    away: dict[int, BaseException] = {}
    for position, keys in enumerate(partitions):
        try:
            answers.append(await call(keys, as_of_ms))
        except StoreUnavailable as exc:
            if len(partitions) == 1:
                raise
            away[keys.number] = exc
            continue
        moment, others = answers[0].now_ms, partitions[position + 1 :]
        break
    else:
        raise missing(away, len(partitions), [])
    try:
        answers += await over(others, lambda keys: call(keys, moment)) if others else []
    except PartitionsMissing as exc:
        away |= dict.fromkeys(exc.missing, exc.__cause__ or exc)
        answers += exc.partial
    except StoreUnavailable as exc:
        away[others[0].number] = exc
    if away:
        raise missing(away, len(partitions), answers)
    return answers


async def in_shares(
    partitions: Sequence[PartitionKeys],
    count: int,
    as_of_ms: int | None,
    call: Callable[[PartitionKeys, int, int | None], Awaitable[M]],
    ranks: Callable[[M], Sequence[Any]],
) -> list[M]:
    """Parts of a ranking as of one moment, which together hold its first `count`.

    Ids are spread evenly, so each partition is asked for little more than its share of them; one
    whose whole answer is among the first is asked for all, since it may have more of them.
    `call` takes how many are wanted, `ranks` says how the entries of a part rank, falling.

    Raises:
        PartitionsMissing: some could not be reached; what the others have is in `partial`, whole.
    """
    asked = min(count, 2 * -(-count // len(partitions)) + SPARE)
    try:
        parts = await at_one_moment(partitions, as_of_ms, lambda keys, at: call(keys, asked, at))
        more = _that_may_have_more([ranks(part) for part in parts], asked, count)
        moment = parts[0].now_ms
        wanted = [partitions[number] for number in more]
        for number, part in zip(
            more, await over(wanted, lambda keys: call(keys, count, moment)), strict=True
        ):
            parts[number] = part
    except PartitionsMissing:
        if asked < count:
            return await at_one_moment(partitions, as_of_ms, lambda keys, at: call(keys, count, at))
        raise
    return parts


def _that_may_have_more(lists: Sequence[Sequence[Any]], asked: int, count: int) -> list[int]:
    """The numbers of those that were cut before the last of the first `count` was met."""
    if asked == count:
        return []
    first = nlargest(count, chain.from_iterable(lists))
    last = first[-1] if len(first) == count else None
    cut = [number for number, ranks in enumerate(lists) if len(ranks) == asked]
    return [number for number in cut if last is None or lists[number][-1] >= last]


async def each(
    functions: Functions,
    partitions: Sequence[PartitionKeys],
    call: Callable[[PartitionKeys], Awaitable[T]],
    add_up: Callable[[list[T]], R],
) -> R:
    """Call for each partition, one after the other; what the answers come to.

    Those of a server that was found away are passed over.

    Raises:
        PartitionsMissing: some could not be reached; what the others come to is in `partial` (None
            if there are no others).
    """
    found: list[T] = []
    away: dict[int, BaseException] = {}
    lost: dict[Node | None, BaseException] = {}
    for keys in partitions:
        node = functions.connections.topology.node_of(keys.meta)
        if node in lost:
            away[keys.number] = lost[node]
            continue
        try:
            found.append(await call(keys))
        except StoreUnavailable as exc:
            if len(partitions) == 1:
                raise
            away[keys.number] = exc
            if not isinstance(exc, OutcomeUnknown):  # that is of one call, not of its server
                lost[node] = exc
    if away:
        raise missing(away, len(partitions), add_up(found) if found else None)
    return add_up(found)


def missing(away: dict[int, BaseException], of: int, partial: Any) -> PartitionsMissing:
    """The error that names the partitions that are away, out of so many that were asked."""
    cause = next(iter(away.values()))
    error = PartitionsMissing(
        f"{len(away)} of {of} partitions cannot be reached ({some_of(list(away))}): {cause}",
        missing=tuple(away),
        partial=partial,
    )
    error.__cause__ = cause
    return error


def some_of(numbers: Sequence[int]) -> str:
    """The first few of them in words."""
    return ", ".join(map(str, numbers[:20])) + (", ..." if len(numbers) > 20 else "")


async def steady(functions: Functions, call: Callable[[Rules], Awaitable[T]]) -> T:
    """Call under the policy in force; again when it changes meanwhile (nothing was done then)."""
    for _ in range(ATTEMPTS):
        rules = functions.rules
        try:
            return await call(rules)
        except PolicyMoved as exc:
            moved = exc
            await functions.refresh()
    raise moved


def check_same_policy(walk: Cursor | None, rules: Rules) -> None:
    """Refuse to go on with a walk that another policy ranked."""
    if walk is not None and walk.policy_revision != rules.revision:
        raise CursorStale("the policy changed during this walk; start again without it")


def encoded(threat_id: str) -> bytes:
    """The id as bytes; what cannot be an id is the id of no threat."""
    if not isinstance(threat_id, str):
        raise UsageError(f"a threat id must be text, not {type(threat_id).__name__}")
    try:
        return threat_id.encode()
    except UnicodeEncodeError:
        return b""


def check_count(count: int, most: int | None = MAX_PAGE) -> None:
    """Refuse a count that is none, or beyond what one page holds."""
    if isinstance(count, bool) or not isinstance(count, int):
        raise UsageError(f"count must be a whole number, not {type(count).__name__}")
    if not 1 <= count <= (most or 2**31):
        raise UsageError(f"count must be from 1 to {most or 2**31:,}; walk the pages for more")


def padded(records: Sequence[bytes], length: int) -> list[bytes | None]:
    """Records of a reply, with None for those that it was cut before."""
    return [*records, *([None] * (length - len(records)))]
