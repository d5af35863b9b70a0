"""The archive: what left the store, and what analysts did, in a SQLite file or in PostgreSQL.

Departures come in two phases, so that a crash anywhere loses and doubles nothing: `prepare` writes
them as pending, the store lets go of them, `confirm` makes them final. What a crash leaves between
the two is listed by `pending`, and settled by asking the store what became of it.
"""

from periscope.archive.archive import Archive, open_archive
from periscope.archive.belonging import find_archive, fingerprint_of
from periscope.archive.departure import (
    REASONS,
    AuditEntry,
    Departure,
    PendingBatch,
    departing,
)

__all__ = [
    "REASONS",
    "Archive",
    "AuditEntry",
    "Departure",
    "PendingBatch",
    "departing",
    "find_archive",
    "fingerprint_of",
    "open_archive",
]
