"""`backup`: a copy of everything, each partition as of one moment, without stopping anyone."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from periscope.archive import Archive
from periscope.backup.moment import Moment, look
from periscope.backup.problem import BackupError
from periscope.backup.progress import Progress
from periscope.backup.records import ASIDE_FORMAT, VIEWS_FORMAT, ArchiveRow, End, Head, Key
from periscope.backup.writer import BackupWriter
from periscope.console_keys import console_keys
from periscope.feed_keys import feed_keys
from periscope.header import FORMAT
from periscope.keys import CONTROL_FORMAT, PartitionKeys, control_key, noise_key
from periscope.ledger import Ledger
from periscope.periscope import Periscope

TRIES = 5
STEP = 200  # keys of one pipeline
SCAN_STEP = 1000
BUSY = (
    "the database changed while each of {tries} copies was taken; stop what writes to it for the "
    "moment (ingests, workers), or use the server's own snapshots"
)


@dataclass(frozen=True, slots=True)
class Taken:
    """What a backup holds; `threats` are those in a level, `rows` those of the archive."""

    path: Path
    taken_ms: int
    threats: int
    keys: int
    rows: int
    size_bytes: int
    ledger: dict[str, int]


async def backup(
    periscope: Periscope,
    archive: Archive,
    path: str | Path,
    *,
    force: bool = False,
    progress: Progress | None = None,
) -> Taken:
    """Write every key of the database and every row of its archive into a new file of mode 0600.

    Nobody is stopped: each partition is copied until nothing was written to it during the copy,
    up to five times. The file appears whole or not at all; `force` replaces one that is there.
    It holds all contents, and the secret that cursors are signed with: guard it like the database.

    Raises:
        BackupError: too much was written meanwhile; the ledger does not balance; the file cannot
            be written.
        UsageError: the file is there already (without `force`).
        ArchiveMismatch: this is not the archive of this database.
    """
    if periscope.functions.connections.is_cluster:
        raise BackupError("a cluster cannot be backed up yet: back up its nodes' own files (AOF)")
    await periscope.adopt_archive(archive)
    with BackupWriter(Path(path), force=force) as writer:
        return await _Taking(periscope, archive, writer, progress or Progress()).run()


@dataclass(slots=True)
class _Seen:
    """What the archive's rows say about themselves."""

    rows: int = 0
    departed: dict[str, int] = field(default_factory=dict)
    reached: dict[int, tuple[int, int]] = field(default_factory=dict)
    pending: bool = False

    def note(self, row: dict[str, Any]) -> None:
        self.rows += row["table"] not in ("archive", "end")
        match row["table"]:
            case "totals":
                self.departed[row["reason"]] = row["departed"]
            case "reached":
                place = (row["stream_ms"], row["stream_sequence"])
                self.reached[row["partition_number"]] = place
            case "batches":
                self.pending = self.pending or row["answer"] is None


