"""The formulas, on lives and deeds; docs/reference/kpis.md says them in words."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from math import ceil

from periscope.kpis.lives import INTERACTIONS, NOTICES, Life
from periscope.models import SEVERITIES

HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS
LONGEST_BY_HOUR_MS = 7 * DAY_MS
ALL = "ALL"
TIMES = ("detect", "triage", "acknowledge", "decide")
TRUE = frozenset(("true_positive_impact", "true_positive_no_impact"))
NEITHER = frozenset(("duplicate", "inconclusive"))
DECIDE = frozenset(("decide",))


@dataclass(frozen=True, slots=True)
class Spread:
    """How long it took, in seconds; None of nothing. A percentile is the value at its rank."""

    count: int = 0
    mean_s: float | None = None
    p50_s: float | None = None
    p90_s: float | None = None
    p95_s: float | None = None


@dataclass(frozen=True, slots=True)
class SourceRate:
    """What became of one source's threats; `rate` is None where there is nothing to divide by."""

    source: str
    decided: int
    true_positives: int
    neither: int

    @property
    def rate(self) -> float | None:
        """True positives over all decided but duplicates and inconclusive ones."""
        counted = self.decided - self.neither
        return self.true_positives / counted if counted else None


@dataclass(slots=True)
class Bucket:
    """What came and went between two moments."""

    start_ms: int
    seen: int = 0
    reopened: int = 0
    decided: int = 0
    departed: int = 0

    @property
    def inflow(self) -> int:
        """Threats that began to wait for a decision."""
        return self.seen + self.reopened

    @property
    def outflow(self) -> int:
        """Threats that no longer wait for one: decided, or departed without one."""
        return self.decided + self.departed


@dataclass(frozen=True, slots=True)
class Kpis:
    """The key figures of a stretch of time, until `until_ms` (not included).

    `times` are by name (TIMES), then by severity, with ALL for all of them. `truncated` says what
    there was too much of to be looked at whole: `acts`, `threats` or `departures`; `unknown` how
    many threats were acted on of which nothing is left on record.
    """

    since_ms: int
    until_ms: int
    times: dict[str, dict[str, Spread]]
    sources: list[SourceRate]
    bucket_ms: int
    flow: list[Bucket]
    truncated: tuple[str, ...] = ()
    unknown: int = 0

    @property
    def change(self) -> int:
        """By how many threats the undecided ones became more."""
        return sum(one.inflow - one.outflow for one in self.flow)


def figures(
    lives: Iterable[Life],
    since_ms: int,
    until_ms: int,
    truncated: tuple[str, ...] = (),
    unknown: int = 0,
) -> Kpis:
    """All key figures of what happened from `since_ms` until before `until_ms`."""
    work = _Work(since_ms, until_ms)
    for life in lives:
        work.take(life)
    times = {
        name: {one: spread(work.times[name, one]) for one in (ALL, *_severities())}
        for name in TIMES
    }
    return Kpis(
        *(since_ms, until_ms, times, work.rates(), work.bucket_ms, work.flow),
        *(truncated, unknown),
    )


def spread(milliseconds: Sequence[int]) -> Spread:
    """Mean and percentiles: the p-th is the value at rank ceil(p/100 * count), from the least."""
    ranked = sorted(milliseconds)
    if not ranked:
        return Spread()
    p50, p90, p95 = (ranked[ceil(p * len(ranked) / 100) - 1] / 1000 for p in (50, 90, 95))
    return Spread(len(ranked), sum(ranked) / len(ranked) / 1000, p50, p90, p95)


def _severities() -> Iterator[str]:
    return (one.value for one in reversed(SEVERITIES))


@dataclass(slots=True)
class _Work:
    """The figures while lives are being looked at, one after the other."""

    since_ms: int
    until_ms: int
    bucket_ms: int = field(init=False)
    flow: list[Bucket] = field(init=False)
    times: defaultdict[tuple[str, str], list[int]] = field(
        default_factory=lambda: defaultdict(list)
    )
    outcomes: defaultdict[str, Counter[str]] = field(
        default_factory=lambda: defaultdict(Counter[str])
    )

    def __post_init__(self) -> None:
        length_ms = self.until_ms - self.since_ms
        self.bucket_ms = HOUR_MS if length_ms <= LONGEST_BY_HOUR_MS else DAY_MS
        first = self.since_ms - self.since_ms % self.bucket_ms
        self.flow = [Bucket(at) for at in range(first, self.until_ms, self.bucket_ms)]

    def take(self, life: Life) -> None:
        """Look at one life."""
        seen_ms = life.first_seen_ms
        if self._is_within(seen_ms):
            self._at(seen_ms).seen += 1
            if life.observed_at_ms is not None:
                self._note("detect", life, seen_ms - life.observed_at_ms)
        for name, actions in (
            ("triage", INTERACTIONS),
            ("acknowledge", NOTICES),
            ("decide", DECIDE),
        ):
            first_ms = life.first(actions)
            if first_ms is not None and self._is_within(first_ms):
                self._note(name, life, first_ms - seen_ms)
        self._follow(life)

    def rates(self) -> list[SourceRate]:
        """Each source, those with the most decided first."""
        rates = [
            SourceRate(
                source,
                counts.total(),
                sum(counts[one] for one in TRUE),
                sum(counts[one] for one in NEITHER),
            )
            for source, counts in self.outcomes.items()
        ]
        return sorted(rates, key=lambda one: (-one.decided, one.source))

    def _follow(self, life: Life) -> None:
        """When it began and ceased to wait for a decision; and which decision stands."""
        standing = None
        for deed in life.deeds:
            if deed.action == "decide":
                if standing is None and self._is_within(deed.at_ms):
                    self._at(deed.at_ms).decided += 1
                standing = deed
            elif deed.action == "reopen":
                if standing is not None and self._is_within(deed.at_ms):
                    self._at(deed.at_ms).reopened += 1
                standing = None
        left_ms = life.left_ms
        if standing is None and left_ms is not None and self._is_within(left_ms):
            self._at(left_ms).departed += 1
        if standing is not None and self._is_within(standing.at_ms):
            self.outcomes[life.source][standing.outcome or life.outcome or "inconclusive"] += 1

    def _note(self, name: str, life: Life, took_ms: int) -> None:
        for one in (ALL, life.severity):
            self.times[name, one].append(max(0, took_ms))

    def _is_within(self, at_ms: int) -> bool:
        return self.since_ms <= at_ms < self.until_ms

    def _at(self, at_ms: int) -> Bucket:
        return self.flow[(at_ms - self.flow[0].start_ms) // self.bucket_ms]
