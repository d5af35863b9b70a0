"""What this process knows of itself, on the sheet; it is there whatever the store does."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Protocol

from prometheus_client import Histogram, ProcessCollector, metrics_core
from prometheus_client.gc_collector import GCCollector
from prometheus_client.registry import CollectorRegistry

from periscope.membership import MembershipStatus
from periscope.membership.status import FilterState
from periscope.metrics.sheet import Sheet
from periscope.metrics.table import NAMESPACE, TABLE
from periscope.room import Tally

REQUESTS = "periscope_request_duration_seconds"
BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
METHODS = frozenset(("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"))
MAX_ROUTES = 500
OTHER = "other"
IDLE = frozenset(("failing", "paused", "ended", "stopped"))


@dataclass(frozen=True, slots=True)
class IndexState:
    """How the read index of this process is doing; `lag_s` is None while it is being built."""

    is_up: bool
    lag_s: float | None
    threats: int
    size_bytes: int


class WorkerLike(Protocol):
    """What is told of a worker: `periscope.workers.WorkerStatus` is one."""

    @property
    def name(self) -> str:
        """Its name."""

    @property
    def state(self) -> str:
        """One word."""

    @property
    def runs(self) -> int:
        """Runs."""

    @property
    def failures(self) -> int:
        """Runs that failed."""

    @property
    def restarts(self) -> int:
        """How often its task was started again."""

    @property
    def last_run_ms(self) -> int | None:
        """When its last run began."""


class Requests:
    """How long requests took: as many series as there are routes, whatever clients ask for."""

    def __init__(self, namespace: str) -> None:
        self._namespace = namespace
        self._routes = set[str]()
        labels = (NAMESPACE, *TABLE[REQUESTS].labels)
        self._histogram = Histogram(
            REQUESTS, TABLE[REQUESTS].help, labels, unit="seconds", registry=None, buckets=BUCKETS
        )

    def observe(self, route: str, method: str, status: int, seconds: float) -> None:
        """Count one request: its route's path as it is declared, never as it was asked for."""
        if route not in self._routes:
            if len(self._routes) >= MAX_ROUTES:
                route = OTHER
            self._routes.add(route)
        verb = method if method in METHODS else "OTHER"
        kind = f"{status // 100}xx" if 100 <= status < 600 else OTHER
        self._histogram.labels(self._namespace, route, verb, kind).observe(seconds)

    def families(self) -> Iterable[metrics_core.Metric]:
        """The histogram, without when each of its series began."""
        for family in self._histogram.collect():
            family.samples = [one for one in family.samples if not one.name.endswith("_created")]
            yield family


def process_families() -> Iterable[metrics_core.Metric]:
    """CPU, memory, files and garbage collection of this process."""
    registry = CollectorRegistry(auto_describe=False)
    ProcessCollector(registry=registry)
    GCCollector(registry=registry)
    return registry.collect()


def put_workers(sheet: Sheet, workers: Iterable[WorkerLike]) -> None:
    """How each worker of this process is doing."""
    for worker in workers:
        sheet.put("periscope_worker_up", worker.state not in IDLE, worker.name)
        sheet.put("periscope_worker_runs_total", worker.runs, worker.name)
        sheet.put("periscope_worker_failures_total", worker.failures, worker.name)
        sheet.put("periscope_worker_restarts_total", worker.restarts, worker.name)
        if worker.last_run_ms is not None:
            began_s = worker.last_run_ms / 1000
            sheet.put("periscope_worker_last_run_timestamp_seconds", began_s, worker.name)


def put_travel(sheet: Sheet, tallies: Mapping[str, Tally]) -> None:
    """How single calls travelled together."""
    for kind, tally in tallies.items():
        sheet.put("periscope_coalesced_callers_total", tally.callers, kind)
        sheet.put("periscope_coalesced_calls_total", tally.calls, kind)


def put_filter(sheet: Sheet, status: MembershipStatus) -> None:
    """What the filter answered; nothing where it is off."""
    if status.state is FilterState.OFF:
        return
    sheet.put("periscope_filter_up", status.state is FilterState.FOLLOWING)
    sheet.put("periscope_filter_answers_total", status.local, "filter")
    sheet.put("periscope_filter_answers_total", status.asked, "store")
    sheet.put("periscope_filter_ids", status.ids)
    sheet.put("periscope_filter_size_bytes", status.size_bytes)
    sheet.put("periscope_filter_builds_total", status.built)
    sheet.put("periscope_filter_gaps_total", status.gaps)


def put_index(sheet: Sheet, state: IndexState) -> None:
    """How the read index is doing."""
    sheet.put("periscope_index_up", state.is_up)
    sheet.put("periscope_index_lag_seconds", state.lag_s)
    sheet.put("periscope_index_threats", state.threats)
    sheet.put("periscope_index_size_bytes", state.size_bytes)
