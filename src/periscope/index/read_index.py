"""The read index: answers what the board does not index, and says up to where it is exact.

It lies in a file of this process's own, is filled from the records and kept up by the events, and
is thrown away at the end. Whatever goes wrong with it, it is built anew by itself, and nothing but
its own answers waits for that.
"""

from __future__ import annotations

import asyncio
import logging
import sqlite3
import time
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any, Literal, overload

from msgspec import structs

from periscope.errors import IndexUnavailable, PartitionsMissing, PeriscopeError, UsageError
from periscope.functions import RankQuery
from periscope.index.alike import MOST_SIMILAR, alike, that_fit
from periscope.index.asked import Asked
from periscope.index.buckets import Buckets
from periscope.index.feeder import Follow
from periscope.index.finding import Found, Stretched
from periscope.index.levels import LevelWalk
from periscope.index.life import ANSWER_S, Life, first_of, words_of
from periscope.index.position import has_reached
from periscope.index.selecting import ANYTHING
from periscope.index.status import (
    Applied,
    Facets,
    FilteredPage,
    Histogram,
    IndexState,
    IndexStatus,
    Similar,
)
from periscope.index.where import EVERYTHING, Wanted, Where
from periscope.knowledge import normal_industry
from periscope.models import Level
from periscope.periscope import Periscope
from periscope.reader import check_count, encoded
from periscope.threat import Record, Threat

MOST_MATCHED = 10_000  # ids of one question
WAIT_S = 2.0
BEHIND_MS = 2_000
FIRST_PAUSE_S, LONGEST_PAUSE_S = 1.0, 60.0
Part = tuple[RankQuery | None, int | None]  # of level 1, or the level
log = logging.getLogger("periscope")


