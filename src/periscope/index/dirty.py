"""Which threats changed since the index was last brought up: collected from events, bounded."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import NamedTuple

from periscope.events import MANY_THREATS
from periscope.work import Event

MOST = 200_000  # ids that wait; beyond that the whole database is walked through again


class Changes(NamedTuple):
    """Threats that changed, those of them whose holder may have, and up to where that is all."""

    ids: set[str]
    touched: set[str]
    position: str | None
    at_ms: int | None
    since_ms: int | None


class Dirty:
    """What waits to be read again.

    While it is `lost` something was missed, and only a walk over everything tells what changed.
    """

    def __init__(self) -> None:
        self._ids = set[str]()
        self._touched = set[str]()
        self.position: str | None = None  # of the event noted last; None: nobody follows
        self.at_ms: int | None = None
        self.since_ms: int | None = None  # when the first of what waits happened
        self.lost = True
        self.arrived = asyncio.Event()

    def __len__(self) -> int:
        return len(self._ids)

    def __contains__(self, threat_id: str) -> bool:
        return threat_id in self._ids

    def note(self, event: Event) -> None:
        """Take in an event; they come in order, and none is left out."""
        self.position, self.at_ms = event.position, event.at_ms
        if not self.lost:
            if self.since_ms is None:
                self.since_ms = event.at_ms
            self._ids.update(event.threat_ids)
            if event.kind not in MANY_THREATS:
                self._touched.update(event.threat_ids)
            if len(self._ids) > MOST:
                self.lose()
        self.arrived.set()

    def add(self, ids: Iterable[str]) -> None:
        """Have these read again, and who holds them."""
        more = set(ids)
        self._ids |= more
        self._touched |= more
        if more:
            self.arrived.set()

    def lose(self, *, follows: bool = True) -> None:
        """What changed can no longer be told: forget it, until a walk begins."""
        self._ids, self._touched, self.lost, self.since_ms = set(), set(), True, None
        if not follows:
            self.position = None
        self.arrived.set()

    def follow(self, position: str) -> None:
        """From this position on every event will be noted."""
        self.position = position
        self.arrived.set()

    def begin(self) -> None:
        """A walk begins, which sees all that was noted: from here on changes wait again."""
        self.lost = False

    def take(self) -> Changes:
        """All that waits; whoever takes it sees to it."""
        position = None if self.lost else self.position
        changes = Changes(self._ids, self._touched, position, self.at_ms, self.since_ms)
        self._ids, self._touched, self.since_ms = set(), set(), None
        self.arrived.clear()
        return changes

    def put_back(self, changes: Changes) -> None:
        """It could not be seen to after all."""
        if not self.lost:
            self._ids |= changes.ids
            self._touched |= changes.touched
        self.arrived.set()
