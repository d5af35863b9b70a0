"""What is asked for as a condition in SQL, on rows of threats or on tallies.

Everything that somebody asks for travels as a parameter: no text of theirs is ever part of the SQL.
"""

from __future__ import annotations

# ruff: noqa: S608 - made of words of this file; whatever is asked for is a parameter
from collections.abc import Iterable, Sequence
from typing import Any, Literal, NamedTuple

from msgspec import structs

from periscope.functions import RankQuery
from periscope.index.facts import number_of
from periscope.index.sheet import ALL, KIND, SOURCE, TAG, TLP
from periscope.index.where import EVERYTHING, Wanted, Where


class Selection(NamedTuple):
    """A condition on `threats t`, with its parameters."""

    sql: str
    values: tuple[Any, ...]

    def aside(self) -> Selection:
        """The same, where another condition is to lead: a sign keeps its index out."""
        return self._replace(sql=self.sql.replace("t.", "+t."))

    def __and__(self, other: Selection) -> Selection:
        return Selection(f"{self.sql} AND {other.sql}", self.values + other.values)


class Tallied(NamedTuple):
    """Conditions on `tallies t`: what is counted, less what is not."""

    plus: Selection
    minus: Selection | None = None

    def __and__(self, other: Selection) -> Tallied:
        return Tallied(self.plus & other, self.minus and self.minus & other)


ANYTHING = Selection("1", ())


def selection(
    wanted: Wanted, now_ms: int, targets: Sequence[int], *, each: bool = False
) -> Selection:
    """What `wanted` means for the rows of `threats t`: to find them all, or to look at `each`.

    Claims and what is overdue change by time, `targets` are the response targets in ms by severity.
    Of words, indicator and tag one leads to the rows, the others are looked at in each of those.
    Where nothing else leads, a bound on when a threat was first seen does.
    """
    ways = _ways(wanted)
    lead = None if each else next(iter(ways), None)
    parts = [lead_to if name == lead else look for name, (lead_to, look) in ways.items()]
    columns = [*_of_columns(wanted), *_of_time(wanted, now_ms, targets)]
    times = _of_first_seen(wanted.where)
    if lead is not None or each:
        parts += [part.aside() for part in [*columns, *times]]
    elif times and not is_led(wanted):
        parts += [*times, *(part.aside() for part in columns)]
    else:
        parts += [*columns, *(part.aside() for part in times)]
    return all_of([ANYTHING, *parts, *_without_tags(wanted)])


def state_of(query: RankQuery, wanted: Wanted) -> Selection:
    """What of a ranking query the index can tell beforehand: status and severity of level 1."""
    found = Selection("t.level = 1 AND t.status = ?", (query.status,))
    if query.severity >= 0:
        found &= Selection("t.severity = ?", (query.severity,))
    return found if is_led_by_state(wanted) else found.aside()


def of_level(level: int, wanted: Wanted) -> Selection:
    """Rows of one level, whatever their status."""
    found = Selection("t.level = ?", (level,))
    return found if is_led_by_state(wanted) else found.aside()


def of_severities(wanted: Wanted) -> Selection | None:
    """What `wanted` means where it is about severities and nothing else; else None."""
    rest = structs.replace(wanted.where, severities=(), not_severities=())
    return all_of([ANYTHING, *_severities(wanted)]) if rest == EVERYTHING else None


def is_led(wanted: Wanted) -> bool:
    """Is there something that leads to the few rows that fit, other than times?"""
    where = wanted.where
    return is_led_aside(wanted) or where.source is not None or bool(where.sources)


def is_led_aside(wanted: Wanted) -> bool:
    """As `is_led`, by an index that knows nothing of level and status."""
    where = wanted.where
    return bool(_ways(wanted) or where.overdue or where.holder)


def is_led_by_state(wanted: Wanted) -> bool:
    """Are rows best found by level and status, alone or with the source?"""
    if is_led_aside(wanted):
        return False
    return is_led(wanted) or not _of_first_seen(wanted.where)


def tallied(wanted: Wanted) -> Tallied | None:
    """The condition as one on `tallies t`, which are kept; None where rows must be counted.

    That is: severities, and beside them one of source, TLP and tag.
    """
    if structs.replace(wanted.where, **_TALLIED) != EVERYTHING:
        return None
    asked, severities = list(_texts(wanted)), all_of([ANYTHING, *_severities(wanted)])
    fields = {field for field, _, _, _ in asked}
    if len(fields) > 1 or (TAG in fields and sum(len(texts) for _, _, texts, _ in asked) > 1):
        return None
    everything = Selection(f"t.field = {ALL} AND t.term = 0", ())
    if not fields:
        return Tallied(everything & severities)
    if asked[0][0] == TAG:
        _, _, texts, is_not = asked[0]
        tagged = Selection(f"t.field = {TAG}", ()) & _one_of("term", TAG, texts) & severities
        return Tallied(everything & severities, tagged) if is_not else Tallied(tagged)
    parts = [_one_of("term", field, texts, is_not) for field, _, texts, is_not in asked]
    return Tallied(all_of([Selection(f"t.field = {asked[0][0]}", ()), *parts, severities]))


