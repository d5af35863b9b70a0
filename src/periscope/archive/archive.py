"""The archive as others hold it: whatever leaves the store is here first."""

from __future__ import annotations

from collections.abc import AsyncIterable, AsyncIterator, Iterable, Sequence
from contextlib import aclosing
from functools import partial
from pathlib import Path
from typing import Any

from periscope.archive import audits, backup, upkeep
from periscope.archive import departures as leaving
from periscope.archive.departure import AuditEntry, Departure, PendingBatch
from periscope.archive.rows import to_bytes
from periscope.archive.session import Session
from periscope.archive.sqlite import SqliteSession
from periscope.archive.worker import Connect, Worker
from periscope.errors import ArchiveError, SettingInvalid, UsageError
from periscope.settings import hide_password

WAIT_MS = 10_000
MAX_ROWS = 10_000
MAX_THREATS = 500


async def open_archive(place: str | Path, *, wait_ms: int = WAIT_MS) -> Archive:
    """Open the archive at a path (a SQLite file) or a `postgresql://` URL; make it if need be.

    A new file has mode 0600, its folders are made. `wait_ms` is how long a step waits for other
    writers.

    Raises:
        SettingInvalid: the place is neither a path nor such a URL.
        ArchiveError: it cannot be reached, opened or made, is none, or is of a newer version.
    """
    connect, shown = _connector(place, wait_ms)
    worker = Worker(connect, shown)
    try:
        await worker.run("read", lambda _: None)
    except BaseException:
        await worker.close()
        raise
    return Archive(worker, connect)


def _connector(place: str | Path, wait_ms: int) -> tuple[Connect, str]:
    """How to connect to the place, and the place as it may be shown."""
    text = str(place)
    scheme, is_url, _ = text.partition("://")
    if is_url and not isinstance(place, Path):
        if scheme not in ("postgresql", "postgres"):
            raise SettingInvalid(
                "archive: neither a path nor a postgresql:// URL; name a file or a database"
            )
        shown = hide_password(text)
        return partial(_postgres, text, shown, wait_ms), shown
    if not text or "\0" in text:
        raise SettingInvalid("archive: the path is empty or holds a NUL; name a file")
    try:
        path = Path(place).expanduser().absolute()
    except RuntimeError as exc:
        raise SettingInvalid(f"archive: {exc}") from None
    return lambda create: SqliteSession(path, wait_ms=wait_ms, create=create), str(path)


def _postgres(url: str, shown: str, wait_ms: int, create: bool) -> Session:
    try:
        from periscope.archive.postgres import PostgresSession
    except ImportError as exc:
        raise ArchiveError(
            f"archive {shown}: PostgreSQL needs psycopg; install periscope-triage[postgresql]"
        ) from exc
    return PostgresSession(url, shown, wait_ms=wait_ms)


