"""Typed calls of the functions in `lua/`: names, keys and arguments in order, replies parsed.

`SPECS` says for each function what the header in its Lua file says; a test compares the two.
A reply is parsed here and nowhere else, and an unknown word in one is a bug, never a shrug.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, NamedTuple, TypeVar

from redis.exceptions import RedisError, ResponseError

from periscope.connection import LOST, Connections
from periscope.errors import BugError, LibraryMismatch
from periscope.header import FORMAT
from periscope.keys import PartitionKeys, control_key
from periscope.library import ensure_library
from periscope.models import Outcome
from periscope.policy import Policy

ATTEMPTS = 3

_T = TypeVar("_T")
Arg = bytes | str | int


class Spec(NamedTuple):
    """What a function's header says: its keys and arguments in order, and whether it writes."""

    keys: tuple[str, ...]
    args: tuple[str, ...]
    writes: bool


SPECS: dict[str, Spec] = {
    "periscope_control": Spec(("control",), ("format", "partitions", "secret", "policy"), True),
    "periscope_set_policy": Spec(("control",), ("expected_revision", "policy"), True),
    "periscope_prepare": Spec(("meta",), ("format", "policy_revision"), True),
    "periscope_ingest": Spec(
        ("meta", "ledger", "board", "sources", "reply", "record..."),
        ("policy_revision", "now_ms", "rejected", "report..."),
        True,
    ),
    "periscope_rank": Spec(
        ("meta", "board"),
        (
            *("policy", "now_ms", "status", "severity", "lowest", "highest", "count"),
            *("records", "after_place", "after_id"),
        ),
        False,
    ),
    "periscope_threats": Spec(("meta", "record..."), ("policy_revision", "now_ms"), False),
    "periscope_stats": Spec(
        ("meta", "board", "short_term", "long_term", "ledger"), ("now_ms",), False
    ),
    "periscope_verify": Spec(("meta", "board", "record..."), (), False),
}


class Control(NamedTuple):
    """What holds for the whole database."""

    format: int
    partitions: int
    secret: bytes
    policy: bytes
    policy_revision: int


class Verdict(StrEnum):
    """What `periscope_verify` says of one record."""

    OK = "OK"
    GONE = "GONE"
    NO_RECORD = "NO_RECORD"
    NOT_ON_BOARD = "NOT_ON_BOARD"
    MISPLACED = "MISPLACED"
    TWO_LEVELS = "TWO_LEVELS"


class Position(NamedTuple):
    """A place in the ranking (board score and id): what comes after it is the next page."""

    place: int
    threat_id: bytes


@dataclass(frozen=True, slots=True)
class RankQuery:
    """Which part of the board, by indices: status, severity rank (-1: any), score bounds."""

    status: int = 0
    severity: int = -1
    lowest: float | None = None
    highest: float | None = None


class Ranked(NamedTuple):
    """A partition's stretch of the ranking: (id, board score) in order, and the first records."""

    now_ms: int
    total: int
    places: list[tuple[bytes, int]]
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
OUTCOMES = {"a": Outcome.ADDED, "s": Outcome.SIGHTING, "d": Outcome.DUPLICATE}
_RUN = re.compile(r"(\d+)([a-z])")


@dataclass(frozen=True, slots=True)
class Rules:
    """A policy with the revision that it has in this database."""

    policy: Policy
    revision: int

    @property
    def packed(self) -> str:
        """The policy as the functions read it: every number round-trips exactly."""
        p = self.policy
        weights = (p.severity_weight, p.interactions_weight, p.escalations_weight, p.recency_weight)
        numbers = (*weights, *p.severity_values, p.recency_constant_ms)
        return " ".join((str(self.revision), *map(repr, numbers)))


