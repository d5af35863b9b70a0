"""Feeds that workers poll: defined, run, and how each is doing."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec
from msgspec import UNSET, UnsetType

from periscope.shapes.noise import SeverityWord

Text = Annotated[str, msgspec.Meta(min_length=1, max_length=4096)]
Variable = Annotated[str, msgspec.Meta(pattern=r"^FEED_[A-Z0-9_]{1,200}\Z")]
Duration = Annotated[str, msgspec.Meta(pattern=r"^([0-9.]+(ms|[wdhms]))+\Z", max_length=40)]


class FeedDefinition(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A feed that is fetched from another host; fields as in periscope.toml.

    Here no feed can be defined that reads the server's own disk, names a file there, or is allowed
    private addresses: those stand in periscope.toml, or are defined by its command line. Secrets
    are variables of the server whose names begin with `FEED_`, and only where it serves one
    namespace.
    """

    kind: Literal["http", "taxii", "misp"]
    place: Text
    format: Text | UnsetType = UNSET
    interval: Duration | UnsetType = UNSET
    jitter: Duration | UnsetType = UNSET
    timeout: Duration | UnsetType = UNSET
    source: Text | UnsetType = UNSET
    severity: SeverityWord | UnsetType = UNSET
    columns: list[str] | UnsetType = UNSET
    map: dict[str, str] | UnsetType = UNSET
    delimiter: Text | UnsetType = UNSET
    fingerprint: list[str] | UnsetType = UNSET
    max_bytes: Annotated[int, msgspec.Meta(ge=1, le=68_719_476_736)] | UnsetType = UNSET
    max_records: Annotated[int, msgspec.Meta(ge=0)] | UnsetType = UNSET
    max_record_bytes: Annotated[int, msgspec.Meta(ge=1, le=67_108_864)] | UnsetType = UNSET
    username: Text | UnsetType = UNSET
    password_env: Variable | UnsetType = UNSET
    token_env: Variable | UnsetType = UNSET
    headers_env: dict[str, Variable] | UnsetType = UNSET
    collections: list[str] | UnsetType = UNSET
    added_after: Text | UnsetType = UNSET


class FeedCounts(msgspec.Struct, frozen=True):
    """What was done; `rejected` could not be used, `dead_letters` of them are kept."""

    documents: int
    read: int
    added: int
    sightings: int
    duplicates: int
    suppressed: int
    rejected: int
    skipped: int
    dead_letters: int


class FeedDocument(msgspec.Struct, frozen=True):
    """A feed and how it is doing.

    `origin` is `file` (periscope.toml), `store` (defined by command or call) or `gone`. Of the
    definition there is what differs from the defaults: a URL without its query; where secrets are
    and paths for administrators only. `lag_ms` is how old the newest record is.
    """

    name: str
    state: Literal["gone", "broken", "paused", "running", "failing", "new", "waiting"]
    origin: Literal["file", "store", "gone"]
    paused: bool
    owner: str | None
    problem: str | None
    definition: dict[str, Any] | None
    runs: int
    failures: int
    last_error: str | None
    last_error_at: str | None
    last_error_at_ms: int | None
    last_run: str | None
    last_run_ms: int | None
    last_success: str | None
    last_success_ms: int | None
    next_run: str | None
    next_run_ms: int | None
    lease_end: str | None
    lease_end_ms: int | None
    newest: str | None
    newest_ms: int | None
    lag_ms: int | None
    since_success_ms: int | None
    seconds: float
    document: str | None
    counts: FeedCounts
    as_of: str
    as_of_ms: int


class FeedList(msgspec.Struct, frozen=True):
    """All feeds, by name; also what is left of those that are gone."""

    feeds: list[FeedDocument]


class FeedDone(msgspec.Struct, frozen=True):
    """What was done to a feed, and whether that changed anything."""

    name: str
    done: Literal["paused", "resumed", "removed"]
    changed: bool


class FeedRunResult(msgspec.Struct, frozen=True):
    """What one run did, and what was wrong with the feed, if anything."""

    name: str
    documents: int
    read: int
    added: int
    sightings: int
    duplicates: int
    suppressed: int
    rejected: int
    skipped: int
    dead_letters: int
    error: str | None
    stopped: bool
    taken_over: bool


class FeedRun(msgspec.Struct, frozen=True):
    """A run that somebody asked for; `result` is null while it goes on: look at the feed."""

    name: str
    ended: bool
    result: FeedRunResult | None
