"""What the archive lets go of: by age, and by request."""

from __future__ import annotations

from collections import Counter

from periscope.archive.rows import to_bytes
from periscope.archive.session import Session

OLD_DEPARTURES = """
SELECT number, reason FROM periscope_departures
WHERE pending_batch IS NULL AND departed_at_ms < ? ORDER BY departed_at_ms, number LIMIT ?
"""
OLD_AUDIT = "SELECT number FROM periscope_audit WHERE at_ms < ? ORDER BY at_ms, number LIMIT ?"
OLD_BATCHES = """
SELECT number FROM periscope_batches WHERE answer IS NOT NULL AND latest_ms < ?
ORDER BY number LIMIT ?
"""
DROP_DEPARTURE = "DELETE FROM periscope_departures WHERE number = ?"
DROP_AUDIT = "DELETE FROM periscope_audit WHERE number = ?"
DROP_BATCH = "DELETE FROM periscope_batches WHERE number = ?"
COUNT_PURGED = "UPDATE periscope_totals SET purged = purged + ? WHERE reason = ?"
BLANK_DEPARTURES = """
UPDATE periscope_departures
SET title = ?, source = ?, record = ?, extra = ?, note = ?, erased = 1
WHERE threat_id = ? AND erased = 0
"""
BLANK_AUDIT = "UPDATE periscope_audit SET detail = ?, erased = 1 WHERE threat_id = ? AND erased = 0"

OWN = """
INSERT INTO periscope_meta (name, value) VALUES ('database', ?) ON CONFLICT (name) DO NOTHING
"""
OWNER = "SELECT value FROM periscope_meta WHERE name = 'database'"


def retain(session: Session, older_than_ms: int, limit: int) -> int:
    """Purge up to `limit` final departures and audit rows; the totals by reason stay.

    The memory of settled batches, kept so that a late `confirm` is answered, goes with them.
    """
    departures = session.rows(OLD_DEPARTURES, (older_than_ms, limit))
    if departures:
        session.run_many(DROP_DEPARTURE, [(number,) for number, _ in departures])
        purged = Counter(reason for _, reason in departures)
        session.run_many(COUNT_PURGED, [(count, reason) for reason, count in purged.items()])
    audit = session.rows(OLD_AUDIT, (older_than_ms, limit - len(departures)))
    if audit:
        session.run_many(DROP_AUDIT, audit)
    batches = session.rows(OLD_BATCHES, (older_than_ms, limit))
    if batches:
        session.run_many(DROP_BATCH, batches)
    return len(departures) + len(audit)


def erase(session: Session, threat_id: str) -> int:
    """Blank what every row of the threat says, pending ones too, lest they bring it back."""
    key = to_bytes(threat_id)
    departures = session.run(BLANK_DEPARTURES, (b"", b"", b"", b"", b"", key))
    return departures + session.run(BLANK_AUDIT, (b"", key))


def belong_to(session: Session, database: str) -> str:
    """The database that the archive belongs to: this one, if it had none yet."""
    session.run(OWN, (database,))
    return owner(session)


def owner(session: Session) -> str:
    """The database that the archive belongs to; empty while it has none."""
    return "".join(str(value) for (value,) in session.rows(OWNER))
