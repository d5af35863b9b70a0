"""Typed calls of the functions in `lua/`: names, keys and arguments in order, replies parsed.

`specs.py` says for each function what the header in its Lua file says; a test compares the two.
A reply is parsed here and nowhere else, and an unknown word in one is a bug, never a shrug.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, NamedTuple

from redis.exceptions import RedisError, ResponseError

from periscope.awaits import SHORT, Awaits, asked_for, doubted, following, is_safe
from periscope.connection import LOST, Change, Connections
from periscope.errors import BugError, LibraryMismatch, OutcomeUnknown, PeriscopeError
from periscope.header import FORMAT
from periscope.keys import PartitionKeys, control_key
from periscope.library import ensure_library
from periscope.marks import Packed
from periscope.models import Outcome
from periscope.policy import Policy
from periscope.rules import Rules
from periscope.specs import SPECS

Arg = bytes | str | int


class Control(NamedTuple):
    """What holds for the whole database."""

    partitions: int
    secret: bytes
    policy: bytes
    policy_revision: int
    generation: int
    moved_to: str


class Verdict(StrEnum):
    """What `periscope_inspect` says of one record."""

    OK = "OK"
    GONE = "GONE"
    NO_RECORD = "NO_RECORD"
    NOT_ON_BOARD = "NOT_ON_BOARD"
    MISPLACED = "MISPLACED"
    TWO_LEVELS = "TWO_LEVELS"
    NOT_IN_LEVEL = "NOT_IN_LEVEL"
    WRONG_LEVEL = "WRONG_LEVEL"
    STUB_LEFT = "STUB_LEFT"


class Position(NamedTuple):
    """A place in the ranking (board score and id): what comes after it is the next page."""

    place: int
    threat_id: bytes


@dataclass(frozen=True, slots=True)
class RankQuery:
    """Which part of the board: status, severity rank (-1: any), score bounds, interactions."""

    status: int = 0
    severity: int = -1
    lowest: float | None = None
    highest: float | None = None
    interactions: int = 0


class Ranked(NamedTuple):
    """A partition's stretch of the ranking: (id, place, score) in order, and the first records."""

    now_ms: int
    total: int
    places: list[tuple[bytes, int, float]]
    records: list[bytes]


class PartitionStats(NamedTuple):
    """Counts by [status][severity], of all and of the unseen, and the ledger's counters."""

    now_ms: int
    counts: list[list[int]]
    unseen: list[list[int]]
    short_term: int
    long_term: int
    ledger: dict[str, int]


LEDGER_FIELDS = (
    "received",
    "added",
    "sightings",
    "duplicates",
    "suppressed",
    "rejected",
    "archived_seen",
    "archived_unseen",
    "removed",
)
OUTCOMES = {
    "a": Outcome.ADDED,
    "s": Outcome.SIGHTING,
    "d": Outcome.DUPLICATE,
    "x": Outcome.SUPPRESSED,
}
_RUN = re.compile(r"(\d+)([a-z])")


