"""What the read index answers beside pages: what is like a threat, and counts of what fits."""

from __future__ import annotations

import msgspec

from periscope.shapes.threats import ThreatDocument


class SimilarDocument(msgspec.Struct, frozen=True):
    """A threat with what it shares: `type:value` of indicators, and whether the content is equal.

    `weight` orders them: what is rare counts for more.
    """

    threat: ThreatDocument
    indicators: list[str]
    same_content: bool
    weight: float


class SimilarList(msgspec.Struct, frozen=True):
    """Threats like one, the most alike first, and up to which event the index had come."""

    items: list[SimilarDocument]
    position: str | None
    indexed: str | None
    indexed_ms: int | None


class HistogramDocument(msgspec.Struct, frozen=True):
    """How many of the threats that fit were first seen in each part of a stretch of time.

    Parts are of `bucket_ms`, from `from_ms` on; the last one ends at `until_ms`, which is not part
    of it. `total` is their sum. Null: too many to count in time. Times are integer ms UTC.
    """

    from_ms: int
    until_ms: int
    bucket_ms: int
    counts: list[int] | None
    total: int | None
    position: str | None
    indexed_ms: int | None


class FacetsDocument(msgspec.Struct, frozen=True):
    """How many of the threats that fit have which value, the most frequent first.

    Null: too many to count in time. Levels are `1`, `2` and `3`. `mine` are those that the asker
    holds (null: nobody asked).
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
    position: str | None
    indexed: str | None
    indexed_ms: int | None
