"""Feeds, their runs and their letters as JSON, for the command line and the HTTP API alike."""

from __future__ import annotations

from periscope.documents import Document, times
from periscope.polling.deadletters import Letter
from periscope.polling.feeds import FeedInfo, shown_fields
from periscope.polling.replay import Replayed
from periscope.polling.runner import Ended
from periscope.polling.state import COUNTS, Counts


def feed(one: FeedInfo) -> Document:
    """Return everything about a feed."""
    status = one.status
    return {
        "name": one.name,
        "state": one.state,
        "origin": one.origin,
        "paused": one.paused,
        "owner": one.owner,
        "problem": one.problem,
        "definition": None if one.definition is None else shown_fields(one.definition),
        "runs": status.runs,
        "failures": status.failures,
        "last_error": status.last_error,
        **times("last_error_at", status.last_error_ms),
        **times("last_run", status.last_run_ms),
        **times("last_success", status.last_success_ms),
        **times("next_run", one.next_ms),
        **times("lease_end", one.lease_end_ms),
        **times("newest", status.newest_ms),
        "lag_ms": one.lag_ms,
        "since_success_ms": one.since_success_ms,
        "seconds": status.seconds,
        "document": status.document or None,
        "counts": counts(status.counts),
        **times("as_of", one.now_ms),
    }


def counts(done: Counts) -> Document:
    """Return what was done."""
    return {name: getattr(done, name) for name in COUNTS}


def run(ended: Ended) -> Document:
    """Return what one run did."""
    return {
        "name": ended.name,
        **counts(ended.counts),
        "error": ended.error,
        "stopped": ended.halted,
        "taken_over": ended.lost,
    }


def dead_letter(one: Letter) -> Document:
    """Return what could not be read; `excerpt` is base64 where `base64` says so."""
    return {
        "id": one.id,
        **times("time", one.time_ms),
        "feed": one.feed,
        "source_name": one.source_name,
        "place": one.place,
        "reason": one.reason,
        "threat_id": one.threat_id,
        "format": one.format,
        "excerpt": one.excerpt,
        "base64": one.base64,
        "cut": one.cut,
    }


def replayed(done: Replayed) -> Document:
    """Return what became of letters that were read again."""
    names = ("dropped", "added", "sightings", "duplicates", "suppressed", "skipped")
    return {
        **{name: getattr(done, name) for name in names},
        "failed": [{"id": one.id, "reason": reason} for one, reason in done.failed],
        "cut": [one.id for one in done.cut],
    }