class Functions:
    """One database's functions: every call is one round trip to one partition.

    `refresh` brings the policy and the partitions up to date; callers await it on `PolicyMoved`.
    `now_ms` fixes the clock for tests; None means the server's.
    """

    def __init__(self, connections: Connections, rules: Rules) -> None:
        self.connections = connections
        self.rules = rules
        self.refresh: Callable[[], Awaitable[None]] = self.load
        self.now_ms: int | None = None

    async def control(
        self, namespace: str, partitions: int, secret: bytes, generation: int = 0
    ) -> Control:
        """Read the control key, writing it if this is a new database. Safe to repeat."""
        args = (partitions, secret, encode_policy(self.rules.policy), generation)
        reply = await self.call("periscope_control_2", [control_key(namespace)], args, aside=True)
        count, kept, policy, revision, number, moved_to = reply
        return Control(int(count), kept, policy, int(revision), int(number), moved_to.decode())

    async def set_policy(self, namespace: str, expected: int, policy: Policy) -> tuple[bool, int]:
        """Replace the policy if its revision still is `expected`; (done?, revision in force)."""
        word, revision = await self.call(
            "periscope_set_policy",
            [control_key(namespace)],
            (expected, encode_policy(policy)),
            aside=True,
        )
        if word not in (b"SET", b"CHANGED"):
            raise BugError(f"periscope_set_policy answered {word!r}")
        return word == b"SET", int(revision)

    async def prepare(self, keys: PartitionKeys) -> int:
        """Make a partition ready and raise its policy revision to ours. Safe to repeat."""
        args = (FORMAT, self.rules.revision, self.rules.packed)
        return int(await self.call("periscope_prepare", [keys.meta], args, aside=True))

    def ingest_command(
        self,
        keys: PartitionKeys,
        chunk_id: bytes,
        before_id: bytes,
        rejected: int,
        entries: Sequence[Packed],
        marks: bytes = b"",
    ) -> tuple[Any, ...]:
        """The command for a chunk; `entries` are (id, packed report). Repeat with the same id.

        `before_id` is a chunk that must have been stored, the chunk's own id if there is none;
        `marks` are of `pack_marks`.
        """
        prefix = keys.record_prefix
        names = (*keys.singles, *keys.noise, keys.reply(chunk_id), keys.reply(before_id))
        return (
            *("FCALL", "periscope_ingest_3", len(names) + len(entries), *names),
            *[prefix + entry[0] for entry in entries],
            *(self.rules.packed, self.moment, rejected, marks),
            *[entry[1] for entry in entries],
        )

    async def rank(
        self,
        keys: PartitionKeys,
        rules: Rules,
        query: RankQuery,
        count: int,
        *,
        records: int,
        as_of_ms: int | None = None,
        after: Position | None = None,
    ) -> Ranked:
        """The next `count` of the ranking at `as_of_ms` (None: now) after `after` (None: top)."""
        position = after or ("", b"")
        bounds = ["" if bound is None else repr(bound) for bound in (query.lowest, query.highest)]
        args = (self.moment if as_of_ms is None else as_of_ms, query.status, query.severity)
        now_ms, total, flat, found = await self.call(
            "periscope_rank",
            [keys.meta, keys.board],
            (rules.packed, *args, *bounds, count, records, *position, query.interactions),
        )
        places = zip(flat[::3], map(int, flat[1::3]), map(float, flat[2::3]), strict=True)
        return Ranked(now_ms, total, list(places), found)

    async def threats(
        self, keys: PartitionKeys, rules: Rules, ids: Sequence[bytes], as_of_ms: int | None = None
    ) -> tuple[int, list[bytes]]:
        """(server time, records) of the ids; b'' where unknown, fewer than asked when cut."""
        names = [keys.meta, *map(keys.record, ids)]
        moment = self.moment if as_of_ms is None else as_of_ms
        now_ms, records = await self.call("periscope_threats", names, (rules.revision, moment))
        return now_ms, records

    async def stats(self, keys: PartitionKeys) -> PartitionStats:
        """Counts of a partition, from its sets."""
        names = [keys.meta, keys.board, keys.short, keys.long, keys.ledger]
        now_ms, counts, unseen, short, long, ledger = await self.call(
            "periscope_stats", names, (self.moment,)
        )
        counters = dict(zip(LEDGER_FIELDS, map(int, ledger), strict=True))
        return PartitionStats(now_ms, _by_four(counts), _by_four(unseen), short, long, counters)

    async def verify(self, keys: PartitionKeys, ids: Sequence[bytes]) -> list[Verdict]:
        """For each id, whether every index shows its record as its header says."""
        names = [*keys.singles, *map(keys.record, ids)]
        words = await self.call("periscope_inspect", names, (self.rules.packed,))
        try:
            return [Verdict(word.decode()) for word in words]
        except ValueError as exc:
            raise BugError(f"periscope_inspect: {exc}") from None

    async def call(
        self,
        name: str,
        keys: Sequence[bytes],
        args: Sequence[Arg],
        *,
        aside: bool = False,
        lasting: bool = True,
    ) -> Any:
        """One FCALL; once more if the library had been flushed. All calls are safe to repeat.

        One that writes waits for replicas as the settings say; with `lasting` False, or where the
        spec says so, it does not.

        Raises:
            OutcomeUnknown: it writes, and was sent and not answered, or not by enough replicas.
            StoreError: nothing was done.
        """
        spec, run = SPECS[name], self.connections.run
        command = ("FCALL" if spec.writes else "FCALL_RO", name, len(keys), *keys, *args)
        if spec.writes:
            return await self._change(name, command, keys[0], aside, spec.lasting and lasting)
        whole = spec.undeclared
        return await self._healed(
            name, keys[0], lambda: run(*command, aside=aside, moved_whole=whole)
        )

    async def _change(
        self, name: str, command: tuple[Arg, ...], key: bytes, aside: bool, lasting: bool
    ) -> Any:
        connections, settings = self.connections, self.connections.settings
        awaits = asked_for(settings, connections.facts) if lasting else Awaits.NOTHING
        change = Change(command, following(key, awaits, settings), settings.replica_timeout_s)
        try:
            reply, *told = await self._healed(
                name, key, lambda: connections.change(change, aside=aside)
            )
        except PeriscopeError as exc:
            looked = isinstance(exc, PolicyMoved)
            raise (doubted(exc) if change.in_doubt and not looked else exc) from exc.__cause__
        if awaits and not is_safe(awaits, told, settings.replicas):
            raise OutcomeUnknown(SHORT)
        return reply

    async def _healed(self, name: str, key: bytes, run: Callable[[], Awaitable[Any]]) -> Any:
        """Run a call of this function, and once more if the library had been flushed."""
        try:
            return await run()
        except (RedisError, *LOST) as exc:
            if not is_missing_function(exc):
                raise self.explain(exc) from exc
        await self.load(key)
        try:
            return await run()
        except (RedisError, *LOST) as exc:
            if is_missing_function(exc):
                raise LibraryMismatch(f"the server has no function {name}: {exc}") from exc
            raise self.explain(exc) from exc

    async def load(self, key: bytes | None = None) -> None:
        """Load the library where it is missing or older: on the server of this key, or on all.

        Of all, those that are away are passed over: they get it with the first call that needs it.
        """
        topology = self.connections.topology
        node = topology.node_of(key) if key is not None else None
        nodes = topology.primaries() if node is None else [node]
        for one in nodes:
            try:
                await ensure_library(one.aside)
            except (RedisError, *LOST) as exc:
                if isinstance(exc, LOST) and len(nodes) > 1:
                    continue
                raise self.connections.explain(exc) from exc

    def explain(self, exc: BaseException) -> Exception:
        """Our error for the server's; a moved policy is told apart, as it can be mended."""
        code = str(exc).partition(" ")[0]
        if isinstance(exc, ResponseError) and code in _POLICY_MOVED:
            return PolicyMoved(str(exc))
        return self.connections.explain(exc)

    @property
    def moment(self) -> Arg:
        """The time argument of a call: empty for the server's clock."""
        return "" if self.now_ms is None else self.now_ms


