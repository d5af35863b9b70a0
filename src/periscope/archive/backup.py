"""The archive as a stream of flat rows, and an empty archive filled from one.

    {"table": "archive", "schema": 1, "identity": "..."}        first
    {"table": "departures", "number": 1, "threat_id": "dC0x", ...}
    {"table": "end", "rows": 1}                                 last, without which it is torn

Bytes columns are base64; all else is plain JSON. A transaction spans the whole walk, so whoever
calls gives a worker that nobody else uses.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Iterable
from typing import Any

from periscope.archive.rows import AUDIT_FIELDS, DEPARTURE_FIELDS
from periscope.archive.schema import SCHEMA_VERSION
from periscope.archive.session import Row, Session
from periscope.archive.worker import Worker
from periscope.errors import ArchiveError

CHUNK = 500

# Each table with its columns, the first of which is its order.
TABLES = {
    name: tuple(columns.split(", "))
    for name, columns in {
        "batches": "number, batch_id, partition_number, digest, latest_ms, answer, departed",
        "totals": "reason, departed, purged",
        "reached": "partition_number, stream_ms, stream_sequence",
        "departures": f"number, {DEPARTURE_FIELDS}, pending_batch, position",
        "audit": f"number, {AUDIT_FIELDS}",
    }.items()
}
NUMBERED = ("batches", "departures", "audit")
BYTES = frozenset(
    (
        *("threat_id", "source", "title", "record", "extra", "actor", "note"),
        *("pending_batch", "batch_id", "digest", "answer"),
        *("analyst_id", "request_id", "detail"),
    )
)
TEXTS = frozenset({"reason", "severity", "outcome", "action"})
OPTIONAL = frozenset({"outcome", "pending_batch", "answer"})

GO_ON = "SELECT {columns} FROM periscope_{table} WHERE {key} > ? ORDER BY {key} LIMIT ?"
START = "SELECT {columns} FROM periscope_{table} ORDER BY {key} LIMIT ?"
INSERT = "INSERT INTO periscope_{table} ({columns}) VALUES ({marks})"
SET_IDENTITY = "UPDATE periscope_meta SET value = ? WHERE name = 'identity'"


async def export(worker: Worker) -> AsyncGenerator[dict[str, Any], None]:
    """All rows as they stand now."""
    await worker.run_bare(lambda session: session.begin("read"))
    yield {"table": "archive", "schema": SCHEMA_VERSION, "identity": worker.identity}
    count = 0
    for table, columns in TABLES.items():
        last: Row = ()
        while chunk := await _chunk(worker, table, last):
            for row in chunk:
                yield {"table": table, **dict(zip(columns, map(_shown, row), strict=True))}
            count += len(chunk)
            last = chunk[-1][:1]
    yield {"table": "end", "rows": count}


async def _chunk(worker: Worker, table: str, last: Row) -> list[Row]:
    columns = TABLES[table]
    text = (GO_ON if last else START).format(
        table=table, columns=", ".join(columns), key=columns[0]
    )
    return await worker.run_bare(lambda session: session.rows(text, (*last, CHUNK)))


def _shown(value: Any) -> Any:
    return base64.b64encode(value).decode() if isinstance(value, bytes) else value


async def restore(
    worker: Worker, rows: AsyncIterable[dict[str, Any]] | Iterable[dict[str, Any]]
) -> str:
    """Write all rows in one transaction; returns the identity that came with them."""
    await worker.run_bare(_begin_empty)
    filling = _Filling(worker)
    async for row in _each(rows):
        await filling.take(row)
    return await filling.finish()


def _begin_empty(session: Session) -> None:
    session.begin("write")
    for table in TABLES:
        if session.rows(START.format(table=table, columns="1", key="1"), (1,)):
            raise ArchiveError("archive: is not empty; restore into a new one")


async def _each(
    rows: AsyncIterable[dict[str, Any]] | Iterable[dict[str, Any]],
) -> AsyncIterator[dict[str, Any]]:
    if isinstance(rows, AsyncIterable):
        async for row in rows:
            yield row
    else:
        for row in rows:
            yield row


class _Filling:
    """The state of one restore: what came so far, and the rows not written yet."""

    def __init__(self, worker: Worker) -> None:
        self._worker = worker
        self._identity: str | None = None
        self._ended = False
        self._count = 0
        self._table = ""
        self._rows: list[Row] = []

    async def take(self, row: dict[str, Any]) -> None:
        """Take the next row; rows of one table are written together."""
        table = row.get("table")
        if self._ended:
            raise ArchiveError("archive: rows after the end of the backup; take another backup")
        if self._identity is None:
            self._identity = _identity_of(row)
        elif table == "end":
            self._ended = row.get("rows") == self._count
        elif isinstance(table, str) and table in TABLES:
            if table != self._table or len(self._rows) >= CHUNK:
                await self._write()
            self._table = table
            self._rows.append(_values(table, row, self._count))
            self._count += 1
        else:
            raise ArchiveError(f"archive: row {self._count} of the backup is of no known table")

    async def finish(self) -> str:
        """Commit if everything came, and only then."""
        if self._identity is None or not self._ended:
            raise ArchiveError("archive: the backup is incomplete; take another one")
        await self._write()
        await self._worker.run_bare(self._commit)
        return self._identity

    async def _write(self) -> None:
        if self._rows:
            columns = TABLES[self._table]
            marks = ", ".join("?" * len(columns))
            text = INSERT.format(table=self._table, columns=", ".join(columns), marks=marks)
            rows, self._rows = self._rows, []
            await self._worker.run_bare(lambda session: session.run_many(text, rows))

    def _commit(self, session: Session) -> None:
        for table in NUMBERED:
            session.renumber(f"periscope_{table}")
        session.run(SET_IDENTITY, (self._identity,))
        session.commit()


def _identity_of(row: dict[str, Any]) -> str:
    schema, identity = row.get("schema"), row.get("identity")
    if (
        row.get("table") != "archive"
        or not isinstance(schema, int)
        or not isinstance(identity, str)
    ):
        raise ArchiveError("archive: the rows are not a backup of an archive")
    if schema > SCHEMA_VERSION:
        raise ArchiveError(
            f"archive: the backup is of a newer Periscope (schema {schema}, this program knows "
            f"{SCHEMA_VERSION}); upgrade this program"
        )
    return identity


def _values(table: str, row: dict[str, Any], index: int) -> Row:
    try:
        return tuple(_value(name, row[name]) for name in TABLES[table])
    except (KeyError, TypeError, binascii.Error) as exc:
        raise ArchiveError(f"archive: row {index} of the backup is damaged: {exc}") from exc


def _value(name: str, value: Any) -> Any:
    """What the column holds; JSON may have made an integer of a whole float."""
    if value is None and name in OPTIONAL:
        return None
    if name in BYTES and isinstance(value, str):
        return base64.b64decode(value.encode(), validate=True)
    if name in TEXTS and isinstance(value, str):
        return value
    if name == "confidence" and isinstance(value, int | float):
        return float(value)
    if name not in BYTES | TEXTS and isinstance(value, int):
        return value
    raise TypeError(f"{name} is not what it should be")
