"""Every metric there is. The docs print this table, and a test compares it with what is told.

A name that ends in `_total` is a counter: it only rises, or begins anew. Counters of the store are
exact across processes; those of a process begin with it. What cannot be known is left out: it is
never told as 0.
"""

from __future__ import annotations

from typing import NamedTuple

COUNTER, GAUGE, HISTOGRAM, INFO = "counter", "gauge", "histogram", "info"
NAMESPACE = "namespace"


class Metric(NamedTuple):
    """One metric: `labels` are those that it has beside the namespace; `unit` is of its value."""

    name: str
    kind: str
    unit: str
    labels: tuple[str, ...]
    help: str

    @property
    def is_ours(self) -> bool:
        """Is it of one namespace? The others are of the process, by names that all programs use."""
        return self.name.startswith("periscope_")


_INGEST = (
    Metric("periscope_reports_received_total", COUNTER, "reports", (), "Reports that came in."),
    Metric(
        "periscope_reports_total",
        COUNTER,
        "reports",
        ("outcome",),
        "What became of them: added, sighting, duplicate, suppressed or rejected. "
        "They add up to those received.",
    ),
    Metric(
        "periscope_departures_total",
        COUNTER,
        "threats",
        ("reason",),
        "Threats that left: expired_seen, expired_unseen or removed.",
    ),
    Metric(
        "periscope_ledger_balanced",
        GAUGE,
        "0 or 1",
        (),
        "1 if nothing was lost or counted twice: see `periscope ledger`.",
    ),
)

_QUEUE = (
    Metric("periscope_threats", GAUGE, "threats", ("level",), "Threats in level 1, 2 and 3."),
    Metric(
        "periscope_working_threats",
        GAUGE,
        "threats",
        ("status", "severity"),
        "Threats of level 1. Those that are open are the queue.",
    ),
    Metric(
        "periscope_unseen_threats",
        GAUGE,
        "threats",
        ("severity",),
        "Open threats without any interaction.",
    ),
    Metric(
        "periscope_unseen_oldest_seconds",
        GAUGE,
        "seconds",
        ("severity",),
        "How long ago the oldest of them was first seen, 0 for none; recalled ones are left out, "
        "which were answered before.",
    ),
    Metric(
        "periscope_response_target_seconds",
        GAUGE,
        "seconds",
        ("severity",),
        "Within which a threat should have its first interaction: the policy in force.",
    ),
    Metric(
        "periscope_overdue_threats",
        GAUGE,
        "threats",
        ("severity",),
        "Open, unseen threats that are past their response target; left out while partitions are "
        "missing, or where counting takes more than 2 s.",
    ),
    Metric(
        "periscope_suppressed_threats",
        GAUGE,
        "ids",
        (),
        "Ids that are set aside as noise.",
    ),
)

_ANALYSTS = (
    Metric(
        "periscope_acts_total",
        COUNTER,
        "acts",
        ("action",),
        "What analysts did, by action (view, escalate, decide, undo ...), since version 0.6. "
        "What was taken back stays counted, and its undo is counted too.",
    ),
    Metric("periscope_claims", GAUGE, "threats", (), "Threats that somebody holds."),
    Metric(
        "periscope_promotable_threats",
        GAUGE,
        "threats",
        (),
        "Threats that wait for their promotion, held ones too.",
    ),
    Metric(
        "periscope_promotion_lag_seconds",
        GAUGE,
        "seconds",
        (),
        "How long the first of those that nobody holds has waited, 0 for none: since its last "
        "activity. More than a few minutes means that no worker promotes.",
    ),
)

