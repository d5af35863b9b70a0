"""The nouns: what goes in (`Report`) and what comes out (`Threat`, `Page`, `BatchResult` ...)."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import IntEnum, StrEnum
from typing import Annotated, Any, NamedTuple

import msgspec

MAX_ID_BYTES = 512
MAX_CONTENT_BYTES = 64 * 1024
MAX_METADATA_BYTES = 64 * 1024
MAX_METADATA_DEPTH = 32
MAX_SOURCE_BYTES = 256
LATEST_MS = 2**42 - 1
"""The last moment that a record can hold, in the year 2109."""
_YEARS = "^(19[7-9][0-9]|20[0-9][0-9]|210[0-8])-"


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


class Decision(StrEnum):
    """The outcome that an analyst gives a threat; it closes it. `duplicate` names its target."""

    TRUE_POSITIVE_IMPACT = "true_positive_impact"
    TRUE_POSITIVE_NO_IMPACT = "true_positive_no_impact"
    BENIGN_EXPECTED = "benign_expected"
    FALSE_POSITIVE_LOGIC = "false_positive_logic"
    FALSE_POSITIVE_DATA = "false_positive_data"
    DUPLICATE = "duplicate"
    INCONCLUSIVE = "inconclusive"

    @property
    def number(self) -> int:
        """1 to 7: what the record's header holds (0 is none)."""
        return DECISIONS.index(self) + 1

    @property
    def withdraws(self) -> bool:
        """Does it say that the threat is none (false positive or benign)?"""
        return 3 <= self.number <= 5


DECISIONS = tuple(Decision)


class MemoryType(StrEnum):
    """What a threat of level 2 or 3 stands for."""

    VALIDATED = "validated"
    FALSE_POSITIVE = "false_positive"
    PATTERN = "pattern"


def _told(**schema: Any) -> msgspec.Meta:
    """A limit that schemas tell, and that the engine checks: it counts bytes, they characters."""
    return msgspec.Meta(extra_json_schema=schema)


class Report(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a source says once.

    `threat_id` is 1 to 512 bytes of UTF-8, `content` up to 64 KiB of text, `metadata` any JSON
    object up to 64 KiB and 32 levels deep. `observed_at` is an aware datetime, an RFC 3339 text or
    integer milliseconds since 1970 (UTC); it decides which of two reports is the newer one.
    """

    threat_id: Annotated[str, _told(minLength=1, maxLength=MAX_ID_BYTES)]
    content: Annotated[str, _told(maxLength=MAX_CONTENT_BYTES)]
    severity: Severity
    metadata: dict[str, Any] | None = None
    source: Annotated[str, _told(maxLength=MAX_SOURCE_BYTES)] = ""
    observed_at: (
        Annotated[int, _told(minimum=0, maximum=LATEST_MS)]
        | Annotated[datetime, msgspec.Meta(tz=True, extra_json_schema={"pattern": _YEARS})]
        | None
    ) = None


class Unreadable(NamedTuple):
    """A place in a feed that holds no usable report: counted as rejected, with its reason.

    `place` is like "line 7", `excerpt` the record's own bytes, at most 64 KiB of them.
    """

    reason: str
    threat_id: str | None = None
    place: str | None = None
    excerpt: bytes | None = None


class Mark(NamedTuple):
    """Why a report is to be suppressed, and when it comes back all the same.

    `cause` is `list:<name of the warninglist>` or `rule:<id of the rule>`. When more than `most`
    marked reports of its id come within `window_ms` it comes back (0, 0: at no rate). The mark
    holds until `until_ms` (0: for ever).
    """

    cause: str
    most: int = 0
    window_ms: int = 0
    until_ms: int = 0


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
