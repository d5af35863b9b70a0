"""Pages of levels 2 and 3, of what fits: the level is walked in its own order, record by record.

They are small beside level 1, so no index leads through them; but the order is the store's, as of
the walk's first moment, and each record is judged as it is read.
"""

from __future__ import annotations

from dataclasses import dataclass

from periscope.header import read_threat
from periscope.index.calls import holders_of
from periscope.index.finding import Found
from periscope.index.where import Wanted
from periscope.knowledge import normal_industry
from periscope.models import Level
from periscope.periscope import Periscope
from periscope.reader import MAX_PAGE, check_count
from periscope.threat import Record

MOST_READ = 5_000  # records of one page; then it is short, and its cursor leads on
LEVELS = (Level.SHORT_TERM, Level.LONG_TERM)


@dataclass(frozen=True, slots=True)
class LevelWalk:
    """A walk over one level, of what fits; `industry` as the level's own list has it."""

    periscope: Periscope
    level: Level
    industry: str
    wanted: Wanted

    async def page(self, cursor: str | None, count: int) -> tuple[list[Found], str | None, int]:
        """The next ones that fit, the cursor for those after them, and of when they are.

        Raises:
            CursorInvalid: not a cursor of this walk. CursorStale: the policy changed meanwhile.
        """
        check_count(count, MAX_PAGE)
        inner, found, read = self._as_own(cursor), list[Found](), 0
        while True:
            page = await self.periscope.get_level_records(
                int(self.level), self.industry, inner, count - len(found)
            )
            found += await self._judged(page.items, page.as_of_ms)
            inner, read = page.next_cursor, read + len(page.items)
            if inner is None or len(found) >= count or read >= MOST_READ:
                return found, self._as_ours(inner), page.as_of_ms

    def _as_own(self, cursor: str | None) -> str | None:
        """The same place, as the level's own list knows it."""
        if cursor is None:
            return None
        return self.periscope.rebound(cursor, self._query("find-level"), self._query("level"))

    def _as_ours(self, cursor: str | None) -> str | None:
        if cursor is None:
            return None
        return self.periscope.rebound(cursor, self._query("level"), self._query("find-level"))

    def _query(self, kind: str) -> tuple[object, ...]:
        words = (kind, int(self.level), normal_industry(self.industry))
        return words if kind == "level" else (*words, self.wanted.digest)

    async def _judged(self, records: list[Record], as_of_ms: int) -> list[Found]:
        policy = self.periscope.functions.rules.policy
        found = [Found(read_threat(*one, as_of_ms, policy), one) for one in records]
        holders = dict[bytes, str]()
        if self.wanted.is_about_holders:
            ids = [one.threat_id for one in records]
            for keys, members in self.periscope.reads.by_partition(ids).items():
                held = await holders_of(self.periscope.functions, keys, members)
                holders |= {one: who for one, (who, _) in zip(members, held, strict=True)}
        return [
            one
            for one in found
            if one.threat.level is self.level
            and self.wanted.fits(one.threat, holders.get(one.record.threat_id, ""))
        ]
