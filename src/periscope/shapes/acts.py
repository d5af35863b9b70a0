"""What analysts do: what is sent, and what is answered.

`analyst_id` says who acts; a key that stands for an analyst, and a session, need not say it, and
can name nobody else. `request_id` and `interaction_id` (1 to 128 bytes) are remembered for a day:
the same act with the same id again changes nothing and gets the first answer. The header
`Idempotency-Key` gives the id where the body does not.
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

import msgspec

from periscope.models import Action, Decision, Severity
from periscope.shapes.reports import Rejected
from periscope.shapes.threats import ClaimDocument, ThreatDocument, ThreatShown
from periscope.work import DEFAULT_LEASE_S, MAX_LEASE_S

Lease = Annotated[float, msgspec.Meta(ge=1, le=MAX_LEASE_S)]
"""Seconds."""
TEN_YEARS_S = 315_619_200
ForSeconds = Annotated[float, msgspec.Meta(gt=0, le=TEN_YEARS_S)]
Moment = Annotated[datetime, msgspec.Meta(tz=True)]


class ActBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """An act that says nothing but who acts."""

    analyst_id: str | None = None
    request_id: str | None = None


class InteractionBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What one analyst does to one threat."""

    threat_id: str
    action: Action
    analyst_id: str | None = None
    interaction_id: str | None = None


class ClaimBody(ActBody, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """For how long (`lease_s`, seconds), and whether even if somebody else has the threat."""

    lease_s: Lease = DEFAULT_LEASE_S
    take_over: bool = False


class NextBody(ActBody, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """For how long (`lease_s`, seconds), and of which severity (default: of any)."""

    lease_s: Lease = DEFAULT_LEASE_S
    severity: Severity | None = None


class ReleaseBody(ActBody, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Which claim is given back: the `token` that claiming answered."""

    token: Annotated[int, msgspec.Meta(ge=1, lt=2**53)]


class DecideBody(ActBody, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """An outcome; `duplicate_of` names the target of a duplicate, and belongs to no other."""

    outcome: Decision
    note: str | None = None
    duplicate_of: str | None = None


class CommentBody(ActBody, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A comment of 1 to 16,384 bytes."""

    text: str


class NoteBody(ActBody, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Why, in up to 16,384 bytes."""

    note: str | None = None


class RemoveBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Who removes, and why (up to 16,384 bytes)."""

    analyst_id: str | None = None
    note: str | None = None


class EraseBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Who erases."""

    analyst_id: str | None = None


class SnoozeBody(ActBody, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Until when: exactly one of a moment, so many seconds, or only until it gets worse.

    The other two end as well when it gets worse.
    """

    until: Moment | None = None
    for_s: ForSeconds | None = None
    until_worse: bool = False
    note: str | None = None


class UndoBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The id of the act to take back."""

    interaction_id: str
    analyst_id: str | None = None


class ActDone(msgspec.Struct, frozen=True, kw_only=True):
    """An act that was done, with the threat right after it; `interaction_id` takes it back."""

    act: str
    threat_id: str
    analyst_id: str
    interaction_id: str
    threat: ThreatDocument


class RecallDone(ActDone, frozen=True, kw_only=True):
    """A recall; `from_level` is the level that the threat was in."""

    from_level: int


class UndoDone(ActDone, frozen=True, kw_only=True):
    """An act taken back: the one of the id `undone`."""

    undone: str


class Next(msgspec.Struct, frozen=True):
    """What is to be looked at next, and the claim on it."""

    claim: ClaimDocument
    threat: ThreatShown


class Released(msgspec.Struct, frozen=True):
    """The id of the threat that was given back."""

    released: str
    analyst_id: str


class Promoted(msgspec.Struct, frozen=True):
    """What was promoted just now; `failed` ones could not be read."""

    promoted: int
    failed: int
    promoted_ids: list[str]


class Removed(msgspec.Struct, frozen=True):
    """The id of the threat that was removed."""

    removed: str
    analyst_id: str


class Allowed(msgspec.Struct, frozen=True):
    """The id whose reports are taken in again."""

    allowed: str
    analyst_id: str


class Erased(msgspec.Struct, frozen=True):
    """The id of the threat that was erased, and how many rows of the archive were blanked."""

    erased: str
    analyst_id: str
    rows_blanked: int


class InteractionsTaken(msgspec.Struct, frozen=True):
    """Exact counts; `received` is the sum of the three that follow.

    `repeated` were recorded before, under the same id. `rejections` holds the first 1,000.
    """

    received: int
    recorded: int
    repeated: int
    rejected: int
    rejections: list[Rejected]