class PolicyMoved(BugError):
    """A partition ranks by another policy revision; refreshed and repeated, so nobody sees it."""


_POLICY_MOVED = ("STALE_POLICY", "OLD_PARTITION", "UNPREPARED")


# The second is what 0.2 says to an act of ours: it is packed otherwise since.
_NOT_OURS = ("Function not found", "an act that this library does not know")


def is_missing_function(exc: BaseException) -> bool:
    """Was the library flushed, is this server new to us, or did an old program load its own?"""
    return isinstance(exc, ResponseError) and any(told in str(exc) for told in _NOT_OURS)


def parse_ingest(reply: Any, expected: int) -> list[tuple[int, Outcome]]:
    """A chunk's reply as runs of outcomes: b'3a2d' is three added, two duplicates."""
    match reply:
        case [int(), bytes(runs)]:
            return _parse_runs(runs, expected)
        case _:
            raise BugError(f"periscope_ingest_3 answered {reply!r:.100}")


def _parse_runs(runs: bytes, expected: int) -> list[tuple[int, Outcome]]:
    parsed = []
    for count, code in _RUN.findall(runs.decode()):
        if code not in OUTCOMES:
            raise BugError(f"periscope_ingest_3 answered an unknown code {code!r}")
        parsed.append((int(count), OUTCOMES[code]))
    if sum(count for count, _ in parsed) != expected:
        raise BugError(f"periscope_ingest_3 answered {runs!r} to {expected} reports")
    return parsed


def encode_policy(policy: Policy) -> bytes:
    """The policy as the control key holds it."""
    import msgspec

    return msgspec.json.encode(policy)


def _by_four(counts: list[int]) -> list[list[int]]:
    return [counts[start : start + 4] for start in range(0, 16, 4)]
