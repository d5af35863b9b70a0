"""How a feed is doing and how far it has come, as the store holds both."""

from __future__ import annotations

from typing import Any

import msgspec

from periscope.errors import FeedError
from periscope.polling.document import Position

MAX_POSITION_BYTES = 64 * 1024
MAX_ERROR_CHARS = 500
MAX_NAME_CHARS = 1_000
COUNTS = (
    *("documents", "read", "added", "sightings", "duplicates", "suppressed"),
    *("rejected", "skipped", "dead_letters"),
)


class Counts(msgspec.Struct):
    """What was done; `read` is the sum of the outcomes, the rejected and the skipped.

    `rejected` are records that the reader or the engine refused; `dead_letters` those of them that
    were kept.
    """

    documents: int = 0
    read: int = 0
    added: int = 0
    sightings: int = 0
    duplicates: int = 0
    suppressed: int = 0
    rejected: int = 0
    skipped: int = 0
    dead_letters: int = 0

    def add(self, other: Counts) -> None:
        """Count what another counted."""
        for name in COUNTS:
            setattr(self, name, getattr(self, name) + getattr(other, name))


class Status(msgspec.Struct):
    """How a feed is doing; moments in milliseconds of the server's clock, None for never.

    `failures` are those in a row; `last_error` is kept after later successes. `newest_ms` is the
    newest `observed_at` of any record; `document` what was read last.
    """

    runs: int = 0
    failures: int = 0
    last_run_ms: int | None = None
    last_success_ms: int | None = None
    last_error_ms: int | None = None
    last_error: str | None = None
    newest_ms: int | None = None
    seconds: float = 0.0
    document: str = ""
    counts: Counts = msgspec.field(default_factory=Counts)


class Place(msgspec.Struct):
    """How far a feed has come: whole documents up to `done`, and `records` of another one.

    `of` says of which feed: where its definition names another place, reading begins anew.
    """

    of: str
    done: Position | None = None
    identity: str | None = None
    records: int = 0

    def begun(self, identity: str) -> int:
        """How many records of that document are acknowledged already."""
        return self.records if identity == self.identity else 0

    def past(self, identity: str, after: Position) -> Place:
        """Where it stands after the whole of a document; what was begun of another one stays."""
        if identity == self.identity:
            return Place(self.of, after)
        return Place(self.of, after, self.identity, self.records)


def fit(text: str, most: int) -> str:
    """Return the text as it can be stored: a file's name need not be UTF-8."""
    return text[:most].encode("utf-8", "backslashreplace").decode()


def read_status(text: bytes) -> Status:
    """Return the status that is stored; a new one where there is none, or none that can be read."""
    try:
        return msgspec.json.decode(text, type=Status) if text else Status()
    except msgspec.DecodeError:
        return Status()


def read_place(text: bytes, of: str) -> Place:
    """Return the place that is stored, or the very beginning."""
    try:
        found = msgspec.json.decode(text, type=Place) if text else Place(of)
    except msgspec.DecodeError:
        return Place(of)
    return found if found.of == of else Place(of)


def encode_place(place: Place) -> bytes:
    """Return the place as it is stored.

    Raises:
        FeedError: the source's position is too long.
    """
    text = msgspec.json.encode(place)
    if len(text) > MAX_POSITION_BYTES + len(place.of) + 1024:
        raise FeedError(f"the position of this feed takes more than {MAX_POSITION_BYTES:,} bytes")
    return text


def encode(thing: Any) -> bytes:
    """Return a status as it is stored."""
    return msgspec.json.encode(thing)
