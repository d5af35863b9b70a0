"""`restore`: an empty namespace and an empty archive filled from a backup file.

While it works, the control key holds a word instead of a database's settings: two restores exclude
each other, and a half restored database cannot be opened. The true control key replaces it last.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from redis.exceptions import ResponseError

from periscope.archive import Archive
from periscope.backup.contents import Contents, look_through
from periscope.backup.problem import BackupError
from periscope.backup.progress import Progress
from periscope.backup.reader import BackupReader
from periscope.backup.records import ArchiveRow, Key
from periscope.connection import Connections
from periscope.keys import control_key
from periscope.ledger import Ledger
from periscope.periscope import Periscope
from periscope.server import EmbeddedServer
from periscope.settings import Settings

STEP = 200  # keys of one pipeline,
STEP_BYTES = 2**20  # or so many bytes
SCAN_STEP = 1000
UNDER_WAY = b"a restore is under way, or was broken off"


@dataclass(frozen=True, slots=True)
class Restored:
    """What was restored, and the recounted ledger of it."""

    path: Path
    taken_ms: int
    keys: int
    rows: int
    ledger: Ledger


async def restore(
    settings: Settings, archive: Archive, path: str | Path, *, progress: Progress | None = None
) -> Restored:
    """Fill an empty namespace and an empty archive from a backup, then prove it by recounting.

    The whole file is checked before anything is written. Broken off, it leaves a database that
    cannot be opened: empty the namespace and the archive, and restore again.

    Raises:
        BackupError: the file is damaged, cut, newer, or of another namespace; the namespace or the
            archive is not empty; the server cannot take these keys; the ledger is another one.
        StoreError: the server cannot be reached, is not fit for use, or is full.
    """
    progress = progress or Progress()
    with BackupReader(Path(path)) as reader:
        contents = await asyncio.to_thread(look_through, reader, settings, progress)
        await _check_archive(archive)
        async with _reached(settings) as (connections, server):
            await _check_namespace(connections, settings.namespace)
            filling = _Filling(connections, contents, server, progress)
            await filling.keys(reader)
            progress.begin("archive", "rows", contents.rows)
            await archive.restore(_rows(reader, progress))
            await filling.control()
            progress.begin("ledger", "")
            ledger = await _prove(settings, archive, contents)
    return Restored(reader.path, contents.head.taken_ms, contents.keys, contents.rows, ledger)


@asynccontextmanager
async def _reached(settings: Settings) -> AsyncIterator[tuple[Connections, str]]:
    """The server, as `Database.start` reaches it, without making a database there; its name."""
    async with AsyncExitStack() as stack:
        url = settings.url
        if url is None:
            embedded = await EmbeddedServer.join(
                settings.data_path, durability=settings.embedded_durability
            )
            stack.push_async_callback(embedded.leave)
            url = embedded.url
        connections = Connections(url, settings)
        stack.push_async_callback(connections.close)
        facts = await connections.examine()
        if connections.is_cluster:
            raise BackupError(
                "a backup cannot be restored to a cluster yet: restore it to one server, then "
                "`periscope repartition --to` the cluster"
            )
        yield connections, f"{facts.kind} {facts.version}"


async def _check_archive(archive: Archive) -> None:
    if (
        await archive.counts()
        or await archive.pending()
        or await archive.history(limit=1)
        or await archive.audit(limit=1)
    ):
        raise BackupError(
            f"the archive {archive.shown} is not empty; nothing was restored: "
            "name a new one (setting archive)"
        )


async def _check_namespace(connections: Connections, namespace: str) -> None:
    cursor, pattern = 0, b"{%s:*" % namespace.encode()
    while True:
        call = connections.client.execute_command(
            "SCAN", cursor, "MATCH", pattern, "COUNT", SCAN_STEP
        )
        cursor, names = await connections.guarded(call)
        if names:
            raise BackupError(
                f"the server at {connections.shown_url} holds keys of namespace {namespace!r} "
                "already; nothing was restored: take an empty server, or empty the namespace first"
            )
        if not int(cursor):
            return


def _rows(reader: BackupReader, progress: Progress) -> Iterator[dict[str, Any]]:
    for record in reader.records():
        if isinstance(record, ArchiveRow):
            progress.done += 1
            yield record.row


class _Filling:
    """Writes the keys of one file into one server."""

    def __init__(
        self, connections: Connections, contents: Contents, server: str, progress: Progress
    ) -> None:
        self._connections = connections
        self._contents = contents
        self._server = server
        self._progress = progress
        self._control_key = control_key(contents.head.namespace)

    async def keys(self, reader: BackupReader) -> None:
        """Write all keys but the control key, under the mark that keeps others out."""
        await self._mark()
        self._progress.begin("keys", "keys", self._contents.keys)
        try:
            waiting: list[Key] = []
            for record in reader.records():
                if isinstance(record, ArchiveRow):
                    break
                if isinstance(record, Key):
                    waiting.append(record)
                if _is_enough(waiting):
                    await self._write(waiting)
                    waiting = []
            await self._write(waiting)
        except BackupError:
            if not self._progress.done:  # the server takes none of them: leave no trace
                await self._run("UNLINK", self._control_key)
            raise

    async def control(self) -> None:
        """Make a database of it: from here on it can be opened."""
        if await self._run("GET", self._control_key) != UNDER_WAY:
            raise BackupError(
                "somebody removed the mark of this restore meanwhile; "
                "empty the namespace and the archive, and restore again"
            )
        await self._write([self._contents.control])

    async def _mark(self) -> None:
        if not await self._run("SET", self._control_key, UNDER_WAY, "NX"):
            raise BackupError(
                f"somebody else has begun to use the namespace at {self._connections.shown_url} "
                "just now; nothing was restored"
            )

    async def _write(self, keys: list[Key]) -> None:
        """Write some keys; one that is there was given twice by the server that was copied."""
        pipeline = self._connections.client.pipeline(transaction=False)
        for key in keys:
            ends = ("ABSTTL",) if key.expires_ms else ()
            pipeline.execute_command(
                "RESTORE", key.name, key.expires_ms, key.payload, "REPLACE", *ends
            )
        replies = await self._connections.guarded(pipeline.execute(raise_on_error=False))
        self._progress.done += sum(not isinstance(reply, Exception) for reply in replies)
        for reply in replies:
            if isinstance(reply, Exception):
                raise self._explain(reply) from reply

    def _explain(self, exc: Exception) -> Exception:
        text = str(exc)
        if isinstance(exc, ResponseError) and ("DUMP payload" in text or "Bad data" in text):
            return BackupError(
                f"the server at {self._connections.shown_url} ({self._server}) cannot take keys of "
                f"{self._contents.head.server}; restore on that server's kind, not an older version"
            )
        return self._connections.explain(exc)

    async def _run(self, *command: bytes | str) -> Any:
        return await self._connections.guarded(self._connections.client.execute_command(*command))


def _is_enough(keys: list[Key]) -> bool:
    return len(keys) >= STEP or sum(len(key.payload) for key in keys) >= STEP_BYTES


async def _prove(settings: Settings, archive: Archive, contents: Contents) -> Ledger:
    """Recount what was restored: it must balance, and be what was copied."""
    async with Periscope(settings) as periscope:
        await periscope.resolve_departures(archive)
        found = await periscope.get_ledger(deep=True, archive=archive)
    expected = contents.end.ledger
    if not found.balanced or expected != {name: getattr(found, name) for name in expected}:
        raise BackupError(
            "everything was restored, but its ledger is not that of the backup; do not use it: "
            "see `periscope ledger --deep` (or did somebody use it already?)"
        )
    return found
