"""What analysts do with an open database."""

from __future__ import annotations

from collections.abc import AsyncIterable, Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any

from periscope.database import Database
from periscope.errors import UsageError
from periscope.models import Action, Decision, Level, Severity
from periscope.settings import Acknowledgement
from periscope.threat import Threat
from periscope.work import DEFAULT_LEASE_S, Claim, Desk, InteractionsResult, PastAct, WakeStats

LEASE = timedelta(seconds=DEFAULT_LEASE_S)


class AnalystsDesk(Database):
    """Acts of analysts. Each is one atomic call: counts, status, claim, eligibility, audit, event.

    Every act has an id (an interaction or request id, 1 to 128 bytes; made up if not given) that is
    remembered for 24 hours: the same act with the same id again changes nothing and returns the
    first reply, so an act whose answer was lost may be repeated with its id. Analyst ids are 1 to
    128 bytes of text without control characters. `durability` is that of the call (default: the
    setting): `OutcomeUnknown` where it is not reached in time.
    """

    async def record_interaction(
        self,
        threat_id: str,
        analyst_id: str,
        action: Action | str,
        interaction_id: str | None = None,
        *,
        durability: Acknowledgement | None = None,
    ) -> Threat:
        """Record what an analyst did; return the threat as it was right after.

        Its `interaction_id` takes it back with `undo`. A threat of level 2 or 3 is recalled.

        Raises:
            ActInvalid: an id or the action is none; names the field.
            ThreatUnknown: no such threat.
            Claimed: a dismissal of what somebody else holds.
            RequestReused: the id is that of another act.
            AuditFull: the audit trail must be archived first (`periscope worker`).
        """
        return await self._analysts.interact(
            threat_id, analyst_id, action, interaction_id, durability
        )

    async def record_interactions_batch(
        self,
        interactions: Iterable[Any] | AsyncIterable[Any],
        *,
        durability: Acknowledgement | None = None,
    ) -> InteractionsResult:
        """Record interactions (dicts or `Interaction`) of any number, in the order given.

        Chunks of up to 60 are atomic. A bad one (no such threat or action, no analyst, claimed by
        somebody else) is rejected with its index and a reason; the others are recorded.

        Raises:
            BatchInterrupted: the server refused or went away, or the iterable raised; repeating is
                safe where every interaction has its id.
        """
        if not isinstance(interactions, Iterable | AsyncIterable) or isinstance(
            interactions, str | bytes
        ):
            kind = type(interactions).__name__
            raise UsageError(f"interactions must be an iterable, not {kind}")
        return await self._engine.act_batch(interactions, durability)

    async def decide(
        self,
        threat_id: str,
        analyst_id: str,
        outcome: Decision | str,
        note: str | None = None,
        *,
        duplicate_of: str | None = None,
        request_id: str | None = None,
        durability: Acknowledgement | None = None,
    ) -> Threat:
        """Give a threat its outcome, which closes it and ends its claim; no interaction.

        True positive promotes it at once; false positive and benign withdraw its validation. A
        duplicate names its target, which must exist.

        Raises:
            ActInvalid, ThreatUnknown, RequestReused, AuditFull: as `record_interaction`.
            Claimed: somebody else holds it.
        """
        return await self._analysts.decide(
            threat_id, analyst_id, outcome, note, duplicate_of, request_id, durability
        )

    async def reopen(
        self,
        threat_id: str,
        analyst_id: str,
        note: str | None = None,
        *,
        request_id: str | None = None,
        durability: Acknowledgement | None = None,
    ) -> Threat:
        """Open a threat again; its outcome, and what that withdrew, no longer stands."""
        return await self._analysts.reopen(threat_id, analyst_id, note, request_id, durability)

    async def snooze(
        self,
        threat_id: str,
        analyst_id: str,
        until: datetime | timedelta | None,
        note: str | None = None,
        snooze_id: str | None = None,
        *,
        durability: Acknowledgement | None = None,
    ) -> Threat:
        """Take a threat out of the queue until a moment, for a while, or (None) until it is worse.

        It is open again when that has come (a worker sees to it, `SnoozeWorker`), and whatever
        `until` says by a sighting of higher severity than now, an escalation or a reopening; other
        interactions leave it snoozed. It does not expire meanwhile, nor settle home. No
        interaction; ends one's claim and the eligibility. Snoozed again it has another end. A
        threat of level 2 or 3 is recalled.

        Raises:
            ActInvalid, ThreatUnknown, RequestReused, AuditFull: as `record_interaction`.
            SnoozeEnd: the end is not later than now by the server's clock, or over ten years ahead.
            ThreatClosed: it has an outcome; reopen it first.
            Claimed: somebody else holds it.
        """
        return await self._analysts.snooze(
            threat_id, analyst_id, until, note, snooze_id, durability
        )

    async def wake_snoozed_threats(self) -> WakeStats:
        """Open every snoozed threat whose time has come; ranked as it was, counts as they were.

        Any number of processes may do so at once; each threat wakes once. It then stays at work for
        as long as one that was touched just now.

        Raises:
            OutcomeUnknown: some may have woken; safe to repeat, which counts the others.
            PartitionsMissing: some are away; done in the others, as `partial` says.
        """
        return await self._waking.wake()

    async def comment(
        self,
        threat_id: str,
        analyst_id: str,
        text: str,
        *,
        request_id: str | None = None,
        durability: Acknowledgement | None = None,
    ) -> Threat:
        """Put a comment (up to 16 KiB) on record, in the audit trail; the threat stays as it is."""
        return await self._analysts.comment(threat_id, analyst_id, text, request_id, durability)

    async def undo(
        self,
        interaction_id: str,
        analyst_id: str | None = None,
        *,
        past: PastAct | None = None,
        durability: Acknowledgement | None = None,
    ) -> Threat:
        """Take back an analyst's last act on a threat: interaction, decision, reopening or snooze.

        Counts, status and latch are as before (last activity only if nothing followed); what other
        analysts decided since stays. The undoing is in the audit trail as well. `past` is what
        `find_act` said of it, if it was asked already.

        Raises:
            TooLate: after ten minutes, or once the threat was promoted or has departed.
            NotLast: the analyst did something else since, or it is somebody else's act.
            ThreatUnknown: nothing is remembered under this id.
        """
        return await self._analysts.undo(interaction_id, analyst_id, past, durability)

    async def recall(
        self,
        threat_id: str,
        analyst_id: str,
        *,
        request_id: str | None = None,
        durability: Acknowledgement | None = None,
    ) -> tuple[Threat, Level]:
        """Bring a threat of level 2 or 3 back to work, open; return it and the level it was in.

        It keeps its history, and settles home after an hour without activity. A threat of level 1
        stays as it is.
        """
        return await self._analysts.recall(threat_id, analyst_id, request_id, durability)

    async def allow(
        self, threat_id: str, analyst_id: str, *, request_id: str | None = None
    ) -> None:
        """Let reports of a removed id in again.

        Raises:
            NotRemoved: it was not removed.
        """
        await self._analysts.allow(threat_id, analyst_id, request_id)

    async def claim(
        self,
        threat_id: str,
        analyst_id: str,
        lease: timedelta = LEASE,
        *,
        take_over: bool = False,
        request_id: str | None = None,
        durability: Acknowledgement | None = None,
    ) -> Claim:
        """Give an analyst a threat of level 1 for a while (1 s to 30 days).

        The holder gets the same claim again, with at least this lease to run. It ends by itself;
        the holder's interactions renew it. Others may look and interact, but not decide, snooze or
        dismiss. `token` grows with each new holder.

        Raises:
            Claimed: somebody else holds it, and `take_over` is not set.
            ActRefused: it is in level 2 or 3; recall it first.
        """
        return await self._analysts.claim(
            threat_id,
            analyst_id,
            lease,
            take_over=take_over,
            request_id=request_id,
            durability=durability,
        )

    async def claim_next(
        self,
        analyst_id: str,
        lease: timedelta = LEASE,
        *,
        severity: Severity | str | None = None,
        request_id: str | None = None,
        durability: Acknowledgement | None = None,
    ) -> Claim | None:
        """Claim the highest ranked open threat that nobody holds; None if there is none.

        Any number of analysts may pull at once: no two get the same, and they get them in rank
        order (exactly on one partition; over several, the best head read during the call).
        """
        return await self._analysts.claim_next(analyst_id, lease, severity, request_id, durability)

    async def claim_first(
        self,
        threat_ids: Sequence[str],
        analyst_id: str,
        lease: timedelta = LEASE,
        *,
        request_id: str | None = None,
        durability: Acknowledgement | None = None,
    ) -> Claim | None:
        """Claim the first of these threats that is open and that nobody holds; None if none is.

        As `claim_next`, for whoever has a ranking of their own.
        """
        return await self._analysts.claim_first(
            threat_ids, analyst_id, lease, request_id, durability
        )

    async def release(
        self,
        claim: Claim,
        *,
        request_id: str | None = None,
        durability: Acknowledgement | None = None,
    ) -> None:
        """Give a claim back; with `ANY_TOKEN`, whatever claim the analyst has on the threat.

        Raises:
            ClaimLost: it has ended, or somebody else has the threat now.
        """
        await self._analysts.release(claim, request_id, durability)

    async def find_act(self, interaction_id: str) -> PastAct | None:
        """The act that is remembered under an interaction or request id; None: nothing is."""
        return await self._analysts.find(interaction_id)

    async def find_acts(self, interaction_ids: Sequence[str]) -> list[PastAct | None]:
        """The acts that are remembered under these ids, in their order, None where nothing is.

        Raises:
            PartitionsMissing: some are away, and some ids were not found in the others: `partial`
                are the answers of those, in which None says nothing.
        """
        return await self._analysts.find_all(interaction_ids)

    async def get_desk(self, threat_id: str) -> Desk:
        """Who holds a threat now, and what each analyst did to it last."""
        return await self._knowledge.desk(threat_id)
