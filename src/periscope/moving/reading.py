"""What a partition holds, step by step. It is fenced meanwhile, so that places stand still."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import Any

from periscope.backup.moment import look
from periscope.keys import PartitionKeys
from periscope.moving.calls import Copied
from periscope.moving.side import Command, Side, as_pairs

STEP = 200  # threats, or members, of one round trip
SCAN_STEP = 500
MANY_ANALYSTS = 500  # of one threat: beyond it they are read and written in steps

Pairs = list[tuple[bytes, bytes]]


def levels(keys: PartitionKeys) -> tuple[bytes, bytes, bytes]:
    """The sets in which the threats of the three levels stand."""
    return keys.board, keys.short, keys.long


class Reading:
    """Reads one side of a move."""

    __slots__ = ("_side",)

    def __init__(self, side: Side) -> None:
        self._side = side

    async def ids(self, keys: PartitionKeys) -> AsyncIterator[list[bytes]]:
        """All threats of a partition, STEP at a time."""
        for level in levels(keys):
            start = 0
            while found := await self._range(level, start):
                yield found
                start += len(found)

    async def threats(self, keys: PartitionKeys, ids: Sequence[bytes]) -> list[Copied]:
        """These threats; the analysts of a crowd are left out (see `crowd`)."""
        commands: list[Command] = []
        for one in ids:
            commands += (
                ("GET", keys.record(one)),
                ("ZSCORE", keys.promotable, one),
                ("ZSCORE", keys.long, one),
                ("ZSCORE", keys.claims, one),
                ("HGET", keys.sources, one),
                ("HLEN", keys.analysts(one)),
            )
        replies = iter(await self._side.read(commands))
        rows = list(zip(ids, *([replies] * 6), strict=True))
        fields = await self._analysts(keys, [(row[0], row[6]) for row in rows])
        return [
            Copied(
                *(i, record or b"", _number(latch), _age(age), _number(claim), words or b""),
                of_them,
                size > MANY_ANALYSTS,
            )
            for (i, record, latch, age, claim, words, size), of_them in zip(
                rows, fields, strict=True
            )
        ]

    async def records(self, keys: PartitionKeys, ids: Sequence[bytes]) -> list[tuple[Any, int]]:
        """For each threat its record (None where there is none) and how many analysts it has."""
        commands: list[Command] = []
        for one in ids:
            commands += (("GET", keys.record(one)), ("HLEN", keys.analysts(one)))
        replies = await self._side.read(commands)
        return list(zip(replies[::2], replies[1::2], strict=True))

    async def fields(self, key: bytes) -> AsyncIterator[Pairs]:
        """All pairs of a hash, some at a time; one may come twice."""
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
        moment = await look(self._side.connections, keys)
        entries = [entry.split(b"-") for entry in moment.streams]
        return max((int(ms), int(sequence)) for ms, sequence in entries)

    async def sizes(self, commands: Sequence[Command]) -> list[int]:
        """Sizes of keys of one partition."""
        return [int(size) for size in await self._side.read(commands)]

    async def _range(self, level: bytes, start: int) -> list[bytes]:
        (found,) = await self._side.read([("ZRANGE", level, start, start + STEP - 1)])
        return list(found)

    async def _analysts(
        self, keys: PartitionKeys, sizes: Sequence[tuple[bytes, int]]
    ) -> list[list[bytes]]:
        few = [one for one, size in sizes if 0 < size <= MANY_ANALYSTS]
        if not few:
            return [[] for _ in sizes]
        replies = await self._side.read([("HGETALL", keys.analysts(one)) for one in few])
        found = {
            one: [part for pair in as_pairs(reply) for part in pair]
            for one, reply in zip(few, replies, strict=True)
        }
        return [found.get(one, []) for one, _ in sizes]


def _pairs(found: Sequence[Any]) -> list[tuple[bytes, Any]]:
    if found and isinstance(found[0], tuple | list):
        return [(pair[0], pair[1]) for pair in found]
    return list(zip(found[::2], found[1::2], strict=True))


def _number(score: Any) -> bytes:
    """A score as the server takes it back, exactly; nothing where there is none."""
    if score is None:
        return b""
    number = float(score)
    return b"%d" % int(number) if number.is_integer() else repr(number).encode()


def _age(score: Any) -> bytes:
    """When the time to live of a threat of level 3 began; nothing while it is protected."""
    return b"" if score is None or float(score) == float("inf") else _number(score)
