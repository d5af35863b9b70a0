"""Where the work on a threat stands: its target, its memory, who has it, who did what."""

from __future__ import annotations

from typing import TYPE_CHECKING

from periscope.cli.figures import age, ago, count
from periscope.cli.text import cut, fit, safe
from periscope.documents import moment
from periscope.models import Level, Status

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rich.text import Text

    from periscope.threat import Threat
    from periscope.work import Claim, Desk

LABEL_CELLS = 16
MOST_ACTS = 10
NAME_CELLS = 32


def standing(threat: Threat, desk: Desk) -> Iterator[Text]:
    """Return the lines about the work on a threat, those that have something to say."""
    from rich.text import Text

    yield Text("")
    if threat.home is not None:
        yield fact("Home", f"level {int(threat.home)}: goes back there when it is quiet")
    if threat.status is Status.SNOOZED:
        yield fact("Snoozed", snooze(threat))
    if threat.latched:
        when = " when it is released" if desk.claim is not None else ""
        yield fact("Promotion", f"eligible: will be promoted{when}")
    if (due := target(threat)) is not None:
        yield fact("Target", due, "bold red" if threat.overdue else "")
    if threat.consolidations:
        yield fact("Memory type", threat.memory_type.value + _withdrawn(threat))
        yield fact("Confidence", confidence(threat))
        yield fact("Consolidations", f"{threat.consolidations:,}")
    yield fact("Held by", holder(desk.claim, threat.as_of_ms))
    yield from _acts(threat, desk)


def fact(label: str, value: str, style: str = "") -> Text:
    """Return one line: a label, and what it is."""
    from rich.text import Text

    return Text.assemble((fit(label, LABEL_CELLS), "bold"), (value, style))


def target(threat: Threat) -> str | None:
    """Return when somebody has to have looked at it; None if that is no question any more."""
    if threat.level is not Level.WORKING or threat.status is not Status.OPEN:
        return None
    due, left_ms = moment(threat.due_ms), threat.due_ms - threat.as_of_ms
    if threat.interactions:
        return f"{due} (somebody has looked at it)"
    if threat.overdue:
        return f"{due} (OVERDUE since {age(-left_ms)})".replace("since now", "now")
    return f"{due} (due in {age(left_ms)})".replace("in now", "now")


def snooze(threat: Threat) -> str:
    """Return until when it is out of the queue."""
    if threat.snoozed_until_ms is None:
        return f"until it gets worse than {threat.severity.value}, or somebody reopens it"
    left = age(threat.snoozed_until_ms - threat.as_of_ms).replace("now", "less than 1s")
    return f"until {moment(threat.snoozed_until_ms)} ({left} left), or until it gets worse"


def confidence(threat: Threat) -> str:
    """Return the confidence as it is now, and whether it decays."""
    now = f"{threat.confidence:.3f}"
    if threat.level is not Level.LONG_TERM:
        return now
    if threat.protected:
        return f"{now} (protected: does not decay)"
    return f"{now} (decayed from {threat.entry_confidence:.3f})"


def holder(claim: Claim | None, as_of_ms: int) -> str:
    """Return who has a threat, and for how long still."""
    if claim is None:
        return "nobody"
    left = age(claim.until_ms - as_of_ms).replace("now", "less than 1s")
    return f"{safe(claim.analyst_id)}, until {moment(claim.until_ms)} ({left} left)"


def _withdrawn(threat: Threat) -> str:
    return " (its validation was withdrawn)" if threat.withdrawn else ""


def _acts(threat: Threat, desk: Desk) -> Iterator[Text]:
    for at, act in enumerate(desk.acts[:MOST_ACTS]):
        past = ago(threat.as_of_ms - act.at_ms)
        name = cut(safe(act.analyst_id), NAME_CELLS, plain=True)
        done = f"{name}: {safe(act.action)}, {past} ({count(act.interactions, 'interaction')})"
        yield fact("" if at else "Last acts", done)
    if len(desk.acts) > MOST_ACTS:
        yield fact("", f"and {count(len(desk.acts) - MOST_ACTS, 'other analyst')}")
