"""What people do about noise: suppression rules, warninglists, and what they would hide."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from periscope.archive import Archive
from periscope.desk import AnalystsDesk
from periscope.errors import NoiseInvalid
from periscope.models import Mark
from periscope.noise import (
    Found,
    Rate,
    SuppressionRule,
    Verdict,
    Warninglist,
    check_worth,
    checked_name,
    new_rule,
    parse_list,
    read_lists,
    read_where,
)
from periscope.noise.fields import Fields, rank_of
from periscope.noise.judge import as_fields
from periscope.preview import Preview, Previewer, Progress
from periscope.suppressed import Suppressed
from periscope.threat import Threat

DAY = timedelta(hours=24)
LONGEST = timedelta(days=3_660)
MILLISECOND = timedelta(milliseconds=1)


@dataclass(frozen=True, slots=True)
class NoiseExplanation:
    """What would become of a report that came now, and why.

    `suppressed` says it; `because` in a sentence. `mark` is what it is given, with `rules` (those
    in force that it fulfils, the one that counts first) and `indicators` with their lists.
    `threat` is the threat that it is about, and `entry` what was set aside of it before; None where
    there is none.
    """

    suppressed: bool
    because: str
    mark: Mark | None
    rules: tuple[SuppressionRule, ...]
    indicators: tuple[Found, ...]
    threat: Threat | None
    entry: Suppressed | None


class NoiseDesk(AnalystsDesk):
    """Rules and lists hold for every process that writes to this database, within a second.

    A report is noise if it fulfils a rule that is in force, or if all its indicators are on
    warninglists. It is counted as suppressed and changes nothing else, unless its threat is known
    with a lower severity, or it comes more often than the rule's rate allows. Rules and lists are
    kept beside the control key; where its server is away, what was last known goes on.
    """

    async def get_suppressions(self, *, ended: bool = False) -> list[SuppressionRule]:
        """The suppression rules in force, in the order in which they are tried.

        `ended`: with those that ended as well (the last 200 that people ended are kept).
        """
        index, now_ms = await self._noise.index(), await self._noise.now_ms()
        return [one for one in index.rules if ended or one.in_force(now_ms)]

    async def add_suppression(
        self,
        where: Any,
        reason: str,
        author: str,
        until: datetime | timedelta | None = None,
        rate: tuple[int, timedelta] | Rate | None = None,
        *,
        force: bool = False,
    ) -> SuppressionRule:
        """Suppress reports that fulfil all conditions of `where`, from the next one on.

        A condition is a text (`severity<=MEDIUM`, `title~ET SCAN*`, `indicators in 10.0.0.0/8`) or
        a dict of field, op and value. `rate`: how many reports of one threat in which time are
        suppressed, before it comes back. See `preview_suppression` first.

        Raises:
            NoiseInvalid: names the condition and what is wrong with it; or there is none, or they
                hold for whatever comes (not with `force`).
            OutcomeUnknown: it may be in force; look at `get_suppressions` before repeating it.
        """
        now_ms = await self._noise.now_ms()
        rule = new_rule(where, reason, author, now_ms, until, rate, force=force)
        await self._noise.change(lambda index: index.with_rule(rule))
        return rule

    async def end_suppression(self, rule_id: str, analyst: str) -> SuppressionRule:
        """End a rule now; one that was ended before stays as it is. Safe to repeat.

        Raises:
            NoiseUnknown: there is none of this id.
        """
        name, now_ms = checked_name(analyst, "analyst"), await self._noise.now_ms()
        index = await self._noise.change(lambda index: index.without_rule(rule_id, name, now_ms))
        return next(one for one in index.rules if one.id == rule_id)

    async def preview_suppression(
        self,
        where: Any,
        since: timedelta = DAY,
        *,
        archive: Archive | None = None,
        force: bool = False,
        progress: Progress | None = None,
    ) -> Preview:
        """What such a rule would have hidden of late; changes nothing.

        Looks at every threat of all levels and statuses with a report or an act in that time, as
        its last report says it, and with `archive` at what departed; what is suppressed already is
        left aside. It reads all threats, page by page: about a second for 20,000. `progress` is
        told how many were looked at.

        Raises:
            NoiseInvalid: as `add_suppression`, or a time that is none.
            CursorStale: the policy changed meanwhile; begin again.
        """
        conditions = read_where(where)
        if not force:
            check_worth(conditions)
        if not isinstance(since, timedelta) or not MILLISECOND <= since <= LONGEST:
            raise NoiseInvalid("since: must be a timedelta of up to ten years")
        as_of_ms = await self._noise.now_ms()
        preview = Preview(max(0, as_of_ms - since // MILLISECOND), as_of_ms)
        policy = self.functions.rules.policy
        previewer = Previewer(conditions, preview, policy, progress)
        await previewer.over_store(self._queries, self._knowledge)
        if archive is not None:
            await previewer.over_archive(archive)
        return preview

    async def get_warninglists(self) -> list[Warninglist]:
        """The warninglists that are loaded, by name."""
        return list((await self._noise.index()).lists)

    async def load_warninglists(
        self, path: str | Path, *, analyst: str = ""
    ) -> tuple[Warninglist, ...]:
        """Load MISP warninglists from a file or a directory (a checkout of them); all or none.

        A list takes the place of one of its name. At most 32 MiB and 2 million values each, and
        256 MiB together.

        Raises:
            NoiseInvalid: one of them cannot be used; names the file.
        """
        by = checked_name(analyst, "analyst") if analyst else ""
        lists = await asyncio.to_thread(lambda: list(read_lists(path)))
        return await self._noise.load(lists, by)

    async def load_warninglist(self, data: bytes, *, analyst: str = "") -> Warninglist:
        """Load a MISP warninglist from its JSON text; see `load_warninglists`.

        Raises:
            NoiseInvalid: it cannot be used.
        """
        by = checked_name(analyst, "analyst") if analyst else ""
        listed = await asyncio.to_thread(parse_list, data)
        (loaded,) = await self._noise.load([listed], by)
        return loaded

    async def drop_warninglist(self, name: str) -> None:
        """Let go of a warninglist.

        Raises:
            NoiseUnknown: none of this name is loaded.
        """
        await self._noise.change(lambda index: index.without_list(name))

    async def explain_noise(self, report: Any) -> NoiseExplanation:
        """What would become of this report (a dict or a `Report`) now, and why; changes nothing."""
        verdict = (await self._noise.judge()).explain(report)
        fields = as_fields(report)
        threat_id = fields.get("threat_id")
        threat, entry = None, None
        if isinstance(threat_id, str):
            threat = await self._queries.threat(threat_id)
            entry = await self._suppression.entry(threat_id)
        suppressed, because = _told(verdict, fields, threat or entry)
        if (
            suppressed
            and entry is not None
            and _is_exceeded(verdict, entry, await self._noise.now_ms())
        ):
            suppressed, because = False, f"{because}; and now more do"
        found = (verdict.mark, verdict.rules, verdict.indicators)
        return NoiseExplanation(suppressed, because, *found, threat, entry)


def _told(verdict: Verdict, fields: Fields, known: Threat | Suppressed | None) -> tuple[bool, str]:
    """Is it suppressed, and why (not)? `known` is what the report would be compared with."""
    if verdict.mark is None:
        return False, _why_not(verdict, fields)
    cause = _cause(verdict)
    if known is not None and rank_of(fields.get("severity")) > known.severity.rank:
        return False, f"{cause}; but it is worse than what is known ({known.severity.value})"
    return True, cause


def _is_exceeded(verdict: Verdict, entry: Suppressed, now_ms: int) -> bool:
    """Is this the report that is one too many for the rate?"""
    mark = verdict.mark
    if mark is None or not mark.window_ms:
        return False
    return entry.came_within(mark.window_ms, now_ms) >= mark.most


def _cause(verdict: Verdict) -> str:
    if not verdict.rules:
        names = dict.fromkeys(one.warninglist or "" for one in verdict.indicators)
        return f"all its indicators are on warninglists: {', '.join(names)}"
    rule = verdict.rules[0]
    yields = "" if rule.rate is None else f", unless more than {rule.rate} of it come"
    return f"rule {rule.id} by {rule.author}: {rule.reason}{yields}"


def _why_not(verdict: Verdict, fields: Fields) -> str:
    no_rule = "no rule in force holds for it"
    if not verdict.indicators:
        return f"{no_rule}, and it names no indicators"
    unknown = next((one for one in verdict.indicators if one.warninglist is None), None)
    if unknown is None:
        return f"{no_rule}, and not all of its indicators are there to be looked up"
    return f"{no_rule}, and its {unknown.type} {unknown.value} is on no warninglist"
