"""The nouns of analysts' work: interactions and claims go in, results and events come out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import msgspec

from periscope.models import Action, Level, Rejection, Status

MAX_ANALYST_BYTES = 128
MAX_REQUEST_BYTES = 128
MAX_NOTE_BYTES = 16 * 1024
MAX_LEASE_S = 30 * 24 * 60 * 60
DEFAULT_LEASE_S = 15 * 60
ANY_TOKEN = -1
"""In place of a claim's token where it is given back: whatever claim the analyst has."""


class Interaction(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What one analyst does to one threat.

    `threat_id` as in a report; `analyst_id` is 1 to 128 bytes of text without control characters;
    `interaction_id` likewise, made up if not given: the same one again counts once.
    """

    threat_id: str
    analyst_id: str
    action: Action
    interaction_id: str | None = None


@dataclass(slots=True)
class InteractionsResult:
    """Exact counts of a batch of interactions; `received` is always the sum of the others.

    `repeated` were recorded before, under the same id. `rejected` holds the first 100,000
    rejections in the order of their index; `rejected_count` counts them all.
    """

    recorded: int = 0
    repeated: int = 0
    rejected_count: int = 0
    rejected: list[Rejection] = field(default_factory=list)

    @property
    def committed(self) -> int:
        """Interactions that are on record."""
        return self.recorded + self.repeated

    @property
    def received(self) -> int:
        """All interactions of the batch."""
        return self.committed + self.rejected_count


@dataclass(frozen=True, slots=True)
class Claim:
    """That one analyst has a threat until `until_ms`; `token` grows with each new holder."""

    threat_id: str
    analyst_id: str
    token: int
    until_ms: int


@dataclass(frozen=True, slots=True)
class PastAct:
    """An act that is remembered under its interaction or request id."""

    action: str
    analyst_id: str
    threat_id: str


@dataclass(frozen=True, slots=True)
class LastAct:
    """What an analyst did to a threat last, and how many interactions they have with it."""

    analyst_id: str
    interactions: int
    action: str
    at_ms: int
    interaction_id: str


@dataclass(frozen=True, slots=True)
class Desk:
    """Who holds a threat now (None: nobody), and what each analyst did to it last, latest first."""

    claim: Claim | None
    acts: tuple[LastAct, ...]


@dataclass(slots=True)
class PromotionStats:
    """What `promote_eligible_threats` did. `failed` ones could not be read; see the deep ledger."""

    promoted: int = 0
    failed: int = 0
    promoted_ids: list[str] = field(default_factory=list)


@dataclass(slots=True)
class WakeStats:
    """What `wake_snoozed_threats` did. `failed` ones could not be read; see the deep ledger."""

    woken: int = 0
    failed: int = 0
    woken_ids: list[str] = field(default_factory=list)


@dataclass(slots=True)
class SweepStats:
    """What a sweep did: archived (by reason), settled home, kept because touched since."""

    expired_seen: int = 0
    expired_unseen: int = 0
    settled: int = 0
    kept: int = 0
    forgotten_stubs: int = 0
    forgotten_suppressed: int = 0

    @property
    def expired(self) -> int:
        """All that left by age."""
        return self.expired_seen + self.expired_unseen


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened: `kind` says what, `at_ms` when; `position` resumes right after it.

    `added` and `sighted` name all threats of one chunk in `threat_ids`; every other kind has one,
    its level and status afterwards, and the analyst if there was one.
    """

    kind: str
    at_ms: int
    threat_ids: tuple[str, ...]
    position: str
    analyst_id: str = ""
    level: Level | None = None
    status: Status | None = None
    detail: Any = None

    @property
    def threat_id(self) -> str:
        """The first threat of the event."""
        return self.threat_ids[0] if self.threat_ids else ""


def as_mapping(entry: object) -> object:
    """An interaction as plain data: a struct's fields must be looked at, whatever they hold."""
    if isinstance(entry, Interaction):
        fields = msgspec.structs.asdict(entry)
        return {**fields, "action": str(entry.action)}
    return dict(entry) if isinstance(entry, Mapping) else entry
