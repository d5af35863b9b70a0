"""One act on any of the threats that were selected: what the facade is asked for each of them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from hashlib import blake2b
from typing import Any, NamedTuple

from periscope.api.limits import unknown
from periscope.errors import PeriscopeError
from periscope.periscope import Periscope
from periscope.shapes import ActsBody
from periscope.threat import Threat
from periscope.work import ANY_TOKEN, DEFAULT_LEASE_S, Claim


class Done(NamedTuple):
    """What an act on one threat gave."""

    interaction_id: str | None = None
    claim: Claim | None = None


class NoteMissing(Exception):
    """The interaction is on record, and its note is not; `cause` is why."""

    def __init__(self, cause: PeriscopeError) -> None:
        super().__init__(str(cause))
        self.cause = cause


class Selection:
    """One act, on any of the threats that were selected."""

    def __init__(
        self,
        desk: Periscope,
        data: ActsBody,
        analyst: str,
        request_id: str | None,
        visible: set[str] | None = None,
    ) -> None:
        self._desk = desk
        self._data = data
        self._analyst = analyst
        self._request_id = request_id
        self._visible = visible
        verbs: dict[str, Callable[[str], Awaitable[Any]]] = {
            "claim": self._claim,
            "release": self._release,
            "decide": self._decide,
            "snooze": self._snooze,
            "reopen": self._reopen,
            "comment": self._comment,
            "recall": self._recall,
        }
        self._verb = verbs.get(data.act, self._interact)

    async def act(self, threat_id: str) -> Done:
        """Act on one of them.

        Raises:
            PeriscopeError: it was not done, or (StoreError) may have been.
            NoteMissing: it was, but its note is not on record.
        """
        if self._visible is not None and threat_id not in self._visible:
            raise unknown()
        found = await self._verb(threat_id)
        if isinstance(found, Claim):
            return Done(claim=found)
        return Done(found.interaction_id) if isinstance(found, Threat) else Done()

    def _id_for(self, threat_id: str, what: str = "") -> str | None:
        """Return the id of the act on one threat: always the same of the same request."""
        if self._request_id is None:
            return None
        return derived_id(self._request_id, threat_id, what)

    async def _interact(self, threat_id: str) -> Threat:
        note, by = self._data.note, self._analyst
        act_id = self._id_for(threat_id)
        done = await self._desk.record_interaction(threat_id, by, self._data.act, act_id)
        if note:
            note_id = self._id_for(threat_id, "note")
            try:
                await self._desk.comment(threat_id, by, note, request_id=note_id)
            except PeriscopeError as exc:
                raise NoteMissing(exc) from exc
        return done

    async def _claim(self, threat_id: str) -> Claim:
        lease = timedelta(seconds=self._data.lease_s or DEFAULT_LEASE_S)
        return await self._desk.claim(
            *(threat_id, self._analyst, lease),
            take_over=bool(self._data.take_over),
            request_id=self._id_for(threat_id),
        )

    async def _release(self, threat_id: str) -> None:
        token = (self._data.tokens or {}).get(threat_id, ANY_TOKEN)
        claim = Claim(threat_id, self._analyst, token, 0)
        await self._desk.release(claim, request_id=self._id_for(threat_id))

    async def _decide(self, threat_id: str) -> Threat:
        return await self._desk.decide(
            *(threat_id, self._analyst, self._data.outcome or "", self._data.note),
            duplicate_of=self._data.duplicate_of,
            request_id=self._id_for(threat_id),
        )

    async def _snooze(self, threat_id: str) -> Threat:
        args = (end_of(self._data), self._data.note, self._id_for(threat_id))
        return await self._desk.snooze(threat_id, self._analyst, *args)

    async def _reopen(self, threat_id: str) -> Threat:
        args = (threat_id, self._analyst, self._data.note)
        return await self._desk.reopen(*args, request_id=self._id_for(threat_id))

    async def _comment(self, threat_id: str) -> Threat:
        args = (threat_id, self._analyst, self._data.text or "")
        return await self._desk.comment(*args, request_id=self._id_for(threat_id))

    async def _recall(self, threat_id: str) -> Threat:
        act_id = self._id_for(threat_id)
        found, _ = await self._desk.recall(threat_id, self._analyst, request_id=act_id)
        return found


def derived_id(request_id: str, threat_id: str, what: str = "") -> str:
    """Return an id of 32 characters that stands for a request's act on one threat."""
    parts = "\0".join((request_id, what, threat_id))  # only the last one can hold a NUL
    return blake2b(parts.encode(), digest_size=16, person=b"selection").hexdigest()


def end_of(data: ActsBody) -> datetime | timedelta | None:
    """Return when a snooze ends; None if only a raise ends it."""
    return data.until if data.for_s is None else timedelta(seconds=data.for_s)
