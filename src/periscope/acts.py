"""Analysts' acts as they travel: checked, packed for `periscope_act`, and their replies parsed."""

from __future__ import annotations

from collections.abc import Sequence
from os import urandom
from typing import Any, NamedTuple

import msgspec

from periscope.errors import (
    ActInvalid,
    ActRefused,
    BugError,
    Claimed,
    ClaimLost,
    NotLast,
    NotRemoved,
    RequestReused,
    SnoozeEnd,
    ThreatClosed,
    ThreatUnknown,
    TooLate,
)
from periscope.header import HEADER_BYTES
from periscope.models import MAX_ID_BYTES, Action, Rejection, Unreadable
from periscope.work import MAX_ANALYST_BYTES, MAX_NOTE_BYTES, MAX_REQUEST_BYTES, as_mapping

FLAT = 5  # values of a reply in an array of all
_encode = msgspec.msgpack.Encoder().encode
_ACTIONS = {action.value for action in Action}


class PackedAct(NamedTuple):
    """An act ready to be sent: its threat, its payload, and its place in a batch."""

    threat_id: bytes
    payload: bytes
    index: int  # type: ignore[assignment]  # the field hides tuple.index
    request_id: str


class ActReply(NamedTuple):
    """What became of an act: a word of `periscope_act`, what comes with it, the threat's record."""

    word: str
    now_ms: int
    extra: Any = None
    record: bytes = b""

    @property
    def done(self) -> bool:
        """Was it done, now or before?"""
        return self.word in ("DONE", "AGAIN")

    @property
    def reason(self) -> str:
        """Why it was not done, in one line."""
        return _REASONS[self.word][1]

    def check(self, threat_id: str = "") -> None:
        """Raise if it was not done.

        Raises:
            ActRefused: one of its classes, by the word.
        """
        if self.done:
            return
        kind, reason = _REASONS[self.word]
        if self.word == "CLAIMED" and self.extra:
            reason = f"{self.extra[-1]!r} holds this threat; wait, or take the claim over"
        if self.word == "UNKNOWN" and threat_id:
            reason = f"no threat {threat_id!r}"
        raise kind(reason)


_REASONS: dict[str, tuple[type[ActRefused], str]] = {
    "UNKNOWN": (ThreatUnknown, "no such threat"),
    "CLAIMED": (Claimed, "somebody else holds this threat; wait, or take the claim over"),
    "NOT_HELD": (ClaimLost, "this claim has ended, or somebody else has the threat now"),
    "TOO_LATE": (TooLate, "too late to take this back: its time is over, or the threat moved on"),
    "NOT_LAST": (NotLast, "only an analyst's own last act on a threat can be taken back"),
    "CONFLICT": (RequestReused, "this id was used before, for another act; use a new one"),
    "PAST": (SnoozeEnd, "a snooze must end later than now"),
    "TOO_FAR": (SnoozeEnd, "a snooze lasts ten years at most"),
    "CLOSED": (ThreatClosed, "this threat is closed; reopen it first"),
    "NOT_REMOVED": (NotRemoved, "this id was not removed"),
    "ELSEWHERE": (ActRefused, "the threat is not in the working level; recall it first"),
}
_WORDS = {word.encode(): word for word in (*_REASONS, "DONE", "AGAIN", "SKIPPED")}
_NOTHING_TOLD = b"\xa0"  # the empty text


def parse_acts(reply: Any, expected: int) -> list[ActReply]:
    """The replies of `periscope_act`, in order.

    Raises:
        BugError: not as many as acts, or a word that is none.
    """
    match reply:
        case [int(now_ms), list(found)] if len(found) == expected:
            return [_parse_act(entry, now_ms) for entry in found]
        case [int(), list(found)] if len(found) == FLAT * expected:
            columns = (found[first::FLAT] for first in range(FLAT))
            return [_act_reply(*entry) for entry in zip(*columns, strict=True)]
        case _:
            raise BugError(f"periscope_act answered {reply!r:.100} to {expected} acts")


def _parse_act(entry: Any, now_ms: int) -> ActReply:
    match entry:
        case [word, extra, header, body, at_ms]:
            return _act_reply(word, extra, header, header + body, at_ms)
        case _:
            return ActReply(_word(entry), now_ms)


def _act_reply(word: Any, extra: bytes, header: bytes, record: bytes, at_ms: int) -> ActReply:
    """A reply with a record: as it was read, but for the header, which the act may have changed."""
    told = "" if extra == _NOTHING_TOLD else msgspec.msgpack.decode(extra)
    return ActReply(_word(word), at_ms, told, header + record[HEADER_BYTES:] if header else b"")


