"""The index as a SQLite file: private to this process, thrown away at the end, so never synced.

One thread writes (`Sheet`), others read (`asking.py`). What is kept of a threat is kept so that a
change of it can be told from what stands there, and what has not changed is not written again.
"""

from __future__ import annotations

# ruff: noqa: S608 - made of words of this file; whatever is stored is a parameter
import logging
import sqlite3
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from struct import pack, unpack
from typing import Any, NamedTuple

from periscope.errors import StoreDamaged
from periscope.header import HEADER_BYTES, Header, read_threat, unpack_header
from periscope.index.facts import Facts, facts_of, number_of
from periscope.policy import Policy

SOURCE, TLP, TAG, KIND, ALL = 1, 2, 3, 4, 0  # what a term, and a tally, is about
SCHEMA = """
CREATE TABLE terms (
  n INTEGER PRIMARY KEY, field INTEGER, text TEXT, shown TEXT, UNIQUE (field, text));
CREATE TABLE threats (
  row INTEGER PRIMARY KEY, id BLOB NOT NULL UNIQUE, header BLOB NOT NULL, body INTEGER NOT NULL,
  level INTEGER, status INTEGER, severity INTEGER, fresh INTEGER,
  first_seen INTEGER, last_activity INTEGER, source INTEGER, tlp INTEGER, content INTEGER,
  tags BLOB, indicators BLOB, holder TEXT, until INTEGER);
CREATE INDEX by_source ON threats (source, level, status, severity, tlp, first_seen);
CREATE INDEX by_state ON threats (level, status, severity, tlp, source);
CREATE INDEX by_first_seen ON threats (first_seen, level, status, severity, tlp, source);
CREATE INDEX by_content ON threats (content) WHERE content IS NOT NULL;
CREATE INDEX by_holder ON threats (holder) WHERE holder IS NOT NULL;
CREATE INDEX by_age ON threats (severity, first_seen) WHERE fresh = 1;
CREATE TABLE tags (tag INTEGER, row INTEGER, PRIMARY KEY (tag, row)) WITHOUT ROWID;
CREATE TABLE indicators (value INTEGER, kind INTEGER, row INTEGER,
  PRIMARY KEY (value, row, kind)) WITHOUT ROWID;
CREATE TABLE tallies (field INTEGER, term INTEGER, level INTEGER, status INTEGER, severity INTEGER,
  n INTEGER, PRIMARY KEY (field, term, level, status, severity)) WITHOUT ROWID;
CREATE VIRTUAL TABLE words USING fts5(text, tokenize = 'ascii');
"""
PRAGMAS = (
    "PRAGMA journal_mode = WAL",
    "PRAGMA synchronous = OFF",
    "PRAGMA temp_store = MEMORY",
    "PRAGMA cache_size = -32768",
    "PRAGMA journal_size_limit = 67108864",
)
_KEPT = "row, id, header, body, level, status, severity, source, tlp, tags, indicators, content"
_COLUMNS = (
    *("row", "id", "header", "body", "level", "status", "severity", "fresh"),
    *("first_seen", "last_activity", "source", "tlp", "content", "tags", "indicators"),
)
_WRITE = (
    f"INSERT INTO threats ({', '.join(_COLUMNS)}) VALUES ({', '.join('?' * len(_COLUMNS))}) "
    "ON CONFLICT (row) DO UPDATE SET "
    + ", ".join(f"{name} = excluded.{name}" for name in _COLUMNS[2:])
)
_TALLY = (
    "INSERT INTO tallies VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET n = n + excluded.n"
)
MOST_TERMS = 100_000  # that are remembered
SOME = 2_000  # rows looked at in one call
Holders = Mapping[bytes, tuple[str, int]]
log = logging.getLogger("periscope")


class _Kept(NamedTuple):
    """What stands of a threat."""

    row: int
    id: bytes
    header: bytes
    body: int
    level: int
    status: int
    severity: int
    source: int
    tlp: int
    tags: bytes
    indicators: bytes
    content: int | None


class _Batch:
    """What a batch comes to, before it is written."""

    def __init__(self) -> None:
        self.rows: list[tuple[Any, ...]] = []
        self.gone: list[tuple[int]] = []
        self.tallies: Counter[tuple[int, ...]] = Counter()
        self.tags_in: list[tuple[int, int]] = []
        self.tags_out: list[tuple[int, int]] = []
        self.indicators_in: list[tuple[int, int, int]] = []
        self.indicators_out: list[tuple[int, int, int]] = []
        self.texts_in: list[tuple[int, str]] = []
        self.texts_out: list[tuple[int]] = []


