"""`periscope suppress`: rules that say what is noise, looked at before they are saved."""

from __future__ import annotations

import re
import sys
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Group, Parameter

from periscope import documents
from periscope.cli import grid, noise_told, output
from periscope.cli.archives import archive_of
from periscope.cli.options import (
    ACTING,
    ANY_STORE,
    FOR_PEOPLE,
    MYSELF,
    AnalystOptions,
    OutputOptions,
    StoreOptions,
)
from periscope.cli.text import safe
from periscope.cli.when import duration, until
from periscope.documents import moment
from periscope.errors import NoiseUnknown, UsageError

if TYPE_CHECKING:
    from periscope.noise import SuppressionRule
    from periscope.periscope import Periscope
    from periscope.preview import Preview

RULE = Group("The rule", sort_key=10)
SHOWN = 10
TELL_EVERY = 50_000

Where = Annotated[str, Parameter(name="CONDITION", help="FIELD OP VALUE; all must hold.")]
Since = Annotated[
    str, Parameter(help="How far back the preview looks: 24h, 7d.", metavar="DURATION")
]
Force = Annotated[
    bool,
    Parameter(
        group=RULE, help="Also a rule that holds for nearly every report.", show_default=False
    ),
]
RuleId = Annotated[str, Parameter(name="ID", help="The id of the rule.")]


async def preview(
    *where: Where,
    since: Since = "24h",
    force: Force = False,
    store: StoreOptions = ANY_STORE,
    out: OutputOptions = FOR_PEOPLE,
) -> int:
    """Show what a rule would have hidden."""
    span = duration(since, "--since")
    async with store.open() as periscope:
        found = await _previewed(periscope, where, span, force=force, out=out)
    if out.as_json:
        output.show_json(documents.preview(found))
    else:
        _show_preview(found)
    return 0


@Parameter(name="*")
@dataclass(frozen=True)
class RuleOptions:
    """What a rule is, beside its conditions."""

    reason: Annotated[str, Parameter(group=RULE, help="Why this is noise.", metavar="TEXT")]
    until: Annotated[
        str | None,
        Parameter(group=RULE, help="When it ends: 7d, or an RFC 3339 time.", metavar="END"),
    ] = None
    rate: Annotated[
        str | None,
        Parameter(
            group=RULE,
            help="More reports of one threat than that come back: 100/1h.",
            metavar="N/TIME",
        ),
    ] = None
    force: Force = False

    def arguments(self, author: str) -> dict[str, Any]:
        """Return them as Python's calls take them.

        Raises:
            UsageError: one of them is not of its form.
        """
        return {
            "reason": self.reason,
            "author": author,
            "until": None if self.until is None else until(self.until),
            "rate": None if self.rate is None else _rate(self.rate),
            "force": self.force,
        }


async def add(
    *where: Where,
    rule: RuleOptions,
    since: Since = "24h",
    yes: Annotated[
        bool, Parameter(group=ACTING, help="Save it without asking.", show_default=False)
    ] = False,
    who: AnalystOptions = MYSELF,
    store: StoreOptions = ANY_STORE,
    out: OutputOptions = FOR_PEOPLE,
) -> int:
    """Suppress what fulfils the conditions, after a look at what that would have hidden."""
    from periscope.noise import new_rule

    span = duration(since, "--since")
    _check_can_ask(yes=yes, as_json=out.as_json)
    async with store.open() as periscope:
        given = rule.arguments(who.name(periscope.settings))
        new_rule(where, now_ms=(await periscope.get_stats()).as_of_ms, **given)  # or it is refused
        found = await _previewed(periscope, where, span, force=rule.force, out=out)
        if not out.as_json:
            _show_preview(found)
        if not yes and not _asked("Suppress such reports from now on? [y/N] "):
            output.write("Nothing was saved.\n")
            return 1
        added = await periscope.add_suppression(where, **given)
    if out.as_json:
        told = documents.suppression_rule(added)
        output.show_json({"rule": told, "preview": documents.preview(found)})
    else:
        ends = noise_told.until_of(added)
        output.write(f"Rule {added.id} is in force for everybody ({ends}).\n")
    return 0


