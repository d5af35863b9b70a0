"""Is the copy what the source is? Asked before the switch, of every threat and every memory."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

from periscope.backup import Progress
from periscope.errors import MoveError
from periscope.functions import LEDGER_FIELDS, Verdict
from periscope.keys import Keyspace, PartitionKeys
from periscope.ledger import Ledger
from periscope.moving.calls import MoverCalls
from periscope.moving.copying import Copying, itself, threat_of_memo
from periscope.moving.reading import Pairs, Reading
from periscope.moving.side import Command
from periscope.rules import Rules

STEP = 200
SETS = ("board", "short", "long", "exceptions", "promotable", "claims", "stub_ages")
HASHES = ("sources", "stubs", "removed")
WRONG = (
    "the copy is not what the database is ({what}), so nothing was switched: give it up with "
    "--abort, and see `periscope ledger --deep`"
)


class Proving:
    """Compares one copy with its source."""

    def __init__(
        self, source: Reading, target: Reading, calls: MoverCalls, copying: Copying, rules: Rules
    ) -> None:
        self._source = source
        self._target = target
        self._calls = calls
        self._copying = copying
        self._rules = rules

    async def sizes(self, source: Keyspace, target: Keyspace) -> Ledger:
        """Compare how many of each kind there are, and balance the copy's ledger.

        Raises:
            MoveError: they differ, or it does not balance.
        """
        before, after = (
            await self._sizes(self._source, source),
            await self._sizes(self._target, target),
        )
        for name in (*SETS, *HASHES):
            if before[name] != after[name]:
                raise MoveError(WRONG.format(what=f"{name}: {after[name]} of {before[name]}"))
        counts = await self._ledger(self._source, source), await self._ledger(self._target, target)
        levels = {f"level_{n}": after[name] for n, name in enumerate(SETS[:3], 1)}
        found: dict[str, Any] = {**counts[1], **levels}
        ledger = Ledger(**found)
        if counts[0] != counts[1] or not ledger.balanced:
            raise MoveError(WRONG.format(what="the ledger does not balance"))
        return ledger

    async def partition(self, keys: PartitionKeys, target: Keyspace, progress: Progress) -> None:
        """Compare every threat of a partition of the source, and all that is remembered.

        Raises:
            MoveError: something is missing or different.
        """
        async for ids in self._source.ids(keys):
            found = dict(zip(ids, await self._source.records(keys, ids), strict=True))
            pairs: Pairs = [(one, b"") for one in ids]
            for copy, part in self._copying.by_target(pairs, itself).items():
                members = [one for one, _ in part]
                copied = await self._target.records(copy, members)
                if copied != [found[one] for one in members]:
                    raise MoveError(WRONG.format(what="a record differs"))
                await self._prove(copy, members)
            progress.done += len(ids)
        for name in ("stubs", "removed", "done", "done_before"):
            await self._remembered(keys, name)

    async def _prove(self, keys: PartitionKeys, ids: Sequence[bytes]) -> None:
        words = set(await self._calls.prove(keys, self._rules, ids)) - {Verdict.OK}
        if words:
            raise MoveError(WRONG.format(what=f"{min(words)} in an index"))

    async def _remembered(self, keys: PartitionKeys, name: str) -> None:
        """Is every field of a hash in the copy, and, where it is a threat's own, the same?"""
        memos = name.startswith("done")
        async for pairs in self._source.fields(getattr(keys, name)):
            by_target = self._copying.by_target(pairs, threat_of_memo if memos else itself)
            for copy, part in by_target.items():
                fields = [field for field, _ in part]
                found = await self._target.values(getattr(copy, name), fields)
                if None in found or (not memos and found != [value for _, value in part]):
                    raise MoveError(WRONG.format(what=f"something is missing in {name}"))

    async def _sizes(self, reading: Reading, keyspace: Keyspace) -> Counter[str]:
        total: Counter[str] = Counter()
        for keys in keyspace.partitions:
            commands: list[Command] = [("ZCARD", getattr(keys, name)) for name in SETS]
            commands += [("HLEN", getattr(keys, name)) for name in HASHES]
            total.update(dict(zip((*SETS, *HASHES), await reading.sizes(commands), strict=True)))
        return total

    async def _ledger(self, reading: Reading, keyspace: Keyspace) -> dict[str, int]:
        totals = dict.fromkeys(LEDGER_FIELDS, 0)
        for keys in keyspace.partitions:
            (counts,) = await reading.hashes([keys.ledger])
            for name in LEDGER_FIELDS:
                totals[name] += int(counts.get(name, 0))
        return totals
