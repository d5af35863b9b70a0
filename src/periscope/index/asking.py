"""Questions to the index file, of the threads that read it."""

from __future__ import annotations

# ruff: noqa: S608 - made of words of this file; whatever is asked for is a parameter
import sqlite3
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

from periscope.index.buckets import Buckets
from periscope.index.facts import MOST_SHARED
from periscope.index.selecting import ANYTHING, Selection, Tallied
from periscope.index.sheet import ALL, SOURCE, TAG, TLP, pairs_in
from periscope.models import SEVERITIES, STATUSES

STEPS = 20_000  # of SQLite's machine between two looks at the clock
MOST_TERMS = 100  # of a facet
SIEVED = 500  # rows of one look
COMMON = 1_000  # threats of one indicator that are looked at: what more share tells little
MOST_CANDIDATES = 20_000


class TooLong(Exception):
    """A question took longer than it may."""


class Candidate(NamedTuple):
    """A threat that shares something, and for how much that counts."""

    threat_id: bytes
    weight: float


class Counted(NamedTuple):
    """Rows that are counted; does more than when they were first seen lead to them?"""

    rows: Selection
    is_led: bool


class Asker:
    """A connection that only reads; of one thread at a time."""

    def __init__(self, path: Path) -> None:
        self._connection = sqlite3.connect(
            f"file:{path}?mode=ro", uri=True, isolation_level=None, check_same_thread=False
        )
        self._until = float("inf")
        for pragma in ("cache_size = -16384", "temp_store = MEMORY", "query_only = ON"):
            self._connection.execute(f"PRAGMA {pragma}").fetchall()
        self._connection.set_progress_handler(self._is_late, STEPS)

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()

    def ids(self, wanted: Selection, most: int, within_s: float) -> list[bytes] | None:
        """Ids of all rows that fit; None if there are more than `most`."""
        rows = self._rows(
            f"SELECT t.id FROM threats t WHERE {wanted.sql} LIMIT {most + 1}",
            wanted.values,
            within_s,
        )
        return None if len(rows) > most else [threat_id for (threat_id,) in rows]

    def count(self, wanted: Selection, within_s: float) -> int:
        """How many rows fit."""
        sql = f"SELECT count(*) FROM threats t WHERE {wanted.sql}"
        return int(self._rows(sql, wanted.values, within_s)[0][0])

    def count_tallied(self, wanted: Tallied) -> int:
        """How many rows fit a condition on tallies."""
        if wanted.minus is None:
            return self._tally(wanted.plus)
        with self._at_once():
            return self._tally(wanted.plus) - self._tally(wanted.minus)

    def count_rest(
        self, whole: Tallied, likely: Selection, less: Selection, within_s: float
    ) -> int | None:
        """How many rows the whole has beside those of `less`; None: those are not seldom.

        `likely` are tallies that say at most how many those are.
        """
        with self._at_once():
            total = self._tally(whole.plus) - (self._tally(whole.minus) if whole.minus else 0)
            if 2 * self._tally(likely) > total:
                return None
            return total - self.count(less, within_s)

    def _tally(self, wanted: Selection) -> int:
        sql = f"SELECT coalesce(sum(t.n), 0) FROM tallies t WHERE {wanted.sql}"
        return int(self._rows(sql, wanted.values, float("inf"))[0][0])

    def sieve(self, ids: Sequence[bytes], wanted: Selection, within_s: float) -> set[bytes]:
        """Which of these ids are known here and fit."""
        marks = ",".join("?" * len(ids))
        sql = f"SELECT t.id FROM threats t WHERE t.id IN ({marks}) AND {wanted.sql}"
        return {row[0] for row in self._rows(sql, (*ids, *wanted.values), within_s)}

    def known(self, ids: Sequence[bytes]) -> set[bytes]:
        """Which of these ids are known here."""
        return self.sieve(ids, ANYTHING, float("inf"))

    def tallies(self, state: Selection, within_s: float) -> dict[str, dict[str, int]]:
        """Counts by value of all rows of this state (its columns are those of tallies)."""
        return _added_up(self._tallies(state, within_s))

    def facets(self, wanted: Selection, within_s: float) -> dict[str, dict[str, int]]:
        """Counts by value of the rows that fit."""
        return _added_up(self._facets(wanted, within_s))

    def facets_of_rest(
        self, state: Selection, likely: Selection, less: Selection, within_s: float
    ) -> dict[str, dict[str, int]] | None:
        """As `tallies`, of rows that are not those of `less`; None: see `count_rest`."""
        everything = Selection(f"t.field = {ALL}", ())
        with self._at_once():
            if 2 * self._tally(likely & state) > self._tally(everything & state):
                return None
            counts = self._tallies(state, within_s)
            gone = self._facets(less, within_s)
            return _added_up([*counts, *((*one[:-1], -one[-1]) for one in gone)])

    def _tallies(self, state: Selection, within_s: float) -> list[Any]:
        sql = (
            f"SELECT t.field, {_NAME}, level, status, severity, sum(t.n) FROM tallies t "
            f"LEFT JOIN terms ON terms.n = t.term WHERE {state.sql} "
            "GROUP BY t.field, t.term, level, status, severity"
        )
        return self._rows(sql, state.values, within_s)

    def _facets(self, wanted: Selection, within_s: float) -> list[Any]:
        sql = (
            "WITH m AS MATERIALIZED (SELECT t.row, t.level, t.status, t.severity, t.source, t.tlp "
            f"FROM threats t WHERE {wanted.sql}), "
            f"f AS (SELECT {ALL} field, 0 term, level, status, severity, count(*) n FROM m "
            "GROUP BY 3, 4, 5 UNION ALL "
            f"SELECT {SOURCE}, source, 0, 0, 0, count(*) FROM m GROUP BY 2 UNION ALL "
            f"SELECT {TLP}, tlp, 0, 0, 0, count(*) FROM m GROUP BY 2 UNION ALL "
            f"SELECT {TAG}, tag, 0, 0, 0, count(*) FROM m JOIN tags USING (row) GROUP BY 2) "
            f"SELECT f.field, {_NAME}, level, status, severity, f.n FROM f "
            "LEFT JOIN terms ON terms.n = f.term"
        )
        return self._rows(sql, wanted.values, within_s)

    def histogram(
        self, counted: Counted, less: Selection | None, within: Buckets, within_s: float
    ) -> list[int]:
        """How many rows were first seen in each bucket, of those that fit and are not of `less`."""
        with self._at_once():
            counts = self._counts(counted, within, within_s)
            if less is None:
                return counts
            gone = self._counts(Counted(less, is_led=True), within, within_s)
        return [one - other for one, other in zip(counts, gone, strict=True)]

    def _counts(self, counted: Counted, within: Buckets, within_s: float) -> list[int]:
        """By buckets along their index, which no sorting is needed for; or those rows, grouped."""
        wanted = counted.rows
        if not counted.is_led:
            marks = ",".join(["(?, ?)"] * within.number)
            sql = (
                f"WITH b(low, high) AS (VALUES {marks}) SELECT (SELECT count(*) FROM threats t "
                f"WHERE t.first_seen >= b.low AND t.first_seen < b.high AND {wanted.sql}) FROM b"
            )
            values = [moment for edges in within.edges for moment in edges]
            return [count for (count,) in self._rows(sql, (*values, *wanted.values), within_s)]
        sql = (
            f"WITH m AS MATERIALIZED (SELECT t.first_seen at FROM threats t WHERE {wanted.sql}) "
            "SELECT (at - ?) / ?, count(*) FROM m WHERE at >= ? AND at < ? GROUP BY 1"
        )
        span = (within.from_ms, within.bucket_ms, within.from_ms, within.until_ms)
        found = dict(self._rows(sql, (*wanted.values, *span), within_s))
        return [found.get(number, 0) for number in range(within.number)]

    def alike(self, threat_id: bytes, wanted: Selection, within_s: float) -> list[Candidate]:
        """Who shares an indicator or the content, the most and the rarest first; not itself.

        What more than `COMMON` threats share counts little, and so many of them are looked at.
        """
        own = self._rows(
            "SELECT row, indicators, content FROM threats WHERE id = ?", (threat_id,), within_s
        )
        if not own:
            return []
        row, packed, content = own[0]
        weights = dict[int, float]()
        for rows in self._sharers(packed, content, within_s):
            weight = 1.0 / len(rows)
            for other in rows:
                if other != row:
                    weights[other] = weights.get(other, 0.0) + weight
            if len(weights) > MOST_CANDIDATES:
                break
        return self._chosen(weights, wanted, within_s)

    def _sharers(self, packed: bytes, content: int | None, within_s: float) -> Iterator[list[int]]:
        """Rows that share each of these, the rarest first."""
        found = [
            self._row_numbers(
                "SELECT row FROM indicators WHERE value = ? AND kind = ?", pair, within_s
            )
            for pair in islice(pairs_in(packed), MOST_SHARED)
        ]
        if content is not None:
            sql = "SELECT row FROM threats WHERE content = ?"
            found.append(self._row_numbers(sql, (content,), within_s))
        yield from sorted(filter(None, found), key=len)

    def _row_numbers(self, sql: str, values: Sequence[Any], within_s: float) -> list[int]:
        rows = self._rows(f"{sql} ORDER BY row DESC LIMIT {COMMON}", values, within_s)
        return [row for (row,) in rows]

    def _chosen(
        self, weights: dict[int, float], wanted: Selection, within_s: float
    ) -> list[Candidate]:
        """The weightiest of these rows that fit."""
        ranked = sorted(weights.items(), key=lambda one: (-one[1], one[0]))
        found: list[Candidate] = []
        for start in range(0, len(ranked), SIEVED):
            part = dict(ranked[start : start + SIEVED])
            marks = ",".join("?" * len(part))
            sql = f"SELECT t.row, t.id FROM threats t WHERE t.row IN ({marks}) AND {wanted.sql}"
            ids = dict(self._rows(sql, (*part, *wanted.values), within_s))
            found += [Candidate(ids[row], weight) for row, weight in part.items() if row in ids]
            if len(found) >= SIEVED:
                break
        return found

    @contextmanager
    def _at_once(self) -> Iterator[None]:
        """What is asked in here is all of one moment."""
        self._connection.execute("BEGIN")
        try:
            yield
        finally:
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")

    def _rows(self, sql: str, values: Sequence[Any], within_s: float) -> list[Any]:
        self._until = time.monotonic() + within_s
        try:
            return self._connection.execute(sql, values).fetchall()
        except sqlite3.OperationalError as exc:
            if time.monotonic() > self._until:
                raise TooLong from exc
            raise
        finally:
            self._until = float("inf")

    def _is_late(self) -> bool:
        return time.monotonic() > self._until


_NAME = "coalesce(terms.shown, '')"
_FIELDS = {SOURCE: "source", TLP: "tlp", TAG: "tag"}


def _added_up(rows: Sequence[Any]) -> dict[str, dict[str, int]]:
    """Counts by facet and value, the most frequent first."""
    found: dict[str, dict[str, int]] = {name: {} for name in ("severity", "status", "level")}
    found |= {name: {} for name in _FIELDS.values()}
    for field, text, level, status, severity, count in rows:
        if field == ALL:
            for name, value in (
                ("severity", SEVERITIES[severity].value),
                ("status", STATUSES[status].value),
                ("level", str(level)),
            ):
                found[name][value] = found[name].get(value, 0) + count
        else:
            values = found[_FIELDS[field]]
            values[text] = values.get(text, 0) + count
    return {name: _most_frequent(values) for name, values in found.items()}


def _most_frequent(values: dict[str, int]) -> dict[str, int]:
    ordered = sorted(
        (one for one in values.items() if one[1] > 0), key=lambda one: (-one[1], one[0])
    )
    return dict(ordered[:MOST_TERMS])
