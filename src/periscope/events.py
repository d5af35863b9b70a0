"""The event streams of all partitions as one, which resumes exactly where it stopped.

What a position is: see `positions.py`.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from periscope.calls import Calls, decode
from periscope.connection import CLOSED, Ear, Node
from periscope.errors import EventsLost, StoreUnavailable, UsageError
from periscope.functions import Functions, PolicyMoved
from periscope.keys import Keyspace, PartitionKeys
from periscope.models import STATUSES, Level
from periscope.positions import read_places
from periscope.reader import over
from periscope.work import Event

BATCH = 100
WAIT_MS = 1000
POLL_S = 0.25
FIRST_PAUSE_S = 0.1
LATE_S = 3.0  # a store that has not answered by then is said to be away; the answer is waited for
LONGEST_PAUSE_S = 2.0  # while the store is away: a server that is back is followed again soon
BEGINNING = "0-0"
MANY_THREATS = ("added", "sighted")
T = TypeVar("T")
log = logging.getLogger("periscope")


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


@dataclass(slots=True)
class _Walk:
    """One who follows: the places, and the servers at which they are known to be good."""

    places: list[_Place]
    ear: Ear
    away: Callable[[bool], None] | None = None
    told_away: bool = False
    servers: list[Node | None] | None = None
    away_since: float | None = None
    tries: int = 0


class Events:
    """Follows one database, also across its absences; `close` ends all who follow."""

    def __init__(self, functions: Functions, keyspace: Keyspace) -> None:
        self._functions = functions
        self._partitions: tuple[PartitionKeys, ...] = keyspace.partitions
        self._calls = Calls(functions)
        self._waits = set[asyncio.Task[Any]]()
        self._closed = False

    async def close(self) -> None:
        """Send everybody away who follows, at once. Idempotent."""
        self._closed = True
        waits = list(self._waits)
        for task in waits:
            task.cancel()
        await asyncio.gather(*waits, return_exceptions=True)

    async def now(self) -> str:
        """See `Periscope.get_event_position`."""
        return ",".join(map(str, await self._unless_closed(self._now())))

    async def follow(
        self, since: str | None, away: Callable[[bool], None] | None = None
    ) -> AsyncIterator[Event]:
        """See `Periscope.events`."""
        if since is None:
            places = await self._unless_closed(self._now())
        else:
            places = self._read_position(since)
        walk = _Walk(places, Ear(self._functions.connections, self._partitions[0].events), away)
        try:
            while True:
                for entry in await self._unless_closed(self._next(walk)):
                    for event in _events(entry, places):
                        yield event
        finally:
            await walk.ear.close()

    async def _unless_closed(self, call: Coroutine[Any, Any, T]) -> T:
        """Await something of which the closing of the database is the end."""
        if self._closed:
            call.close()
            raise StoreUnavailable(CLOSED)
        task = asyncio.create_task(call)
        self._waits.add(task)
        try:
            found = await task
        except asyncio.CancelledError:
            if _is_cancelled() or not self._closed:
                raise
            raise StoreUnavailable(CLOSED) from None
        finally:
            self._waits.discard(task)
        if _is_cancelled():  # what was awaited ended just then, and dropped it
            raise asyncio.CancelledError
        return found

    async def _next(self, walk: _Walk) -> list[_Entry]:
        """The next entries, or none after a while; waits as long as the store is away.

        Raises:
            EventsLost, StoreError: what waiting does not mend.
        """
        late = asyncio.get_running_loop().call_later(LATE_S, _tell, walk, True)
        try:
            await self._check_servers(walk)
            entries = await self._read(walk.places)
            late.cancel()
            if not entries:
                await self._wait(walk)
        except StoreUnavailable as exc:
            await self._rest(walk, exc)
            return []
        except PolicyMoved:  # it was emptied: is it still the database that was followed?
            walk.servers = None
            await self._functions.refresh()
            return []
        finally:
            late.cancel()
        self._is_back(walk)
        return entries

    async def _check_servers(self, walk: _Walk) -> None:
        """After an absence, or when another server took over: is there what was given last?

        Raises:
            EventsLost: no; what happened since, or did not happen after all, cannot be told.
        """
        topology = self._functions.connections.topology
        servers = [topology.node_of(keys.events) for keys in self._partitions]
        if servers != walk.servers:
            await over(
                self._partitions,
                lambda keys: self._check_kept(keys, walk.places[keys.number].entry),
            )
            walk.servers = servers

    async def _check_kept(self, keys: PartitionKeys, entry: str) -> None:
        if entry == BEGINNING:
            return
        lost, found = await self._calls.events(keys, _before(entry), 1)
        if not (found and found[0][0] == entry) and not (lost and _order(lost) >= _order(entry)):
            raise EventsLost(EVENTS_LOST)

    async def _rest(self, walk: _Walk, exc: StoreUnavailable) -> None:
        now = asyncio.get_running_loop().time()
        if walk.away_since is None:
            walk.away_since = now
            log.warning("events: wait for the server, and then go on where they are: %s", exc)
        _tell(walk, True)
        walk.servers = None
        pause = min(LONGEST_PAUSE_S, FIRST_PAUSE_S * 2.0 ** min(walk.tries, 16))
        walk.tries += 1
        await asyncio.sleep(pause)

    def _is_back(self, walk: _Walk) -> None:
        if walk.away_since is not None:
            away_s = asyncio.get_running_loop().time() - walk.away_since
            log.warning("events: go on, after %.1f s", away_s)
            walk.away_since, walk.tries = None, 0
        _tell(walk, False)

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
                raise EventsLost(EVENTS_LOST)
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

    async def _wait(self, walk: _Walk) -> None:
        """Until something is added anywhere, or a second has passed; a cluster is asked often."""
        if self._functions.connections.is_cluster and len(self._partitions) > 1:
            await asyncio.sleep(POLL_S)  # no call waits for keys of several slots
            return
        streams = [keys.events for keys in self._partitions]
        after = [place.entry for place in walk.places]
        await walk.ear.listen("XREAD", "COUNT", 1, "BLOCK", WAIT_MS, "STREAMS", *streams, *after)

    async def _now(self) -> list[_Place]:
        """The ends of all streams."""
        places = []
        for keys in self._partitions:
            lost, _ = await self._calls.events(keys, "0-0", 1)
            connections = self._functions.connections
            last = await connections.guarded(
                connections.run("XREVRANGE", keys.events, "+", "-", "COUNT", 1)
            )
            places.append(_Place(last[0][0].decode() if last else lost or BEGINNING))
        return places

    def _read_position(self, since: str) -> list[_Place]:
        places = read_places(since)
        if places is None:
            raise UsageError(NOT_A_POSITION)
        if len(places) != len(self._partitions):  # of a time when there were as many
            raise EventsLost(EVENTS_LOST)
        return [_Place(f"{moment_ms}-{number}", given) for moment_ms, number, given in places]


EVENTS_LOST = (
    "events since that position are no longer kept; read the state anew, "
    "then follow from now (since=None)"
)
NOT_A_POSITION = "this is not a position of this database's events; pass event.position, unchanged"


def _tell(walk: _Walk, is_away: bool) -> None:
    """Say that the store went away, or is back, to whoever wants to know; each once."""
    if walk.away is not None and walk.told_away != is_away:
        walk.told_away = is_away
        walk.away(is_away)


def _is_cancelled() -> bool:
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


def _before(entry: str) -> str:
    """The id right before an entry's."""
    moment, number = _order(entry)
    return f"{moment}-{number - 1}" if number else f"{moment - 1}-{2**64 - 1}"


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
        raise UsageError(NOT_A_POSITION)
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
