"""The nouns: what goes in (`Report`) and what comes out (`Threat`, `Page`, `BatchResult` ...)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import IntEnum, StrEnum
from typing import Annotated, Any, NamedTuple

import msgspec

from periscope.policy import Policy
from periscope.scoring import Explanation, explain, score

MAX_ID_BYTES = 512
MAX_CONTENT_BYTES = 64 * 1024
MAX_METADATA_BYTES = 64 * 1024
MAX_METADATA_DEPTH = 32
MAX_SOURCE_BYTES = 256


class Severity(StrEnum):
    """How bad a threat is if it is true. Names are read in any case."""

    CRITICAL = "CRITICAL"
    HIGH = "HIGH"
    MEDIUM = "MEDIUM"
    LOW = "LOW"

    @property
    def rank(self) -> int:
        """0 for LOW to 3 for CRITICAL: the number that records and boards hold."""
        return SEVERITIES.index(self)

    @classmethod
    def _missing_(cls, value: object) -> Severity | None:
        return cls.__members__.get(value.upper()) if isinstance(value, str) else None


SEVERITIES = (Severity.LOW, Severity.MEDIUM, Severity.HIGH, Severity.CRITICAL)


class Level(IntEnum):
    """The three levels of memory; a threat is in exactly one."""

    WORKING = 1
    SHORT_TERM = 2
    LONG_TERM = 3


class Status(StrEnum):
    """Where the work on a level 1 threat stands; only open ones are in the queue."""

    OPEN = "open"
    DISMISSED = "dismissed"
    SNOOZED = "snoozed"
    CLOSED = "closed"


STATUSES = (Status.OPEN, Status.DISMISSED, Status.SNOOZED, Status.CLOSED)


class Action(StrEnum):
    """What an analyst does to a threat."""

    VIEW = "view"
    ESCALATE = "escalate"
    DISMISS = "dismiss"
    MONITOR = "monitor"
    INVESTIGATE = "investigate"


class Report(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a source says once.

    `threat_id` is 1 to 512 bytes of UTF-8, `content` up to 64 KiB of text, `metadata` any JSON
    object up to 64 KiB and 32 levels deep. `observed_at` is an aware datetime, an RFC 3339 text or
    integer milliseconds since 1970 (UTC); it decides which of two reports is the newer one.
    """

    threat_id: str
    content: str
    severity: Severity
    metadata: dict[str, Any] | None = None
    source: str = ""
    observed_at: int | Annotated[datetime, msgspec.Meta(tz=True)] | None = None


class Unreadable(NamedTuple):
    """A place in a feed that holds no usable report: counted as rejected, with its reason."""

    reason: str
    threat_id: str | None = None


class Rejection(NamedTuple):
    """A report that was not stored: its index in the batch, its id if it had one, and why."""

    index: int  # type: ignore[assignment]  # the field hides tuple.index
    threat_id: str | None
    reason: str


@dataclass(slots=True)
class BatchResult:
    """Exact counts of one batch; `received` is always the sum of the others.

    `rejected` holds the first 100,000 rejections in the order of their index; `rejected_count`
    counts them all.
    """

    added: int = 0
    sightings: int = 0
    duplicates: int = 0
    suppressed: int = 0
    rejected_count: int = 0
    rejected: list[Rejection] = field(default_factory=list)

    @property
    def committed(self) -> int:
        """Reports that the server acknowledged as stored or as already known."""
        return self.added + self.sightings + self.duplicates + self.suppressed

    @property
    def received(self) -> int:
        """All reports of the batch."""
        return self.committed + self.rejected_count


class Outcome(StrEnum):
    """What became of one report."""

    ADDED = "added"
    SIGHTING = "sighting"
    DUPLICATE = "duplicate"
    SUPPRESSED = "suppressed"


def to_datetime(moment_ms: int) -> datetime:
    """Milliseconds since 1970 as an aware UTC datetime, exact to the millisecond."""
    seconds, ms = divmod(moment_ms, 1000)
    return datetime.fromtimestamp(seconds, UTC).replace(microsecond=ms * 1000)


@dataclass(frozen=True, slots=True)
class Threat:
    """One threat as it stood at `as_of`; reading it has no side effect.

    Fields ending in `_ms` are integer milliseconds since 1970, UTC; the same names without the
    suffix are aware datetimes.
    """

    threat_id: str
    severity: Severity
    level: Level
    status: Status
    home: Level | None
    interactions: int
    escalations: int
    dismissals: int
    views: int
    analysts: int
    sightings: int
    consolidations: int
    confidence: float
    revision: int
    first_seen_ms: int
    last_activity_ms: int
    as_of_ms: int
    content: str
    metadata: dict[str, Any]
    source: str
    observed_at_ms: int | None
    policy: Policy = field(repr=False, compare=False)

    @property
    def first_seen(self) -> datetime:
        """When the engine first stored it."""
        return to_datetime(self.first_seen_ms)

    @property
    def last_activity(self) -> datetime:
        """Its last interaction or sighting, or its arrival."""
        return to_datetime(self.last_activity_ms)

    @property
    def as_of(self) -> datetime:
        """The server's time at which it was read."""
        return to_datetime(self.as_of_ms)

    @property
    def observed_at(self) -> datetime | None:
        """When its source says that it happened, if the source says so."""
        return None if self.observed_at_ms is None else to_datetime(self.observed_at_ms)

    @property
    def score(self) -> float:
        """Its score at `as_of`, between 0 and 1 under the default policy (DESIGN 2)."""
        return score(self.policy, self.severity, self.interactions, self.escalations, self.age_ms)

    @property
    def age_ms(self) -> int:
        """Milliseconds from its last activity to `as_of`; never negative."""
        return max(0, self.as_of_ms - self.last_activity_ms)

    def explain(self) -> Explanation:
        """The score as its four terms, each with its input and weight."""
        return explain(self.policy, self.severity, self.interactions, self.escalations, self.age_ms)


@dataclass(frozen=True, slots=True)
class Page:
    """A stretch of a ranking that stands still at `as_of`.

    `next_cursor` is None on the last page; `total` counts all matches when the page was read.
    """

    items: list[Threat]
    next_cursor: str | None
    as_of_ms: int
    total: int

    @property
    def as_of(self) -> datetime:
        """The server's time for which the whole walk is ranked."""
        return to_datetime(self.as_of_ms)

    def __iter__(self) -> Iterator[Threat]:
        return iter(self.items)

    def __len__(self) -> int:
        return len(self.items)
