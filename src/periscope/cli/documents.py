"""The JSON shapes: the models' field names, times as RFC 3339 text and as `_ms` integers."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from periscope.cli.figures import moment

if TYPE_CHECKING:
    from periscope.ledger import Ledger, Stats
    from periscope.models import Page, Threat
    from periscope.scoring import Explanation

Document = dict[str, Any]

_AS_THEY_ARE = (
    *("interactions", "escalations", "dismissals", "views", "analysts", "sightings"),
    *("consolidations", "confidence", "revision"),
)


def times(name: str, moment_ms: int | None) -> Document:
    """One moment as two fields: text, and integer milliseconds."""
    return {name: None if moment_ms is None else moment(moment_ms), f"{name}_ms": moment_ms}


def threat(one: Threat) -> Document:
    """Everything about a threat as of one moment."""
    return {
        "threat_id": one.threat_id,
        "severity": one.severity.value,
        "score": one.score,
        "level": int(one.level),
        "status": one.status.value,
        "home": None if one.home is None else int(one.home),
        **{name: getattr(one, name) for name in _AS_THEY_ARE},
        **times("first_seen", one.first_seen_ms),
        **times("last_activity", one.last_activity_ms),
        **times("observed_at", one.observed_at_ms),
        **times("as_of", one.as_of_ms),
        "source": one.source,
        "content": one.content,
        "metadata": one.metadata,
    }


def explanation(one: Explanation) -> Document:
    """Return a score and its four terms."""
    return {"score": one.score, "terms": [term._asdict() for term in one.terms]}


def page(one: Page) -> Document:
    """Return a stretch of the ranking and how to go on."""
    return {
        "items": [threat(item) for item in one.items],
        "next_cursor": one.next_cursor,
        "total": one.total,
        **times("as_of", one.as_of_ms),
    }


def ledger(one: Ledger) -> Document:
    """Return the counts of the conservation law and whether they balance."""
    return {
        **asdict(one),
        "in_levels": one.in_levels,
        "departed": one.departed,
        "balanced": one.balanced,
    }


def stats(one: Stats) -> Document:
    """Return what the database holds."""
    return {
        **times("as_of", one.as_of_ms),
        "queue": one.queue,
        "counts": one.counts,
        "unseen": one.unseen,
        "ledger": ledger(one.ledger),
    }