class Sheet:
    """The writer of one file; of one thread."""

    def __init__(self, path: Path, policy: Policy) -> None:
        """Make the file.

        Raises:
            sqlite3.Error: it cannot be made, or SQLite has no full-text search here.
        """
        self._policy = policy
        self._connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        self._terms: dict[tuple[int, str], int] = {}
        self._next_row = 1
        self.threats = 0
        self.seen: bytearray | None = None  # rows that a walk has met, while there is one
        try:
            for pragma in PRAGMAS:
                self._connection.execute(pragma).fetchall()
            self._connection.executescript(SCHEMA)
        except sqlite3.Error:
            self._connection.close()
            raise

    def close(self) -> None:
        """Close the file; what is under way elsewhere ends first."""
        self._connection.close()

    def apply(self, records: Sequence[tuple[bytes, bytes]], holders: Holders) -> int:
        """Take in records as just read (b'': there is none any more); how many threats there are.

        All of them or, if it raises, none.
        """
        run, first_free = self._connection.execute, self._next_row
        run("BEGIN IMMEDIATE")
        try:
            kept, batch = self._kept([threat_id for threat_id, _ in records]), _Batch()
            for threat_id, record in records:
                self._take(batch, threat_id, record, kept.get(threat_id))
            self._write(batch)
            self._hold(holders)
            run("COMMIT")
        except BaseException:
            self._terms.clear()  # some of them may be of this batch
            self._next_row = first_free
            if self._connection.in_transaction:
                run("ROLLBACK")
            raise
        self.threats += self._next_row - first_free - len(batch.gone)
        return self.threats

    def begin_walk(self) -> None:
        """From here on, note which rows are met."""
        self.seen = bytearray(self._next_row + 1)

    def unmet(self, after: int) -> tuple[list[bytes], int | None]:
        """Some ids of rows that were there when the walk began and that it has not met.

        `after` is where the last call ended, 0 for the first one; None ends it.
        """
        seen = self.seen or bytearray()
        rows = self._connection.execute(
            "SELECT row, id FROM threats WHERE row > ? AND row < ? ORDER BY row LIMIT ?",
            (after, len(seen), SOME),
        ).fetchall()
        if not rows:
            self.seen = None
            return [], None
        return [threat_id for row, threat_id in rows if not seen[row]], rows[-1][0]

    def lapsed(self, now_ms: int, most: int) -> list[bytes]:
        """Ids of threats whose claim has ended, unless it was prolonged."""
        found = self._connection.execute(
            "SELECT id FROM threats WHERE holder IS NOT NULL AND until <= ? LIMIT ?", (now_ms, most)
        )
        return [threat_id for (threat_id,) in found]

    def held(self, after: int) -> tuple[list[bytes], int | None]:
        """Some ids of threats that somebody has, as far as is known here; as `unmet`."""
        rows = self._connection.execute(
            "SELECT row, id FROM threats WHERE holder IS NOT NULL AND row > ? ORDER BY row LIMIT ?",
            (after, SOME),
        ).fetchall()
        return [threat_id for _, threat_id in rows], rows[-1][0] if rows else None

    def _kept(self, ids: Sequence[bytes]) -> dict[bytes, _Kept]:
        marks = ",".join("?" * len(ids))
        found = self._connection.execute(
            f"SELECT {_KEPT} FROM threats WHERE id IN ({marks})",
            ids,
        )
        return {row[1]: _Kept._make(row) for row in found}

    def _take(self, batch: _Batch, threat_id: bytes, record: bytes, kept: _Kept | None) -> None:
        if kept and self.seen is not None and kept.row < len(self.seen):
            self.seen[kept.row] = 1
        if not record:
            if kept:
                self._drop(batch, kept)
            return
        packed = record[:HEADER_BYTES]
        if kept and kept.header == packed:
            return
        try:
            header, body = unpack_header(packed), number_of(record[HEADER_BYTES:])
            if kept and kept.body == body:
                self._change(batch, kept, packed, header)
            else:
                self._replace(batch, threat_id, record, (packed, header, body), kept)
        except StoreDamaged as exc:
            log.warning("index: a threat is left out: %s", exc)
            if kept:
                self._drop(batch, kept)

    def _drop(self, batch: _Batch, kept: _Kept) -> None:
        batch.gone.append((kept.row,))
        batch.texts_out.append((kept.row,))
        batch.tags_out += [(tag, kept.row) for tag in _numbers(kept.tags)]
        batch.indicators_out += [(*one, kept.row) for one in pairs_in(kept.indicators)]
        _count(batch, kept, -1)

    def _change(self, batch: _Batch, kept: _Kept, packed: bytes, header: Header) -> None:
        """The report is the same: only the header's fields are new."""
        now = kept._replace(
            header=packed, level=header.level, status=header.status, severity=header.severity
        )
        self._put(batch, now, header)
        if (now.level, now.status, now.severity) != (kept.level, kept.status, kept.severity):
            _count(batch, kept, -1)
            _count(batch, now, 1)

    def _replace(
        self,
        batch: _Batch,
        threat_id: bytes,
        record: bytes,
        read: tuple[bytes, Header, int],
        kept: _Kept | None,
    ) -> None:
        packed, header, body = read
        threat = read_threat(threat_id, record, 0, self._policy)
        facts = facts_of(threat)
        row = kept.row if kept else self._next_row
        if not kept:
            self._next_row += 1
        now = _Kept(
            *(row, threat_id, packed, body, header.level, header.status, header.severity),
            *self._numbered(facts),
            number_of(threat.content.encode()) if threat.content else None,
        )
        self._put(batch, now, header)
        if kept:
            batch.texts_out.append((row,))
            _count(batch, kept, -1)
        batch.texts_in.append((row, facts.words))
        _count(batch, now, 1)
        _differ(batch, row, kept, now)

    def _numbered(self, facts: Facts) -> tuple[int, int, bytes, bytes]:
        """Source, TLP, tags and indicators as numbers."""
        tags = sorted(self._term(TAG, tag, shown) for tag, shown in facts.tags.items())
        pairs = sorted(
            (number_of(value.encode()), self._term(KIND, kind)) for kind, value in facts.indicators
        )
        return (
            self._term(SOURCE, facts.source),
            self._term(TLP, facts.tlp),
            pack(f"<{len(tags)}q", *tags),
            b"".join(pack("<qq", *pair) for pair in pairs),
        )

    def _term(self, field: int, text: str, shown: str | None = None) -> int:
        """The number of a text; it is shown as it was first written."""
        known = self._terms.get((field, text))
        if known is not None:
            return known
        if len(self._terms) > MOST_TERMS:
            self._terms.clear()
        run = self._connection.execute
        words = (field, text, text if shown is None else shown)
        run("INSERT OR IGNORE INTO terms (field, text, shown) VALUES (?, ?, ?)", words)
        (number,) = run(
            "SELECT n FROM terms WHERE field = ? AND text = ?", (field, text)
        ).fetchone()
        self._terms[field, text] = number
        return int(number)

    @staticmethod
    def _put(batch: _Batch, now: _Kept, header: Header) -> None:
        waiting = header.level == 1 and not header.status and not header.home
        batch.rows.append(
            (
                *(now.row, now.id, now.header, now.body, now.level, now.status, now.severity),
                *(int(waiting and not header.interactions), header.first_seen),
                *(header.last_activity, now.source, now.tlp, now.content),
                *(now.tags, now.indicators),
            )
        )

    def _write(self, batch: _Batch) -> None:
        many = self._connection.executemany
        many("DELETE FROM words WHERE rowid = ?", batch.texts_out)
        many("DELETE FROM tags WHERE tag = ? AND row = ?", batch.tags_out)
        many(
            "DELETE FROM indicators WHERE value = ? AND kind = ? AND row = ?", batch.indicators_out
        )
        many("DELETE FROM threats WHERE row = ?", batch.gone)
        many(_WRITE, batch.rows)
        many("INSERT INTO words (rowid, text) VALUES (?, ?)", batch.texts_in)
        many("INSERT OR IGNORE INTO tags VALUES (?, ?)", batch.tags_in)
        many(
            "INSERT OR IGNORE INTO indicators (value, kind, row) VALUES (?, ?, ?)",
            batch.indicators_in,
        )
        tallies = ((*key, number) for key, number in batch.tallies.items() if number)
        many(_TALLY, tallies)

    def _hold(self, holders: Holders) -> None:
        self._connection.executemany(
            "UPDATE threats SET holder = ?, until = ? WHERE id = ?",
            (
                (holder or None, until_ms or None, threat_id)
                for threat_id, (holder, until_ms) in holders.items()
            ),
        )


