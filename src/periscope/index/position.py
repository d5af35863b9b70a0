"""Positions of the event stream, compared: has one reached another?"""

from __future__ import annotations

import re

from periscope.errors import UsageError

_PLACE = re.compile(r"(\d{1,20})-(\d{1,20})(?:\+(\d{1,6}))?", re.ASCII)
LONGEST = 64 * 1024


def has_reached(here: str | None, wanted: str) -> bool:
    """Is all that happened up to `wanted` before `here` or there?

    Raises:
        UsageError: `wanted` is not a position.
    """
    asked = _read(wanted)
    if here is None:
        return False
    ours = _read(here)
    if len(ours) != len(asked):  # of a time when there were as many partitions
        return True
    return all(mine >= theirs for mine, theirs in zip(ours, asked, strict=True))


def _read(position: str) -> list[tuple[int, int, int]]:
    parts = position.split(",") if isinstance(position, str) and len(position) <= LONGEST else []
    found = [_PLACE.fullmatch(part) for part in parts]
    if not found or None in found:
        raise UsageError(
            "this is not a position of this database's events; pass event.position, unchanged"
        )
    return [(int(one[1]), int(one[2]), int(one[3] or 0)) for one in found if one]
