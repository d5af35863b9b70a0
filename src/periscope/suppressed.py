"""What is suppressed: the entries that the server keeps of it, and the typed calls about them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from struct import Struct, error
from typing import NamedTuple

from periscope.errors import StoreDamaged
from periscope.functions import Functions
from periscope.keys import PartitionKeys
from periscope.models import SEVERITIES, Severity, to_datetime

ENTRY_FORMAT = 1
_HEAD = Struct("<BBI" + "IH" * 3 + "B")
_GROUP = Struct("<IIH")


@dataclass(frozen=True, slots=True)
class Suppressed:
    """Reports of one id that were set aside as noise, and why.

    `cause` is `list:<name>` or `rule:<id>`, of the last of them; `severity` the highest that any
    had, `count` how many were suppressed; `source` and `title` are of the last. `came_back` says
    when a report of it last went the usual way, for its severity had risen or it came too often.
    """

    threat_id: str
    severity: Severity
    cause: str
    count: int
    first_seen_ms: int
    last_seen_ms: int
    source: str
    title: str
    came_back_ms: int | None = None
    # Of late: groups of reports that a rule with a rate marked, and the ms of the last of each.
    groups: tuple[tuple[int, int], ...] = field(default=(), repr=False, compare=False)

    @property
    def first_seen(self) -> datetime:
        """When the first report of it came that was marked."""
        return to_datetime(self.first_seen_ms)

    @property
    def last_seen(self) -> datetime:
        """When the last report of it came that was marked."""
        return to_datetime(self.last_seen_ms)

    @property
    def came_back(self) -> datetime | None:
        """When it last came back in spite of its mark; None if it never did."""
        return None if self.came_back_ms is None else to_datetime(self.came_back_ms)

    def came_within(self, window_ms: int, now_ms: int) -> int:
        """How many reports count towards a rate in the time before now, as the server counts."""
        return sum(count for count, last_ms in self.groups if last_ms > now_ms - window_ms)


@dataclass(frozen=True, slots=True)
class SuppressedPage:
    """A stretch of what is suppressed, what was reported last first.

    `next_cursor` is None on the last page; `total` counts all matches at the first page of a walk.
    """

    items: list[Suppressed]
    next_cursor: str | None
    as_of_ms: int
    total: int

    @property
    def as_of(self) -> datetime:
        """The server's time at which it was read."""
        return to_datetime(self.as_of_ms)

    def __iter__(self) -> Iterator[Suppressed]:
        return iter(self.items)

    def __len__(self) -> int:
        return len(self.items)


class Place(NamedTuple):
    """A place in the list, which is ordered as these compare; the next page comes after it."""

    last_seen_ms: int
    threat_id: bytes


class Stretch(NamedTuple):
    """A partition's stretch of what is suppressed, in order."""

    now_ms: int
    entries: list[Suppressed]

    @property
    def places(self) -> list[Place]:
        """Where they stand in the list, falling."""
        return [place_of(one) for one in self.entries]


def place_of(one: Suppressed) -> Place:
    """Where it stands in the list."""
    return Place(one.last_seen_ms, one.threat_id.encode())


def read_entry(threat_id: bytes, packed: bytes) -> Suppressed:
    """An entry as the server keeps it (17_suppressed.lua).

    Raises:
        StoreDamaged: it is none, or one of a newer program.
    """
    try:
        format_, severity, count, *times, groups = _HEAD.unpack_from(packed)
        texts, at = [], _HEAD.size + _GROUP.size * groups
        for _ in range(3):
            length = packed[at] + 128 * packed[at + 1]
            at += 2 + length
            texts.append(packed[at - length : at].decode())
        if format_ != ENTRY_FORMAT or at != len(packed):
            raise ValueError("of another format")
        first, last, returned = (times[low] + (times[low + 1] << 32) for low in (0, 2, 4))
        cause, source, title = texts
        return Suppressed(
            *(threat_id.decode(), SEVERITIES[severity], cause, count, first, last, source, title),
            came_back_ms=returned or None,
            groups=tuple(
                (reports, low + (high << 32))
                for reports, low, high in _GROUP.iter_unpack(
                    packed[_HEAD.size : _HEAD.size + _GROUP.size * groups]
                )
            ),
        )
    except (error, ValueError, IndexError) as exc:
        raise StoreDamaged(f"a suppressed entry cannot be read: {type(exc).__name__}") from None


class SuppressedCalls:
    """Calls about what is suppressed in one database."""

    def __init__(self, functions: Functions) -> None:
        self._functions = functions

    async def stretch(
        self, keys: PartitionKeys, cause: str, count: int, as_of_ms: int | None, after: Place | None
    ) -> Stretch:
        """The next `count` of a partition; of a cause, in as many bounded steps as it takes."""
        names = [keys.meta, keys.suppressed, keys.suppressed_ages]
        moment = self._functions.moment if as_of_ms is None else as_of_ms
        found: list[Suppressed] = []
        at: tuple[int | bytes, bytes] = after or (b"", b"")
        while True:
            args = (moment, count - len(found), cause, *at)
            now_ms, flat, ms, last_id = await self._functions.call(
                "periscope_suppressed", names, args
            )
            found += [read_entry(*pair) for pair in zip(flat[::2], flat[1::2], strict=True)]
            if not ms or len(found) >= count:
                return Stretch(now_ms, found)
            at = (ms, last_id)

    async def entry(self, keys: PartitionKeys, threat_id: bytes) -> Suppressed | None:
        """The entry of an id; None if there is none."""
        names = [keys.meta, keys.suppressed]
        packed = await self._functions.call("periscope_suppressed_entry", names, (threat_id,))
        return read_entry(threat_id, packed) if packed else None

    async def causes(self, keys: PartitionKeys) -> dict[str, int]:
        """How many entries there are of each cause."""
        names = [keys.meta, keys.suppressed_causes]
        flat = await self._functions.call("periscope_suppressed_causes", names, ())
        pairs = flat.items() if isinstance(flat, dict) else zip(flat[::2], flat[1::2], strict=True)
        return {cause.decode(): int(number) for cause, number in pairs}

    async def forget(self, keys: PartitionKeys, threat_id: bytes) -> bool:
        """Forget the entry of an id; was there one?"""
        names = [keys.meta, *keys.noise]
        done = await self._functions.call("periscope_suppressed_forget", names, (threat_id,))
        return bool(done)

    async def outlived(self, keys: PartitionKeys, most: int) -> int:
        """Forget entries that are too old or too many, `most` at once; how many."""
        names = [keys.meta, *keys.noise]
        args = (self._functions.moment, most)
        return int(await self._functions.call("periscope_suppressed_outlived", names, args))
