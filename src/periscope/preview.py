"""What a suppression rule would have hidden: looked up among all threats, before it is saved."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from datetime import datetime

from xxhash import xxh3_64_intdigest

from periscope.archive import Archive, Departure
from periscope.functions import RankQuery
from periscope.header import HEADER_BYTES, read_threat
from periscope.knowledge import Knowledge
from periscope.models import STATUSES, Severity, to_datetime
from periscope.noise import Condition, fulfils
from periscope.noise.fields import title_of
from periscope.noise.judge import as_fields
from periscope.policy import Policy
from periscope.queries import Queries
from periscope.threat import Page, Threat

EXAMPLES = 20
PAGE = 100
MOST_SOURCES = 1_000
OTHERS = "(others)"
Progress = Callable[[int], None]


@dataclass(frozen=True, slots=True)
class Example:
    """One of the threats that a rule would have hidden; `departed`: it is in the archive."""

    threat_id: str
    severity: Severity
    title: str
    source: str
    departed: bool


@dataclass(slots=True)
class Preview:
    """What a rule would have hidden between `since` and `as_of`.

    `matched` threats of those `looked_at`: each counts once, also one that left and came back.
    `sightings` are all that these have had. `escalated` and `true_positives` say how many of them
    were no noise to those who worked on them. `departed` of them are in the archive.
    """

    since_ms: int
    as_of_ms: int
    looked_at: int = 0
    matched: int = 0
    sightings: int = 0
    escalated: int = 0
    true_positives: int = 0
    departed: int = 0
    by_severity: dict[Severity, int] = field(default_factory=dict)
    by_source: dict[str, int] = field(default_factory=dict)
    examples: list[Example] = field(default_factory=list)

    @property
    def since(self) -> datetime:
        """From when on threats were looked at: those with a report or an act since."""
        return to_datetime(self.since_ms)

    @property
    def as_of(self) -> datetime:
        """Until when: the server's time at the start."""
        return to_datetime(self.as_of_ms)

    @property
    def is_alarming(self) -> bool:
        """Would it have hidden what analysts took for a threat?"""
        return bool(self.escalated or self.true_positives)


class Previewer:
    """Goes once over all threats and over what departed; memory is that of a page and some ids."""

    def __init__(
        self,
        conditions: tuple[Condition, ...],
        preview: Preview,
        policy: Policy,
        progress: Progress | None = None,
    ) -> None:
        self.preview = preview
        self._fulfils = fulfils(conditions)
        self._policy = policy
        self._progress = progress
        self._counted = set[int]()

    async def over_store(self, queries: Queries, knowledge: Knowledge) -> None:
        """All threats of all levels and statuses."""
        async for page in _pages(queries, knowledge):
            for threat in page.items:
                if threat.last_activity_ms >= self.preview.since_ms:
                    self._look_at(threat, departed=False)
            self._tell()

    async def over_archive(self, archive: Archive) -> None:
        """What departed in that time; what was erased since says nothing any more."""
        before: int | None = None
        while True:
            rows = await archive.history(since_ms=self.preview.since_ms, limit=PAGE, before=before)
            for _, row in rows:
                threat = self._threat_of(row)
                if threat is not None:
                    self._look_at(threat, departed=True)
            self._tell()
            if len(rows) < PAGE:
                return
            before = rows[-1][0]

    def _threat_of(self, row: Departure) -> Threat | None:
        if row.erased or len(row.record) <= HEADER_BYTES:
            return None
        return read_threat(row.threat_id.encode(), row.record, row.departed_at_ms, self._policy)

    def _look_at(self, threat: Threat, *, departed: bool) -> None:
        found = self.preview
        found.looked_at += 1
        if not self._fulfils(threat):
            return
        name = xxh3_64_intdigest(threat.threat_id.encode())
        if name in self._counted:
            return
        self._counted.add(name)
        found.matched += 1
        found.sightings += threat.sightings
        found.departed += departed
        found.escalated += threat.escalations > 0
        found.true_positives += _is_true(threat)
        found.by_severity[threat.severity] = found.by_severity.get(threat.severity, 0) + 1
        known = threat.source in found.by_source or len(found.by_source) < MOST_SOURCES
        source = threat.source if known else OTHERS
        found.by_source[source] = found.by_source.get(source, 0) + 1
        if len(found.examples) < EXAMPLES:
            found.examples.append(_example(threat, departed=departed))

    def _tell(self) -> None:
        if self._progress is not None:
            self._progress(self.preview.looked_at)


async def _pages(queries: Queries, knowledge: Knowledge) -> AsyncIterator[Page]:
    for status in range(len(STATUSES)):
        cursor: str | None = None
        while True:
            page = await queries.page(RankQuery(status=status), cursor, PAGE)
            yield page
            if (cursor := page.next_cursor) is None:
                break
    for level in (2, 3):
        cursor = None
        while True:
            page = await knowledge.level(level, "", cursor, PAGE)
            yield page
            if (cursor := page.next_cursor) is None:
                break


def _is_true(threat: Threat) -> bool:
    return threat.outcome is not None and threat.outcome.value.startswith("true_positive")


def _example(threat: Threat, *, departed: bool) -> Example:
    title = title_of(as_fields(threat)) or threat.threat_id
    return Example(threat.threat_id, threat.severity, title[:200], threat.source, departed)
