"""The formats that are installed: ours and anybody's, found through entry points."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from functools import cache
from importlib.metadata import EntryPoint, entry_points

from periscope.errors import FeedError
from periscope.feeds.format import Format

GROUP = "periscope.formats"
log = logging.getLogger(__name__)


@cache
def format_names() -> tuple[str, ...]:
    """Names of all formats, sorted; none of them is imported for it."""
    return tuple(sorted(_entries()))


@cache
def all_formats() -> tuple[Format, ...]:
    """The formats in the order in which detection asks them: the particular before the general.

    One that cannot be imported is left out, and the log says so.
    """
    return tuple(sorted(_loaded(), key=lambda one: (one.rank, one.name)))


def by_name(name: str) -> Format:
    """Return the format of that name, in any case.

    Raises:
        FeedError: there is none, or it cannot be imported; names those that there are.

    """
    entry = _entries().get(name.lower())
    if entry is None:
        known = ", ".join(format_names())
        raise FeedError(f"--format {name}: there is no such format; one of {known}")
    try:
        return _load(entry)
    except Exception as exc:
        raise FeedError(f"--format {name}: cannot be used: {_told(entry, exc)}") from exc


@cache
def _entries() -> dict[str, EntryPoint]:
    """Entry points by name; of two with one name ours counts, else the first package's."""
    found: dict[str, EntryPoint] = {}
    for entry in sorted(entry_points(group=GROUP), key=_ours_first):
        found.setdefault(entry.name.lower(), entry)
    return found


def _ours_first(entry: EntryPoint) -> tuple[bool, str, str]:
    return not entry.value.startswith("periscope."), entry.name, entry.value


def _loaded() -> Iterator[Format]:
    for entry in _entries().values():
        try:
            yield _load(entry)
        except Exception as exc:  # somebody else's code: whatever it is, the others are there
            log.warning("format %s is left out: %s", entry.name, _told(entry, exc))


@cache
def _load(entry: EntryPoint) -> Format:
    made: Format = entry.load()()
    if made.name != entry.name:
        raise ValueError(f"it calls itself {made.name!r}")
    return made


def _told(entry: EntryPoint, exc: Exception) -> str:
    return f"{entry.value}: {type(exc).__name__}: {' '.join(str(exc).split())}"
