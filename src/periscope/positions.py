"""Positions in the event streams, compared and joined.

A position names, for each partition, the last entry that was given whole, and how many events of
the next one were given: `1790000000000-0,1790000000001-3+2` for two partitions. Two who follow the
same streams may come to different positions in between, because partitions are merged as they are
read; a comparison is therefore made partition by partition.
"""

from __future__ import annotations

import re

Place = tuple[int, int, int]
"""In one partition: milliseconds and number of the entry, events given of the next one."""
Places = tuple[Place, ...]

MAX_POSITION_CHARACTERS = 64 * 1024
MAX_NUMBER = 2**64
_PLACE = re.compile(r"(\d{1,20})-(\d{1,20})(?:\+(\d{1,6}))?", re.ASCII)


def read_places(position: object) -> Places | None:
    """The places that a position names; None if it is none."""
    if not isinstance(position, str) or len(position) > MAX_POSITION_CHARACTERS:
        return None
    parts = [_PLACE.fullmatch(part) for part in position.split(",")]
    places = tuple((int(p[1]), int(p[2]), int(p[3] or 0)) for p in parts if p is not None)
    if len(places) != len(parts) or any(max(place) >= MAX_NUMBER for place in places):
        return None
    return places


def show_places(places: Places) -> str:
    """The position that names these places."""
    return ",".join(
        f"{moment_ms}-{number}+{given}" if given else f"{moment_ms}-{number}"
        for moment_ms, number, given in places
    )


def covers(one: Places, other: Places) -> bool:
    """Whether whoever is at `one` was given everything that is before `other`."""
    return all(mine >= theirs for mine, theirs in zip(one, other, strict=True))


def joined(one: Places, other: Places) -> Places:
    """Where somebody is who was given what is before either."""
    return tuple(map(max, one, other))
