"""The facade that people hold: `Periscope.open()` and the calls of DESIGN 5."""

from __future__ import annotations

from collections.abc import AsyncIterable, AsyncIterator, Callable, Iterable
from dataclasses import replace
from typing import Any

from periscope.archive import Archive, AuditEntry, find_archive, fingerprint_of, open_archive
from periscope.aside import SetAside
from periscope.errors import UsageError
from periscope.following import Following
from periscope.functions import RankQuery
from periscope.knowledge import normal_industry
from periscope.ledger import Ledger, Stats
from periscope.membership import MembershipStatus, Seen
from periscope.models import BatchResult, Outcome, Rejection, Report, Severity, Status
from periscope.noise_desk import NoiseDesk
from periscope.policy import CAPS, Policy
from periscope.rank_queries import hot_query, score_query, severity_query, status_query
from periscope.records import Records
from periscope.settings import Acknowledgement
from periscope.threat import Page, Threat
from periscope.work import PromotionStats, SweepStats


class Periscope(NoiseDesk, Following, SetAside, Records):
    """One database of threats. Use as `async with Periscope.open() as p:`.

    All methods are safe to call concurrently. Cancelling one call harms no other.
    """

    async def add_threats_batch(
        self,
        reports: Iterable[Any] | AsyncIterable[Any],
        *,
        durability: Acknowledgement | None = None,
        wait_s: float = 0.0,
        rejected: Callable[[Rejection, Any], None] | None = None,
        request_id: str | None = None,
    ) -> BatchResult:
        """Take in reports (dicts or `Report`) from any iterable of any length, in bounded memory.

        Chunks of up to 500 reports or 1 MiB are stored atomically, several under way at once and
        in order. A bad report is rejected with its index and a reason; the others go in. Giving
        the same reports again changes nothing but the duplicate counter. `durability` is that of
        this call (default: the setting); while the server is full or away, the batch waits up to
        `wait_s` seconds and goes on; but for eight minutes at most where the answer to something
        that was sent is missing, because the server remembers replies for ten. `rejected` is called
        at once with each rejection and the item that it is about; it must not raise. A list under
        the same `request_id` within ten minutes of the first time counts once, and is answered
        as it was then; what is no list may be cut otherwise the second time, and count again.

        Raises:
            BatchInterrupted: the server refused or went away, or the iterable itself raised; says
                how many reports were committed, rejected, refused and unknown. Repeating is safe.
        """
        if not isinstance(reports, Iterable | AsyncIterable) or isinstance(reports, str | bytes):
            raise UsageError(f"reports must be an iterable, not {type(reports).__name__}")
        async with self._noise.watching():
            return await self._engine.add_batch(reports, durability, wait_s, rejected, request_id)

    async def add_threat(
        self,
        threat_id: str,
        content: str,
        severity: Severity | str,
        metadata: dict[str, Any] | None = None,
        *,
        source: str = "",
        observed_at: Any = None,
        durability: Acknowledgement | None = None,
    ) -> Outcome:
        """Take in one report; say whether it was added, a sighting or a duplicate.

        Concurrent calls travel together; each gets its own outcome or error, and cancelling one
        harms no other. Reports of the same threat are stored in the order of the calls.

        Raises:
            ReportRejected: a rule is broken; names the field. It is counted in the ledger.
            OutcomeUnknown: sent, and not answered (or by too few replicas); safe to repeat.
            StoreError: the server refused, or could not be reached: nothing was stored.
        """
        fields = (threat_id, content, severity, metadata, source, observed_at)
        report = dict(zip(Report.__struct_fields__, fields, strict=True))
        return await self._engine.add_one(report, durability)

    async def get_threat(self, threat_id: str) -> Threat | None:
        """The threat as it stands now, whatever its level; None if unknown. No side effect."""
        return await self._queries.threat(threat_id)

    async def get_threats(self, ids: Iterable[str]) -> list[Threat]:
        """The known ones among `ids`, in the order given.

        Raises:
            PartitionsMissing: some partitions are away; the others' threats are in `partial`.
        """
        if not isinstance(ids, Iterable) or isinstance(ids, str | bytes):
            raise UsageError(f"ids must be an iterable of ids, not {type(ids).__name__}")
        return await self._queries.threats(ids)

    async def threat_exists(self, threat_id: str, exact: bool = False) -> bool:
        """Is the threat in any level?

        A "yes" is the server's. A "no" may come from the filter in this process, within a
        microsecond, and then it means: no report of the threat was acknowledged before
        `membership.as_of`, which is at most one second ago, nor at any time by this process (or it
        departed since). While the filter cannot promise that, and with `exact`, the server is
        asked. The first call begins to build the filter, in the background.
        """
        if not exact:
            membership = self._membership
            membership.begin()
            if membership.is_absent(threat_id):
                return False
        return await self._queries.exists(threat_id)

    async def seen(self, ids: Iterable[str], *, exact: bool = False) -> dict[str, Seen]:
        """The known ones among `ids`, by id, with level and last activity; any number at once.

        What is not in it is unknown, in the sense of `threat_exists`. What cannot be an id is
        known by nobody.

        Raises:
            PartitionsMissing: some partitions are away; what the others know is in `partial`.
        """
        if not isinstance(ids, Iterable) or isinstance(ids, str | bytes):
            raise UsageError(f"ids must be an iterable of ids, not {type(ids).__name__}")
        membership = self._membership
        if not exact:
            membership.begin()
        return await membership.seen(ids, exact=exact)

    async def membership_ready(self) -> None:
        """Build the filter of `threat_exists` now, and wait until it answers for everything.

        Returns at once where the setting `filter` is off.

        Raises:
            PartitionsMissing: some partitions could not be read for `retry_s`. It answers for all
                others, and goes on trying.
        """
        await self._membership.ready()

    @property
    def membership(self) -> MembershipStatus:
        """The filter of `threat_exists` and `seen`: what it does, holds, and has answered."""
        return self._membership.status

    async def get_top_threats(self, limit: int = 100) -> list[Threat]:
        """The first `limit` of the queue, exactly ranked as of one instant, highest first.

        More than 250 take several calls for that instant: a threat that changes between two of
        them may be missing, or ranked as it was.
        """
        return await self._queries.top(limit)

    async def get_active_paginated(self, cursor: str | None = None, count: int = 100) -> Page:
        """A page (1 to 1,000) of the whole queue in rank order.

        The ranking stands still at the first page's `as_of`: a threat that does not change during
        the walk is returned exactly once.

        Raises:
            CursorInvalid: not a cursor of this query and database.
            CursorStale: the policy changed meanwhile; start again.
        """
        return await self._queries.page(RankQuery(), cursor, count)

    async def get_by_severity(
        self, severity: Severity | str, cursor: str | None = None, count: int = 100
    ) -> Page:
        """A page of the queue of one severity; see `get_active_paginated`."""
        return await self._queries.page(severity_query(severity), cursor, count)

    async def get_by_score_range(
        self, lowest: float, highest: float, cursor: str | None = None, count: int = 100
    ) -> Page:
        """A page of the queue with `lowest <= score <= highest` as of the first page."""
        return await self._queries.page(score_query(lowest, highest), cursor, count)

    def get_all_active(self) -> AsyncIterator[Threat]:
        """Every threat of the queue in rank order; memory stays that of a page.

        Raises:
            CursorStale: the policy changed during the walk.
        """
        return self._queries.walk(RankQuery())

    async def get_by_status(
        self, status: Status | str, cursor: str | None = None, count: int = 100
    ) -> Page:
        """A page of level 1 threats of one status, ranked; see `get_active_paginated`."""
        return await self._queries.page(status_query(status), cursor, count)

    async def get_hot_threats(
        self, min_interactions: int = 3, cursor: str | None = None, count: int = 100
    ) -> Page:
        """A page of the queue with at least so many interactions (1 to the cap: 10), ranked."""
        queries, policy = self._queries, self.functions.rules.policy
        query = hot_query(min_interactions, policy.interactions_cap)
        return await queries.page(query, cursor, count)

    async def get_overdue(
        self, severity: Severity | str | None = None, cursor: str | None = None, count: int = 100
    ) -> Page:
        """A page of open, unseen threats past their response target, the longest overdue first.

        `total` is counted for the first page of a walk, as of its moment.
        """
        return await self._knowledge.overdue(severity, cursor, count)

    async def get_short_term(self, cursor: str | None = None, count: int = 100) -> Page:
        """A page of level 2 by confidence, then last activity, then id, all falling."""
        return await self._knowledge.level(2, "", cursor, count)

    async def get_long_term(
        self, industry: str | None = None, cursor: str | None = None, count: int = 100
    ) -> Page:
        """A page of level 3 by confidence as decayed by now, then last activity, then id.

        `industry` is matched with the report's metadata `industry` or `industries` (text or a list,
        in any case). On the floor of the decay the threat that decayed less comes first.
        """
        return await self._knowledge.level(3, normal_industry(industry), cursor, count)

    async def promote_eligible_threats(self) -> PromotionStats:
        """Promote every threat that is latched and that nobody holds, with the score of its latch.

        Any number of processes may do so at once; each threat is promoted once.

        Raises:
            OutcomeUnknown: some may have been promoted; safe to repeat, which counts the others.
            PartitionsMissing: some are away; done in the others, as `partial` says.
        """
        return await self._keeping.promote()

    async def sweep(self, archive: Archive) -> SweepStats:
        """One pass over all that time has overtaken: archived and let go of, or settled home.

        What is touched meanwhile stays. Safe to repeat, and for any number of processes at once.

        Raises:
            OutcomeUnknown: no answer, or not by enough replicas; what may have left is pending in
                the archive, and settled by `resolve_departures`.
            ArchiveMismatch: this is not the archive of this database.
            PartitionsMissing: some are away; done in the others, as `partial` says.
        """
        return await self._keeping.sweep(archive)

    async def remove(
        self, archive: Archive, threat_id: str, analyst_id: str, note: str = ""
    ) -> None:
        """Take a threat out, whatever its level: archived first; its id stays out until allowed.

        Raises:
            OutcomeUnknown: it may be out, with its row pending in the archive; safe to repeat.
            ThreatUnknown: no such threat.
        """
        await self._keeping.remove(archive, threat_id, analyst_id, note)

    async def erase(self, archive: Archive, threat_id: str, analyst_id: str) -> int:
        """Remove a threat and blank all that the archive says of it; how many rows were blanked.

        Ids, times and counts stay, so that the ledger balances; the erasing is in the audit trail.
        """
        return await self._keeping.erase(archive, threat_id, analyst_id, self._engine)

    async def resolve_departures(self, archive: Archive) -> int:
        """Settle what crashed processes left between archive and store; rows made final.

        Raises:
            OutcomeUnknown: nobody can say for sure just now; what was not settled stays pending.
            PartitionsMissing: some are away; done in the others, as `partial` says.
        """
        return await self._keeping.resolve(archive)

    async def archive_audit(self, archive: Archive) -> int:
        """Move the audit trail into the archive, then trim it; how many acts were moved.

        Raises:
            PartitionsMissing: some are away; done in the others, as `partial` says.
        """
        return await self._keeping.archive_audit(archive)

    async def open_archive(self) -> Archive:
        """Open the archive that belongs to this database, adopted; whoever asks closes it.

        It is where the setting `archive` says, else in a file of the data directory that is this
        database's alone.

        Raises:
            ArchiveError: it cannot be opened or made; ArchiveMismatch: the database has another.
        """
        self._check_open()
        place = await find_archive(self.settings, fingerprint_of(self._secret))
        archive = await open_archive(place)
        try:
            await self.adopt_archive(archive)
        except BaseException:
            await archive.close()
            raise
        return archive

    async def adopt_archive(self, archive: Archive) -> None:
        """Make this the database's archive, if it has none yet.

        Raises:
            ArchiveMismatch: it has another one.
        """
        await self._keeping.adopt(archive)

    async def get_recent_audit(self, most: int = 1000) -> list[AuditEntry]:
        """The newest acts that are not in the archive yet (`most` calls each), oldest first."""
        return await self._keeping.recent_audit(most)

    async def note(self, name: str, expected: str, value: str) -> str:
        """Set a note on the database if it says `expected` ('' for nothing); what it says now."""
        return await self._knowledge.note(name, expected, value)

    async def get_holdings(self) -> dict[str, int]:
        """What else is held: promotable, claims, stubs, remembered ids, bytes of both streams."""
        return await self._knowledge.holdings()

    async def get_stats(self) -> Stats:
        """Counts by status and severity, the unseen, the levels, the ledger, and the room left.

        `capacity.writable` says whether changes are taken now, `capacity.refusal` why not;
        `suppressed` how many ids are set aside as noise, by cause.
        """
        found, causes = await self._queries.stats(), await self._suppression.causes()
        return replace(found, capacity=await self._capacity(), suppressed=causes)

    async def get_ledger(self, *, deep: bool = False, archive: Archive | None = None) -> Ledger:
        """The conservation law; `deep` recounts every record (slow, for a quiet database).

        With an archive its rows are counted as well: they must be what the ledger says departed.
        """
        found = await self._queries.ledger(deep=deep)
        return found if archive is None else replace(found, archived=await archive.counts())

    async def get_policy(self) -> Policy:
        """The policy in force."""
        await self.refresh()
        return self.functions.rules.policy

    async def set_policy(self, policy: Policy) -> Policy:
        """Put a policy in force for all processes; the next read anywhere ranks by it.

        Partitions that are away are named in the log, and learn it when they are back.

        The caps stand in the boards, so only a rebuild changes them (`periscope rebuild`);
        `decay_per_day` orders the long-term ranks: it changes so while nothing there decays.

        Raises:
            UsageError: it needs a rebuild; or somebody else changed it at the same moment: look,
                and try again.
            OutcomeUnknown: it may be in force; safe to repeat.
        """
        if type(policy) is not Policy:
            raise UsageError(f"a policy must be a Policy, not {type(policy).__name__}")
        for name in CAPS:
            if getattr(policy, name) != getattr(self.functions.rules.policy, name):
                raise UsageError(f"{name} stands in the boards: change it by `periscope rebuild`")
        if policy.decay_per_day != self.functions.rules.policy.decay_per_day:
            await self._refuse_while_fading()
        revision = self.functions.rules.revision
        done, _ = await self.functions.set_policy(self.settings.namespace, revision, policy)
        await self.refresh()
        rules = self.functions.rules  # a repeated call finds its own change, or the same of another
        if not done and (rules.policy, rules.revision) != (policy, revision + 1):
            raise UsageError(
                "the policy was changed by somebody else meanwhile; look and try again"
            )
        return policy

    async def _refuse_while_fading(self) -> None:
        fading = await self._knowledge.fading()
        if fading:
            raise UsageError(
                f"decay_per_day cannot change while {fading:,} long-term threats decay: "
                "it orders their ranks; use `periscope rebuild`"
            )
