"""Is the copy what the source is? Asked of every threat before anything relies on it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

from periscope.errors import MoveError
from periscope.functions import LEDGER_FIELDS, Verdict
from periscope.keys import Keyspace, PartitionKeys
from periscope.ledger import Ledger
from periscope.moving.calls import Copied, MoverCalls
from periscope.moving.reading import Pairs, Reading
from periscope.moving.side import Command
from periscope.rules import Rules

SETS = (
    *("board", "short", "long", "exceptions", "promotable", "claims"),
    *("stub_ages", "suppressed_ages"),
)
HASHES = ("sources", "stubs", "removed", "suppressed")
WRONG = (
    "the copy is not what the database is ({what}), so nothing was switched: give it up with "
    "--abort, and see `periscope ledger --deep`"
)


class Proving:
    """Looks at one copy."""

    def __init__(self, copy: Reading, calls: MoverCalls, rules: Rules) -> None:
        self._copy = copy
        self._calls = calls
        self._rules = rules

    async def threats(self, keys: PartitionKeys, threats: Sequence[Copied]) -> None:
        """Are these in the copy as they were read, and does every index show them so?

        Raises:
            MoveError: they differ.
        """
        ids = [one.threat_id for one in threats]
        if await self._copy.threats(keys, ids) != list(threats):
            raise MoveError(WRONG.format(what="a record differs"))
        words = set(await self._calls.prove(keys, self._rules, ids)) - {Verdict.OK}
        if words:
            raise MoveError(WRONG.format(what=f"{min(words)} in an index"))

    async def pairs(self, key: bytes, pairs: Pairs, *, same: bool) -> None:
        """Is each field in this hash of the copy, with the `same` value?

        Raises:
            MoveError: one is missing, or another.
        """
        found = await self._copy.values(key, [field for field, _ in pairs])
        if None in found or (same and found != [value for _, value in pairs]):
            raise MoveError(WRONG.format(what="something that is remembered differs"))

    async def has_all(self, source: Reading, before: Keyspace, after: Keyspace, name: str) -> bool:
        """Has the copy as many fields of the hashes of this name as the source?

        Raises:
            MoveError: it has more.
        """
        told, found = await _fields(source, before, name), await _fields(self._copy, after, name)
        if found > told:
            raise MoveError(WRONG.format(what=f"{name}: {found} of {told}"))
        return found == told

    async def totals(self, source: Reading, before: Keyspace, after: Keyspace) -> Ledger:
        """Compare how many of each kind there are, and balance the copy's ledger.

        Raises:
            MoveError: they differ, or it does not balance.
        """
        sizes = await _sizes(source, before), await _sizes(self._copy, after)
        for name in (*SETS, *HASHES):
            if sizes[0][name] != sizes[1][name]:
                raise MoveError(WRONG.format(what=f"{name}: {sizes[1][name]} of {sizes[0][name]}"))
        counts = await _ledger(source, before), await _ledger(self._copy, after)
        levels = {f"level_{number}": sizes[1][name] for number, name in enumerate(SETS[:3], 1)}
        found: dict[str, Any] = {**counts[1], **levels}
        ledger = Ledger(**found)
        if counts[0] != counts[1] or not ledger.balanced:
            raise MoveError(WRONG.format(what="the ledger does not balance"))
        return ledger


async def _sizes(reading: Reading, keyspace: Keyspace) -> Counter[str]:
    total: Counter[str] = Counter()
    for keys in keyspace.partitions:
        commands: list[Command] = [("ZCARD", getattr(keys, name)) for name in SETS]
        commands += [("HLEN", getattr(keys, name)) for name in HASHES]
        total.update(dict(zip((*SETS, *HASHES), await reading.sizes(commands), strict=True)))
    return total


async def _fields(reading: Reading, keyspace: Keyspace, name: str) -> int:
    sizes = [await reading.sizes([("HLEN", getattr(keys, name))]) for keys in keyspace.partitions]
    return sum(size for (size,) in sizes)


async def _ledger(reading: Reading, keyspace: Keyspace) -> dict[str, int]:
    totals = dict.fromkeys(LEDGER_FIELDS, 0)
    for keys in keyspace.partitions:
        (counts,) = await reading.hashes([keys.ledger])
        for name in LEDGER_FIELDS:
            totals[name] += int(counts.get(name, 0))
    return totals
