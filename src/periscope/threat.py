"""A threat as it is read, and pages of them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from periscope.models import Decision, Level, MemoryType, Severity, Status, to_datetime
from periscope.policy import Policy
from periscope.scoring import Explanation, decayed, explain, score

_MILLISECOND = timedelta(milliseconds=1)


@dataclass(frozen=True)
class Threat:  # without slots: `read_threat` fills many of them, one dictionary each
    """One threat as it stood at `as_of`; reading it has no side effect.

    `entry_confidence` is the confidence as stored; `confidence` what is left of it (DESIGN 2: decay
    in level 3). `entered_ms` is when it entered its level or woke there, in level 3 when its decay
    began, 0 while it is snoozed. `snoozed_until_ms` is when its snooze ends; None if only a raise
    ends it, and of what is not snoozed. `home` is set while it is recalled, `latched` while it
    waits for its promotion. `interaction_id` is that of the act which returned this threat, for
    `undo`.

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
    entry_confidence: float
    outcome: Decision | None
    latched: bool
    protected: bool
    revision: int
    first_seen_ms: int
    last_activity_ms: int
    entered_ms: int
    snoozed_until_ms: int | None
    consolidated_ms: int | None
    as_of_ms: int
    content: str
    metadata: dict[str, Any]
    source: str
    observed_at_ms: int | None
    policy: Policy = field(repr=False, compare=False)
    interaction_id: str | None = field(default=None, compare=False)

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
    def snoozed_until(self) -> datetime | None:
        """When its snooze ends by itself; None if it does not, or there is none."""
        return None if self.snoozed_until_ms is None else to_datetime(self.snoozed_until_ms)

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

    @property
    def confidence(self) -> float:
        """What its confidence is worth at `as_of`: decayed where it is unprotected in level 3."""
        if self.level is not Level.LONG_TERM or self.protected:
            return self.entry_confidence
        return decayed(self.policy, self.entry_confidence, self.as_of_ms - self.entered_ms)

    @property
    def withdrawn(self) -> bool:
        """Has an outcome of false positive or benign withdrawn its validation?"""
        return self.outcome is not None and self.outcome.withdraws

    @property
    def validated(self) -> bool:
        """Escalated twice or more (policy), and not withdrawn."""
        return self.escalations >= self.policy.validated_escalations and not self.withdrawn

    @property
    def memory_type(self) -> MemoryType:
        """What kind of knowledge it is, by what analysts did."""
        if self.validated:
            return MemoryType.VALIDATED
        if self.dismissals > self.escalations:
            return MemoryType.FALSE_POSITIVE
        return MemoryType.PATTERN

    @property
    def due_ms(self) -> int:
        """When its response target ends."""
        return self.first_seen_ms + self.policy.targets[self.severity.rank] // _MILLISECOND

    @property
    def overdue(self) -> bool:
        """Open, in level 1, without any interaction, and past its response target?

        A recalled threat is not: it was answered when it was promoted.
        """
        waiting = self.level is Level.WORKING and self.status is Status.OPEN and not self.home
        return waiting and not self.interactions and self.as_of_ms > self.due_ms


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


class Record(NamedTuple):
    """A threat as it is stored: its id, and header and body in one."""

    threat_id: bytes
    record: bytes


@dataclass(frozen=True, slots=True)
class RecordPage:
    """A page as `Page`, of records that nobody has looked into."""

    items: list[Record]
    next_cursor: str | None
    as_of_ms: int
    total: int
