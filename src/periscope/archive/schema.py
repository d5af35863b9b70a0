"""The tables of the archive, its version and its identity; the same in both dialects.

Words of closed sets are text. Whatever may hold a NUL or is nobody's business to sort by language
(ids, titles, notes) is bytes: PostgreSQL's text refuses NUL, and its order depends on a locale.
"""

from __future__ import annotations

import secrets

from periscope.archive.session import Session, transaction
from periscope.errors import ArchiveError

SCHEMA_VERSION = 1

META = "periscope_meta"

# `pending_batch` is NULL once a departure is final; `position` is its place in its batch.
TABLES = """
CREATE TABLE periscope_meta (
    name TEXT NOT NULL PRIMARY KEY,
    value TEXT NOT NULL
);
CREATE TABLE periscope_departures (
    number {number},
    threat_id {bytes} NOT NULL,
    reason TEXT NOT NULL,
    departed_at_ms BIGINT NOT NULL,
    severity TEXT NOT NULL,
    source {bytes} NOT NULL,
    title {bytes} NOT NULL,
    level BIGINT NOT NULL,
    first_seen_ms BIGINT NOT NULL,
    last_activity_ms BIGINT NOT NULL,
    interactions BIGINT NOT NULL,
    escalations BIGINT NOT NULL,
    dismissals BIGINT NOT NULL,
    views BIGINT NOT NULL,
    sightings BIGINT NOT NULL,
    analysts BIGINT NOT NULL,
    consolidations BIGINT NOT NULL,
    confidence DOUBLE PRECISION NOT NULL,
    outcome TEXT,
    record {bytes} NOT NULL,
    extra {bytes} NOT NULL,
    actor {bytes} NOT NULL,
    note {bytes} NOT NULL,
    erased BIGINT NOT NULL,
    pending_batch {bytes},
    position BIGINT NOT NULL
);
CREATE UNIQUE INDEX periscope_departures_pending
    ON periscope_departures (pending_batch, position) WHERE pending_batch IS NOT NULL;
CREATE INDEX periscope_departures_threat ON periscope_departures (threat_id, number);
CREATE INDEX periscope_departures_severity ON periscope_departures (severity, number);
CREATE INDEX periscope_departures_source ON periscope_departures (source, number);
CREATE INDEX periscope_departures_time ON periscope_departures (departed_at_ms, number);
CREATE TABLE periscope_batches (
    number {number},
    batch_id {bytes} NOT NULL UNIQUE,
    partition_number BIGINT NOT NULL,
    digest {bytes} NOT NULL,
    latest_ms BIGINT NOT NULL,
    answer {bytes},
    departed BIGINT NOT NULL
);
CREATE INDEX periscope_batches_pending ON periscope_batches (number) WHERE answer IS NULL;
CREATE TABLE periscope_totals (
    reason TEXT NOT NULL PRIMARY KEY,
    departed BIGINT NOT NULL,
    purged BIGINT NOT NULL
);
CREATE TABLE periscope_audit (
    number {number},
    partition_number BIGINT NOT NULL,
    stream_ms BIGINT NOT NULL,
    stream_sequence BIGINT NOT NULL,
    position BIGINT NOT NULL,
    at_ms BIGINT NOT NULL,
    action TEXT NOT NULL,
    threat_id {bytes} NOT NULL,
    analyst_id {bytes} NOT NULL,
    request_id {bytes} NOT NULL,
    detail {bytes} NOT NULL,
    erased BIGINT NOT NULL,
    UNIQUE (partition_number, stream_ms, stream_sequence, position)
);
CREATE INDEX periscope_audit_analyst ON periscope_audit (analyst_id, number);
CREATE INDEX periscope_audit_threat ON periscope_audit (threat_id, number);
CREATE INDEX periscope_audit_time ON periscope_audit (at_ms, number);
CREATE TABLE periscope_reached (
    partition_number BIGINT NOT NULL PRIMARY KEY,
    stream_ms BIGINT NOT NULL,
    stream_sequence BIGINT NOT NULL
)
"""


def identify(session: Session, shown: str, *, create: bool) -> str:
    """Return the archive's identity, making the tables first where there are none.

    Raises:
        ArchiveError: the place belongs to another program or to a newer version.
    """
    if not session.has_table(META):
        if not create:
            raise ArchiveError(f"archive {shown}: its tables are gone; restore it from a backup")
        with transaction(session, "make"):
            _make(session, shown)
    meta: dict[str, str] = dict(session.rows("SELECT name, value FROM periscope_meta"))
    version, identity = meta.get("schema_version", ""), meta.get("identity", "")
    if not version.isdecimal() or not identity:
        raise ArchiveError(f"archive {shown}: has no version or identity; restore it from a backup")
    if int(version) > SCHEMA_VERSION:
        raise ArchiveError(
            f"archive {shown}: made by a newer Periscope (schema {version}, this program knows "
            f"{SCHEMA_VERSION}); upgrade this program"
        )
    return identity


def _make(session: Session, shown: str) -> None:
    if session.has_table(META):  # somebody was faster
        return
    if session.is_foreign():
        raise ArchiveError(
            f"archive {shown}: is a database of another program; choose another place"
        )
    tables = TABLES.format(number=session.number_type, bytes=session.bytes_type)
    for statement in tables.split(";"):
        session.run(statement)
    meta = [("schema_version", str(SCHEMA_VERSION)), ("identity", secrets.token_hex(16))]
    session.run_many("INSERT INTO periscope_meta (name, value) VALUES (?, ?)", meta)
