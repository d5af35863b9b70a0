"""What analysts did: written once, however often it is told."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from periscope.archive.departure import AuditEntry
from periscope.archive.rows import AUDIT_FIELDS, audit_of, audit_row, to_bytes
from periscope.archive.session import Session

INSERT_AUDIT = f"""
INSERT INTO periscope_audit ({AUDIT_FIELDS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (partition_number, stream_ms, stream_sequence, position) DO NOTHING
"""  # noqa: S608  # a constant of this package
FIND_REACHED = """
SELECT stream_ms, stream_sequence FROM periscope_reached WHERE partition_number = ?
"""
SET_REACHED = """
INSERT INTO periscope_reached (partition_number, stream_ms, stream_sequence) VALUES (?, ?, ?)
ON CONFLICT (partition_number) DO UPDATE
SET stream_ms = excluded.stream_ms, stream_sequence = excluded.stream_sequence
"""


def write_audit(session: Session, entries: Sequence[AuditEntry]) -> int:
    """Store the entries that are not there yet; returns how many those were."""
    rows = [audit_row(entry) for entry in entries]
    if not rows:
        return 0
    new = session.run_many(INSERT_AUDIT, rows)
    latest: dict[int, tuple[int, int]] = {}
    for partition, ms, sequence, *_ in rows:
        latest[partition] = max(latest.get(partition, (0, 0)), (ms, sequence))
    for partition, place in sorted(latest.items()):
        before = reached(session, partition)
        if before is None or place > before:
            session.run(SET_REACHED, (partition, *place))
    return new


def reached(session: Session, partition: int) -> tuple[int, int] | None:
    """The highest stream id ever stored for the partition, as two numbers; retention keeps it."""
    found = session.rows(FIND_REACHED, (partition,))
    return (found[0][0], found[0][1]) if found else None


def audit(
    session: Session, wanted: dict[str, Any], limit: int, before: int | None
) -> list[tuple[int, AuditEntry]]:
    """Entries that match, newest first; `wanted` maps conditions to their values."""
    conditions = {"number < ?": before, **wanted}
    given = {text: value for text, value in conditions.items() if value is not None}
    where = " AND ".join(given) or "1 = 1"
    sql = (
        f"SELECT number, {AUDIT_FIELDS} FROM periscope_audit "  # noqa: S608
        f"WHERE {where} ORDER BY number DESC LIMIT ?"
    )
    rows = session.rows(sql, (*given.values(), limit))
    return [(number, audit_of(row)) for number, *row in rows]


PLACE = "at_ms, partition_number, stream_ms, stream_sequence, position"


def trail(
    session: Session, wanted: dict[str, Any], limit: int, older_than: tuple[int, ...] | None
) -> list[AuditEntry]:
    """Entries that match, by the time of the act, newest first; as `audit` otherwise."""
    given = {text: value for text, value in wanted.items() if value is not None}
    conditions, values = list(given), list(given.values())
    if older_than is not None:
        conditions += ["at_ms <= ?", f"({PLACE}) < (?, ?, ?, ?, ?)"]
        values += [older_than[0], *older_than]
    sql = (
        f"SELECT {AUDIT_FIELDS} FROM periscope_audit "  # noqa: S608
        f"WHERE {' AND '.join(conditions) or '1 = 1'} "
        f"ORDER BY {PLACE.replace(',', ' DESC,')} DESC LIMIT ?"
    )
    return [audit_of(row) for row in session.rows(sql, (*values, limit))]


def audit_of_threats(
    session: Session, threat_ids: Sequence[str], before_ms: int, limit: int
) -> list[AuditEntry]:
    """Entries about any of these threats from before that time, newest first."""
    marks = ", ".join("?" * len(threat_ids))
    sql = (
        f"SELECT {AUDIT_FIELDS} FROM periscope_audit "  # noqa: S608
        f"WHERE threat_id IN ({marks}) AND at_ms < ? ORDER BY number DESC LIMIT ?"
    )
    ids = [to_bytes(one) for one in threat_ids]
    return [audit_of(row) for row in session.rows(sql, (*ids, before_ms, limit))]
