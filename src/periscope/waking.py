"""Snoozed threats whose time has come: what no analyst does, and a worker does again and again."""

from __future__ import annotations

from secrets import token_bytes

from periscope.calls import Calls
from periscope.functions import Functions
from periscope.keys import Keyspace, PartitionKeys
from periscope.reader import Reader, steady
from periscope.rules import Rules
from periscope.work import WakeStats

STEP = 60  # threats of one call: within what may delay others


class Waking:
    """Wakes the threats of one database; the promise stands at `Periscope.wake_snoozed_threats`."""

    def __init__(self, functions: Functions, keyspace: Keyspace, reader: Reader) -> None:
        self._functions = functions
        self._partitions = keyspace.partitions
        self._reader = reader
        self._calls = Calls(functions)

    async def wake(self) -> WakeStats:
        """See `Periscope.wake_snoozed_threats`."""
        stats = WakeStats()
        return await self._reader.each(
            self._partitions, lambda keys: self._wake_in(keys, stats), lambda _: stats
        )

    async def _wake_in(self, keys: PartitionKeys, stats: WakeStats) -> None:
        """In steps: what woke, here or elsewhere, has left the list; what cannot be read stays."""
        stuck = 0
        while ids := await self._calls.sleepers(keys, stuck, STEP):
            words = await self._wake_these(keys, ids)
            woken = [one.decode() for one, word in zip(ids, words, strict=True) if word == "DONE"]
            stats.woken += len(woken)
            stats.woken_ids += woken
            stats.failed += words.count("UNKNOWN")
            stuck += words.count("UNKNOWN")
            if len(ids) < STEP:
                return

    async def _wake_these(self, keys: PartitionKeys, ids: list[bytes]) -> list[str]:
        batch_id = token_bytes(12)

        async def call(rules: Rules) -> list[str]:
            return await self._calls.wake(keys, rules, batch_id, ids)

        return await steady(self._functions, call)
