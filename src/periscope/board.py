"""The queue in a few exact figures: what waits how long, what is overdue, how the scores lie."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from periscope.bound import within
from periscope.errors import BugError
from periscope.functions import Functions
from periscope.keys import PartitionKeys
from periscope.metrics import count_overdue, read_watch
from periscope.models import SEVERITIES
from periscope.periscope import Periscope
from periscope.reader import at_one_moment, steady
from periscope.rules import Rules

RANGES = 10
"""Of the scores: each 0.1 wide, the lower end included; the last one has no upper end."""


class BoardPart(NamedTuple):
    """What one partition says; the unseen in the order of the severities' ranks."""

    now_ms: int
    scores: list[int]
    unseen: list[int]
    latched: int


@dataclass(frozen=True, slots=True)
class Board:
    """The open threats as of one moment, by severity where it is a mapping.

    `oldest_unseen_ms` is when the oldest was first seen that nobody looked at (None: there is
    none). `scores` counts by range. `promotable` is how many are latched for promotion.
    """

    as_of_ms: int
    oldest_unseen_ms: dict[str, int | None]
    unseen: dict[str, int]
    overdue: dict[str, int]
    scores: list[int]
    promotable: int


async def read_board(periscope: Periscope) -> Board:
    """Read it of all partitions, scored as of one moment; counts are of sets, not of threats.

    What was reported again and is past its target is looked at one by one, in bounded steps.

    Raises:
        PartitionsMissing: some are away.
        StoreUnavailable: all that took longer than `operation_timeout_s`.
    """
    return await within(periscope.settings.operation_timeout_s, _read(periscope))


async def _read(periscope: Periscope) -> Board:
    functions, partitions = periscope.functions, periscope.keyspace.partitions

    async def read(rules: Rules) -> list[BoardPart]:
        return await at_one_moment(
            partitions, None, lambda keys, at: _part(functions, keys, rules, at)
        )

    parts = await steady(functions, read)
    as_of_ms = parts[0].now_ms
    watch, overdue = await asyncio.gather(read_watch(periscope), count_overdue(periscope, as_of_ms))
    unseen = _added([part.unseen for part in parts])
    return Board(
        as_of_ms,
        {one.value: watch.unseen_since_ms[one.value] for one in SEVERITIES},
        {one.value: unseen[one.rank] for one in SEVERITIES},
        overdue,
        _added([part.scores for part in parts]),
        sum(part.latched for part in parts),
    )


async def _part(
    functions: Functions, keys: PartitionKeys, rules: Rules, as_of_ms: int | None
) -> BoardPart:
    moment = functions.moment if as_of_ms is None else as_of_ms
    names = [keys.meta, keys.board, keys.promotable]
    part = BoardPart(*await functions.call("periscope_board", names, (rules.packed, moment)))
    if (len(part.scores), len(part.unseen)) != (RANGES, len(SEVERITIES)):
        raise BugError(f"periscope_board answered {part!r:.100}")
    return part


def _added(lists: Sequence[Sequence[int]]) -> list[int]:
    return [sum(column) for column in zip(*lists, strict=True)]