class _Taking:
    """One backup under way."""

    def __init__(
        self, periscope: Periscope, archive: Archive, writer: BackupWriter, progress: Progress
    ) -> None:
        self._periscope = periscope
        self._connections = periscope.functions.connections
        self._archive = archive
        self._writer = writer
        self._progress = progress
        self._threats = 0

    async def run(self) -> Taken:
        """Copy until store and archive fit together; up to five times.

        What departs is in the archive first and out of the store afterwards, and then final in the
        archive. The store is copied first: so if nothing became final meanwhile, each departure
        is whole in the file, or pending, which `resolve_departures` settles.
        """
        for _ in range(TRIES):
            start = self._writer.mark()
            self._threats = 0
            departed = await self._archive.counts()
            head = await self._head()
            self._writer.write(head)
            await self._dump(list(feed_keys(head.namespace).own))
            moments = [await self._partition(keys) for keys in self._periscope.keyspace.partitions]
            # Not the timeline: it is of the last day of the services that wrote it.
            await self._dump([noise_key(head.namespace), console_keys(head.namespace).views])
            seen = await self._rows()
            if seen.departed == departed and not _is_ahead(seen, moments):
                return await self._finish(head, moments, seen)
            self._writer.back_to(start)
        raise BackupError(BUSY.format(tries=TRIES))

    async def _head(self) -> Head:
        from periscope import __version__

        keyspace, server = self._periscope.keyspace, self._periscope.server
        stats = await self._periscope.functions.stats(keyspace.partitions[0])
        return Head(
            namespace=keyspace.namespace,
            partitions=len(keyspace.partitions),
            record_format=await self._format(),
            taken_ms=stats.now_ms,
            server=f"{server.kind} {server.version}",
            program=__version__,
            generation=keyspace.generation,
        )

    async def _format(self) -> int:
        """The lowest format that holds all there is, so that older programs read what they can."""
        keyspace, client = self._periscope.keyspace, self._connections.client
        views = console_keys(keyspace.namespace).views
        if await self._connections.guarded(client.exists(views)):
            return VIEWS_FORMAT
        aside = (*feed_keys(keyspace.namespace).own, noise_key(keyspace.namespace))
        if await self._connections.guarded(client.exists(*aside)):
            return ASIDE_FORMAT
        return CONTROL_FORMAT if keyspace.generation else FORMAT

    async def _partition(self, keys: PartitionKeys) -> Moment:
        """Copy a partition until nothing was written to it meanwhile."""
        self._progress.begin(f"partition {keys.number}", "keys")
        for _ in range(TRIES):
            start, threats, done = self._writer.mark(), self._threats, self._progress.done
            before = await look(self._connections, keys)
            await self._copy(keys)
            if await look(self._connections, keys) == before:
                return before
            self._writer.back_to(start)
            self._threats, self._progress.done = threats, done
        raise BackupError(BUSY.format(tries=TRIES))

    async def _copy(self, keys: PartitionKeys) -> None:
        names = (*keys.singles, *keys.noise)
        for key in names:  # one by one: some are large
            await self._dump([key])
        singles, waiting = frozenset(names), []
        async for name in self._names(keys.tag + b":*"):
            if name in singles:
                continue
            waiting.append(name)
            if len(waiting) == STEP:
                self._threats += await self._dump(waiting, keys.record_prefix)
                waiting = []
        self._threats += await self._dump(waiting, keys.record_prefix)

    async def _names(self, pattern: bytes) -> AsyncIterator[bytes]:
        """Names of keys; the server may give one twice, so a restore takes the later one."""
        cursor = 0
        while True:
            call = self._connections.client.execute_command(
                "SCAN", cursor, "MATCH", pattern, "COUNT", SCAN_STEP
            )
            cursor, names = await self._connections.guarded(call)
            for name in names:
                yield name
            if not int(cursor):
                return

    async def _dump(self, names: list[bytes], records: bytes = b"") -> int:
        """Copy keys as they are, those that are gone left out; how many were records."""
        if not names:
            return 0
        pipeline = self._connections.client.pipeline(transaction=False)
        for name in names:
            pipeline.execute_command("DUMP", name)
            pipeline.execute_command("PEXPIRETIME", name)
        replies = await self._connections.guarded(pipeline.execute(raise_on_error=False))
        for reply in replies:
            if isinstance(reply, Exception):
                raise self._connections.explain(reply) from reply
        found = 0
        for name, payload, ends_ms in zip(names, replies[::2], replies[1::2], strict=True):
            if payload is not None and ends_ms != -2:
                self._writer.write(Key(name, payload, max(0, ends_ms)))
                self._progress.done += 1
                found += bool(records) and name.startswith(records)
        return found

    async def _rows(self) -> _Seen:
        self._progress.begin("archive", "rows")
        self._writer.mark()
        seen = _Seen()
        async for row in self._archive.export():
            seen.note(row)
            self._writer.write(ArchiveRow(row))
            self._progress.done = seen.rows
        return seen

    async def _finish(self, head: Head, moments: list[Moment], seen: _Seen) -> Taken:
        ledger = {
            name: sum(moment.ledger[name] for moment in moments) for name in moments[0].ledger
        }
        self._check_balance(moments, ledger, seen)
        await self._dump([control_key(head.namespace)])
        keys = self._writer.count - seen.rows - 3  # without the head and the archive's frame
        self._writer.write(End(ledger, self._threats))
        self._progress.begin("disk", "")
        size = await asyncio.to_thread(self._writer.finish)
        return Taken(self._writer.path, head.taken_ms, self._threats, keys, seen.rows, size, ledger)

    def _check_balance(self, moments: list[Moment], ledger: dict[str, int], seen: _Seen) -> None:
        """Refuse what a restore would have to refuse."""
        if not all(moment.is_open for moment in moments):
            raise BackupError(
                "the database is being repartitioned or rebuilt; try again afterwards"
            )
        counts: dict[str, Any] = {**ledger, "archived": None if seen.pending else seen.departed}
        found = Ledger(**counts)
        if not found.balanced or self._threats < found.in_levels:
            raise BackupError(
                "the ledger does not balance, so this would be a backup of a damaged database: "
                "see `periscope ledger --deep`, and keep the server's own snapshots meanwhile"
            )


def _is_ahead(seen: _Seen, moments: list[Moment]) -> bool:
    """Does the archive know acts that the store did not have yet when it was copied?

    It also knows of partitions that are no more, since the database was repartitioned.
    """
    reached = {n: place for n, place in seen.reached.items() if n < len(moments)}
    return any(place > moments[number].audited for number, place in reached.items())
