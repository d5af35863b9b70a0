"""The note on a move: what it makes of the database, and how far it has come.

copying     the source is fenced, the copy is filled; can be given up
switching   (to another server only) the copy is whole and becomes the database there
cleaning    the copy is the database; what was left behind is deleted
aborting    given up: the copy is deleted, then the source let go again
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from secrets import token_hex
from typing import Literal

import msgspec

from periscope.errors import StoreDamaged, UsageError

ID = re.compile(r"[0-9a-f]{20}\Z")
COPYING, SWITCHING, CLEANING, ABORTING = "copying", "switching", "cleaning", "aborting"


def new_id(now_ms: int) -> str:
    """An id for a move that begins now: one that begins later has one that sorts after it."""
    return f"{now_ms:012x}{token_hex(4)}"


class Move(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One move. `runner` is the process that is at it: whoever resumes takes its place."""

    id: str
    runner: str
    verb: Literal["repartition", "rebuild"]
    partitions_before: int
    partitions: int
    generation: int
    to: str
    """The other server, without its password; '' for the same one."""
    policy: str
    """Of the copy, as the control key holds it; with its revision, and the one before."""
    revision: int
    revision_before: int
    started_ms: int
    phase: Literal["copying", "switching", "cleaning", "aborting"] = "copying"
    copied: int = 0
    """So many partitions of the source are in the copy."""
    entry: str = ""
    """Where the copy's streams begin, from the switch on."""

    @property
    def note(self) -> str:
        """The text that the control key holds."""
        return msgspec.json.encode(self).decode()

    @property
    def reason(self) -> str:
        """What whoever meets the fence is told, after `the database at ...`."""
        since = datetime.fromtimestamp(self.started_ms / 1000, UTC).strftime("%Y-%m-%d %H:%M")
        return (
            f"is closed for `periscope {self.verb}` (since {since} UTC); try again when that is "
            "done, or run that command again if it was interrupted"
        )

    @property
    def farewell(self) -> str:
        """What whoever meets what was left behind is told."""
        if self.to:
            return f"moved to {self.to}: open it there"
        return "was repartitioned or rebuilt: open it again"

    def does(self, other: Move) -> bool:
        """Does the other one make the same of the database?"""
        mine = (self.verb, self.partitions, self.to, self.policy)
        return mine == (other.verb, other.partitions, other.to, other.policy)

    def told(self) -> str:
        """The command that began it, for people."""
        if self.verb == "rebuild":
            return "periscope rebuild (with another policy)"
        to = f" --to {self.to}" if self.to else ""
        return f"periscope repartition --partitions {self.partitions}{to}"


def read_note(note: str) -> Move | None:
    """The move of a note; None for an empty one.

    Raises:
        UsageError: it is that of a move's target.
        StoreDamaged: it cannot be read.
    """
    if not note:
        return None
    if ID.match(note):
        raise UsageError(
            "this server is the target of a move that is not finished: go to the source (its url), "
            "and finish the move there, or give it up with --abort and --to this one"
        )
    try:
        return msgspec.json.decode(note, type=Move)
    except msgspec.DecodeError as exc:
        raise StoreDamaged(f"the note on a move cannot be read: {exc}") from None
