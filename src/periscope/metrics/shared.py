"""What the store says, on the sheet: it is the same whichever process is asked."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Protocol

from periscope.metrics.reading import Reading
from periscope.metrics.sheet import Sheet
from periscope.models import SEVERITIES
from periscope.periscope import Periscope
from periscope.policy import Policy

_OUTCOMES = {
    "added": "added",
    "sightings": "sighting",
    "duplicates": "duplicate",
    "suppressed": "suppressed",
    "rejected": "rejected",
}
_HOLDINGS = {
    "claims": "periscope_claims",
    "promotable": "periscope_promotable_threats",
    "stubs": "periscope_stubs",
    "removed_ids": "periscope_removed_ids",
    "remembered": "periscope_remembered_requests",
    "departures_open": "periscope_departures_pending",
}


class FeedLike(Protocol):
    """What is told of a feed: `periscope.polling.FeedInfo` is one."""

    @property
    def name(self) -> str:
        """Its name."""

    @property
    def state(self) -> str:
        """One word."""

    @property
    def paused(self) -> bool:
        """Whether it is held back."""

    @property
    def lag_ms(self) -> int | None:
        """How old its newest record is."""

    @property
    def since_success_ms(self) -> int | None:
        """How long ago its last run succeeded."""

    @property
    def status(self) -> Any:
        """Runs, failures, and counts."""


def put_store(sheet: Sheet, periscope: Periscope, found: Reading | None) -> None:
    """All that the store says, of itself and of threats; without a reading, that it is away."""
    partitions = len(periscope.keyspace.partitions)
    sheet.put("periscope_store_up", found is not None)
    sheet.put("periscope_store_partitions", partitions)
    sheet.put("periscope_store_missing_partitions", partitions if found is None else found.missing)
    if found is None:
        return
    facts, asked = periscope.server, periscope.settings.durability
    sheet.put(
        *("periscope_store_info", 1.0),
        *(facts.kind, facts.version, facts.topology, facts.durability, str(asked)),
    )
    sheet.put("periscope_store_latency_seconds", found.latency_s)
    _put_policy(sheet, periscope.functions.rules.policy, partitions)
    _put_queue(sheet, found)
    _put_holdings(sheet, found.holdings)
    if found.is_whole:
        _put_counters(sheet, found)


def _put_policy(sheet: Sheet, policy: Policy, partitions: int) -> None:
    for severity in SEVERITIES:
        target_s = policy.targets[severity.rank].total_seconds()
        sheet.put("periscope_response_target_seconds", target_s, severity.value)
    for stream, limit_kb in (("events", policy.events_limit_kb), ("audit", policy.audit_limit_kb)):
        sheet.put("periscope_stream_limit_bytes", limit_kb * 1024 * partitions, stream)


def _put_queue(sheet: Sheet, found: Reading) -> None:
    stats, watch = found.stats, found.watch
    for status, counts in stats.counts.items():
        for severity, count in counts.items():
            sheet.put("periscope_working_threats", count, status, severity)
    for severity, count in stats.unseen.items():
        sheet.put("periscope_unseen_threats", count, severity)
        overdue = None if found.overdue is None else found.overdue[severity]
        sheet.put("periscope_overdue_threats", overdue, severity)
        oldest_s = watch.waiting_s(watch.unseen_since_ms[severity])
        sheet.put("periscope_unseen_oldest_seconds", oldest_s, severity)
    for level in (1, 2, 3):
        sheet.put("periscope_threats", getattr(stats.ledger, f"level_{level}"), str(level))
    sheet.put("periscope_suppressed_threats", found.suppressed)
    sheet.put("periscope_promotion_lag_seconds", watch.waiting_s(watch.latched_since_ms))


def _put_counters(sheet: Sheet, found: Reading) -> None:
    """What only rises; a part of it would seem to begin anew when the rest comes back."""
    ledger = found.stats.ledger
    sheet.put("periscope_reports_received_total", ledger.received)
    for name, outcome in _OUTCOMES.items():
        sheet.put("periscope_reports_total", getattr(ledger, name), outcome)
    sheet.put("periscope_departures_total", ledger.archived_seen, "expired_seen")
    sheet.put("periscope_departures_total", ledger.archived_unseen, "expired_unseen")
    sheet.put("periscope_departures_total", ledger.removed, "removed")
    sheet.put("periscope_ledger_balanced", ledger.balanced)
    sheet.put("periscope_forgotten_early_total", found.holdings["forgotten_early"])
    for action, count in found.watch.acts.items():
        sheet.put("periscope_acts_total", count, action)


def _put_holdings(sheet: Sheet, holdings: Mapping[str, int]) -> None:
    for name, metric in _HOLDINGS.items():
        sheet.put(metric, holdings[name])
    sheet.put("periscope_stream_bytes", holdings["event_bytes"], "events")
    sheet.put("periscope_stream_bytes", holdings["audit_bytes"], "audit")


def put_feeds(sheet: Sheet, feeds: Iterable[FeedLike]) -> None:
    """How each feed is doing."""
    for feed in feeds:
        name, status = feed.name, feed.status
        sheet.put("periscope_feed_up", feed.state not in ("failing", "broken"), name)
        sheet.put("periscope_feed_paused", feed.paused, name)
        sheet.put("periscope_feed_runs_total", status.runs, name)
        sheet.put("periscope_feed_consecutive_failures", status.failures, name)
        sheet.put("periscope_feed_lag_seconds", seconds(feed.lag_ms), name)
        sheet.put("periscope_feed_since_success_seconds", seconds(feed.since_success_ms), name)
        for field, outcome in (*_OUTCOMES.items(), ("skipped", "skipped")):
            count = getattr(status.counts, field)
            sheet.put("periscope_feed_records_total", count, name, outcome)
        letters = status.counts.dead_letters
        sheet.put("periscope_feed_records_total", letters, name, "dead_letter")


def seconds(milliseconds: int | None) -> float | None:
    """The same in seconds; None if it is none."""
    return None if milliseconds is None else milliseconds / 1000
