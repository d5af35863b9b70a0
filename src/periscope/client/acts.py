"""What analysts do, over HTTP. Each act has an id, so that sending it again does it once."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from secrets import token_hex
from typing import Any, TypeVar

import msgspec

from periscope.client.transport import Call, Transport, segment
from periscope.errors import UsageError
from periscope.models import Action, Decision, Severity
from periscope.shapes import (
    ActDone,
    ActsDone,
    ActWord,
    Allowed,
    ClaimDocument,
    Erased,
    InteractionsTaken,
    Next,
    Promoted,
    RecallDone,
    Released,
    Removed,
    UndoDone,
    UndoManyDone,
)

T = TypeVar("T")
_encode = msgspec.json.Encoder().encode


class Acts:
    """Analysts' part of the client.

    `analyst_id` says who acts; leave it out where the key stands for an analyst. `request_id` makes
    an act the same one when it is repeated (one is made up if none is given). All raise `NotFound`
    for a threat that is not there, `Conflict` where the act does not fit it as it stands (`kind`
    says how: `claimed`, `threat-closed` ...), and `ApiProblem`.
    """

    _transport: Transport

    async def interact(
        self,
        threat_id: str,
        action: Action | str,
        analyst_id: str | None = None,
        *,
        interaction_id: str | None = None,
    ) -> ActDone:
        """Record what an analyst did: view, escalate, dismiss, monitor or investigate."""
        body = {"threat_id": threat_id, "action": action, "analyst_id": analyst_id}
        return await self._act("/v1/interactions", body, interaction_id, ActDone)

    async def interact_batch(self, interactions: Iterable[Mapping[str, Any]]) -> InteractionsTaken:
        """Record many, in the order given; a bad one is rejected with its index and a reason.

        Each is a mapping of `threat_id`, `action`, `analyst_id` and maybe `interaction_id`. Those
        whose answer was lost count as `repeated`.
        """
        body = [{"interaction_id": token_hex(16), **one} for one in interactions]
        call = Call("POST", "/v1/interactions/batch", body=_encode(body))
        return await self._transport.read(call, InteractionsTaken)

    async def claim(
        self,
        threat_id: str,
        analyst_id: str | None = None,
        lease: timedelta | None = None,
        *,
        take_over: bool = False,
        request_id: str | None = None,
    ) -> ClaimDocument:
        """Give an analyst a threat of level 1 for a while (default 15 minutes)."""
        body = {"analyst_id": analyst_id, "lease_s": _seconds(lease), "take_over": take_over}
        return await self._on(threat_id, "claim", body, request_id, ClaimDocument)

    async def release(self, claim: ClaimDocument, *, request_id: str | None = None) -> Released:
        """Give a claim back."""
        body = {"analyst_id": claim.analyst_id, "token": claim.token}
        return await self._on(claim.threat_id, "release", body, request_id, Released)

    async def claim_next(
        self,
        analyst_id: str | None = None,
        lease: timedelta | None = None,
        *,
        severity: Severity | str | None = None,
        request_id: str | None = None,
    ) -> Next | None:
        """Claim the highest ranked open threat that nobody holds; None if there is none."""
        body = {"analyst_id": analyst_id, "lease_s": _seconds(lease), "severity": severity}
        answer = await self._transport.send(_call("/v1/next", body, request_id))
        return msgspec.json.decode(answer.body, type=Next) if answer.body else None

    async def decide(
        self,
        threat_id: str,
        outcome: Decision | str,
        analyst_id: str | None = None,
        note: str | None = None,
        *,
        duplicate_of: str | None = None,
        request_id: str | None = None,
    ) -> ActDone:
        """Give a threat its outcome, which closes it and ends its claim."""
        body = {
            "outcome": outcome,
            "analyst_id": analyst_id,
            "note": note,
            "duplicate_of": duplicate_of,
        }
        return await self._on(threat_id, "decide", body, request_id, ActDone)

    async def comment(
        self,
        threat_id: str,
        text: str,
        analyst_id: str | None = None,
        *,
        request_id: str | None = None,
    ) -> ActDone:
        """Put a comment on record; the threat stays as it is."""
        body = {"text": text, "analyst_id": analyst_id}
        return await self._on(threat_id, "comment", body, request_id, ActDone)

    async def reopen(
        self,
        threat_id: str,
        analyst_id: str | None = None,
        note: str | None = None,
        *,
        request_id: str | None = None,
    ) -> ActDone:
        """Open a threat again; its outcome no longer stands."""
        body = {"analyst_id": analyst_id, "note": note}
        return await self._on(threat_id, "reopen", body, request_id, ActDone)

    async def recall(
        self, threat_id: str, analyst_id: str | None = None, *, request_id: str | None = None
    ) -> RecallDone:
        """Bring a threat of level 2 or 3 back to work."""
        body = {"analyst_id": analyst_id}
        return await self._on(threat_id, "recall", body, request_id, RecallDone)

    async def snooze(
        self,
        threat_id: str,
        until: datetime | timedelta | None,
        analyst_id: str | None = None,
        note: str | None = None,
        *,
        request_id: str | None = None,
    ) -> ActDone:
        """Take a threat out of the queue until a moment, for a while, or (None) until it is worse.

        Raises:
            UsageError: the moment has no time zone.
        """
        body = {**_end(until), "analyst_id": analyst_id, "note": note}
        return await self._on(threat_id, "snooze", body, request_id, ActDone)

    async def undo(self, interaction_id: str, analyst_id: str | None = None) -> UndoDone:
        """Take back an analyst's last act on a threat, within ten minutes."""
        body = {"interaction_id": interaction_id, "analyst_id": analyst_id}
        call = Call("POST", "/v1/undo", body=_encode(_given(body)))
        return await self._transport.read(call, UndoDone)

    async def act_on_many(
        self,
        act: ActWord,
        threat_ids: Sequence[str],
        analyst_id: str | None = None,
        *,
        note: str | None = None,
        text: str | None = None,
        outcome: Decision | str | None = None,
        duplicate_of: str | None = None,
        until: datetime | timedelta | None = None,
        lease: timedelta | None = None,
        take_over: bool = False,
        tokens: Mapping[str, int] | None = None,
        request_id: str | None = None,
    ) -> ActsDone:
        """Do the same to up to 100 threats, each for itself; say what became of each.

        `text` is for a comment, `lease` and `take_over` for a claim, `tokens` for a release,
        `until` for a snooze (as `snooze` takes it). With the same `request_id` again only what was
        skipped is tried again: repeat it where the receipt says 503.
        """
        body = {
            "act": act,
            "threat_ids": threat_ids,
            "analyst_id": analyst_id,
            "note": note,
            "text": text,
            "outcome": outcome,
            "duplicate_of": duplicate_of,
            "lease_s": _seconds(lease),
            "take_over": take_over or None,
            "tokens": tokens,
            **(_end(until) if act == "snooze" or until is not None else {}),
        }
        return await self._act("/v1/acts", body, request_id, ActsDone)

    async def undo_many(
        self, interaction_ids: Sequence[str], analyst_id: str | None = None
    ) -> UndoManyDone:
        """Take back up to 100 acts of an analyst, as `undo` does; say what became of each."""
        body = {"interaction_ids": interaction_ids, "analyst_id": analyst_id}
        call = Call("POST", "/v1/acts/undo", body=_encode(_given(body)))
        return await self._transport.read(call, UndoManyDone)

    async def promote(self) -> Promoted:
        """Promote what is eligible, now; the workers do so by themselves."""
        return await self._transport.read(Call("POST", "/v1/promote"), Promoted)

    async def remove(
        self, threat_id: str, analyst_id: str | None = None, note: str | None = None
    ) -> Removed:
        """Move a threat into the archive, and keep its id out. Not repeated by itself."""
        body = {"analyst_id": analyst_id, "note": note}
        return await self._once(threat_id, "remove", body, Removed)

    async def allow(
        self, threat_id: str, analyst_id: str | None = None, *, request_id: str | None = None
    ) -> Allowed:
        """Let reports of a removed id in again."""
        return await self._on(threat_id, "allow", {"analyst_id": analyst_id}, request_id, Allowed)

    async def erase(self, threat_id: str, analyst_id: str | None = None) -> Erased:
        """Remove a threat and blank all that is written about it. Not repeated by itself."""
        return await self._once(threat_id, "erase", {"analyst_id": analyst_id}, Erased)

    async def _on(
        self,
        threat_id: str,
        act: str,
        body: Mapping[str, Any],
        request_id: str | None,
        shape: type[T],
    ) -> T:
        return await self._act(f"/v1/threats/{segment(threat_id)}/{act}", body, request_id, shape)

    async def _act(
        self, path: str, body: Mapping[str, Any], request_id: str | None, shape: type[T]
    ) -> T:
        return await self._transport.read(_call(path, body, request_id), shape)

    async def _once(self, threat_id: str, act: str, body: Mapping[str, Any], shape: type[T]) -> T:
        path = f"/v1/threats/{segment(threat_id)}/{act}"
        call = Call("POST", path, body=_encode(_given(body)), is_repeatable=False)
        return await self._transport.read(call, shape)


def _call(path: str, body: Mapping[str, Any], request_id: str | None) -> Call:
    headers = {"Idempotency-Key": request_id or token_hex(16)}
    return Call("POST", path, body=_encode(_given(body)), headers=headers)


def _given(body: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in body.items() if value is not None}


def _seconds(lease: timedelta | None) -> float | None:
    return None if lease is None else lease.total_seconds()


def _end(until: datetime | timedelta | None) -> dict[str, Any]:
    if until is None:
        return {"until_worse": True}
    if isinstance(until, timedelta):
        return {"for_s": until.total_seconds()}
    if until.tzinfo is None:
        raise UsageError("until: give the moment a time zone")
    return {"until": until.isoformat()}
