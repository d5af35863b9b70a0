"""One threat as pure Python, and the moves of DESIGN 2 on it, written the plain way."""

from __future__ import annotations

from dataclasses import dataclass, field
from math import exp
from typing import Any, ClassVar

STATIC = {0: 0.1, 1: 0.4, 2: 0.7, 3: 1.0}
MINUTE = 60_000
HOUR = 60 * MINUTE
DAY = 24 * HOUR
TARGETS = (24 * HOUR, 8 * HOUR, HOUR, 15 * MINUTE)
WITHDRAWING = ("benign_expected", "false_positive_logic", "false_positive_data")
CONFIRMING = ("true_positive_impact", "true_positive_no_impact")


@dataclass
class Word:
    """The last thing that a source said."""

    source: str
    said: Any
    observed_at: int
    severity: int


class Scored:
    """The score and the order of the ranking, from the fields of whoever has them."""

    threat_id: str
    severity: int
    last_activity: int
    interactions: int
    escalations: int
    interactions_cap: ClassVar[int] = 10
    escalations_cap: ClassVar[int] = 3

    def score(self, now: int) -> float:
        age = max(0, now - self.last_activity)
        return (
            0.3 * STATIC[self.severity]
            + 0.2 * min(1, self.interactions / self.interactions_cap)
            + 0.3 * min(1, self.escalations / self.escalations_cap)
            + 0.2 * exp(-age / 1_800_000)
        )

    def rank_key(self, now: int) -> tuple[float, int, bytes]:
        return (self.score(now), self.last_activity, self.threat_id.encode())


@dataclass(frozen=True)
class Held:
    """A claim."""

    analyst: str
    token: int
    until: int
    lease: int


@dataclass(frozen=True)
class Last:
    """What an analyst did to a threat last, and how many interactions they have with it."""

    interactions: int
    action: str
    at: int
    request: str


@dataclass
class ModelThreat(Scored):
    threat_id: str
    words: list[Word]
    first_seen: int
    last_activity: int
    severity: int
    body: Any
    source: str = ""
    observed_at: int = 0
    level: int = 1
    home: int = 0
    status: str = "open"
    status_severity: int = 0
    outcome: str | None = None
    interactions: int = 0
    escalations: int = 0
    dismissals: int = 0
    views: int = 0
    sightings: int = 0
    consolidations: int = 0
    consolidated: int | None = None
    confidence: float = 0.0
    latch: float | None = None
    protected: bool = False
    escalated_since_recall: int = 0
    snoozed_until: int = 0  # while it is snoozed; 0 for only until it gets worse
    entered: int = 0
    decays_from: int = 0
    claim: Held | None = None
    acts: dict[str, Last] = field(default_factory=dict)
    revision: int = 1
    decided: int = 0  # the revision at which somebody (or a raise) decided the status last
    moves: int = 0  # how often it changed its level, or came back

    @property
    def analysts(self) -> int:
        return sum(last.interactions > 0 for last in self.acts.values())

    @property
    def withdrawn(self) -> bool:
        return self.outcome in WITHDRAWING

    @property
    def validated(self) -> bool:
        return self.escalations >= 2 and not self.withdrawn

    @property
    def memory_type(self) -> str:
        if self.validated:
            return "validated"
        return "false_positive" if self.dismissals > self.escalations else "pattern"

    @property
    def due(self) -> int:
        return self.first_seen + TARGETS[self.severity]

    def overdue(self, now: int) -> bool:
        return (
            self.level == 1
            and self.status == "open"
            and not self.home
            and not self.interactions
            and now > self.first_seen + TARGETS[self.severity]
        )

    def eligible(self) -> bool:
        """At the moment of an interaction: the age is nothing."""
        return (
            self.score(self.last_activity) >= 0.7
            and self.analysts >= 2
            and (self.escalations >= 2 or self.severity >= 2)
        )

    def worth(self, now: int) -> float:
        """Confidence as decayed by now."""
        if self.level < 3 or self.protected:
            return self.confidence
        days = max(0, now - self.decays_from) / DAY
        return max(0.3, float(self.confidence * 0.999**days))

    def holder(self, now: int) -> Held | None:
        return self.claim if self.claim is not None and now < self.claim.until else None

    def end(self, now: int) -> int | None:
        """When it expires or settles as it stands now; None for never."""
        if self.level == 2:
            return self.entered + 7 * DAY
        if self.level == 3:
            return None if self.protected else self.entered + 90 * DAY
        if self.status == "snoozed" or self.latch is not None or self.holder(now) is not None:
            return None
        if self.home:
            return max(self.last_activity, self.entered) + HOUR
        return self._end_of_work()

    def _end_of_work(self) -> int | None:
        quiet = max(self.last_activity, self.entered) + HOUR
        if self.status != "open":
            return quiet
        if self.severity >= 2:
            return quiet if self.dismissals or self.outcome else None
        return quiet if self.interactions else max(quiet, self.due)

    def overtaken(self, now: int) -> bool:
        end = self.end(now)
        return end is not None and now >= end

    def set_status(self, status: str, now: int) -> None:
        if self.status == status:
            return
        if self.status == "snoozed":
            self.entered = self.decays_from = now
        self.status = status
        self.status_severity = 0 if status == "open" else self.severity

    def snooze(self, until: int) -> None:
        self.status, self.status_severity = "snoozed", self.severity
        self.snoozed_until = until

    def wakes(self, now: int) -> bool:
        return self.status == "snoozed" and 0 < self.snoozed_until <= now

    def raised(self) -> bool:
        return self.status != "open" and self.severity > self.status_severity

    def reopen_as_raised(self, now: int) -> None:
        if self.status != "snoozed":
            self.outcome = None
        self.set_status("open", now)

    def place_in_time(self) -> int:
        """What tells one stay in level 1 from another: an undo goes by it."""
        return self.snoozed_until if self.status == "snoozed" else self.entered

    def enter(self, level: int, now: int) -> None:
        """Come into level 2 or 3."""
        self.level, self.home, self.entered, self.decays_from = level, 0, now, now
        self.latch = None
        self.moves += 1
        self.protected = level == 3 and self._deserves_protection()

    def rises(self) -> bool:
        return self.confidence >= 0.8 and self.consolidations >= 3 and self.validated

    def promote(self, score: float, now: int) -> None:
        again = self.consolidations > 0
        if not again or self.consolidated is None or now - self.consolidated >= DAY:
            self.consolidations += 1
            self.consolidated = now
        self.confidence = max(self.confidence, score)
        self.enter(3 if self.rises() else max(2, self.home), now)

    def recall(self, now: int, *, explicit: bool) -> None:
        if self.level == 1:
            return
        self.home, self.level = self.level, 1
        self.entered = self.decays_from = now
        self.moves += 1
        self.escalated_since_recall = 0
        self.protected = False
        if explicit or not self.withdrawn:
            self.status, self.status_severity = "open", 0

    def judge(self, now: int) -> None:
        """What `validated` says of a threat of level 2 or 3."""
        if self.level == 2 and self.rises():
            self.enter(3, now)
        elif self.level == 3:
            was, self.protected = self.protected, self._deserves_protection()
            if was and not self.protected:
                self.decays_from = now
            elif self.protected:
                self.decays_from = self.entered

    def _deserves_protection(self) -> bool:
        return not self.withdrawn and (self.validated or self.consolidations >= 3)
