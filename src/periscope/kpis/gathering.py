"""Lives and deeds, gathered from the store, the audit trail and the archive; bounded.

The store is read before the archive: what moves there meanwhile is met twice, and told by its
name, and nothing can slip between the two.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from functools import partial
from itertools import islice

import msgspec

from periscope.archive import Archive, AuditEntry, Departure
from periscope.header import HEADER_BYTES, unpack_header
from periscope.keys import PartitionKeys
from periscope.kpis.lives import Deed, Life, Lives
from periscope.models import DECISIONS, SEVERITIES, STATUSES
from periscope.periscope import Periscope
from periscope.rank_queries import status_query
from periscope.threat import Record, RecordPage
from periscope.trail import STEP, audit_of

MOST = 200_000  # acts, threats and departures each
PAGE = 250  # threats of one step, and
ROWS = 1_000  # rows: what delays others of this process for a few milliseconds
IDS = 500  # of one question to the archive, and
MOST_ROWS = 10_000  # rows of its answer

Name = tuple[int, str, int]


class _Source(msgspec.Struct):
    source: str = ""


class _Told(msgspec.Struct):
    outcome: str = ""


_read_source = msgspec.json.Decoder(_Source).decode
_read_told = msgspec.json.Decoder(_Told).decode


class Gathering:
    """What the key figures from `since_ms` on are made of; `truncated` says what is not all."""

    def __init__(
        self, periscope: Periscope, archive: Archive, since_ms: int, most: int = MOST
    ) -> None:
        self.lives = Lives()
        self.truncated: list[str] = []
        self._periscope, self._archive = periscope, archive
        self._since_ms, self._most = since_ms, most
        self._entries: dict[Name, AuditEntry] = {}

    async def gather(self) -> int:
        """Gather everything; how many threats were acted on of which nothing is known."""
        await self._walk_trail()
        await self._walk_archived_trail()
        acted = {one.threat_id for one in self._entries.values()}
        await self._walk_threats()
        await self._read_threats(acted)
        await self._walk_departures()
        older = [
            life.threat_id
            for life in self.lives
            if life.first_seen_ms < self._since_ms and life.threat_id in acted
        ]
        await self._read_earlier(older)
        return await asyncio.to_thread(self._give)

    def _give(self) -> int:
        return self.lives.give(map(_deed, self._entries.values()))

    async def _walk_trail(self) -> None:
        """What is not in the archive yet, the newest first; all of it, as it is short."""
        for keys in self._periscope.keyspace.partitions:
            async for entries in self._steps(keys):
                self._keep(entries)
                if self._is_full("acts", len(self._entries)):
                    break

    async def _steps(self, keys: PartitionKeys) -> AsyncIterator[list[AuditEntry]]:
        """The stream of one partition in steps that delay nobody."""
        connections, end = self._periscope.functions.connections, "+"
        while True:
            command = ("XREVRANGE", keys.audit, end, "-", "COUNT", STEP)
            found = await connections.guarded(connections.run(*command))
            if not found:
                return
            yield [
                one
                for name, fields in found
                for one in audit_of(keys.number, name.decode(), fields)
            ]
            end = f"({found[-1][0].decode()}"

    async def _walk_archived_trail(self) -> None:
        before: int | None = None
        while True:
            rows = await self._archive.audit(since_ms=self._since_ms, limit=ROWS, before=before)
            self._keep(one for _, one in rows)
            if len(rows) < ROWS or self._is_full("acts", len(self._entries)):
                return
            before = rows[-1][0]

    async def _read_earlier(self, ids: Sequence[str]) -> None:
        """What was done before to threats that are older: the first act may be among it."""
        unique = iter(dict.fromkeys(ids))
        while some := list(islice(unique, IDS)):
            entries = await self._archive.audit_of(some, before_ms=self._since_ms, limit=MOST_ROWS)
            self._keep(entries)
            self._is_full("acts", self._most if len(entries) == MOST_ROWS else 0)

    async def _walk_threats(self) -> None:
        """Every threat that is there, whatever its level, up to so many."""
        p = self._periscope
        lists: list[Callable[..., Awaitable[RecordPage]]]
        lists = [partial(p.get_level_records, level, None) for level in (3, 2)]
        lists += [partial(p.get_ranked_records, status_query(one)) for one in reversed(STATUSES)]
        for read in lists:
            if await self._walk(read):
                return

    async def _walk(self, read: Callable[..., Awaitable[RecordPage]]) -> bool:
        """One list to its end; whether there were too many."""
        cursor: str | None = None
        while True:
            page = await read(cursor, PAGE)
            self._take(page.items)
            cursor = page.next_cursor
            if cursor is None or self._is_full("threats", len(self.lives)):
                return cursor is not None

    async def _read_threats(self, ids: Iterable[str]) -> None:
        """Those that were acted on, which may have moved while the lists were walked."""
        rest = iter(ids)
        while some := list(islice(rest, PAGE)):
            _, records = await self._periscope.get_records(some)
            self._take(records)

    async def _walk_departures(self) -> None:
        before: int | None = None
        taken = 0
        while True:
            rows = await self._archive.history(since_ms=self._since_ms, limit=ROWS, before=before)
            for _, departure in rows:
                self.lives.add(_departed(departure))
            taken += len(rows)
            if len(rows) < ROWS or self._is_full("departures", taken):
                return
            before = rows[-1][0]

    def _take(self, records: Iterable[Record]) -> None:
        for threat_id, record in records:
            self.lives.add(_life(threat_id.decode(), record, None))

    def _keep(self, entries: Iterable[AuditEntry]) -> None:
        """Each once, by its name; the archive's word is the later one: it may be erased there.

        What was done to keys, rules and the like is about no threat, and no key figure either.
        """
        for one in entries:
            if not one.threat_id:
                continue
            self._entries[one.partition, one.stream_id, one.position] = one

    def _is_full(self, what: str, count: int) -> bool:
        if count < self._most:
            return False
        if what not in self.truncated:
            self.truncated.append(what)
        return True


def _life(threat_id: str, record: bytes, left_ms: int | None) -> Life:
    header = unpack_header(record)
    # A later report brings a moment of its own, and only the last one is kept.
    alone = header.observed_at if header.sightings == 0 else 0
    return Life(
        threat_id=threat_id,
        severity=SEVERITIES[header.severity].value,
        source=_read_source(record[HEADER_BYTES:]).source,
        first_seen_ms=header.first_seen,
        observed_at_ms=alone or None,
        left_ms=left_ms,
        outcome=DECISIONS[header.outcome - 1].value if header.outcome else None,
    )


def _departed(one: Departure) -> Life:
    if one.record:
        return _life(one.threat_id, one.record, one.departed_at_ms)
    return Life(  # erased
        *(one.threat_id, one.severity, one.source, one.first_seen_ms),
        *(None, one.departed_at_ms, one.outcome),
    )


def _deed(entry: AuditEntry) -> Deed:
    outcome = ""
    if entry.action == "decide" and entry.detail:
        outcome = _read_told(entry.detail).outcome
    return Deed(entry.threat_id, entry.action, entry.at_ms, entry.request_id, outcome)