def _count(batch: _Batch, kept: _Kept, by: int) -> None:
    state = (kept.level, kept.status, kept.severity)
    tallies = batch.tallies
    tallies[ALL, 0, *state] += by
    tallies[SOURCE, kept.source, *state] += by
    tallies[TLP, kept.tlp, *state] += by
    for tag in _numbers(kept.tags):
        tallies[TAG, tag, *state] += by


def _differ(batch: _Batch, row: int, kept: _Kept | None, now: _Kept) -> None:
    """What of tags and indicators is new, and what is there no more."""
    before, after = set(_numbers(kept.tags)) if kept else set(), set(_numbers(now.tags))
    batch.tags_in += [(tag, row) for tag in after - before]
    batch.tags_out += [(tag, row) for tag in before - after]
    had, has = set(pairs_in(kept.indicators)) if kept else set(), set(pairs_in(now.indicators))
    batch.indicators_in += [(*one, row) for one in has - had]
    batch.indicators_out += [(*one, row) for one in had - has]


def _numbers(packed: bytes) -> tuple[int, ...]:
    return unpack(f"<{len(packed) // 8}q", packed)


def pairs_in(packed: bytes) -> Iterable[tuple[int, int]]:
    """(value, type) of packed indicators, as numbers."""
    flat = _numbers(packed)
    return zip(flat[::2], flat[1::2], strict=True)
