"""The JSON shapes: the models' field names, times as RFC 3339 text and as `_ms` integers."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from periscope.models import SEVERITIES, to_datetime

if TYPE_CHECKING:
    from periscope.archive import AuditEntry, Departure
    from periscope.connection import Capacity, ServerFacts
    from periscope.index import Facets, FilteredPage, Histogram, Similar
    from periscope.ledger import Ledger, Stats
    from periscope.membership import Seen
    from periscope.noise import SuppressionRule, Warninglist
    from periscope.preview import Preview
    from periscope.scoring import Explanation
    from periscope.suppressed import Suppressed
    from periscope.threat import Page, Threat
    from periscope.work import Claim, Desk, Event, PromotionStats

Document = dict[str, Any]

_AS_THEY_ARE = (
    *("interactions", "escalations", "dismissals", "views", "analysts", "sightings"),
    *("consolidations", "confidence", "entry_confidence", "validated", "withdrawn"),
    *("latched", "protected", "overdue", "revision"),
)


def moment(moment_ms: int) -> str:
    """RFC 3339 in UTC with milliseconds: 2026-01-31T12:00:00.250Z."""
    stamp = to_datetime(moment_ms).isoformat(timespec="milliseconds")
    return stamp.replace("+00:00", "Z")


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
        "outcome": None if one.outcome is None else one.outcome.value,
        "memory_type": one.memory_type.value,
        **{name: getattr(one, name) for name in _AS_THEY_ARE},
        **times("first_seen", one.first_seen_ms),
        **times("last_activity", one.last_activity_ms),
        **times("entered", one.entered_ms or None),
        **times("snoozed_until", one.snoozed_until_ms),
        **times("consolidated", one.consolidated_ms),
        **times("due", one.due_ms),
        **times("observed_at", one.observed_at_ms),
        **times("as_of", one.as_of_ms),
        "source": one.source,
        "content": one.content,
        "metadata": one.metadata,
    }


def seen(one: Seen) -> Document:
    """Return a known id with its level and last activity."""
    return {
        "threat_id": one.threat_id,
        "level": int(one.level),
        **times("last_activity", one.last_activity_ms),
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


def filtered_page(one: FilteredPage[Threat]) -> Document:
    """Return a stretch of what fits, how to go on, and up to which event it is exact."""
    return {
        "items": [threat(item) for item in one.items],
        "next_cursor": one.next_cursor,
        "total": one.total,
        **times("as_of", one.as_of_ms),
        "position": one.position,
        **times("indexed", one.indexed_ms),
    }


def similar(one: Similar) -> Document:
    """Return threats like another one, with what they share."""
    return {
        "items": [
            {
                "threat": threat(item.threat),
                "indicators": list(item.indicators),
                "same_content": item.same_content,
                "weight": item.weight,
            }
            for item in one.items
        ],
        "position": one.position,
        **times("indexed", one.indexed_ms),
    }


def facets(one: Facets) -> Document:
    """Return how many of what fits have which value; null where it is not known in time."""
    counts = {name: value for name, value in asdict(one).items() if name != "indexed_ms"}
    return {**counts, **times("indexed", one.indexed_ms)}


def histogram(one: Histogram) -> Document:
    """Return how many of what fits were first seen when; null where it is not known in time."""
    return asdict(one)


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
        "suppressed": one.suppressed,
    }


def server(one: ServerFacts, capacity: Capacity | None) -> Document:
    """Return what the server is, and what room it has; where it is nobody needs to know."""
    return {
        "kind": one.kind,
        "version": one.version,
        "durability": one.durability,
        **({} if capacity is None else asdict(capacity)),
    }


def claim(one: Claim) -> Document:
    """Return who has a threat until when."""
    return {
        "threat_id": one.threat_id,
        "analyst_id": one.analyst_id,
        "token": one.token,
        **times("until", one.until_ms),
    }


def desk(one: Desk) -> Document:
    """Return who holds a threat, and what each analyst did to it last."""
    return {
        "claim": None if one.claim is None else claim(one.claim),
        "acts": [
            {
                "analyst_id": act.analyst_id,
                "action": act.action,
                **times("at", act.at_ms),
                "interactions": act.interactions,
                "interaction_id": act.interaction_id or None,
            }
            for act in one.acts
        ],
    }


def shown(one: Threat, at: Desk) -> Document:
    """Return a threat with its score explained and who is at work on it."""
    return {**threat(one), "explanation": explanation(one.explain()), "desk": desk(at)}


def act(word: str, one: Threat, analyst_id: str, **more: Any) -> Document:
    """Return an act that was done, and the threat right after it."""
    return {
        "act": word,
        "threat_id": one.threat_id,
        "analyst_id": analyst_id,
        "interaction_id": one.interaction_id,
        **more,
        "threat": threat(one),
    }


def promotion(one: PromotionStats) -> Document:
    """Return what was promoted."""
    return {"promoted": one.promoted, "failed": one.failed, "promoted_ids": one.promoted_ids}


_OF_A_DEPARTURE = (
    *("threat_id", "reason", "severity", "source", "title", "level", "interactions"),
    *("escalations", "dismissals", "views", "sightings", "analysts", "consolidations"),
    *("confidence", "outcome", "actor", "note", "erased"),
)


def departure(row: int | None, one: Departure) -> Document:
    """Return one departure without the record itself; `row` is its number in the archive."""
    return {
        "row": row,
        **{name: getattr(one, name) for name in _OF_A_DEPARTURE},
        **times("departed_at", one.departed_at_ms),
        **times("first_seen", one.first_seen_ms),
        **times("last_activity", one.last_activity_ms),
    }


def audit_entry(one: AuditEntry) -> Document:
    """Return one act on record; `detail` is what the act says besides, as an object or null."""
    return {
        **times("at", one.at_ms),
        "action": one.action,
        "threat_id": one.threat_id,
        "analyst_id": one.analyst_id,
        "request_id": one.request_id,
        "detail": detail(one),
        "erased": one.erased,
        "entry": f"{one.partition}:{one.stream_id}:{one.position}",
    }


def detail(one: AuditEntry) -> Any:
    """Return an entry's detail, decoded; None if it has none, its text if it is no JSON."""
    try:
        told = json.loads(one.detail) if one.detail else None
    except ValueError:
        return one.detail
    if isinstance(told, dict) and type(until_ms := told.get("until_ms")) is int:
        told |= times("until", until_ms)
    return told


