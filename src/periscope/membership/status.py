"""What membership tells: of itself, and of the threats that are known."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import NamedTuple

from periscope.models import Level, to_datetime


class Seen(NamedTuple):
    """A threat that is known: in which level, and when something last happened to it (UTC)."""

    threat_id: str
    level: Level
    last_activity_ms: int

    @property
    def last_activity(self) -> datetime:
        """Its last interaction or sighting, or its arrival."""
        return to_datetime(self.last_activity_ms)


class FilterState(StrEnum):
    """What the local filter is doing; it answers for each partition that it follows closely."""

    OFF = "off"  # switched off, or nobody has asked yet
    FILLING = "filling"  # reads the ids of a partition for the first time
    FOLLOWING = "following"  # up to date everywhere: every certain "no" is given here
    BEHIND = "behind"  # something has not answered for a second: the server is asked
    GAP = "gap"  # events of a partition were lost: the server is asked until it is read anew


@dataclass(frozen=True, slots=True)
class MembershipStatus:
    """The local filter of this process.

    A local "no" speaks of all that was acknowledged before `as_of_ms`, milliseconds since 1970 by
    the server's clock (None while no partition can be answered for, the oldest of all otherwise).
    `ids` is what the filter holds, about; `room` what it was built for; `size_bytes` its memory.
    `local` and `asked` count questions answered here and sent to the server.
    """

    state: FilterState
    as_of_ms: int | None
    ids: int
    room: int
    size_bytes: int
    local: int
    asked: int
    gaps: int
    built: int

    @property
    def as_of(self) -> datetime | None:
        """`as_of_ms` as an aware datetime."""
        return None if self.as_of_ms is None else to_datetime(self.as_of_ms)
