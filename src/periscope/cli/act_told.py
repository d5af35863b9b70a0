"""What an act changed, in one line."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from periscope import documents
from periscope.cli import output
from periscope.cli.figures import count
from periscope.cli.text import safe
from periscope.documents import moment
from periscope.models import Level, Status

if TYPE_CHECKING:
    from periscope.cli.options import OutputOptions
    from periscope.threat import Threat

LEVELS = {1: "1 (working)", 2: "2 (short-term)", 3: "3 (long-term)"}


@dataclass(frozen=True)
class Told:
    """An act that was done: its word, the same as a participle, who did it, what else to say."""

    word: str
    past: str
    analyst: str
    more: Mapping[str, Any] = field(default_factory=dict)
    can_undo: bool = False


def tell(threat: Threat, told: Told, out: OutputOptions) -> None:
    """Say what became of the threat, and how to take the act back."""
    request = threat.interaction_id if told.can_undo else None
    if out.as_json:
        output.show_json(documents.act(told.word, threat, told.analyst, **told.more))
    else:
        output.write(f"{line(threat, told.past, request)}\n")


def line(threat: Threat, past: str, request: str | None) -> str:
    """Return the line: what was done, where the threat is now, its counts, the id to undo it."""
    parts = [state(threat), counts(threat)]
    if threat.latched:
        parts.append("eligible: will be promoted")
    if request is not None:
        parts.append(f"undo: {safe(request)}")
    return f"{safe(threat.threat_id)} {past}: {'; '.join(parts)}"


def state(threat: Threat) -> str:
    """Return status, outcome, level and score, as far as they say something."""
    words = [threat.status.value]
    if threat.status is Status.SNOOZED:
        words[0] += f" until {ends(threat)}"
    elif threat.outcome is not None:
        words[0] += f" as {threat.outcome.value}"
    words.append(f"level {LEVELS[int(threat.level)]}")
    if threat.level is Level.WORKING:
        words.append(f"score {threat.score:.3f}")
    else:
        words.append(f"confidence {threat.confidence:.3f}")
    return ", ".join(words)


def ends(threat: Threat) -> str:
    """Return when a snooze ends."""
    if threat.snoozed_until_ms is None:
        return "it gets worse"
    return moment(threat.snoozed_until_ms)


def counts(threat: Threat) -> str:
    """Return how often analysts did what."""
    did = (
        count(threat.interactions, "interaction"),
        count(threat.escalations, "escalation"),
        count(threat.dismissals, "dismissal"),
    )
    return f"{', '.join(did)} by {count(threat.analysts, 'analyst')}"
