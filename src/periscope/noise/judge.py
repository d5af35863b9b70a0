"""What decides about a report: the rules in force first, in their order, then the warninglists."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import msgspec

from periscope.marks import Marker
from periscope.models import Mark, Report
from periscope.noise.condition import Condition
from periscope.noise.fields import Fields, reader_of
from periscope.noise.holding import Holds, holds
from periscope.noise.known_good import KnownGood
from periscope.noise.rule import SuppressionRule

_SORTED_BY = ("threat_id", "source", "title", "type")


class Found(NamedTuple):
    """An indicator of a report, and the warninglist that it is on; None if it is on none."""

    type: str
    value: str
    warninglist: str | None


@dataclass(frozen=True, slots=True)
class Verdict:
    """What is to become of a report, and why.

    `mark` is what it is given, None if it is not noise. `rules` are those in force whose conditions
    hold, the one that counts first; `indicators` are its indicators with their lists.
    """

    mark: Mark | None
    rules: tuple[SuppressionRule, ...]
    indicators: tuple[Found, ...]


class _Compiled(NamedTuple):
    place: int
    rule: SuppressionRule
    holds: Holds
    mark: Mark


class Judge:
    """The rules and lists of one revision; `now_ms` is the server's clock, as far as one knows."""

    def __init__(
        self,
        rules: Iterable[SuppressionRule] = (),
        known: KnownGood | None = None,
        now_ms: Callable[[], int] | None = None,
    ) -> None:
        self._now_ms = now_ms or _own_clock
        now = self._now_ms()
        self._known = known
        self._rest: list[_Compiled] = []
        # Most rules name a source or an id: of these only those that name the report's are tried.
        self._sorted: dict[str, dict[str, list[_Compiled]]] = {}
        for place, rule in enumerate(one for one in rules if one.in_force(now)):
            self._file(_Compiled(place, rule, holds(rule.where), rule.mark))
        self._readers = {name: reader_of(name) for name in self._sorted}

    @property
    def marker(self) -> Marker | None:
        """What marks reports; None where there is nothing that could."""
        return self.mark if self._rest or self._sorted or self._known else None

    def mark(self, report: Any) -> Mark | None:
        """Is this report (a dict or a `Report`) noise? None if it is not."""
        fields = as_fields(report)
        if self._rest or self._sorted:
            found = self._first(fields)
            if found is not None:
                return found.mark
        if self._known is None:
            return None
        metadata = fields.get("metadata")
        cause = self._known.cause(metadata) if metadata else None
        return None if cause is None else Mark(f"list:{cause}")

    def explain(self, report: Any) -> Verdict:
        """What `mark` answers, and all that speaks for it."""
        fields = as_fields(report)
        rules = [one.rule for one in self._candidates(fields) if self._fits(one, fields)]
        found = [Found(*one, self._list_of(*one)) for one in _indicators(fields)]
        return Verdict(self.mark(report), tuple(rules), tuple(found))

    def _list_of(self, kind: str, value: str) -> str | None:
        return None if self._known is None else self._known.list_of(kind, value)

    def _file(self, one: _Compiled) -> None:
        for condition in one.rule.where:
            if condition.op == "=" and condition.field in _SORTED_BY:
                values = self._sorted.setdefault(condition.field, {})
                values.setdefault(str(condition.value), []).append(one)
                return
        self._rest.append(one)

    def _candidates(self, fields: Fields) -> Sequence[_Compiled]:
        """The rules that may fit, in their order."""
        if not self._sorted:
            return self._rest
        found = list(self._rest)
        for name, values in self._sorted.items():
            read = self._readers[name]
            for value in read(fields) if read else ():
                found += values.get(value, ()) if isinstance(value, str) else ()
        return found if len(found) == len(self._rest) else sorted(found, key=_place)

    def _first(self, fields: Fields) -> _Compiled | None:
        for one in self._candidates(fields):
            if self._fits(one, fields):
                return one
        return None

    def _fits(self, one: _Compiled, fields: Fields) -> bool:
        if not one.holds(fields):
            return False
        return not one.mark.until_ms or self._now_ms() < one.mark.until_ms


def as_fields(report: Any) -> Fields:
    """A report as conditions see it."""
    if isinstance(report, dict):
        return report
    if isinstance(report, Report):
        return msgspec.structs.asdict(report)
    return {name: getattr(report, name, None) for name in Report.__struct_fields__}


def _indicators(fields: Fields) -> list[tuple[str, str]]:
    metadata = fields.get("metadata")
    given = metadata.get("indicators") if isinstance(metadata, dict) else None
    return [
        (one["type"], one["value"])
        for one in (given if isinstance(given, list | tuple) else ())
        if isinstance(one, dict)
        and isinstance(one.get("type"), str)
        and isinstance(one.get("value"), str)
    ]


def fulfils(conditions: tuple[Condition, ...]) -> Callable[[Any], bool]:
    """Whether a threat, as it was read, fulfils these conditions: as its last report did."""
    fulfilled = holds(conditions)
    return lambda threat: fulfilled(as_fields(threat))


def _place(one: _Compiled) -> int:
    return one.place


def _own_clock() -> int:
    return time.time_ns() // 1_000_000
