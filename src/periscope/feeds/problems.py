"""How reading goes wrong inside this package; both are `FeedError`s, so nothing can slip past.

`BadRecord` costs one record and reading goes on; `Broken` ends the reading. A `Feed` turns either
into an `Unreadable`, so callers meet them only where a feed cannot be opened at all.
"""

from __future__ import annotations

from periscope.errors import FeedError

SHOWN_CHARS = 80
"""Characters of a source's own text that a message may quote."""
EXCERPT_BYTES = 64 * 1024
"""Bytes of a record that cannot be used which are kept, so that it can be read again later."""


class BadRecord(FeedError):
    """One record holds no usable report; `threat_id` is its id, if it has one."""

    def __init__(self, reason: str, threat_id: str | None = None) -> None:
        super().__init__(reason)
        self.threat_id = threat_id


class Broken(FeedError):
    """From this place on the input cannot be read; what came before it stands."""


class TooLong(Broken):
    """The input is longer than it may be."""


def quote(value: object) -> str:
    """Return a source's value fit for one line of a message: escaped, and cut where long."""
    text = repr(value[:SHOWN_CHARS] if isinstance(value, str) else value)
    return text if len(text) <= SHOWN_CHARS else f"{text[:SHOWN_CHARS]}..."


def kind(value: object) -> str:
    """Name the JSON type of a value, with its article, as messages use it."""
    names = {bool: "a boolean", str: "text", int: "a number", float: "a number", list: "a list"}
    return "null" if value is None else names.get(type(value), "an object")
