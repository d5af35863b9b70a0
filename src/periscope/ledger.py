"""The conservation law of DESIGN 4, and the counts that it is checked with."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from periscope.connection import Capacity
from periscope.functions import PartitionStats
from periscope.models import SEVERITIES, STATUSES


@dataclass(frozen=True, slots=True)
class Ledger:
    """What came in against where it is now.

    `level_1` to `level_3` are counted from the sets, the rest are counters. `records` and `faults`
    are there after a deep recount only: faults are words of what is wrong, with how often.
    `archived` are the archive's own counts by reason, where an archive was given to it.
    """

    received: int
    added: int
    sightings: int
    duplicates: int
    suppressed: int
    rejected: int
    level_1: int
    level_2: int
    level_3: int
    archived_seen: int
    archived_unseen: int
    removed: int
    records: int | None = None
    faults: dict[str, int] = field(default_factory=dict)
    archived: dict[str, int] | None = None

    @property
    def departed(self) -> int:
        """Threats that left by age or removal."""
        return self.archived_seen + self.archived_unseen + self.removed

    @property
    def in_levels(self) -> int:
        """Threats that are in a level now."""
        return self.level_1 + self.level_2 + self.level_3

    @property
    def balanced(self) -> bool:
        """Do all equations hold? If not, something was lost or counted twice."""
        told = self.added + self.sightings + self.duplicates + self.suppressed + self.rejected
        return (
            self.received == told
            and self.added == self.in_levels + self.departed
            and self.records in (None, self.in_levels)
            and not self.faults
            and self.archived in (None, self._expected_archive)
        )

    @property
    def _expected_archive(self) -> dict[str, int]:
        counts = {
            "expired_seen": self.archived_seen,
            "expired_unseen": self.archived_unseen,
            "removed": self.removed,
        }
        return {reason: count for reason, count in counts.items() if count}


@dataclass(frozen=True, slots=True)
class Stats:
    """What the database holds at `as_of_ms`: level 1 by status and severity, and the ledger.

    `capacity` (is there room for more?) and `suppressed` (how many ids are set aside as noise, by
    cause, most first) are there in what `Periscope.get_stats` returns.
    """

    as_of_ms: int
    counts: dict[str, dict[str, int]]
    unseen: dict[str, int]
    ledger: Ledger
    capacity: Capacity | None = field(default=None, compare=False)
    suppressed: dict[str, int] = field(default_factory=dict)

    @property
    def queue(self) -> int:
        """Open threats: those that top, pages and walks go over."""
        return sum(self.counts["open"].values())


def add_up(parts: Sequence[PartitionStats]) -> Stats:
    """The partitions' counts as one."""
    counts = {
        status.value: {
            severity.value: sum(part.counts[row][severity.rank] for part in parts)
            for severity in SEVERITIES
        }
        for row, status in enumerate(STATUSES)
    }
    unseen = {
        severity.value: sum(part.unseen[0][severity.rank] for part in parts)
        for severity in SEVERITIES
    }
    totals: dict[str, Any] = {
        name: sum(part.ledger[name] for part in parts) for name in parts[0].ledger
    }
    ledger = Ledger(
        **totals,
        level_1=sum(sum(map(sum, part.counts)) for part in parts),
        level_2=sum(part.short_term for part in parts),
        level_3=sum(part.long_term for part in parts),
    )
    return Stats(parts[0].now_ms, counts, unseen, ledger)
