"""Departures in two phases: prepared, then confirmed; and what has departed.

Each function is the body of one transaction, and every writer of every host is alone in its own:
what one statement saw still holds at the next.
"""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import blake2b
from typing import Any

from periscope.archive.departure import Departure, PendingBatch
from periscope.archive.rows import (
    DEPARTURE_COLUMNS,
    DEPARTURE_FIELDS,
    departure_of,
    departure_row,
    to_bytes,
    to_text,
)
from periscope.archive.session import Session
from periscope.errors import ArchiveError, ArchiveMismatch, BugError

INSERT_BATCH = """
INSERT INTO periscope_batches (batch_id, partition_number, digest, latest_ms, departed)
VALUES (?, ?, ?, ?, 0)
"""
INSERT_DEPARTURE = f"""
INSERT INTO periscope_departures ({DEPARTURE_FIELDS}, pending_batch, position)
VALUES ({"?, " * len(DEPARTURE_COLUMNS)} ?, ?)
"""  # noqa: S608  # both are constants of this package
FIND_BATCH = "SELECT digest, answer, departed FROM periscope_batches WHERE batch_id = ?"
SETTLE_BATCH = "UPDATE periscope_batches SET answer = ?, departed = ? WHERE batch_id = ?"
PENDING_BATCHES = """
SELECT batch_id, partition_number FROM periscope_batches WHERE answer IS NULL ORDER BY number
"""
PENDING_IDS = """
SELECT threat_id FROM periscope_departures WHERE pending_batch = ? ORDER BY position
"""
PENDING_SIZE = "SELECT COUNT(*) FROM periscope_departures WHERE pending_batch = ?"
PENDING_REASONS = """
SELECT reason, COUNT(*) FROM periscope_departures WHERE pending_batch = ? GROUP BY reason
"""
DROP_STAYED = "DELETE FROM periscope_departures WHERE pending_batch = ? AND position = ?"
MAKE_FINAL = "UPDATE periscope_departures SET pending_batch = NULL WHERE pending_batch = ?"
ADD_TOTAL = """
INSERT INTO periscope_totals (reason, departed, purged) VALUES (?, ?, 0)
ON CONFLICT (reason) DO UPDATE SET departed = periscope_totals.departed + excluded.departed
"""


def prepare(
    session: Session, batch_id: str, partition: int, departures: Sequence[Departure]
) -> None:
    """Write a batch as pending, unless it is there already."""
    key, digest = to_bytes(batch_id), _digest(partition, departures)
    found = session.rows(FIND_BATCH, (key,))
    if found:
        _check_again(batch_id, digest, *found[0])
        return
    latest_ms = max((d.departed_at_ms for d in departures), default=0)
    session.run(INSERT_BATCH, (key, partition, digest, latest_ms))
    rows = ((*departure_row(d), key, place) for place, d in enumerate(departures))
    session.run_many(INSERT_DEPARTURE, rows)


def _check_again(batch_id: str, digest: bytes, before: bytes, answer: bytes | None, _: int) -> None:
    """Refuse what a repeated `prepare` cannot promise: that every departure is in the archive."""
    if digest != before:
        raise BugError(f"archive: batch {batch_id!r} was prepared before, with other threats")
    if answer is not None and 0 in answer:
        raise ArchiveError(
            f"archive: batch {batch_id!r} is settled, and some of its threats stayed; "
            "prepare them as a new batch"
        )


def _digest(partition: int, departures: Sequence[Departure]) -> bytes:
    digest = blake2b(str(partition).encode(), digest_size=16)
    for departure in departures:
        threat_id = to_bytes(departure.threat_id)
        digest.update(b"%d:" % len(threat_id) + threat_id)
    return digest.digest()


def confirm(session: Session, batch_id: str, departed: Sequence[bool]) -> int:
    """Make final what left and drop what stayed; the answer is remembered for repeated calls."""
    key, answer = to_bytes(batch_id), bytes(map(bool, departed))
    found = session.rows(FIND_BATCH, (key,))
    if not found:
        raise ArchiveMismatch(
            f"archive: batch {batch_id!r} was never prepared here; was the archive replaced?"
        )
    _, before, count = found[0]
    if before is not None:
        if before != answer:
            raise BugError(f"archive: batch {batch_id!r} was confirmed before, with another answer")
        return int(count)
    _check_size(session, batch_id, key, answer)
    return _settle(session, key, answer)


def _check_size(session: Session, batch_id: str, key: bytes, answer: bytes) -> None:
    [[size]] = session.rows(PENDING_SIZE, (key,))
    if size != len(answer):
        raise BugError(f"archive: batch {batch_id!r} holds {size} threats, not {len(answer)}")


def _settle(session: Session, key: bytes, answer: bytes) -> int:
    stayed = [(key, place) for place, left in enumerate(answer) if not left]
    if stayed:
        session.run_many(DROP_STAYED, stayed)
    totals = session.rows(PENDING_REASONS, (key,))
    if totals:
        session.run_many(ADD_TOTAL, totals)
    count = session.run(MAKE_FINAL, (key,))
    session.run(SETTLE_BATCH, (answer, count, key))
    return count


def pending(session: Session) -> list[PendingBatch]:
    """Every batch without an answer, oldest first."""
    return [
        PendingBatch(
            to_text(key),
            partition,
            tuple(to_text(threat_id) for (threat_id,) in session.rows(PENDING_IDS, (key,))),
        )
        for key, partition in session.rows(PENDING_BATCHES)
    ]


def history(
    session: Session, wanted: dict[str, Any], limit: int, before: int | None
) -> list[tuple[int, Departure]]:
    """Final departures that match, newest first; `wanted` maps conditions to their values."""
    conditions = {"number < ?": before, **wanted}
    given = {text: value for text, value in conditions.items() if value is not None}
    where = " AND ".join(["pending_batch IS NULL", *given])
    sql = (
        f"SELECT number, {DEPARTURE_FIELDS} FROM periscope_departures "  # noqa: S608
        f"WHERE {where} ORDER BY number DESC LIMIT ?"
    )
    rows = session.rows(sql, (*given.values(), limit))
    return [(number, departure_of(row)) for number, *row in rows]


def counts(session: Session) -> dict[str, int]:
    """How many ever departed, by reason; those purged since count on."""
    return dict(session.rows("SELECT reason, departed FROM periscope_totals ORDER BY reason"))
