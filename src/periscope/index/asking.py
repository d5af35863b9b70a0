"""Questions to the index file, of the threads that read it; SQL is made here and nowhere else."""

from __future__ import annotations

# ruff: noqa: S608 - made of words of this file; whatever is asked for is a parameter
import sqlite3
import time
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

from periscope.functions import RankQuery
from periscope.index.facts import MOST_SHARED, number_of
from periscope.index.sheet import ALL, KIND, SOURCE, TAG, TLP, pairs_in
from periscope.index.where import Wanted, Where
from periscope.models import SEVERITIES, STATUSES

STEPS = 20_000  # of SQLite's machine between two looks at the clock
MOST_TERMS = 100  # of a facet
SIEVED = 500  # rows of one look
COMMON = 1_000  # threats of one indicator that are looked at: what more share tells little
MOST_CANDIDATES = 20_000


class TooLong(Exception):
    """A question took longer than it may."""


class Selection(NamedTuple):
    """A condition on `threats t`, with its parameters."""

    sql: str
    values: tuple[Any, ...]

    def aside(self) -> Selection:
        """The same, where another condition is to lead: a sign keeps its index out."""
        return self._replace(sql=self.sql.replace("t.", "+t."))

    def __and__(self, other: Selection) -> Selection:
        return Selection(f"{self.sql} AND {other.sql}", self.values + other.values)


class Candidate(NamedTuple):
    """A threat that shares something, and for how much that counts."""

    threat_id: bytes
    weight: float


def selection(
    wanted: Wanted, now_ms: int, targets: Sequence[int], *, each: bool = False
) -> Selection:
    """What `wanted` means for the rows of `threats t`: to find them all, or to look at `each`.

    Claims and what is overdue change by time, `targets` are the response targets in ms by severity.
    Of words, indicator and tag one leads to the rows, the others are looked at in each of those.
    """
    ways = _ways(wanted)
    lead = None if each else next(iter(ways), None)
    parts = [lead_to if name == lead else look for name, (lead_to, look) in ways.items()]
    columns = [*_of_columns(wanted), *_of_time(wanted, now_ms, targets)]
    led = lead is not None or each
    parts += [part.aside() if led else part for part in columns]
    return _all([Selection("1", ()), *parts])


def _of_columns(wanted: Wanted) -> list[Selection]:
    where, parts = wanted.where, list[Selection]()
    for texts in ([where.source] if where.source is not None else [], where.sources):
        if texts:
            parts.append(_one_of("source", SOURCE, texts))
    for texts in ([wanted.tlp] if wanted.tlp is not None else [], sorted(wanted.tlps)):
        if texts:
            parts.append(_one_of("tlp", TLP, texts))
    if wanted.ranks:
        marks = ",".join(map(str, sorted(wanted.ranks)))
        parts.append(Selection(f"t.severity IN ({marks})", ()))
    for name in ("first_seen", "last_activity"):
        for end, sign in (("from", ">="), ("until", "<")):
            moment = getattr(where, f"{name}_{end}_ms")
            if moment is not None:
                parts.append(Selection(f"t.{name} {sign} ?", (moment,)))
    return parts


def _of_time(wanted: Wanted, now_ms: int, targets: Sequence[int]) -> list[Selection]:
    where, parts = wanted.where, list[Selection]()
    if where.holder is not None:
        parts.append(_held_by(where.holder, now_ms))
    if where.overdue is not None:
        parts.append(_overdue(where.overdue, now_ms, targets))
    return parts


def state_of(query: RankQuery, wanted: Wanted) -> Selection:
    """What of a ranking query the index can tell beforehand: status and severity of level 1."""
    found = Selection("t.level = 1 AND t.status = ?", (query.status,))
    if query.severity >= 0:
        found &= Selection("t.severity = ?", (query.severity,))
    where = wanted.where
    is_led = bool(_ways(wanted)) or where.overdue or where.holder
    return found.aside() if is_led else found


def tallied(wanted: Wanted) -> Selection | None:
    """The condition as one on `tallies t`, which are kept; None where rows must be counted."""
    where = wanted.where
    terms = {
        SOURCE: where.source,
        TLP: wanted.tlp,
        TAG: wanted.tag,
    }
    asked = {field: text for field, text in terms.items() if text is not None}
    plain = Where(source=where.source, tlp=where.tlp, tag=where.tag)
    if len(asked) > 1 or where != plain:
        return None
    for field, text in asked.items():
        number = f"(SELECT n FROM terms WHERE field = {field} AND text = ?)"
        return Selection(f"t.field = {field} AND t.term = {number}", (text,))
    return Selection(f"t.field = {ALL} AND t.term = 0", ())