def with_all(wanted: Wanted, *names: Literal["not_sources", "not_tags", "not_tlps"]) -> Wanted:
    """The same with what it leaves out by these, or by all; itself if that is nothing."""
    kept = structs.replace(wanted.where, **dict.fromkeys(names or _LEFT_OUT, ()))
    return wanted if kept == wanted.where else Wanted(kept)


def left_out(wanted: Wanted, *fields: int) -> Selection:
    """Rows of `threats t` with any source, tag or TLP that is left out, or of these fields."""
    return _any_of(
        _among_tags(texts) if field == TAG else _one_of(column, field, texts)
        for field, column, texts, is_not in _texts(wanted)
        if is_not and (not fields or field in fields)
    )


def left_out_tallied(wanted: Wanted) -> Selection:
    """Tallies of what is left out: their sum is no less than how many rows that are."""
    return _any_of(
        Selection(f"t.field = {field}", ()) & _one_of("term", field, texts)
        for field, _, texts, is_not in _texts(wanted)
        if is_not
    )


def _any_of(parts: Iterable[Selection]) -> Selection:
    given = list(parts)
    words = " OR ".join(one.sql for one in given)
    return Selection(f"({words})", tuple(value for one in given for value in one.values))


_LEFT_OUT = ("not_sources", "not_tags", "not_tlps")
_TALLIED: dict[str, Any] = {
    **dict.fromkeys(("source", "tlp", "tag")),
    **dict.fromkeys(("sources", "tlps", "severities"), ()),
    **dict.fromkeys(("not_sources", "not_tags", "not_tlps", "not_severities"), ()),
}


def _texts(wanted: Wanted) -> Iterable[tuple[int, str, Sequence[str], bool]]:
    """Field, column, values of each condition on source, TLP and tag; is it one that leaves out?"""
    where = wanted.where
    sources = [] if where.source is None else [where.source]
    tlps, tags = ([] if one is None else [one] for one in (wanted.tlp, wanted.tag))
    for field, column, texts, is_not in (
        (SOURCE, "source", sources, False),
        (SOURCE, "source", where.sources, False),
        (SOURCE, "source", sorted(wanted.not_sources), True),
        (TLP, "tlp", tlps, False),
        (TLP, "tlp", sorted(wanted.tlps), False),
        (TLP, "tlp", sorted(wanted.not_tlps), True),
        (TAG, "tag", tags, False),
        (TAG, "tag", sorted(wanted.not_tags), True),
    ):
        if texts:
            yield field, column, texts, is_not


def _severities(wanted: Wanted) -> Iterable[Selection]:
    for ranks, word in ((wanted.ranks, "IN"), (wanted.not_ranks, "NOT IN")):
        if ranks:
            marks = ",".join(map(str, sorted(ranks)))
            yield Selection(f"t.severity {word} ({marks})", ())


def _of_columns(wanted: Wanted) -> list[Selection]:
    parts = [
        _one_of(column, field, texts, is_not)
        for field, column, texts, is_not in _texts(wanted)
        if field != TAG
    ]
    return [*parts, *_severities(wanted), *_bounds(wanted.where, "last_activity")]


def _of_first_seen(where: Where) -> list[Selection]:
    return list(_bounds(where, "first_seen"))


def _bounds(where: Where, name: str) -> Iterable[Selection]:
    for end, sign in (("from", ">="), ("until", "<")):
        moment = getattr(where, f"{name}_{end}_ms")
        if moment is not None:
            yield Selection(f"t.{name} {sign} ?", (moment,))


def _of_time(wanted: Wanted, now_ms: int, targets: Sequence[int]) -> list[Selection]:
    where, parts = wanted.where, list[Selection]()
    if where.holder is not None:
        parts.append(_held_by(where.holder, now_ms))
    if where.overdue is not None:
        parts.append(_overdue(where.overdue, now_ms, targets))
    return parts


def all_of(parts: Sequence[Selection]) -> Selection:
    """All of these conditions together."""
    whole = parts[0]
    for part in parts[1:]:
        whole &= part
    return whole


def _one_of(column: str, field: int, texts: Sequence[str], is_not: bool = False) -> Selection:
    word = "NOT IN" if is_not else "IN"
    return Selection(f"t.{column} {word} ({_numbers(field, texts)})", tuple(texts))


def _numbers(field: int, texts: Sequence[str]) -> str:
    marks = ",".join("?" * len(texts))
    return f"SELECT n FROM terms WHERE field = {field} AND text IN ({marks})"


def _among_tags(tags: Sequence[str]) -> Selection:
    sql = f"SELECT row FROM tags WHERE tag IN ({_numbers(TAG, tags)})"
    return Selection(f"t.row IN ({sql})", tuple(tags))


def _without_tags(wanted: Wanted) -> list[Selection]:
    """A look at each row: no index leads to what has no such tag."""
    if not wanted.not_tags:
        return []
    tags = sorted(wanted.not_tags)
    sql = f"SELECT 1 FROM tags WHERE tag IN ({_numbers(TAG, tags)}) AND row = t.row"
    return [Selection(f"NOT EXISTS ({sql})", tuple(tags))]


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
