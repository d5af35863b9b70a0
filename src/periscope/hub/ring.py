"""The newest events, numbered, bounded in bytes, shared by all who read them."""

from __future__ import annotations

from collections import deque

from periscope.hub.told import Told
from periscope.positions import Places, read_places
from periscope.work import Event


class Ring:
    """Events `first` to `end` (without it); older ones have gone."""

    def __init__(self, start: str, most_bytes: int) -> None:
        self.first = self.end = 0
        self.head = self._floor = start
        self.bytes = self._given_bytes = 0
        self._most_bytes = most_bytes
        self._kept = deque[Told]()
        self._after = {start: 0}  # position -> number of the event that follows it

    @property
    def floor(self) -> Places:
        """Where somebody must be to miss nothing of what is not kept."""
        return read_places(self._floor) or ()

    @property
    def reached(self) -> Places:
        """Where somebody is who was given everything."""
        return read_places(self.head) or ()

    def add(self, event: Event) -> None:
        """Keep one more; the oldest go, but never the newest."""
        told = Told(event)
        self._kept.append(told)
        self.bytes += told.size
        self._given_bytes += told.size
        told.given_bytes = self._given_bytes
        self.end += 1
        self.head = event.position
        self._after[self.head] = self.end
        while self.bytes > self._most_bytes and len(self._kept) > 1:
            self._drop_oldest()

    def _drop_oldest(self) -> None:
        oldest = self._kept.popleft()
        self.bytes -= oldest.size
        self._after.pop(self._floor, None)
        self._floor = oldest.event.position
        self.first += 1

    def after(self, position: str) -> int | None:
        """The number of the event that follows a position exactly, if that is known here."""
        return self._after.get(position)

    def behind_bytes(self, number: int) -> int:
        """How much comes after the event of that number: 0 for the newest, and for the next."""
        return self._given_bytes - self[number].given_bytes if number < self.end else 0

    def __getitem__(self, number: int) -> Told:
        return self._kept[number - self.first]