class Archive:
    """An open archive; any number may be open on one place, in any number of processes and hosts.

    Every method is one transaction, whole or not at all, on disk when it returns, and safe to
    repeat. All raise `ArchiveError` when the archive cannot be used.
    """

    def __init__(self, worker: Worker, connect: Connect) -> None:
        self._worker = worker
        self._connect = connect

    @property
    def identity(self) -> str:
        """32 hex digits, made with the archive: tells it from any other."""
        return self._worker.identity

    @property
    def shown(self) -> str:
        """The place, fit for a log line: no password in it."""
        return self._worker.shown

    async def close(self) -> None:
        """Wait for the calls under way and close; harmless when closed."""
        await self._worker.close()

    async def prepare(self, batch_id: str, partition: int, departures: Sequence[Departure]) -> None:
        """Write a batch of departures as pending; a batch that is there already is left as it is.

        Afterwards every departure of the batch is in the archive, whatever happens: the store may
        let go of them.

        Raises:
            ArchiveError: the batch was settled meanwhile, and some of its threats stayed.
            BugError: the batch was prepared with other threats, or a value cannot be stored.
        """
        step = partial(
            leaving.prepare, batch_id=batch_id, partition=partition, departures=departures
        )
        await self._worker.run("write", step)

    async def confirm(self, batch_id: str, departed: Sequence[bool]) -> int:
        """Make the rows final whose threats left, drop the others; returns how many left.

        `departed` is in the order prepared. Repeated with the same answer, it changes nothing and
        returns the same.

        Raises:
            ArchiveMismatch: the batch was never prepared here.
            BugError: the answer has another length, or differs from the one given before.
        """
        step = partial(leaving.confirm, batch_id=batch_id, departed=departed)
        return await self._worker.run("write", step)

    async def pending(self) -> list[PendingBatch]:
        """Batches that were prepared and not confirmed, oldest first."""
        return await self._worker.run("read", leaving.pending)

    async def history(
        self,
        *,
        threat_id: str | None = None,
        since_ms: int | None = None,
        reason: str | None = None,
        severity: str | None = None,
        source: str | None = None,
        limit: int = 100,
        before: int | None = None,
    ) -> list[tuple[int, Departure]]:
        """Final departures that match all that is given, newest first, with their row numbers.

        `since_ms` is the earliest time of departure. Pass the last number as `before` for the next
        page. At most 10,000 rows.

        Raises:
            UsageError: a limit below 1 or over 10,000.
        """
        wanted = {
            "threat_id = ?": None if threat_id is None else to_bytes(threat_id),
            "departed_at_ms >= ?": since_ms,
            "reason = ?": None if reason is None else str(reason),
            "severity = ?": None if severity is None else str(severity),
            "source = ?": None if source is None else to_bytes(source),
        }
        step = partial(leaving.history, wanted=wanted, limit=_checked(limit), before=before)
        return await self._worker.run("read", step)

    async def counts(self) -> dict[str, int]:
        """How many ever departed, by reason, including those purged or erased since."""
        return await self._worker.run("read", leaving.counts)

    async def write_audit(self, entries: Sequence[AuditEntry]) -> int:
        """Store audit entries; returns how many were new.

        Raises:
            UsageError: a stream id that is none.
        """
        return await self._worker.run("write", partial(audits.write_audit, entries=entries))

    async def audit(
        self,
        *,
        analyst_id: str | None = None,
        threat_id: str | None = None,
        since_ms: int | None = None,
        limit: int = 100,
        before: int | None = None,
    ) -> list[tuple[int, AuditEntry]]:
        """Audit entries that match all that is given, newest first, with their row numbers.

        Pages as `history` does.

        Raises:
            UsageError: a limit below 1 or over 10,000.
        """
        wanted = {
            "analyst_id = ?": None if analyst_id is None else to_bytes(analyst_id),
            "threat_id = ?": None if threat_id is None else to_bytes(threat_id),
            "at_ms >= ?": since_ms,
        }
        step = partial(audits.audit, wanted=wanted, limit=_checked(limit), before=before)
        return await self._worker.run("read", step)

    async def trail(
        self,
        *,
        analyst_id: str | None = None,
        threat_id: str | None = None,
        action: str | None = None,
        since_ms: int | None = None,
        until_ms: int | None = None,
        older_than: tuple[int, int, int, int, int] | None = None,
        limit: int = 100,
    ) -> list[AuditEntry]:
        """Audit entries that match all that is given, in the order of the acts, newest first.

        `older_than` is the place of the entry where the page before ended: its time, partition, the
        two numbers of its stream id, and its position.

        Raises:
            UsageError: a limit below 1 or over 10,000.
        """
        wanted = {
            "analyst_id = ?": None if analyst_id is None else to_bytes(analyst_id),
            "threat_id = ?": None if threat_id is None else to_bytes(threat_id),
            "action = ?": action,
            "at_ms >= ?": since_ms,
            "at_ms <= ?": until_ms,
        }
        step = partial(audits.trail, wanted=wanted, limit=_checked(limit), older_than=older_than)
        return await self._worker.run("read", step)

    async def audit_of(
        self, threat_ids: Sequence[str], *, before_ms: int, limit: int = 1000
    ) -> list[AuditEntry]:
        """Audit entries about any of up to 500 threats from before that time, newest first.

        Raises:
            UsageError: more than 500 threats, or a limit below 1 or over 10,000.
        """
        if len(threat_ids) > MAX_THREATS:
            raise UsageError(f"threat_ids: more than {MAX_THREATS} at once")
        if not threat_ids:
            return []
        step = partial(
            audits.audit_of_threats,
            threat_ids=threat_ids,
            before_ms=before_ms,
            limit=_checked(limit),
        )
        return await self._worker.run("read", step)

    async def audit_reached(self, partition: int) -> str | None:
        """The highest stream id ever stored for the partition; retention does not lower it."""
        found = await self._worker.run("read", partial(audits.reached, partition=partition))
        return None if found is None else f"{found[0]}-{found[1]}"

    async def retain(self, older_than_ms: int, *, limit: int = 5000) -> int:
        """Purge final departures and audit entries from before that time, `limit` rows at most.

        Returns how many rows went; call again until it is 0. `counts` stays as it is.

        Raises:
            UsageError: a limit below 1 or over 10,000.
        """
        step = partial(upkeep.retain, older_than_ms=older_than_ms, limit=_checked(limit))
        return await self._worker.run("write", step)

    async def belong_to(self, database: str) -> str:
        """The database (its fingerprint) that this archive belongs to; this one, if it had none.

        Two databases in one archive would settle each other's departures, and lose them.
        """
        return await self._worker.run("write", partial(upkeep.belong_to, database=database))

    async def owner(self) -> str:
        """The database (its fingerprint) that this archive belongs to; empty: none yet."""
        return await self._worker.run("read", upkeep.owner)

    async def erase(self, threat_id: str) -> int:
        """Blank what all rows of the threat say; returns how many were not blank before.

        Title, source, record, extra, note and detail go; ids, reasons, times and counts stay.
        """
        count = await self._worker.run("write", partial(upkeep.erase, threat_id=threat_id))
        await self._worker.run_bare(lambda session: session.scrub())
        return count

    async def export(self) -> AsyncIterator[dict[str, Any]]:
        """Everything as it stands at one instant, as flat JSON-ready rows, for `restore`.

        Bytes and texts that may hold anything are base64. Uses a connection of its own.
        """
        own = Worker(self._connect, self.shown, self.identity, again=False)
        try:
            async with aclosing(backup.export(own)) as rows:
                async for row in rows:
                    yield row
        finally:
            await own.close()

    async def restore(self, rows: AsyncIterable[dict[str, Any]] | Iterable[dict[str, Any]]) -> None:
        """Fill an empty archive with the rows of an `export`: whole, or not at all.

        The archive takes over the identity too. Other writers wait meanwhile.

        Raises:
            ArchiveError: the archive is not empty; the rows are incomplete, damaged or of a newer
                version.
        """
        own = Worker(self._connect, self.shown, self.identity, again=False)
        try:
            self._worker.identity = await backup.restore(own, rows)
        finally:
            await own.close()


def _checked(limit: int) -> int:
    if not 1 <= limit <= MAX_ROWS:
        raise UsageError(f"limit: {limit} is not between 1 and {MAX_ROWS:,}")
    return limit
