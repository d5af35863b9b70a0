"""The event streams of all partitions as one, which resumes exactly where it stopped.

A position names, for each partition, the last entry that was given whole, and how many events of
the next one were given: `1790000000000-0,1790000000001-3+2` for two partitions.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import Any

from periscope.calls import Calls, decode
from periscope.errors import EventsLost, UsageError
from periscope.functions import Functions
from periscope.keys import Keyspace, PartitionKeys
from periscope.models import STATUSES, Level
from periscope.reader import over
from periscope.work import Event

BATCH = 100
WAIT_MS = 1000
POLL_S = 0.25
MANY_THREATS = ("added", "sighted")
MAX_POSITION_CHARACTERS = 64 * 1024
_PLACE = re.compile(r"(\d{1,20}-\d{1,20})(?:\+(\d{1,6}))?", re.ASCII)


@dataclass(slots=True)
class _Place:
    """Where a partition's stream has come to: entry given whole, events given of the next one."""

    entry: str
    given: int = 0

    def __str__(self) -> str:
        return f"{self.entry}+{self.given}" if self.given else self.entry


@dataclass(frozen=True, slots=True)
class _Entry:
    """An entry of a stream; they are merged by time, then partition."""

    order: tuple[int, int, int]
    name: str
    at_ms: int
    events: list[Any]


class Events:
    """Follows one database."""

    def __init__(self, functions: Functions, keyspace: Keyspace) -> None:
        self._functions = functions
        self._partitions: tuple[PartitionKeys, ...] = keyspace.partitions
        self._calls = Calls(functions)

    async def follow(self, since: str | None) -> AsyncIterator[Event]:
        """See `Periscope.events`."""
        places = await self._now() if since is None else self._read_position(since)
        async with self._functions.connections.apart(self._partitions[0].events) as client:
            while True:
                entries = await self._read(places)
                for entry in entries:
                    for event in _events(entry, places):
                        yield event
                if not entries:
                    await self._wait(client, places)

    async def _read(self, places: list[_Place]) -> list[_Entry]:
        """The next entries of all partitions that are safe to give in this order."""
        found: list[_Entry] = []
        full: list[tuple[int, int, int]] = []
        answers = await over(
            self._partitions,
            lambda keys: self._calls.events(keys, places[keys.number].entry, BATCH),
        )
        for number, (place, (lost, entries)) in enumerate(zip(places, answers, strict=True)):
            if lost and _order(lost) > _order(place.entry):
                raise EventsLost(_LOST)
            part = [_entry(number, name, payload) for name, payload in entries]
            found += part
            if len(part) == BATCH:
                full.append(part[-1].order)
        # Beyond the end of a full reply that partition may have more: give those first.
        end = min(full, default=None)
        return sorted(
            (entry for entry in found if end is None or entry.order <= end),
            key=lambda entry: entry.order,
        )

    async def _wait(self, client: Any, places: list[_Place]) -> None:
        """Until something is added anywhere, or a second has passed; a cluster is asked often."""
        if self._functions.connections.is_cluster and len(self._partitions) > 1:
            await asyncio.sleep(POLL_S)  # no call waits for keys of several slots
            return
        streams = [keys.events for keys in self._partitions]
        connections = self._functions.connections
        await connections.guarded(
            client.execute_command(
                *("XREAD", "COUNT", 1, "BLOCK", WAIT_MS, "STREAMS", *streams),
                *(place.entry for place in places),
            )
        )
        await asyncio.sleep(0)

    async def _now(self) -> list[_Place]:
        """The ends of all streams."""
        places = []
        for keys in self._partitions:
            lost, _ = await self._calls.events(keys, "0-0", 1)
            connections = self._functions.connections
            last = await connections.guarded(
                connections.run("XREVRANGE", keys.events, "+", "-", "COUNT", 1)
            )
            places.append(_Place(last[0][0].decode() if last else lost or "0-0"))
        return places

    def _read_position(self, since: str) -> list[_Place]:
        if not isinstance(since, str) or len(since) > MAX_POSITION_CHARACTERS:
            raise UsageError(_NOT_OURS)
        parts = [_PLACE.fullmatch(part) for part in since.split(",")]
        if None in parts:
            raise UsageError(_NOT_OURS)
        if len(parts) != len(self._partitions):  # of a time when there were as many
            raise EventsLost(_LOST)
        places = [_Place(part[1], int(part[2] or 0)) for part in parts if part is not None]
        if any(max(_order(place.entry)) >= 2**64 for place in places):
            raise UsageError(_NOT_OURS)
        return places


_LOST = (
    "events since that position are no longer kept; read the state anew, "
    "then follow from now (since=None)"
)
_NOT_OURS = "this is not a position of this database's events; pass event.position, unchanged"


def _order(entry: str) -> tuple[int, int]:
    moment, _, number = entry.partition("-")
    return int(moment), int(number)


def _entry(partition: int, name: str, payload: bytes) -> _Entry:
    at_ms, events = decode(payload)
    return _Entry((*_order(name), partition), name, at_ms, events)


def _events(entry: _Entry, places: Sequence[_Place]) -> list[Event]:
    """The events of an entry that were not given yet, each with the position after it."""
    place = places[entry.order[2]]
    if place.given >= len(entry.events):
        raise UsageError(_NOT_OURS)
    events = []
    for number in range(place.given, len(entry.events)):
        place.given = number + 1
        if place.given == len(entry.events):
            place.entry, place.given = entry.name, 0
        position = ",".join(map(str, places))
        events.append(_event(entry.at_ms, entry.events[number], position))
    return events


def _event(at_ms: int, told: list[Any], position: str) -> Event:
    kind, what, *rest = told
    if kind in MANY_THREATS:
        return Event(kind, at_ms, tuple(what), position)
    analyst_id, level, status, detail = rest
    return Event(
        kind,
        at_ms,
        (what,),
        position,
        analyst_id,
        Level(level) if level else None,
        STATUSES[status] if level else None,
        detail if detail != "" else None,
    )
