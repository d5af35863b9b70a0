"""Typed calls of the functions that a filter is filled and followed with; parsed here only."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from struct import iter_unpack
from typing import Any, NamedTuple

from periscope.errors import BugError, StoreUnavailable
from periscope.functions import Functions
from periscope.keys import PartitionKeys

ANSWER_S = (
    5.0  # of a follower's call; a server that takes longer is away, and others have their turn
)
MEMBERS = 2000  # ids of one call: 0.7 ms of the server, 2 ms with the longest ids
_ENTRY = "<B6s"
_ENTRY_BYTES = 7


class Followed(NamedTuple):
    """A stretch of a partition's events, and what shows whether any was missed."""

    now_ms: int
    last: str
    entries_added: int
    mark: str
    lost: str
    added: int
    members: int
    unaccounted: int
    more: bool
    entries: list[tuple[str, bytes]]


class MemberCalls:
    """Calls of one database; all of them only read."""

    def __init__(self, functions: Functions) -> None:
        self.functions = functions

    async def follow(self, keys: PartitionKeys, after: str, count: int) -> Followed:
        """Up to `count` entries after `after`; with '' none, and where the stream ends."""
        names = [keys.meta, keys.events, keys.ledger, keys.board, keys.short, keys.long]
        (
            now_ms,
            last,
            entries_added,
            mark,
            lost,
            added,
            members,
            unaccounted,
            more,
            found,
        ) = await self._soon("periscope_follow", names, (after, count))
        return Followed(
            now_ms,
            last.decode(),
            entries_added,
            mark.decode(),
            lost.decode(),
            added,
            members,
            unaccounted,
            bool(more),
            [(name.decode(), payload) for name, payload in found],
        )

    async def members(self, keys: PartitionKeys) -> AsyncIterator[list[bytes]]:
        """Every id that stays where it is during the walk, in lists of up to 2,000."""
        for level in (keys.board, keys.short, keys.long):
            score, last = b"", b""
            while True:
                ids, score = await self._soon(
                    "periscope_members", [keys.meta, level], (score, last, MEMBERS)
                )
                if ids:
                    yield ids
                    last = ids[-1]
                if len(ids) < MEMBERS:
                    break

    async def seen(self, keys: PartitionKeys, ids: Sequence[bytes]) -> list[tuple[int, int]]:
        """(level, last activity in ms) of each id; level 0 where it is unknown."""
        names = [keys.meta, *map(keys.record, ids)]
        packed = await self.functions.call("periscope_seen", names, ())
        if len(packed) != len(ids) * _ENTRY_BYTES:
            raise BugError(f"periscope_seen answered {len(packed)} bytes to {len(ids)} ids")
        return [
            (level, int.from_bytes(moment, "little"))
            for level, moment in iter_unpack(_ENTRY, packed)
        ]

    async def _soon(
        self, name: str, keys: Sequence[bytes], args: Sequence[str | bytes | int]
    ) -> Any:
        try:
            async with asyncio.timeout(ANSWER_S):
                return await self.functions.call(name, keys, args)
        except TimeoutError:
            raise StoreUnavailable(f"no answer within {ANSWER_S:.0f} s") from None
