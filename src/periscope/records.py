"""What programs build on that serve others: records as they are stored, and how far events are."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from periscope.cursor import rebound
from periscope.database import Database
from periscope.functions import RankQuery
from periscope.knowledge import normal_industry
from periscope.models import Severity
from periscope.queries import Queries
from periscope.reader import RECORDS
from periscope.threat import Record, RecordPage


class Records(Database):
    """The reads of `Periscope` once more, whose pages hold records; see `header.py` for these."""

    @property
    def reads(self) -> Queries:
        """Reads of the board, for rooms that choose and rank by themselves."""
        return self._queries

    def rebound(self, cursor: str, query: tuple[Any, ...], other: tuple[Any, ...]) -> str:
        """The cursor of one question as that of another one, at the same place.

        Raises:
            CursorInvalid: not a cursor of `query` and this database.
        """
        return rebound(cursor, self._secret, query=query, other=other)

    async def get_ranked_records(
        self, query: RankQuery, cursor: str | None = None, count: int = 100
    ) -> RecordPage:
        """A page of the live ranking of what fits `query`; see `get_active_paginated`."""
        return await self._queries.page_as(RECORDS, query, cursor, count)

    async def get_overdue_records(
        self, severity: Severity | str | None = None, cursor: str | None = None, count: int = 100
    ) -> RecordPage:
        """A page of what is overdue; see `get_overdue`."""
        return await self._knowledge.overdue_as(RECORDS, severity, cursor, count)

    async def get_level_records(
        self, level: int, industry: str | None = None, cursor: str | None = None, count: int = 100
    ) -> RecordPage:
        """A page of level 2 or 3; see `get_short_term` and `get_long_term`."""
        industry = normal_industry(industry)
        return await self._knowledge.level_as(RECORDS, level, industry, cursor, count)

    async def get_records(self, ids: Iterable[str]) -> tuple[int, list[Record]]:
        """The moment, and the records of the known ones among `ids`, in the order given."""
        return await self._queries.records(ids)
