"""The queue in a few figures, and how they were over the last day."""

from __future__ import annotations

from typing import Annotated

import msgspec


class BoardFigures(msgspec.Struct, frozen=True):
    """Open threats as of one moment, exact; by severity where it is an object.

    `oldest_unseen_ms` is when the oldest was first seen of those that nobody looked at; `overdue`
    are unseen and past their response target. `scores` are ten counts: from 0.0 to below 0.1, and
    so on; the last one is of 0.9 and above. `promotable` are latched for promotion.
    """

    as_of_ms: int
    oldest_unseen_ms: dict[str, int | None]
    unseen: dict[str, int]
    overdue: dict[str, int]
    scores: Annotated[list[int], msgspec.Meta(min_length=10, max_length=10)]
    promotable: int


class SampleDocument(msgspec.Struct, frozen=True):
    """The queue at one moment: open threats and the unseen among them by severity, the levels.

    `received` and `departed` count since the beginning of the database: what came in a minute is
    the difference of two samples.
    """

    at_ms: int
    open: dict[str, int]
    unseen: dict[str, int]
    level_1: int
    level_2: int
    level_3: int
    received: int
    departed: int


class TimelineDocument(msgspec.Struct, frozen=True):
    """Samples, `every_ms` apart, the oldest first; there is none where no service was running."""

    since_ms: int
    until_ms: int
    every_ms: int
    samples: list[SampleDocument]
