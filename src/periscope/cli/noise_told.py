"""Rules, previews, warninglists and suppressed entries: as JSON, and in words."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from periscope.cli.figures import count
from periscope.cli.text import safe
from periscope.cli.when import short
from periscope.documents import moment
from periscope.models import SEVERITIES

if TYPE_CHECKING:
    from periscope.noise import SuppressionRule, Warninglist
    from periscope.preview import Preview
    from periscope.suppressed import Suppressed

SOURCES_SHOWN = 10
RULE_HEADS = ("ID", "UNTIL", "RATE", "BY", "WHERE", "REASON")
LIST_HEADS = ("TYPE", "VALUES", "LEFT OUT", "LOADED", "FOR", "NAME")
ENTRY_HEADS = ("LAST", "SEVERITY", "COUNT", "CAME BACK", "ID", "SOURCE", "CAUSE", "TITLE")


def rule_cells(rule: SuppressionRule) -> tuple[str, ...]:
    """A row of the table of rules."""
    where = " and ".join(map(str, rule.where))
    return (rule.id, until_of(rule), rate_of(rule), rule.author, where, rule.reason)


def until_of(rule: SuppressionRule) -> str:
    """Until when it is in force, in words."""
    if rule.ended_ms:
        return f"ended {moment(rule.ended_ms)}"
    return moment(rule.until_ms) if rule.until_ms else "for ever"


def rate_of(rule: SuppressionRule) -> str:
    """The rate beyond which it yields, as it is typed."""
    if rule.rate is None:
        return "any"
    return f"{rule.rate.most}/{short(timedelta(milliseconds=rule.rate.window_ms))}"


def _severities(found: Preview) -> Iterator[tuple[str, int]]:
    for severity in reversed(SEVERITIES):
        yield severity.value, found.by_severity.get(severity, 0)


def preview_lines(found: Preview) -> Iterator[str]:
    """A preview in words; examples come after it."""
    of = f"of {count(found.looked_at, 'threat')} since {moment(found.since_ms)}"
    if not found.matched:
        yield f"It would have hidden nothing {of}."
        return
    departed = f", {found.departed:,} of them in the archive" if found.departed else ""
    sightings = count(found.sightings, "sighting")
    yield f"It would have hidden {found.matched:,} {of}{departed}, with {sightings}."
    yield "By severity: " + ", ".join(f"{name} {number:,}" for name, number in _severities(found))
    ranked = sorted(found.by_source.items(), key=lambda pair: (-pair[1], pair[0]))
    named = [f"{safe(name) or '(none)'} {number:,}" for name, number in ranked[:SOURCES_SHOWN]]
    more = f", and {len(ranked) - SOURCES_SHOWN:,} more" if len(ranked) > SOURCES_SHOWN else ""
    yield "By source: " + ", ".join(named) + more
    if found.is_alarming:
        yield (
            f"WARNING: analysts had escalated {found.escalated:,} of them, "
            f"and found {found.true_positives:,} to be true."
        )


def list_cells(one: Warninglist) -> tuple[str, ...]:
    """A row of the table of warninglists."""
    kinds = ", ".join(one.kinds) or "(nothing that is looked up)"
    kinds = "everything" if len(one.kinds) > 10 else kinds
    counts = (f"{one.values:,}", f"{one.left_out:,}")
    return (one.type, *counts, moment(one.loaded_ms)[:10], kinds, one.name)


def entry_cells(one: Suppressed) -> tuple[str, ...]:
    """A row of the table of what is suppressed."""
    back = "" if one.came_back_ms is None else moment(one.came_back_ms)
    numbers: tuple[Any, ...] = (one.severity.value, f"{one.count:,}", back)
    return (moment(one.last_seen_ms), *numbers, one.threat_id, one.source, one.cause, one.title)