def _all(parts: Sequence[Selection]) -> Selection:
    whole = parts[0]
    for part in parts[1:]:
        whole &= part
    return whole


def _one_of(column: str, field: int, texts: Sequence[str]) -> Selection:
    marks = ",".join("?" * len(texts))
    numbers = f"SELECT n FROM terms WHERE field = {field} AND text IN ({marks})"
    return Selection(f"t.{column} IN ({numbers})", tuple(texts))


def _held_by(holder: str, now_ms: int) -> Selection:
    if holder:
        return Selection("(t.holder = ? AND t.until > ?)", (holder, now_ms))
    return Selection("(t.holder IS NULL OR t.until <= ?)", (now_ms,))


def _overdue(is_so: bool, now_ms: int, targets: Sequence[int]) -> Selection:
    due = " OR ".join("(t.severity = ? AND t.first_seen < ?)" for _ in targets)
    values = [value for rank, ms in enumerate(targets) for value in (rank, now_ms - ms)]
    condition = f"(t.fresh = 1 AND ({due}))"
    return Selection(condition if is_so else f"NOT {condition}", tuple(values))


def _ways(wanted: Wanted) -> dict[str, tuple[Selection, Selection]]:
    """Conditions on other tables: as what leads to rows, and as a look at one row."""
    ways = {}
    if wanted.value:
        sql, values = "value = ?", (number_of(wanted.value.encode()),)
        if wanted.kind:
            sql += f" AND kind = (SELECT n FROM terms WHERE field = {KIND} AND text = ?)"
            values += (wanted.kind,)  # type: ignore[assignment]
        ways["indicator"] = _among("indicators", sql, values)
    if wanted.phrases:
        # Each row's words lie beside their index, which is made to find rows and not to test one.
        match = " AND ".join(phrase.match for phrase in wanted.phrases)
        has = "(SELECT instr(c0, ?) FROM words_content WHERE id = t.row)"
        patterns = tuple(phrase.pattern for phrase in wanted.phrases)
        ways["text"] = (
            Selection("t.row IN (SELECT rowid FROM words WHERE words MATCH ?)", (match,)),
            Selection(" AND ".join([has] * len(patterns)), patterns),
        )
    if wanted.tag is not None:
        number = f"(SELECT n FROM terms WHERE field = {TAG} AND text = ?)"
        ways["tag"] = _among("tags", f"tag = {number}", (wanted.tag,))
    return ways


def _among(table: str, condition: str, values: tuple[Any, ...]) -> tuple[Selection, Selection]:
    return (
        Selection(f"t.row IN (SELECT row FROM {table} WHERE {condition})", values),
        Selection(
            f"EXISTS (SELECT 1 FROM {table} WHERE {condition} AND row = t.row)",
            values,
        ),
    )


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

    def count_tallied(self, wanted: Selection) -> int:
        """How many rows fit a condition on tallies."""
        sql = f"SELECT coalesce(sum(t.n), 0) FROM tallies t WHERE {wanted.sql}"
        return int(self._rows(sql, wanted.values, float("inf"))[0][0])

    def sieve(self, ids: Sequence[bytes], wanted: Selection, within_s: float) -> set[bytes]:
        """Which of these ids are known here and fit."""
        marks = ",".join("?" * len(ids))
        sql = f"SELECT t.id FROM threats t WHERE t.id IN ({marks}) AND {wanted.sql}"
        return {row[0] for row in self._rows(sql, (*ids, *wanted.values), within_s)}

    def known(self, ids: Sequence[bytes]) -> set[bytes]:
        """Which of these ids are known here."""
        return self.sieve(ids, Selection("1", ()), float("inf"))

    def tallies(self, state: Selection, within_s: float) -> dict[str, dict[str, int]]:
        """Counts by value of all rows of this state (its columns are those of tallies)."""
        sql = (
            f"SELECT t.field, {_NAME}, level, status, severity, sum(t.n) FROM tallies t "
            f"LEFT JOIN terms ON terms.n = t.term WHERE {state.sql} "
            "GROUP BY t.field, t.term, level, status, severity"
        )
        return _added_up(self._rows(sql, state.values, within_s))

    def facets(self, wanted: Selection, within_s: float) -> dict[str, dict[str, int]]:
        """Counts by value of the rows that fit."""
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
        return _added_up(self._rows(sql, wanted.values, within_s))

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