async def listing(
    *,
    ended: Annotated[
        bool, Parameter(help="Also those that have ended.", show_default=False)
    ] = False,
    ids: Annotated[
        bool, Parameter(help="Only their ids, a line each.", show_default=False)
    ] = False,
    store: StoreOptions = ANY_STORE,
    out: OutputOptions = FOR_PEOPLE,
) -> int:
    """Show the rules."""
    async with store.open() as periscope:
        rules = await periscope.get_suppressions(ended=ended)
    if out.as_json:
        output.show_json({"items": [documents.suppression_rule(one) for one in rules]})
    elif ids:
        output.write("".join(f"{one.id}\n" for one in rules))
    elif not rules:
        output.write("No suppression rule is in force.\n")
    else:
        grid.show(noise_told.RULE_HEADS, [noise_told.rule_cells(one) for one in rules])
    return 0


async def show(
    rule_id: RuleId,
    /,
    *,
    store: StoreOptions = ANY_STORE,
    out: OutputOptions = FOR_PEOPLE,
) -> int:
    """Show one rule, and what it has hidden."""
    async with store.open() as periscope:
        rules = await periscope.get_suppressions(ended=True)
        rule = next((one for one in rules if one.id == rule_id), None)
        if rule is None:
            raise NoiseUnknown(f"no suppression rule {rule_id!r}")
        page = await periscope.get_suppressed(count=SHOWN, cause=f"rule:{rule_id}")
    if out.as_json:
        items = [documents.suppressed(one) for one in page]
        told = documents.suppression_rule(rule)
        output.show_json({**told, "suppressed": page.total, "newest": items})
        return 0
    output.write("".join(f"{line}\n" for line in _lines(rule)))
    output.write(f"Hides      {page.total:,}\n")
    if page.items:
        grid.show(noise_told.ENTRY_HEADS, [noise_told.entry_cells(one) for one in page])
    return 0


async def end(
    rule_id: RuleId,
    /,
    *,
    who: AnalystOptions = MYSELF,
    store: StoreOptions = ANY_STORE,
    out: OutputOptions = FOR_PEOPLE,
) -> int:
    """End a rule."""
    async with store.open() as periscope:
        rule = await periscope.end_suppression(rule_id, who.name(periscope.settings))
    if out.as_json:
        output.show_json(documents.suppression_rule(rule))
    else:
        output.write(f"Rule {rule.id} {noise_told.until_of(rule)} by {safe(rule.ended_by)}.\n")
    return 0


def _rate(text: str) -> tuple[int, timedelta]:
    found = re.fullmatch(r"([0-9]{1,9})/(.+)", text)
    if found is None:
        raise UsageError(f"--rate {text}: no rate; write it like 100/1h")
    return int(found[1]), duration(found[2], "--rate")


def _check_can_ask(*, yes: bool, as_json: bool) -> None:
    if not yes and (as_json or not sys.stdin.isatty()):
        raise UsageError(
            "nobody can be asked here whether to save it: look at periscope suppress preview, "
            "then add --yes"
        )


def _asked(question: str) -> bool:
    output.write(question)
    return sys.stdin.readline().strip().lower() in ("y", "yes")


async def _previewed(
    periscope: Periscope,
    where: tuple[str, ...],
    since: timedelta,
    *,
    force: bool,
    out: OutputOptions,
) -> Preview:
    """Look back, with a line on standard error now and then where that takes long."""
    told = 0

    def progress(looked_at: int) -> None:
        nonlocal told
        if looked_at - told >= TELL_EVERY and not out.as_json:
            told = looked_at
            output.note(f"looked at {looked_at:,} threats")

    async with archive_of(periscope) as archive:
        return await periscope.preview_suppression(
            where, since, archive=archive, force=force, progress=progress
        )


def _show_preview(found: Preview) -> None:
    output.write("".join(f"{line}\n" for line in noise_told.preview_lines(found)))
    if found.examples:
        rows = [
            (one.severity.value, one.source, one.threat_id, one.title) for one in found.examples
        ]
        grid.show(("SEVERITY", "SOURCE", "ID", "TITLE"), rows)


def _lines(rule: SuppressionRule) -> list[str]:
    return [
        f"Rule       {rule.id}",
        *(f"Where      {safe(str(one))}" for one in rule.where),
        f"Reason     {safe(rule.reason)}",
        f"By         {safe(rule.author)}, {moment(rule.created_ms)}",
        f"Until      {noise_told.until_of(rule)}",
        f"Rate       {noise_told.rate_of(rule)}",
        *([f"Ended by   {safe(rule.ended_by)}"] if rule.ended_by else []),
    ]
