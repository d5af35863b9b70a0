"""Acts on many threats at once: what is sent, and a receipt that says of each what became of it."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

from periscope.models import Decision
from periscope.shapes.acts import ActBody, ForSeconds, Lease, Moment
from periscope.shapes.rows import ThreatRow
from periscope.shapes.threats import ClaimDocument

MOST = 100
# fmt: off
ActWord = Literal[
    "view", "escalate", "dismiss", "monitor", "investigate", "claim",
    "release", "decide", "snooze", "reopen", "comment", "recall",
]
# fmt: on
Many = Annotated[list[str], msgspec.Meta(min_length=1, max_length=MOST)]
"""Ids, each of them once."""
Token = Annotated[int, msgspec.Meta(ge=1, lt=2**53)]


class ActsBody(ActBody, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One act on up to 100 threats; a field that does not belong to the act is refused.

    `note` (up to 16,384 bytes) goes with interactions, `decide`, `snooze` and `reopen`; with an
    interaction it is a comment, a second act right after it, which stays when the first is undone.
    `outcome` and `duplicate_of` belong to `decide`; `lease_s` (seconds, default 900) and
    `take_over` to `claim`; exactly one of `until`, `for_s` and `until_worse` to `snooze`; `text` to
    `comment`; `tokens`, those that claiming answered by the ids of the threats, to `release`:
    without one, what the analyst holds now is given back.
    """

    act: ActWord
    threat_ids: Many
    note: str | None = None
    outcome: Decision | None = None
    duplicate_of: str | None = None
    lease_s: Lease | None = None
    take_over: bool | None = None
    until: Moment | None = None
    for_s: ForSeconds | None = None
    until_worse: bool | None = None
    text: str | None = None
    tokens: dict[str, Token] | None = None


class Changed(msgspec.Struct, frozen=True):
    """A threat on which the act is on record, now or since the same request came before.

    `interaction_id` takes the act back (null: a claim or release); `claim` is what claiming got.
    `row` is the threat as it stands now, null where it can no longer be shown.
    """

    threat_id: str
    interaction_id: str | None
    claim: ClaimDocument | None
    row: ThreatRow | None


class Skipped(msgspec.Struct, frozen=True):
    """A threat on which the act is not (wholly) on record, and why: as a problem says it.

    With status 503 that is not known for certain; the same request again, with its `request_id`,
    settles it.
    """

    threat_id: str
    type: str
    title: str
    detail: str
    status: int


class ActsDone(msgspec.Struct, frozen=True):
    """The receipt of an act on many threats, in the order in which they were named."""

    act: ActWord
    changed: list[Changed]
    skipped: list[Skipped]


class UndoManyBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The ids of up to 100 acts to take back; those on the same threat latest first."""

    interaction_ids: Many
    analyst_id: str | None = None


class Undone(msgspec.Struct, frozen=True):
    """An act taken back; `row` is its threat as it stands now, null where it cannot be shown."""

    interaction_id: str
    threat_id: str
    row: ThreatRow | None


class NotUndone(msgspec.Struct, frozen=True):
    """An act that is not taken back, and why: as a problem says it; 503: not known for certain."""

    interaction_id: str
    type: str
    title: str
    detail: str
    status: int


class UndoManyDone(msgspec.Struct, frozen=True):
    """The receipt of taking back many acts, in the order in which they were named."""

    undone: list[Undone]
    skipped: list[NotUndone]