class ReadIndex:
    """One database's read index. `start` it, and `close` it before the database."""

    def __init__(
        self,
        periscope: Periscope,
        path: Path | None = None,
        *,
        follow: Follow | None = None,
    ) -> None:
        """Describe an index of this database.

        `path` is the folder for its file, by default the data directory if there is one, else the
        folder for temporary files. `follow` gives the events after a position (default: the
        database's own stream); it may be another follower's, as long as it leaves none out.
        """
        self._periscope, self._follow = periscope, follow
        self._home = path if path is not None else periscope.settings.data_path
        self._task: asyncio.Task[None] | None = None
        self._life: Life | None = None
        self._failure: str | None = None
        self._applied = Applied()

    async def start(self) -> None:
        """Begin to build it, in the background; returns at once."""
        if self._task is None:
            self._task = asyncio.create_task(self._live(), name="read-index")

    async def close(self) -> None:
        """Stop, and take the file away. Idempotent."""
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task

    @property
    def status(self) -> IndexStatus:
        """What it does, holds, and up to where it is exact."""
        applied, life = self._applied, self._life
        return IndexStatus(
            self._state(),
            applied.position,
            applied.as_of_ms,
            applied.threats,
            life.feeder.lag if life else None,
            life.place.bytes if life else 0,
            applied.built_s,
            self._failure,
            life.feeder.lag_ms if life else None,
        )

    async def reached(self, position: str, within_s: float = WAIT_S) -> bool:
        """Wait, at most so long, until all up to this event position is in; whether it is.

        Raises:
            UsageError: this is not a position.
        """
        with suppress(TimeoutError):
            async with asyncio.timeout(within_s):
                while not has_reached(self._applied.position, position):
                    life = self._life
                    if life is None:
                        await asyncio.sleep(0.05)
                    else:
                        await life.feeder.moved.wait()
                return True
        return has_reached(self._applied.position, position)

    @overload
    async def page(
        self,
        query: RankQuery = ...,
        where: Where = ...,
        cursor: str | None = ...,
        count: int = ...,
        *,
        as_records: Literal[False] = ...,
    ) -> FilteredPage[Threat]: ...

    @overload
    async def page(
        self,
        query: RankQuery = ...,
        where: Where = ...,
        cursor: str | None = ...,
        count: int = ...,
        *,
        as_records: Literal[True],
    ) -> FilteredPage[Record]: ...

    async def page(
        self,
        query: RankQuery = RankQuery(),  # noqa: B008 - frozen
        where: Where = EVERYTHING,
        cursor: str | None = None,
        count: int = 100,
        *,
        as_records: bool = False,
    ) -> FilteredPage[Threat] | FilteredPage[Record]:
        """The next threats of the ranking that fit, as of the walk's first page.

        A threat that was in the index when the walk began, and does not change until it ends, is
        returned exactly once. A page may be short, or empty, and lead on: after many that do not
        fit, or when some changed at this moment. The plan of a walk is that of its first page.

        Raises:
            UsageError: the conditions cannot be asked for; CursorInvalid: not a cursor of them.
            CursorStale: the policy changed meanwhile; start again.
            IndexUnavailable: it is being built, or failed.
            PartitionsMissing: some are away; `partial` is a page of the others', without cursor.
        """
        asked = Asked(self._periscope, self._ready(), Wanted(where), query)
        applied = self._applied.position, self._applied.as_of_ms

        def made(done: Stretched, token: str | None) -> FilteredPage[Threat] | FilteredPage[Record]:
            if as_records:
                records = [one.record for one in done.items]
                return FilteredPage(records, token, done.as_of_ms, done.total, *applied)
            threats = [one.threat for one in done.items]
            return FilteredPage(threats, token, done.as_of_ms, done.total, *applied)

        try:
            return made(*await asked.page(cursor, count))
        except PartitionsMissing as exc:
            partial = made(exc.partial, None) if exc.partial else None
            raise exc.having(partial) from exc.__cause__

    async def level_page(
        self,
        level: Level,
        where: Where = EVERYTHING,
        cursor: str | None = None,
        count: int = 100,
        *,
        industry: str | None = None,
    ) -> FilteredPage[Found]:
        """The next threats of level 2 or 3 that fit, as of the walk's first page; see `page`.

        It reads the level's records one after the other, so it is exact for all that was
        acknowledged, also while there is no index; `total` is the index's. Each item has its
        record as well.

        Raises:
            UsageError: as `page`, and for level 1.
        """
        wanted = Wanted(where)
        if level not in (Level.SHORT_TERM, Level.LONG_TERM):
            raise UsageError("level must be 2 or 3; the pages of level 1 are those of the ranking")
        walk = LevelWalk(self._periscope, Level(level), normal_industry(industry), wanted)
        found, token, as_of_ms = await walk.page(cursor, count)
        life, total = self._life, None
        if life is not None and self._applied.built_s is not None and not industry:
            total = await Asked(self._periscope, life, wanted, level=int(level)).number()
        return FilteredPage(found, token, as_of_ms, total, None, None)

    async def similar(self, threat_id: str, count: int = 20, where: Where = EVERYTHING) -> Similar:
        """Threats that share an indicator or the content, in any level, the most alike first.

        What few share counts for more. Nothing is on the list that does not share something by the
        records as they are now. An unknown threat has none.

        Raises:
            UsageError, IndexUnavailable: as `page`.
        """
        check_count(count, MOST_SIMILAR)
        life, wanted = self._ready(), Wanted(where)
        applied = self._applied.position, self._applied.as_of_ms
        key_bytes = encoded(threat_id)
        fit = Asked(self._periscope, life, wanted).each()
        candidates = await life.ask(lambda asker: asker.alike(key_bytes, fit, ANSWER_S))
        items = await alike(self._periscope, threat_id, candidates, count, wanted)
        return Similar(items, *applied)

    async def matching(
        self, ids: Iterable[str], where: Where, position: str | None = None
    ) -> set[str]:
        """Which of these threats (10,000 at most) fit, in any level, as they are now.

        What the index does not know yet, or knows to have changed, is read from the store; and all
        of them where it has not heard of the events up to `position` yet.

        Raises:
            UsageError, IndexUnavailable: as `page`.
        """
        life, wanted, asked = self._ready(), Wanted(where), list(dict.fromkeys(ids))
        check_count(max(1, len(asked)), MOST_MATCHED)
        is_unsure = life.feeder.unsure(position)
        keyed = {encoded(one): one for one in asked if not is_unsure(one)}
        keyed.pop(b"", None)
        fit = Asked(self._periscope, life, wanted).each()
        known = await life.ask(lambda asker: asker.sieve(list(keyed), ANYTHING, ANSWER_S))
        found = await life.ask(lambda asker: asker.sieve(list(known), fit, ANSWER_S))
        sure = {keyed[one] for one in known}
        unsure = [one for one in asked if one not in sure]
        read = await that_fit(self._periscope, unsure, wanted)
        return {keyed[one] for one in found} | {threat.threat_id for threat in read}

    async def facets(
        self,
        query: RankQuery | None = None,
        where: Where = EVERYTHING,
        *,
        level: Level | None = None,
        analyst: str | None = None,
    ) -> Facets:
        """Live counts of what fits, by severity, status, level, source, TLP and tag.

        `query` is a part of level 1 (its score bounds and interactions are not counted by), None
        all levels, or the one that is given. `mine` are those that `analyst` holds; overdue ones
        are of level 1. `total` may be known where the others are not.

        Raises:
            UsageError, IndexUnavailable: as `page`.
        """
        life = self._ready()
        part = query, None if level is None else int(level)
        asked = Asked(self._periscope, life, Wanted(where), *part)
        applied = self._applied.position, self._applied.as_of_ms
        counts, mine, overdue = await asyncio.gather(
            asked.facets(),
            self._number_also(life, part, where, "holder", analyst),
            self._number_also(life, part, where, "overdue", True),
        )
        named = counts or dict.fromkeys(("severity", "status", "level", "source", "tlp", "tag"))
        total = sum(counts["level"].values()) if counts else await asked.number()
        return Facets(
            total,
            **named,
            mine=mine,
            overdue=overdue,
            position=applied[0],
            indexed_ms=applied[1],
        )

    async def _number_also(
        self, life: Life, part: Part, where: Where, name: str, value: Any
    ) -> int | None:
        """How many fit of which this is so as well; None if no value is given."""
        if value is None:
            return None
        if getattr(where, name) not in (None, value):
            return 0
        also = Wanted(structs.replace(where, **{name: value}))
        return await Asked(self._periscope, life, also, *part).number()

    async def histogram(
        self,
        from_ms: int,
        until_ms: int,
        buckets: int,
        query: RankQuery | None = None,
        where: Where = EVERYTHING,
        *,
        level: Level | None = None,
    ) -> Histogram:
        """How many of what fits were first seen in each of so many parts of a stretch of time.

        `query` and `level` as in `facets`; `until_ms` is not part of it.

        Raises:
            UsageError: as `page`, and for a stretch that is none or in more than 120 parts.
            IndexUnavailable: as `page`.
        """
        within, life = Buckets.of(from_ms, until_ms, buckets), self._ready()
        asked = Asked(self._periscope, life, Wanted(where), query, level and int(level))
        applied = self._applied.position, self._applied.as_of_ms
        counts = await asked.histogram(within)
        total = None if counts is None else sum(counts)
        return Histogram(from_ms, until_ms, within.bucket_ms, counts, total, *applied)

    @property
    def now_ms(self) -> int:
        """The server's time, as far as it is known here; see `page` for what it raises."""
        return self._ready().feeder.now_ms

    async def count(self, where: Where = EVERYTHING, query: RankQuery | None = None) -> int | None:
        """How many threats fit; None where counting would take too long.

        Raises:
            UsageError, IndexUnavailable: as `page`.
        """
        return await Asked(self._periscope, self._ready(), Wanted(where), query).number()

    def _ready(self) -> Life:
        life = self._life
        if life is None or self._applied.built_s is None:
            if self._task is None:
                raise UsageError("the read index was not started")
            if self._failure is not None:
                raise IndexUnavailable(f"the read index failed: {self._failure}", 5.0)
            raise IndexUnavailable("the read index is being built; ask again in a moment", 2.0)
        return life

    def _state(self) -> IndexState:
        if self._failure is not None:
            return IndexState.FAILED
        life = self._life
        if life is None or self._applied.built_s is None:
            return IndexState.BUILDING
        late = life.feeder.lag is None or life.feeder.lag_ms > BEHIND_MS
        return IndexState.BEHIND if late else IndexState.READY

    async def _live(self) -> None:
        """Build it and keep it up; after a failure, anew, after longer and longer pauses."""
        pause = FIRST_PAUSE_S
        while True:
            begun = time.monotonic()
            try:
                await self._live_once()
            except (PeriscopeError, sqlite3.Error, OSError) as exc:
                self._failure = words_of(exc)
                log.warning("index: failed, and is built anew in %.0f s: %s", pause, self._failure)
            except Exception as exc:  # a bug: told in full, and all else goes on
                self._failure = f"{type(exc).__name__}, which is a bug; the log has more"
                log.exception("index: failed, and is built anew in %.0f s", pause)
            if time.monotonic() - begun > LONGEST_PAUSE_S:
                pause = FIRST_PAUSE_S
            await asyncio.sleep(pause)
            pause = min(LONGEST_PAUSE_S, 2 * pause)

    async def _live_once(self) -> None:
        self._applied = Applied()
        life = await Life.begin(self._periscope, self._home, self._applied, self._follow)
        self._life, self._failure = life, None
        try:
            await life.feeder.run()
        except BaseExceptionGroup as group:
            raise first_of(group) from group
        finally:
            self._life = None
            await asyncio.shield(life.end())