def _word(answered: Any) -> str:
    word = _WORDS.get(answered) if isinstance(answered, bytes) else None
    if word is None:
        raise BugError(f"periscope_act answered an unknown word {answered!r:.100}")
    return word


def pack_act(
    verb: str,
    threat_id: str,
    analyst_id: str,
    request_id: str | None = None,
    args: Sequence[Any] = (),
    *,
    index: int = 0,
) -> PackedAct:
    """Check and pack one act; without a request id it gets one.

    Raises:
        ActInvalid: an id that is none; names the field.
    """
    id_bytes = check_text(threat_id, "threat_id", MAX_ID_BYTES)
    check_name(analyst_id, "analyst_id", MAX_ANALYST_BYTES)
    if request_id is None:
        request_id = urandom(12).hex()
    else:
        check_name(request_id, "interaction_id", MAX_REQUEST_BYTES)
    parts = (verb, analyst_id, request_id, args) if args else (verb, analyst_id, request_id)
    # Without the head of the array: the server reads several values faster than one of several.
    return PackedAct(id_bytes, _encode(parts)[1:], index, request_id)


def check_text(text: Any, field: str, most: int, *, least: int = 1) -> bytes:
    """Text as bytes.

    Raises:
        ActInvalid: not text, empty, too long, or not valid UTF-8.
    """
    if not isinstance(text, str):
        raise ActInvalid(f"{field}: must be text, not {type(text).__name__}", field=field)
    try:
        encoded = text.encode()
    except UnicodeEncodeError:
        raise ActInvalid(f"{field}: not valid UTF-8 (a lone surrogate)", field=field) from None
    if len(encoded) < least:
        raise ActInvalid(f"{field}: empty", field=field)
    if len(encoded) > most:
        raise ActInvalid(f"{field}: {len(encoded):,} bytes, more than {most:,}", field=field)
    return encoded


def check_name(text: Any, field: str, most: int) -> None:
    """Refuse what cannot be an analyst's id or a request's: besides, no control characters."""
    if type(text) is not str or not text.isascii() or not 0 < len(text) <= most:
        check_text(text, field, most)
    if not text.isprintable() or text != text.strip():
        raise ActInvalid(f"{field}: no control characters, and no spaces at its ends", field=field)


def check_note(text: str | None, field: str = "note", *, least: int = 0) -> str:
    """A note or comment as text, '' for none."""
    check_text("" if text is None else text, field, MAX_NOTE_BYTES, least=least)
    return text or ""


def check_action(action: Any) -> str:
    """The word of an interaction, in any case.

    Raises:
        ActInvalid: no such action.
    """
    word = action.lower() if isinstance(action, str) else action
    if not isinstance(word, str) or word not in _ACTIONS:
        known = ", ".join(sorted(_ACTIONS))
        raise ActInvalid(
            f"action: unknown {str(action)[:40]!r}; use one of {known}", field="action"
        )
    return str(word)


_FIELDS = ("threat_id", "analyst_id", "action", "interaction_id")


class ActIntake:
    """Validates and packs interactions of a batch."""

    def prepare(self, items: Sequence[Any], first: int) -> tuple[list[PackedAct], list[Rejection]]:
        """Pack `items`, the first of which has index `first` in its batch; never raises for one."""
        packed, rejected = [], []
        for index, item in enumerate(items, first):
            try:
                packed.append(_pack_item(item, index))
            except ActInvalid as exc:
                rejected.append(Rejection(index, _id_of(item), str(exc)))
            except Exception as exc:  # an item may be any object, and raise anything
                reason = f"not an interaction: {type(exc).__name__} when read"
                rejected.append(Rejection(index, None, reason))
        return packed, rejected


def _pack_item(item: Any, index: int) -> PackedAct:
    if isinstance(item, Unreadable):
        raise ActInvalid(item.reason, field="interaction")
    fields = as_mapping(item)
    if not isinstance(fields, dict):
        raise ActInvalid(f"not an interaction: {type(item).__name__}", field="interaction")
    for name in fields:
        if name not in _FIELDS:
            raise ActInvalid(f"{str(name)[:40]!r}: unknown field", field=str(name)[:40])
    for name in _FIELDS[:3]:
        if name not in fields:
            raise ActInvalid(f"{name}: missing", field=name)
    action = check_action(fields["action"])
    request_id = fields.get("interaction_id")
    return pack_act(action, fields["threat_id"], fields["analyst_id"], request_id, index=index)


def _id_of(item: Any) -> str | None:
    if isinstance(item, Unreadable):
        return item.threat_id and item.threat_id[:MAX_ID_BYTES]
    fields = as_mapping(item)
    found = fields.get("threat_id") if isinstance(fields, dict) else None
    return found[:MAX_ID_BYTES] if isinstance(found, str) else None