def suppression_rule(rule: SuppressionRule) -> Document:
    """Return a suppression rule; `where_text` are its conditions as they are typed."""
    rate = rule.rate
    return {
        "id": rule.id,
        "where": [{"field": c.field, "op": c.op, "value": c.value} for c in rule.where],
        "where_text": [str(c) for c in rule.where],
        "reason": rule.reason,
        "author": rule.author,
        **times("created", rule.created_ms),
        **times("until", rule.until_ms or None),
        "rate": None if rate is None else {"most": rate.most, "window_ms": rate.window_ms},
        "active": rule.active,
        **times("ended", rule.ended_ms or None),
        "ended_by": rule.ended_by or None,
    }


def preview(found: Preview) -> Document:
    """Return what a rule would have hidden."""
    return {
        **times("since", found.since_ms),
        **times("as_of", found.as_of_ms),
        "looked_at": found.looked_at,
        "matched": found.matched,
        "departed": found.departed,
        "sightings": found.sightings,
        "escalated": found.escalated,
        "true_positives": found.true_positives,
        "by_severity": {
            severity.value: found.by_severity.get(severity, 0) for severity in reversed(SEVERITIES)
        },
        "by_source": found.by_source,
        "examples": [
            {
                "threat_id": one.threat_id,
                "severity": one.severity.value,
                "title": one.title,
                "source": one.source,
                "departed": one.departed,
            }
            for one in found.examples
        ],
    }


def warninglist(one: Warninglist) -> Document:
    """Return what is said of a warninglist, without its values."""
    return {
        "name": one.name,
        "type": one.type,
        "version": one.version,
        "description": one.description,
        "matching_attributes": list(one.attributes),
        "indicators": list(one.kinds),
        "values": one.values,
        "left_out": one.left_out,
        "size_bytes": one.size_bytes,
        "stored_bytes": one.stored_bytes,
        **times("loaded", one.loaded_ms),
        "loaded_by": one.loaded_by or None,
    }


def suppressed(one: Suppressed) -> Document:
    """Return what was set aside of one id."""
    return {
        "threat_id": one.threat_id,
        "severity": one.severity.value,
        "cause": one.cause,
        "count": one.count,
        **times("first_seen", one.first_seen_ms),
        **times("last_seen", one.last_seen_ms),
        **times("came_back", one.came_back_ms),
        "source": one.source,
        "title": one.title,
    }


def event(one: Event) -> Document:
    """Return something that happened; `position` resumes right after it."""
    return {
        "kind": one.kind,
        **times("at", one.at_ms),
        "threat_ids": one.threat_ids,
        "analyst_id": one.analyst_id or None,
        "level": None if one.level is None else int(one.level),
        "status": None if one.status is None else one.status.value,
        "detail": one.detail,
        "position": one.position,
    }
