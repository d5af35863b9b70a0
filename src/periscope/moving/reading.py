"""What a partition holds, step by step. It is fenced meanwhile, so that places stand still."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import Any

from periscope.errors import MoveError
from periscope.keys import PartitionKeys
from periscope.moving.calls import Copied, MoverCalls
from periscope.moving.side import Command, Side, as_pairs

STEP = 100  # threats, or members, of one round trip
SCAN_STEP = 500
SCANS = 10
LAST = "last-generated-id"

Pairs = list[tuple[bytes, bytes]]


def levels(keys: PartitionKeys) -> tuple[bytes, bytes, bytes]:
    """The sets in which the threats of the three levels stand."""
    return keys.board, keys.short, keys.long


class Reading:
    """Reads one side of a move."""

    def __init__(self, side: Side, calls: MoverCalls) -> None:
        self._side = side
        self._calls = calls

    async def ids(self, keys: PartitionKeys) -> AsyncIterator[list[bytes]]:
        """All threats of a partition, STEP at a time."""
        for level in levels(keys):
            start = 0
            while found := await self._range(level, start):
                yield found
                start += len(found)

    async def threats(self, keys: PartitionKeys, ids: Sequence[bytes]) -> list[Copied]:
        """These threats with all that belongs to them; of a crowd of analysts, only that it is."""
        found: list[Copied] = []
        while len(found) < len(ids):
            found += await self._calls.carry(keys, ids[len(found) :])
        return found

    async def fields(self, key: bytes) -> AsyncIterator[Pairs]:
        """All pairs of a hash, each once, some at a time.

        Another server (after a failover, or a slot that moved) keeps them in another order, and a
        cursor of the first one passes some over there: so they are counted, and looked for again.

        Raises:
            MoveError: they are not as many as they should be, however often one looks.
        """
        seen: set[bytes] = set()
        for _ in range(SCANS):
            async for pairs in self._scan(key):
                fresh = {name: value for name, value in pairs if name not in seen}
                seen.update(fresh)
                if fresh:
                    yield list(fresh.items())
            (size,) = await self.sizes([("HLEN", key)])
            if len(seen) == size:
                return
        raise MoveError(
            f"{size:,} fields are in {key.decode(errors='replace')}, and {len(seen):,} were found: "
            "nothing was switched; run the command again"
        )

    async def _scan(self, key: bytes) -> AsyncIterator[Pairs]:
        cursor = 0
        while True:
            ((cursor, found),) = await self._side.read([("HSCAN", key, cursor, "COUNT", SCAN_STEP)])
            if found:
                yield as_pairs(found)
            if not int(cursor):
                return

    async def scored(self, key: bytes) -> AsyncIterator[list[tuple[bytes, bytes]]]:
        """All members of a sorted set with their scores, STEP at a time."""
        start = 0
        while True:
            command: Command = ("ZRANGE", key, start, start + STEP - 1, "WITHSCORES")
            (found,) = await self._side.read([command])
            if not found:
                return
            yield [(pair[0], _number(pair[1])) for pair in _pairs(found)]
            start += STEP

    async def hashes(self, keys: Sequence[bytes]) -> list[dict[str, bytes]]:
        """Small hashes, whole, of one partition."""
        replies = await self._side.read([("HGETALL", key) for key in keys])
        return [{name.decode(): value for name, value in as_pairs(reply)} for reply in replies]

    async def values(self, key: bytes, fields: Sequence[bytes]) -> list[Any]:
        """Values of fields of a hash; None where there is none."""
        (found,) = await self._side.read([("HMGET", key, *fields)])
        return list(found)

    async def last_entry(self, keys: PartitionKeys) -> tuple[int, int]:
        """The highest entry that either stream of a partition ever had."""
        streams = (keys.events, keys.audit)
        there = await self._side.read([("EXISTS", key) for key in streams])
        found = [key for key, exists in zip(streams, there, strict=True) if exists]
        told = await self._side.read([("XINFO", "STREAM", key) for key in found])
        entries = [_last_entry(stream).split(b"-") for stream in told]
        return max(((int(ms), int(number)) for ms, number in entries), default=(0, 0))

    async def sizes(self, commands: Sequence[Command]) -> list[int]:
        """Sizes of keys of one partition."""
        return [int(size) for size in await self._side.read(commands)]

    async def _range(self, level: bytes, start: int) -> list[bytes]:
        (found,) = await self._side.read([("ZRANGE", level, start, start + STEP - 1)])
        return list(found)


def _last_entry(stream: Any) -> bytes:
    pairs = (
        stream.items() if isinstance(stream, dict) else zip(stream[::2], stream[1::2], strict=True)
    )
    return next(bytes(value) for name, value in pairs if name in (LAST, LAST.encode()))


def _pairs(found: Sequence[Any]) -> list[tuple[bytes, Any]]:
    if found and isinstance(found[0], tuple | list):
        return [(pair[0], pair[1]) for pair in found]
    return list(zip(found[::2], found[1::2], strict=True))


def _number(score: Any) -> bytes:
    """A score as the server takes it back, exactly."""
    number = float(score)
    return b"%d" % int(number) if number.is_integer() else repr(number).encode()