_FEEDS = (
    Metric(
        "periscope_feed_up",
        GAUGE,
        "0 or 1",
        ("feed",),
        "1 unless the feed's last run failed, or its definition cannot be used.",
    ),
    Metric("periscope_feed_paused", GAUGE, "0 or 1", ("feed",), "1 while it is held back."),
    Metric("periscope_feed_runs_total", COUNTER, "runs", ("feed",), "Runs."),
    Metric(
        "periscope_feed_consecutive_failures",
        GAUGE,
        "runs",
        ("feed",),
        "Runs that failed since the last one that did not.",
    ),
    Metric(
        "periscope_feed_lag_seconds",
        GAUGE,
        "seconds",
        ("feed",),
        "How old its newest record is; left out if none says when it was observed.",
    ),
    Metric(
        "periscope_feed_since_success_seconds",
        GAUGE,
        "seconds",
        ("feed",),
        "How long ago its last run succeeded; left out if none did.",
    ),
    Metric(
        "periscope_feed_records_total",
        COUNTER,
        "records",
        ("feed", "outcome"),
        "What became of its records: added, sighting, duplicate, suppressed, rejected, skipped; "
        "dead_letter counts those of the rejected that were kept.",
    ),
    Metric(
        "periscope_dead_letter_bytes",
        GAUGE,
        "bytes",
        ("feed",),
        "Dead letters that wait on this machine, of 64 MiB at most.",
    ),
)

_STORE = (
    Metric(
        "periscope_store_up",
        GAUGE,
        "0 or 1",
        (),
        "1 if the store answered just now. While it is 0, nothing that it would say is told.",
    ),
    Metric(
        "periscope_store_info",
        INFO,
        "1",
        ("kind", "version", "topology", "durability", "asked_durability"),
        "What the store is; `durability` is what holds, `asked_durability` the setting.",
    ),
    Metric(
        "periscope_store_latency_seconds",
        GAUGE,
        "seconds",
        (),
        "One round trip to the store, of the slowest partition.",
    ),
    Metric("periscope_store_partitions", GAUGE, "partitions", (), "Partitions there are."),
    Metric(
        "periscope_store_missing_partitions",
        GAUGE,
        "partitions",
        (),
        "Partitions that could not be reached. While there are any, gauges tell what the others "
        "know, and counters of the store are left out, as they would seem to begin anew.",
    ),
    Metric(
        "periscope_store_writable",
        GAUGE,
        "0 or 1",
        (),
        "0 while the store, or our own watch over the disk, refuses what is new.",
    ),
    Metric("periscope_store_memory_used_bytes", GAUGE, "bytes", (), "Memory of all primaries."),
    Metric(
        "periscope_store_memory_limit_bytes",
        GAUGE,
        "bytes",
        (),
        "What they may use; left out if one of them has no limit.",
    ),
    Metric(
        "periscope_store_disk_free_bytes",
        GAUGE,
        "bytes",
        (),
        "Free on the embedded server's disk; left out with a server of one's own.",
    ),
    Metric(
        "periscope_store_time_to_full_seconds",
        GAUGE,
        "seconds",
        ("resource",),
        "Until the memory, or the disk, is full at the rate of the last hour; +Inf if it does not "
        "grow. Left out in the first minute, and for what has no known limit.",
    ),
    Metric(
        "periscope_stream_bytes",
        GAUGE,
        "bytes",
        ("stream",),
        "The streams of all partitions: events, and the audit trail that is not archived yet.",
    ),
    Metric(
        "periscope_stream_limit_bytes",
        GAUGE,
        "bytes",
        ("stream",),
        "What they may take together: events go oldest first, acts are refused when the audit "
        "trail of their partition is at its limit.",
    ),
    Metric("periscope_stubs", GAUGE, "ids", (), "Departed threats that are remembered."),
    Metric("periscope_removed_ids", GAUGE, "ids", (), "Removed ids that stay out."),
    Metric(
        "periscope_remembered_requests", GAUGE, "ids", (), "Ids of acts, so that each counts once."
    ),
    Metric(
        "periscope_forgotten_early_total",
        COUNTER,
        "ids",
        (),
        "Of those, how many were forgotten before their time, for want of room.",
    ),
    Metric(
        "periscope_departures_pending",
        GAUGE,
        "batches",
        (),
        "Departures that the archive has yet to confirm.",
    ),
)

