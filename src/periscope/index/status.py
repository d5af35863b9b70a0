"""What the index says of itself, and the answers that it gives."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Generic, TypeVar

from periscope.threat import Threat

T = TypeVar("T")


class IndexState(StrEnum):
    """Whether the index can answer, and how well."""

    BUILDING = "building"
    READY = "ready"
    BEHIND = "behind"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class IndexStatus:
    """The index: what it does, holds, and up to where it is exact.

    All that happened up to `position` is in it, and nothing is lost of what came later: that is
    `lag_events` threats behind, or a whole walk over the database where `lag_events` is None.
    """

    state: IndexState
    position: str | None
    as_of_ms: int | None
    threats: int
    lag_events: int | None
    bytes: int
    built_s: float | None
    reason: str | None = None
    lag_ms: int | None = None

    @property
    def is_up(self) -> bool:
        """Does it answer?"""
        return self.state in (IndexState.READY, IndexState.BEHIND)


@dataclass(frozen=True, slots=True)
class FilteredPage(Generic[T]):
    """A stretch of the ranking at `as_of_ms`, of threats that fit.

    It may hold fewer than asked for, even none, and still have a `next_cursor`; None ends the walk.
    `total` is how many fit, None where counting would have taken too long. All that happened up to
    `position` was considered, `indexed_ms` is the time of the newest of it.
    """

    items: list[T]
    next_cursor: str | None
    as_of_ms: int
    total: int | None
    position: str | None
    indexed_ms: int | None


@dataclass(frozen=True, slots=True)
class SimilarThreat:
    """A threat with what it shares: `type:value` of indicators, and whether the content is equal.

    `weight` orders them: what is rare counts for more.
    """

    threat: Threat
    indicators: tuple[str, ...]
    same_content: bool
    weight: float


@dataclass(frozen=True, slots=True)
class Similar:
    """Threats like one, the most alike first."""

    items: list[SimilarThreat]
    position: str | None
    indexed_ms: int | None


@dataclass(frozen=True, slots=True)
class Facets:
    """How many of the threats that fit have which value; the most frequent first.

    Values beyond the first ones of a facet are left out. None means: too many to count in time.
    """

    total: int | None
    severity: dict[str, int] | None
    status: dict[str, int] | None
    level: dict[str, int] | None
    source: dict[str, int] | None
    tlp: dict[str, int] | None
    tag: dict[str, int] | None
    mine: int | None
    overdue: int | None
    position: str | None = None
    indexed_ms: int | None = None


@dataclass(frozen=True, slots=True)
class Histogram:
    """How many of the threats that fit were first seen in each part of a stretch of time.

    Parts are of `bucket_ms`, from `from_ms` on; the last ends at `until_ms`, which is not part of
    it. `total` is their sum. None means: too many to count in time.
    """

    from_ms: int
    until_ms: int
    bucket_ms: int
    counts: list[int] | None
    total: int | None
    position: str | None = None
    indexed_ms: int | None = None


@dataclass(slots=True)
class Applied:
    """Up to where the index is exact."""

    position: str | None = None
    as_of_ms: int | None = None
    threats: int = 0
    bytes: int = 0
    built_s: float | None = None
    extra: dict[str, float] = field(default_factory=dict)
