"""What the store says, on the sheet: it is the same whichever process is asked."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from math import isfinite
from typing import Any, Protocol

from periscope.connection import Capacity, Writable
from periscope.ledger import Ledger, Stats
from periscope.metrics.reading import Reading
from periscope.metrics.sheet import Sheet
from periscope.metrics.watch import Watch
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


def put_store(sheet: Sheet, periscope: Periscope, found: Reading) -> None:
    """All that the store says, of itself and of threats."""
    whole = not found.missing
    sheet.put("periscope_store_up", found.is_up)
    sheet.put("periscope_store_partitions", len(periscope.keyspace.partitions))
    if not found.is_up:
        return
    facts, asked = periscope.server, periscope.settings.durability
    sheet.put(
        *("periscope_store_info", 1.0),
        *(facts.kind, facts.version, facts.topology, facts.durability, str(asked)),
    )
    sheet.put("periscope_store_latency_seconds", found.latency_s)
    sheet.put("periscope_store_missing_partitions", len(found.missing))
    _put_policy(sheet, periscope.functions.rules.policy, len(periscope.keyspace.partitions))
    if found.stats is not None:
        _put_stats(sheet, found.stats, whole=whole)
    if found.watch is not None:
        _put_watch(sheet, found.watch, whole=whole)
    if found.holdings is not None:
        _put_holdings(sheet, found.holdings, whole=whole)
    for severity, count in (found.overdue or {}).items():
        sheet.put("periscope_overdue_threats", count, severity)


def _put_policy(sheet: Sheet, policy: Policy, partitions: int) -> None:
    for severity in SEVERITIES:
        target_s = policy.targets[severity.rank].total_seconds()
        sheet.put("periscope_response_target_seconds", target_s, severity.value)
    for stream, limit_kb in (("events", policy.events_limit_kb), ("audit", policy.audit_limit_kb)):
        sheet.put("periscope_stream_limit_bytes", limit_kb * 1024 * partitions, stream)


def _put_stats(sheet: Sheet, stats: Stats, *, whole: bool) -> None:
    for status, counts in stats.counts.items():
        for severity, count in counts.items():
            sheet.put("periscope_working_threats", count, status, severity)
    for severity, count in stats.unseen.items():
        sheet.put("periscope_unseen_threats", count, severity)
    for level in (1, 2, 3):
        sheet.put("periscope_threats", getattr(stats.ledger, f"level_{level}"), str(level))
    if stats.capacity is not None:
        sheet.put("periscope_suppressed_threats", sum(stats.suppressed.values()))
        _put_capacity(sheet, stats.capacity)
    if whole:
        _put_ledger(sheet, stats.ledger)


def _put_ledger(sheet: Sheet, ledger: Ledger) -> None:
    sheet.put("periscope_reports_received_total", ledger.received)
    for name, outcome in _OUTCOMES.items():
        sheet.put("periscope_reports_total", getattr(ledger, name), outcome)
    sheet.put("periscope_departures_total", ledger.archived_seen, "expired_seen")
    sheet.put("periscope_departures_total", ledger.archived_unseen, "expired_unseen")
    sheet.put("periscope_departures_total", ledger.removed, "removed")
    sheet.put("periscope_ledger_balanced", ledger.balanced)


def _put_capacity(sheet: Sheet, capacity: Capacity) -> None:
    sheet.put("periscope_store_writable", capacity.writable is Writable.YES)
    sheet.put("periscope_store_memory_used_bytes", capacity.used_memory_bytes)
    sheet.put("periscope_store_memory_limit_bytes", capacity.max_memory_bytes or None)


def _put_watch(sheet: Sheet, watch: Watch, *, whole: bool) -> None:
    for severity, since_ms in watch.unseen_since_ms.items():
        sheet.put("periscope_unseen_oldest_seconds", watch.waiting_s(since_ms), severity)
    sheet.put("periscope_promotion_lag_seconds", watch.waiting_s(watch.latched_since_ms))
    for action, count in watch.acts.items() if whole else ():
        sheet.put("periscope_acts_total", count, action)


def _put_holdings(sheet: Sheet, holdings: Mapping[str, int], *, whole: bool) -> None:
    for name, metric in _HOLDINGS.items():
        sheet.put(metric, holdings[name])
    sheet.put("periscope_stream_bytes", holdings["event_bytes"], "events")
    sheet.put("periscope_stream_bytes", holdings["audit_bytes"], "audit")
    if whole:
        sheet.put("periscope_forgotten_early_total", holdings["forgotten_early"])


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


def seconds(milliseconds: float | None) -> float | None:
    """The same in seconds; None if it is none, or not a number."""
    if milliseconds is None or not isfinite(milliseconds):
        return None
    return milliseconds / 1000
