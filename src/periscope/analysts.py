"""What analysts do: every act is one call, atomic on the server, and safe to repeat by its id."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from itertools import chain, groupby
from typing import Any, NamedTuple

from periscope.acts import ActReply, PackedAct, check_action, check_name, check_note, pack_act
from periscope.bound import within
from periscope.calls import Calls
from periscope.engine import Engine
from periscope.errors import ActInvalid, PartitionsMissing, ThreatUnknown
from periscope.functions import Functions
from periscope.header import HEADER_BYTES, read_threat
from periscope.keys import Keyspace, PartitionKeys
from periscope.models import Decision, Level, Severity
from periscope.rank_queries import severity_query
from periscope.reader import at_one_moment, encoded, over, steady
from periscope.rules import Rules
from periscope.settings import Acknowledgement
from periscope.threat import Threat
from periscope.work import MAX_ANALYST_BYTES, MAX_LEASE_S, MAX_REQUEST_BYTES, Claim, PastAct

CANDIDATES = 16  # threats that one try of `claim_next` may choose from
MAX_TRIES = 1000
MILLISECOND = timedelta(milliseconds=1)
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_NO_REPORT = b'{"content":"","severity":""}'


class _Pull(NamedTuple):
    """A call that takes what nobody holds: for whom, how long."""

    analyst_id: str
    lease_ms: int
    request_id: str | None
    durability: Acknowledgement | None

    def of(self, threat_id: str) -> PackedAct:
        """It, of one threat."""
        return pack_act("next", threat_id, self.analyst_id, self.request_id, (self.lease_ms,))


class Analysts:
    """Acts of analysts on one database; the promises stand at the methods of `Periscope`."""

    def __init__(self, engine: Engine, functions: Functions, keyspace: Keyspace) -> None:
        self._engine = engine
        self._functions = functions
        self._keyspace = keyspace
        self._calls = Calls(functions)

    async def interact(
        self,
        threat_id: str,
        analyst_id: str,
        action: str,
        interaction_id: str | None,
        durability: Acknowledgement | None,
    ) -> Threat:
        """See `Periscope.record_interaction`."""
        act = pack_act(check_action(action), threat_id, analyst_id, interaction_id)
        reply = await self._engine.act(act, durability)
        reply.check(threat_id)
        return self._threat(act.threat_id, reply, act.request_id)

    async def decide(
        self,
        threat_id: str,
        analyst_id: str,
        outcome: Decision | str,
        note: str | None,
        duplicate_of: str | None,
        request_id: str | None,
        durability: Acknowledgement | None,
    ) -> Threat:
        """See `Periscope.decide`."""
        decision = _decision(outcome)
        await self._check_target(threat_id, decision, duplicate_of)
        told = {"outcome": decision.value, "note": check_note(note)}
        if duplicate_of is not None:
            told["duplicate_of"] = duplicate_of
        args = (decision.number, json.dumps(told, ensure_ascii=False))
        return await self._act("decide", threat_id, analyst_id, request_id, durability, args)

    async def reopen(
        self,
        threat_id: str,
        analyst_id: str,
        note: str | None,
        request_id: str | None,
        durability: Acknowledgement | None,
    ) -> Threat:
        """See `Periscope.reopen`."""
        told = json.dumps({"note": check_note(note)}, ensure_ascii=False)
        return await self._act("reopen", threat_id, analyst_id, request_id, durability, (told,))

    async def snooze(
        self,
        threat_id: str,
        analyst_id: str,
        until: datetime | timedelta | None,
        note: str | None,
        request_id: str | None,
        durability: Acknowledgement | None,
    ) -> Threat:
        """See `Periscope.snooze`."""
        args = _snooze_args(until, check_note(note))
        return await self._act("snooze", threat_id, analyst_id, request_id, durability, args)

    async def comment(
        self,
        threat_id: str,
        analyst_id: str,
        text: str,
        request_id: str | None,
        durability: Acknowledgement | None,
    ) -> Threat:
        """See `Periscope.comment`."""
        told = json.dumps({"comment": check_note(text, "text", least=1)}, ensure_ascii=False)
        return await self._act("comment", threat_id, analyst_id, request_id, durability, (told,))

    async def recall(
        self,
        threat_id: str,
        analyst_id: str,
        request_id: str | None,
        durability: Acknowledgement | None,
    ) -> tuple[Threat, Level]:
        """See `Periscope.recall`."""
        act = pack_act("recall", threat_id, analyst_id, request_id)
        reply = await self._engine.act(act, durability)
        reply.check(threat_id)
        return self._threat(act.threat_id, reply, act.request_id), Level(reply.extra)

    async def undo(
        self,
        interaction_id: str,
        analyst_id: str | None,
        past: PastAct | None,
        durability: Acknowledgement | None,
    ) -> Threat:
        """See `Periscope.undo`."""
        if analyst_id is not None:
            check_name(analyst_id, "analyst_id", MAX_ANALYST_BYTES)
        found = past or await self.find(interaction_id)
        if found is None:
            reason = f"nothing is remembered of {interaction_id!r}; ids are kept for a day"
            raise ThreatUnknown(reason)
        who = analyst_id or found.analyst_id
        return await self._act("undo", found.threat_id, who, interaction_id, durability)

    async def find(self, request_id: str) -> PastAct | None:
        """See `Periscope.find_act`."""
        (found,) = await self.find_all([request_id])
        return found

    async def find_all(self, request_ids: Sequence[str]) -> list[PastAct | None]:
        """See `Periscope.find_acts`."""
        for one in request_ids:
            check_name(one, "interaction_id", MAX_REQUEST_BYTES)
        partitions = self._keyspace.partitions
        away: PartitionsMissing | None = None
        try:
            answers = await over(partitions, lambda keys: self._calls.find(keys, request_ids))
        except PartitionsMissing as exc:
            answers, away = exc.partial or [], exc
        found: list[PastAct | None] = [None] * len(request_ids)
        for position, past in chain.from_iterable(map(enumerate, answers)):
            if past is not None:
                found[position] = PastAct(*past)
        if away is not None and None in found:
            raise away.having(found)
        return found

    async def allow(self, threat_id: str, analyst_id: str, request_id: str | None) -> None:
        """See `Periscope.allow`."""
        reply = await self._engine.act(pack_act("allow", threat_id, analyst_id, request_id))
        reply.check()

    async def claim(
        self,
        threat_id: str,
        analyst_id: str,
        lease: timedelta,
        *,
        take_over: bool,
        request_id: str | None,
        durability: Acknowledgement | None,
    ) -> Claim:
        """See `Periscope.claim`."""
        verb = "takeover" if take_over else "claim"
        act = pack_act(verb, threat_id, analyst_id, request_id, (_lease_ms(lease),))
        return _claim(threat_id, await self._engine.act(act, durability))

    async def release(
        self, claim: Claim, request_id: str | None, durability: Acknowledgement | None
    ) -> None:
        """See `Periscope.release`."""
        act = pack_act("release", claim.threat_id, claim.analyst_id, request_id, (claim.token,))
        (await self._engine.act(act, durability)).check()

    async def claim_next(
        self,
        analyst_id: str,
        lease: timedelta,
        severity: Severity | str | None,
        request_id: str | None,
        durability: Acknowledgement | None,
    ) -> Claim | None:
        """See `Periscope.claim_next`."""
        pull = _pull_of(analyst_id, lease, request_id, durability)
        rank = -1 if severity is None else severity_query(severity).severity
        since = asyncio.get_running_loop().time()
        most_s = self._functions.connections.settings.operation_timeout_s
        for _ in range(MAX_TRIES):
            claim = await self._pulled_before(pull)
            best = None if claim else await within(most_s, self._best_partition(rank), since)
            if best is None:
                return claim
            claim = await self._pull_first(*best, pull, since)
            if claim is not None:
                return claim
        return None

    async def claim_first(
        self,
        threat_ids: Sequence[str],
        analyst_id: str,
        lease: timedelta,
        request_id: str | None,
        durability: Acknowledgement | None,
    ) -> Claim | None:
        """See `Periscope.claim_first`."""
        pull = _pull_of(analyst_id, lease, request_id, durability)
        claim = await self._pulled_before(pull)
        since = asyncio.get_running_loop().time()
        known = [one for one in map(encoded, threat_ids) if one]
        for keys, ids in groupby(known, self._keyspace.partition_of):
            claim = claim or await self._pull_first(keys, list(ids), pull, since)
        return claim or await self._pulled_before(pull)  # by the same request at the same time

    async def _pulled_before(self, pull: _Pull) -> Claim | None:
        """The claim that this request got before, as it was then."""
        found = None if pull.request_id is None else await self.find(pull.request_id)
        return None if found is None else await self._pull(found.threat_id, pull)

    async def _pull(self, threat_id: str, pull: _Pull) -> Claim:
        return _claim(threat_id, await self._engine.act(pull.of(threat_id), pull.durability))

    async def _best_partition(self, severity: int) -> tuple[PartitionKeys, list[bytes]] | None:
        """The partition whose head ranks highest, with its first unclaimed threats."""

        async def read(
            rules: Rules,
        ) -> list[tuple[tuple[float, int, bytes], PartitionKeys, list[bytes]]]:
            partitions = self._keyspace.partitions
            # As of one moment: scores fall, and the partition asked first would win too often.
            lists = await at_one_moment(
                partitions,
                None,
                lambda keys, as_of_ms: self._calls.unclaimed(
                    keys, rules, severity, CANDIDATES, as_of_ms
                ),
            )
            return [
                (found.ranks[0], keys, [threat_id for _, _, threat_id in found.ranks])
                for keys, found in zip(partitions, lists, strict=True)
                if found.ranks
            ]

        heads = await steady(self._functions, read)
        if not heads:
            return None
        _, keys, ids = max(heads, key=lambda head: head[0])
        # Over several partitions the second of this one may rank below another one's head.
        return keys, ids if len(self._keyspace.partitions) == 1 else ids[:1]

    async def _pull_first(
        self, keys: PartitionKeys, ids: list[bytes], pull: _Pull, since: float
    ) -> Claim | None:
        acts = [pull.of(one.decode()) for one in ids]
        replies = await self._engine.act_on_first(keys, acts, pull.durability, since)
        for act, reply in zip(acts, replies, strict=True):
            if reply.done:
                return _claim(act.threat_id.decode(), reply)
        return None

    async def _act(
        self,
        verb: str,
        threat_id: str,
        analyst_id: str,
        request_id: str | None,
        durability: Acknowledgement | None,
        args: tuple[Any, ...] = (),
    ) -> Threat:
        act = pack_act(verb, threat_id, analyst_id, request_id, args)
        reply = await self._engine.act(act, durability)
        reply.check(threat_id)
        return self._threat(act.threat_id, reply, act.request_id)

    def _threat(self, threat_id: bytes, reply: ActReply, request_id: str) -> Threat:
        policy = self._functions.rules.policy
        # A repeated act on a threat that departed since: its report is in the archive.
        body = b"" if len(reply.record) > HEADER_BYTES else _NO_REPORT
        return read_threat(threat_id, reply.record + body, reply.now_ms, policy, request_id)

    async def _check_target(
        self, threat_id: str, decision: Decision, duplicate_of: str | None
    ) -> None:
        """A duplicate names its target, which exists and is another threat."""
        if (decision is Decision.DUPLICATE) is not (duplicate_of is not None):
            raise ActInvalid(
                "duplicate_of: a duplicate names its target, and only a duplicate does",
                field="duplicate_of",
            )
        if duplicate_of is None:
            return
        if duplicate_of == threat_id:
            raise ActInvalid("duplicate_of: a threat cannot be its own", field="duplicate_of")
        target = encoded(duplicate_of)
        keys = self._keyspace.partition_of(target)

        async def read(rules: Rules) -> bytes:
            _, (record,) = await self._functions.threats(keys, rules, [target])
            return record

        if not target or not await steady(self._functions, read):
            raise ThreatUnknown(f"duplicate_of: no threat {duplicate_of!r}")


def _pull_of(
    analyst_id: str, lease: Any, request_id: str | None, durability: Acknowledgement | None
) -> _Pull:
    check_name(analyst_id, "analyst_id", MAX_ANALYST_BYTES)
    return _Pull(analyst_id, _lease_ms(lease), request_id, durability)


def _decision(outcome: Any) -> Decision:
    try:
        return Decision(outcome.lower() if isinstance(outcome, str) else outcome)
    except ValueError:
        known = ", ".join(Decision)
        raise ActInvalid(
            f"outcome: unknown {str(outcome)[:40]!r}; use one of {known}", field="outcome"
        ) from None


def _lease_ms(lease: Any) -> int:
    if not isinstance(lease, timedelta) or not 1 <= lease.total_seconds() <= MAX_LEASE_S:
        raise ActInvalid("lease: must be a timedelta from 1 second to 30 days", field="lease")
    return lease // timedelta(milliseconds=1)


def _snooze_args(until: Any, note: str) -> tuple[Any, ...]:
    """What the act takes: a moment in ms (0: none), the note, a span in ms if one is given.

    A span is counted from the server's now, which is the moment of the act.
    """
    if isinstance(until, timedelta):
        return 0, note, until // MILLISECOND
    if until is None:
        return 0, note
    if not isinstance(until, datetime) or until.utcoffset() is None:
        raise ActInvalid(
            "until: must be a datetime with a time zone, a timedelta or None", field="until"
        )
    return max(1, (until - EPOCH) // MILLISECOND), note  # what was before 1970 is past as well


def _claim(threat_id: str, reply: ActReply) -> Claim:
    reply.check(threat_id)
    until_ms, token, analyst_id = reply.extra
    return Claim(threat_id, analyst_id, int(token), int(until_ms))