_WORKERS = (
    Metric(
        "periscope_worker_up",
        GAUGE,
        "0 or 1",
        ("worker",),
        "1 while a worker of this process does its job; 0 if it fails, is paused or has ended.",
    ),
    Metric("periscope_worker_runs_total", COUNTER, "runs", ("worker",), "Runs."),
    Metric("periscope_worker_failures_total", COUNTER, "runs", ("worker",), "Runs that failed."),
    Metric(
        "periscope_worker_restarts_total",
        COUNTER,
        "times",
        ("worker",),
        "How often its task had to be started again.",
    ),
    Metric(
        "periscope_worker_last_run_timestamp_seconds",
        GAUGE,
        "seconds",
        ("worker",),
        "When its last run began, since 1970; left out if none did.",
    ),
)

_SERVICE = (
    Metric(
        "periscope_request_duration_seconds",
        HISTOGRAM,
        "seconds",
        ("route", "method", "status"),
        "From a request's head to the end of its answer, by route and class of status (2xx ...).",
    ),
    Metric("periscope_requests_in_flight", GAUGE, "requests", (), "Requests under way."),
    Metric("periscope_streams_open", GAUGE, "streams", (), "Event streams that are open."),
    Metric(
        "periscope_coalesced_callers_total",
        COUNTER,
        "callers",
        ("kind",),
        "Single calls of this process: changes, and reads by id. Divided by the next one: how many "
        "travelled together.",
    ),
    Metric(
        "periscope_coalesced_calls_total",
        COUNTER,
        "calls",
        ("kind",),
        "Calls to the store in which they travelled.",
    ),
    Metric(
        "periscope_filter_answers_total",
        COUNTER,
        "questions",
        ("by",),
        "Whether an id is known: answered by the filter of this process, or by the store.",
    ),
    Metric(
        "periscope_filter_up", GAUGE, "0 or 1", (), "1 while the filter is up to date everywhere."
    ),
    Metric("periscope_filter_ids", GAUGE, "ids", (), "Ids that the filter holds, about."),
    Metric("periscope_filter_size_bytes", GAUGE, "bytes", (), "Memory of the filter."),
    Metric("periscope_filter_builds_total", COUNTER, "times", (), "How often it was built anew."),
    Metric("periscope_filter_gaps_total", COUNTER, "times", (), "How often it lost the thread."),
    Metric("periscope_index_up", GAUGE, "0 or 1", (), "1 while the read index answers."),
    Metric(
        "periscope_index_lag_seconds",
        GAUGE,
        "seconds",
        (),
        "How far the read index is behind; left out while it is being built.",
    ),
    Metric("periscope_index_threats", GAUGE, "threats", (), "Threats in the read index."),
    Metric("periscope_index_size_bytes", GAUGE, "bytes", (), "Size of the read index."),
    Metric("periscope_build_info", INFO, "1", ("version",), "The version of this program."),
)

# What the client library tells of every Python program, by its names.
_PROCESS = (
    Metric("process_cpu_seconds_total", COUNTER, "seconds", (), "CPU time of this process."),
    Metric("process_resident_memory_bytes", GAUGE, "bytes", (), "Resident memory."),
    Metric("process_virtual_memory_bytes", GAUGE, "bytes", (), "Virtual memory."),
    Metric("process_start_time_seconds", GAUGE, "seconds", (), "When it began, since 1970."),
    Metric("process_open_fds", GAUGE, "files", (), "Open file descriptors."),
    Metric("process_max_fds", GAUGE, "files", (), "How many it may open."),
    Metric(
        "python_gc_objects_collected_total",
        COUNTER,
        "objects",
        ("generation",),
        "Garbage collected.",
    ),
    Metric(
        "python_gc_objects_uncollectable_total",
        COUNTER,
        "objects",
        ("generation",),
        "Garbage that could not be collected.",
    ),
    Metric("python_gc_collections_total", COUNTER, "times", ("generation",), "Collections."),
)

GROUPS: dict[str, tuple[Metric, ...]] = {
    "Ingest": _INGEST,
    "Queue": _QUEUE,
    "Analysts": _ANALYSTS,
    "Feeds": _FEEDS,
    "Store": _STORE,
    "Workers": _WORKERS,
    "Service": _SERVICE,
    "Process": _PROCESS,
}
TABLE: dict[str, Metric] = {one.name: one for group in GROUPS.values() for one in group}
