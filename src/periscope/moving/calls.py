"""Typed calls of the functions that move a database: 80_move.lua and 82_adopt.lua."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from periscope.errors import BugError
from periscope.functions import Arg, Functions, Verdict
from periscope.keys import PartitionKeys
from periscope.rules import Rules

NO_DATABASE = "none"
MANY_ANALYSTS = 500  # of one threat: beyond it they are read and written in steps


class Copied(NamedTuple):
    """A threat as it is carried over; empty bytes for what it has not."""

    threat_id: bytes
    record: bytes
    latch: bytes
    age: bytes
    claim_end: bytes
    last_words: bytes
    analysts: list[bytes]
    analyst_fields: int = 0
    """How many fields of analysts there are, given here or not."""

    @property
    def is_crowded(self) -> bool:
        """So many analysts that they are carried over by themselves?"""
        return self.analyst_fields > MANY_ANALYSTS

    @property
    def size(self) -> int:
        """Bytes of the call that carries it, about; a value costs as much as forty bytes."""
        values = sum(map(len, self.analysts)) + 40 * len(self.analysts)
        return len(self.record) + len(self.last_words) + values + 4 * len(self.threat_id)


class MoverCalls:
    """Calls of one move on one server."""

    def __init__(self, functions: Functions, move_id: str) -> None:
        self._functions = functions
        self._id = move_id

    async def move(
        self, control: bytes, expected: str, value: str, fields: Mapping[str, Arg] | None = None
    ) -> bool:
        """Set the note, and fields with it, if it says `expected`; does it say `value` now?"""
        pairs = [part for pair in (fields or {}).items() for part in pair]
        found = await self._functions.call("periscope_move", [control], (expected, value, *pairs))
        return bool(found == value.encode())

    async def fence(self, keys: PartitionKeys, reason: str, *, new: bool = False) -> None:
        """Keep everybody else out of a partition; `new` if it must not be in use."""
        await self._functions.call("periscope_fence", [keys.meta], (self._id, reason, int(new)))

    async def hold(self, keys: PartitionKeys) -> bool:
        """Does our fence still stand there? With what is there, on replicas if they are asked for.

        Raises:
            OutcomeUnknown: too few replicas have it.
        """
        return bool(await self._functions.call("periscope_hold", [keys.meta], (self._id,)))

    async def unfence(self, keys: PartitionKeys) -> None:
        """Let everybody in again."""
        await self._functions.call("periscope_unfence", [keys.meta], (self._id,))

    async def open(self, keys: PartitionKeys, rules: Rules, entry: str) -> None:
        """Make a filled partition one to work with; its streams begin after `entry`."""
        names = [keys.meta, keys.events, keys.audit]
        args = (self._id, rules.revision, rules.packed, entry)
        await self._functions.call("periscope_open", names, args)

    async def resolve(self, keys: PartitionKeys, batch_id: str) -> str:
        """What became of a departure, in a fenced partition: VOID if nothing ever will."""
        names = [keys.meta, keys.departures]
        args = (self._id, batch_id, self._functions.moment)
        words = await self._functions.call("periscope_resolve_fenced", names, args)
        return bytes(words).decode()

    async def adopt(self, keys: PartitionKeys, rules: Rules, threats: Sequence[Copied]) -> None:
        """Write threats with all that belongs to them, into a partition that is being filled."""
        names: list[bytes] = [*keys.singles]
        args: list[Arg] = [rules.packed, self._id]
        for one in threats:
            names += (keys.record(one.threat_id), keys.analysts(one.threat_id))
            args += (one.record, one.latch, one.age, one.claim_end, one.last_words)
            args += (len(one.analysts), *one.analysts)
        count = await self._functions.call("periscope_adopt", names, args)
        if count != len(threats):
            raise BugError(f"periscope_adopt answered {count!r} to {len(threats)} threats")

    async def fill(self, keys: PartitionKeys, key: bytes, kind: str, parts: Sequence[Arg]) -> None:
        """Write pairs into a 'hash', a 'new' one (what is there stays), or a sorted 'set'."""
        if parts:
            await self._functions.call("periscope_fill", [keys.meta, key], (self._id, kind, *parts))

    async def carry(self, keys: PartitionKeys, ids: Sequence[bytes]) -> list[Copied]:
        """The first of these threats, one at least, as they are carried over."""
        pairs = [name for i in ids for name in (keys.record(i), keys.analysts(i))]
        args = (self._id, MANY_ANALYSTS)
        found = await self._functions.call("periscope_carry", [*keys.singles, *pairs], args)
        return [
            Copied(
                *(one, record, latch, age, claim_end, words),
                _in_order(analysts),
                count,
            )
            for one, (record, latch, age, claim_end, words, count, analysts) in zip(
                ids, found, strict=False
            )
        ]

    async def prove(self, keys: PartitionKeys, rules: Rules, ids: Sequence[bytes]) -> list[Verdict]:
        """Whether every index of the copy shows each record as its header says."""
        names = [*keys.singles, *map(keys.record, ids)]
        words = await self._functions.call("periscope_prove", names, (rules.packed, self._id))
        return [Verdict(word.decode()) for word in words]

    async def discard(
        self, keys: PartitionKeys, level: bytes, ids: Sequence[bytes], *, lasting: bool
    ) -> None:
        """Delete threats that stand in the set of a level; `lasting` waits for replicas."""
        pairs = [name for i in ids for name in (keys.record(i), keys.analysts(i))]
        names = [keys.meta, level, *pairs]
        args: tuple[Arg, ...] = (self._id, *ids)
        await self._functions.call("periscope_discard", names, args, lasting=lasting)

    async def discard_rest(self, keys: PartitionKeys, keep_ms: int, *, lasting: bool) -> None:
        """Delete what else a partition holds; its fence stays for `keep_ms`."""
        args = (self._id, keep_ms)
        names = (*keys.singles, *keys.noise)
        await self._functions.call("periscope_discard_rest", names, args, lasting=lasting)


def _in_order(flat: list[bytes]) -> list[bytes]:
    """Fields and values by field: two servers give the same hash in two orders."""
    pairs = sorted(zip(flat[::2], flat[1::2], strict=True))
    return [part for pair in pairs for part in pair]