class Functions:
    """One database's functions: every call is one round trip to one partition.

    `refresh` is awaited when a partition says that the caller's policy is not the one in force.
    `now_ms` fixes the clock for tests; None means the server's.
    """

    def __init__(self, connections: Connections, rules: Rules) -> None:
        self.connections = connections
        self.rules = rules
        self.refresh: Callable[[], Awaitable[None]] | None = None
        self.now_ms: int | None = None

    async def control(self, namespace: str, partitions: int, secret: bytes) -> Control:
        """Read the control key, writing it if this is a new database. Safe to repeat."""
        args = (FORMAT, partitions, secret, encode_policy(self.rules.policy))
        reply = await self._call("periscope_control", [control_key(namespace)], args)
        number, count, kept, policy, revision = reply
        return Control(int(number), int(count), kept, policy, int(revision))

    async def set_policy(self, namespace: str, expected: int, policy: Policy) -> tuple[bool, int]:
        """Replace the policy if its revision still is `expected`; (done?, revision in force)."""
        word, revision = await self._call(
            "periscope_set_policy", [control_key(namespace)], (expected, encode_policy(policy))
        )
        if word not in (b"SET", b"CHANGED"):
            raise BugError(f"periscope_set_policy answered {word!r}")
        return word == b"SET", int(revision)

    async def prepare(self, keys: PartitionKeys) -> int:
        """Make a partition ready and raise its policy revision to ours. Safe to repeat."""
        return int(
            await self._call("periscope_prepare", [keys.meta], (FORMAT, self.rules.revision))
        )

    def ingest_command(
        self,
        keys: PartitionKeys,
        chunk_id: bytes,
        rejected: int,
        entries: Sequence[tuple[bytes, bytes]],
    ) -> tuple[Any, ...]:
        """The command for a chunk; `entries` are (id, packed report). Repeat with the same id."""
        prefix = keys.record_prefix
        names = (keys.meta, keys.ledger, keys.board, keys.sources, keys.reply(chunk_id))
        return (
            *("FCALL", "periscope_ingest", len(names) + len(entries), *names),
            *[prefix + entry[0] for entry in entries],
            *(self.rules.revision, self._now(), rejected),
            *[entry[1] for entry in entries],
        )

    async def rank(
        self,
        keys: PartitionKeys,
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
        args = (self._now() if as_of_ms is None else as_of_ms, query.status, query.severity)
        now_ms, total, flat, found = await self._ranked(
            "periscope_rank",
            [keys.meta, keys.board],
            lambda: (self.rules.packed, *args, *bounds, count, records, *position),
        )
        places = list(zip(flat[::2], map(int, flat[1::2]), strict=True))
        return Ranked(now_ms, total, places, found)

    async def threats(
        self, keys: PartitionKeys, ids: Sequence[bytes], as_of_ms: int | None = None
    ) -> tuple[int, list[bytes]]:
        """(server time, records) of the ids; b'' where unknown, fewer than asked when cut."""
        names = [keys.meta, *map(keys.record, ids)]
        moment = self._now() if as_of_ms is None else as_of_ms
        now_ms, records = await self._ranked(
            "periscope_threats", names, lambda: (self.rules.revision, moment)
        )
        return now_ms, records

    async def stats(self, keys: PartitionKeys) -> PartitionStats:
        """Counts of a partition, from its sets."""
        names = [keys.meta, keys.board, keys.short_term, keys.long_term, keys.ledger]
        now_ms, counts, unseen, short, long, ledger = await self._ranked(
            "periscope_stats", names, lambda: (self._now(),)
        )
        counters = dict(zip(LEDGER_FIELDS, map(int, ledger), strict=True))
        return PartitionStats(now_ms, _by_four(counts), _by_four(unseen), short, long, counters)

    async def verify(self, keys: PartitionKeys, ids: Sequence[bytes]) -> list[Verdict]:
        """For each id, whether the board shows its record as its header says."""
        names = [keys.meta, keys.board, *map(keys.record, ids)]
        words = await self._ranked("periscope_verify", names, tuple)
        try:
            return [Verdict(word.decode()) for word in words]
        except ValueError as exc:
            raise BugError(f"periscope_verify: {exc}") from None

    async def _ranked(
        self, name: str, keys: Sequence[bytes], args: Callable[[], Sequence[Arg]]
    ) -> Any:
        """Call with arguments made anew after each refresh of the policy."""
        for attempt in range(ATTEMPTS):
            try:
                return await self._call(name, keys, args())
            except PolicyMoved:
                if self.refresh is None or attempt == ATTEMPTS - 1:
                    raise
                await self.refresh()
        raise AssertionError("unreachable")

    async def _call(self, name: str, keys: Sequence[bytes], args: Sequence[Arg]) -> Any:
        """One FCALL, once more if what stood in its way could be mended.

        All but `periscope_set_policy` are safe to repeat, and that one checks a revision.
        """
        verb = "FCALL" if SPECS[name].writes else "FCALL_RO"
        client = self.connections.client
        try:
            return await client.execute_command(verb, name, len(keys), *keys, *args)
        except (RedisError, *LOST) as exc:
            if not await self._mend(exc):
                raise self.explain(exc) from exc
        try:
            return await client.execute_command(verb, name, len(keys), *keys, *args)
        except (RedisError, *LOST) as exc:
            if is_missing_function(exc):
                raise LibraryMismatch(f"the server has no function {name}: {exc}") from exc
            raise self.explain(exc) from exc

    async def _mend(self, exc: Exception) -> bool:
        """Load a library that was flushed; start an embedded server that died."""
        if is_missing_function(exc):
            await self.load()
            return True
        return isinstance(exc, LOST) and await self.connections.mend()

    async def load(self) -> None:
        """Load the library where it is missing or older."""
        try:
            await ensure_library(self.connections.client)
        except (RedisError, *LOST) as exc:
            raise self.connections.explain(exc) from exc

    def explain(self, exc: BaseException) -> Exception:
        """Our error for the server's; a moved policy is told apart, as it can be mended."""
        code = str(exc).partition(" ")[0]
        if isinstance(exc, ResponseError) and code in _POLICY_MOVED:
            return PolicyMoved(str(exc))
        return self.connections.explain(exc)

    def _now(self) -> Arg:
        return "" if self.now_ms is None else self.now_ms


class PolicyMoved(BugError):
    """A partition ranks by another policy revision; refreshed and repeated, so nobody sees it."""


_POLICY_MOVED = ("STALE_POLICY", "OLD_PARTITION", "UNPREPARED")


def is_missing_function(exc: BaseException) -> bool:
    """Was the library flushed, or is this server new to us?"""
    return isinstance(exc, ResponseError) and "Function not found" in str(exc)


def parse_ingest(reply: Any, expected: int) -> list[tuple[int, Outcome]]:
    """A chunk's reply as runs of outcomes: b'3a2d' is three added, two duplicates."""
    match reply:
        case [int(), bytes(runs)]:
            return _parse_runs(runs, expected)
        case _:
            raise BugError(f"periscope_ingest answered {reply!r:.100}")


def _parse_runs(runs: bytes, expected: int) -> list[tuple[int, Outcome]]:
    parsed = []
    for count, code in _RUN.findall(runs.decode()):
        if code not in OUTCOMES:
            raise BugError(f"periscope_ingest answered an unknown code {code!r}")
        parsed.append((int(count), OUTCOMES[code]))
    if sum(count for count, _ in parsed) != expected:
        raise BugError(f"periscope_ingest answered {runs!r} to {expected} reports")
    return parsed


def encode_policy(policy: Policy) -> bytes:
    """The policy as the control key holds it."""
    import msgspec

    return msgspec.json.encode(policy)


def _by_four(counts: list[int]) -> list[list[int]]:
    return [counts[start : start + 4] for start in range(0, 16, 4)]
