"""What feeds, files and webhooks said that cannot be read."""

from __future__ import annotations

from typing import Annotated

import msgspec

from periscope.shapes.noise import SeverityWord


class LettersKept(msgspec.Struct, frozen=True):
    """How many letters a feed has, their bytes on disk, and how many had to be dropped."""

    feed: str
    letters: int
    size: int
    dropped: int


class LettersKeptList(msgspec.Struct, frozen=True):
    """Every feed that has letters, or had too many."""

    feeds: list[LettersKept]


class LetterDocument(msgspec.Struct, frozen=True):
    """One record that could not be used; `time` is when it was kept.

    `excerpt` is its beginning as text that is safe to show: what is not printable is escaped.
    `data` are its bytes in base64 (in a list: null); `cut` says that they are not all there were.
    """

    id: str
    time: str
    time_ms: int
    feed: str
    source_name: str
    place: str | None
    reason: str
    threat_id: str | None
    format: str | None
    excerpt: str | None
    data: str | None
    cut: bool


class LetterPage(msgspec.Struct, frozen=True):
    """Letters in the order in which they came; `total` are all of the feed."""

    items: list[LetterDocument]
    total: int


class ReplayBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Which letters to read again (without `ids`: all), and how, in place of how their feed is."""

    ids: Annotated[list[str], msgspec.Meta(max_length=100_000)] | None = None
    format: str | None = None
    source: str | None = None
    severity: SeverityWord | None = None


class ReplayFailure(msgspec.Struct, frozen=True):
    """A letter that failed again, and why."""

    id: str
    reason: str


class ReplayDocument(msgspec.Struct, frozen=True):
    """What became of letters: `dropped` went in, `failed` and `cut` (not whole) stay."""

    dropped: int
    added: int
    sightings: int
    duplicates: int
    suppressed: int
    skipped: int
    failed: list[ReplayFailure]
    cut: list[str]


class LettersDropped(msgspec.Struct, frozen=True):
    """How many letters are gone."""

    dropped: int
