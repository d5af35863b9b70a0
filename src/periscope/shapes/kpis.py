"""Key figures of a stretch of time; docs/reference/kpis.md publishes the formulas."""

from __future__ import annotations

import msgspec


class SpreadDocument(msgspec.Struct, frozen=True):
    """How long it took, in seconds; null of nothing. A percentile is the value at its rank."""

    count: int
    mean_s: float | None
    p50_s: float | None
    p90_s: float | None
    p95_s: float | None


class SourceRateDocument(msgspec.Struct, frozen=True):
    """What became of one source's threats; `neither` are duplicates and inconclusive ones."""

    source: str
    decided: int
    true_positives: int
    neither: int
    true_positive_rate: float | None


class FlowBucket(msgspec.Struct, frozen=True):
    """What came and went: `inflow` is seen and reopened, `outflow` decided and departed."""

    start: str
    start_ms: int
    seen: int
    reopened: int
    decided: int
    departed: int
    inflow: int
    outflow: int


class KpisDocument(msgspec.Struct, frozen=True):
    """How fast and how well threats were dealt with, from `since` until `until` (not included).

    `times` are by name (detect, triage, acknowledge, decide), then by severity, with ALL for all.
    `change` is by how many the undecided became more. `truncated` says what there was too much of
    to be looked at whole; `unknown` counts threats of which nothing is left on record.
    """

    since: str
    since_ms: int
    until: str
    until_ms: int
    times: dict[str, dict[str, SpreadDocument]]
    sources: list[SourceRateDocument]
    bucket_seconds: int
    flow: list[FlowBucket]
    change: int
    truncated: list[str]
    unknown: int
