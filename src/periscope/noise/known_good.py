"""All warninglists at once: which of them says that an indicator is known to be harmless?

Lists of a type that are for the same indicators are one structure, so that a hundred lists cost
about as much as one; only large ones stay sets of their own, since merging them takes long.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, TypeVar

from periscope.noise.hosts import host_of, normal_host
from periscope.noise.kinds import ADDRESSES, CASELESS, KINDS
from periscope.noise.networks import Networks
from periscope.noise.patterns import Patterns
from periscope.noise.substrings import Substrings
from periscope.noise.warninglist import MAX_VALUE, ListFile, spans

LARGE = 50_000  # values
P = TypeVar("P")


class Prepared:
    """A list made ready, once for as long as it is loaded: `exact` and `folded` are its values."""

    __slots__ = ("exact", "folded", "kinds", "list", "name", "type")

    def __init__(self, listed: ListFile) -> None:
        self.name, self.type, self.kinds = listed.name, listed.type, listed.kinds
        self.exact = frozenset(listed.values) if listed.type in ("string", "hostname") else _NONE
        folded = self.exact
        if listed.type == "string" and not all(map(_is_folded, self.exact)):
            folded = frozenset(map(str.lower, self.exact))
        self.folded = folded
        self.list = listed if not self.exact else None


_NONE: frozenset[str] = frozenset()


def _is_folded(value: str) -> bool:
    return value == value.lower()


class Names:
    """Values of many lists, each with the name of the first list, by name, that has it."""

    def __init__(self, named: Iterable[tuple[str, frozenset[str]]]) -> None:
        self._small: dict[str, str] = {}
        large = []
        for name, values in named:
            if len(values) > LARGE:
                large.append((values, name))
                continue
            for value in values:
                self._small.setdefault(value, name)
        self._large = tuple(large)

    def __bool__(self) -> bool:
        return bool(self._small or self._large)

    def find(self, value: str) -> str | None:
        """The list of this very value; None if it is on none."""
        found = self._small.get(value)
        if found is None:
            for values, name in self._large:
                if value in values:
                    return name
        return found

    def find_host(self, host: str) -> str | None:
        """The list of this host or of a domain that it is part of; None if there is none."""
        while host:
            found = self.find(host)
            if found is not None:
                return found
            host = host.partition(".")[2]
        return None


class _Finder:
    """What the lists say of indicators of one type."""

    __slots__ = ("_fold", "_host", "_hosts", "_networks", "_patterns", "_strings", "_substrings")

    def __init__(self, kind: str, parts: _Parts) -> None:
        self._fold = kind in CASELESS
        self._strings = parts.names(kind, "string", folded=self._fold)
        self._host = {"domain-name": normal_host, "url": host_of}.get(kind)
        self._hosts = parts.names(kind, "hostname", folded=True) if self._host else None
        self._networks = parts.networks(kind) if kind in ADDRESSES else None
        self._substrings = parts.substrings(kind, folded=self._fold)
        self._patterns = parts.patterns(kind)

    def __bool__(self) -> bool:
        own = (self._strings, self._hosts, self._networks, self._substrings, self._patterns)
        return any(own)

    def find(self, given: str) -> str | None:
        """The list that this value is on; None if it is on none."""
        value = given.lower() if self._fold else given
        found = self._strings.find(value) if self._strings else None
        if found is None and self._hosts and self._host:
            found = self._hosts.find_host(self._host(value))
        if found is None and self._networks:
            found = self._networks.find(value)
        if found is None and self._substrings:
            found = self._substrings.find(value)
        if found is None and self._patterns:
            found = self._patterns.find(value)
        return found


class _Parts:
    """Structures made of lists; types that have the same lists share them."""

    def __init__(self, lists: Iterable[Prepared]) -> None:
        self._lists = sorted(lists, key=lambda one: one.name)
        self._made: dict[tuple[Any, ...], Any] = {}

    def names(self, kind: str, of: str, *, folded: bool) -> Names | None:
        def make(lists: Sequence[Prepared]) -> Names:
            return Names((one.name, one.folded if folded else one.exact) for one in lists)

        return self._one((of, folded), kind, of, make)

    def networks(self, kind: str) -> Networks | None:
        def make(lists: Sequence[Prepared]) -> Networks:
            files = ((one.name, one.list) for one in lists)
            return Networks((span, name) for name, file in files if file for span in spans(file))

        return self._one(("cidr",), kind, "cidr", make)

    def substrings(self, kind: str, *, folded: bool) -> Substrings | None:
        def make(lists: Sequence[Prepared]) -> Substrings:
            return Substrings(
                (text.lower() if folded else text, name) for text, name in _values_of(lists)
            )

        return self._one(("substring", folded), kind, "substring", make)

    def patterns(self, kind: str) -> Patterns | None:
        return self._one(("regex",), kind, "regex", lambda lists: Patterns(_values_of(lists)))

    def _one(
        self,
        what: tuple[Any, ...],
        kind: str,
        of: str,
        make: Callable[[Sequence[Prepared]], P],
    ) -> P | None:
        lists = [one for one in self._lists if one.type == of and kind in one.kinds]
        if not lists:
            return None
        key = (*what, *map(id, lists))
        if key not in self._made:
            self._made[key] = make(lists)
        made: P = self._made[key]
        return made


def _values_of(lists: Sequence[Prepared]) -> Iterable[tuple[str, str]]:
    return ((value, one.name) for one in lists if one.list for value in one.list.values)


class KnownGood:
    """The lists that are loaded."""

    def __init__(self, lists: Iterable[Prepared]) -> None:
        parts = _Parts(lists)
        finders = {kind: _Finder(kind, parts) for kind in KINDS}
        self._finders = {kind: finder for kind, finder in finders.items() if finder}

    def __bool__(self) -> bool:
        return bool(self._finders)

    def list_of(self, kind: str, value: str) -> str | None:
        """The name of the list that says that an indicator is harmless; None if none does."""
        finder = self._finders.get(kind)
        if finder is None or len(value) > MAX_VALUE:
            return None
        return finder.find(value)

    def cause(self, metadata: Mapping[str, Any]) -> str | None:
        """The list of the first indicator of a report, if every indicator is on one; else None.

        A report without indicators, or of which not all were kept, is never known to be harmless.
        """
        indicators = metadata.get("indicators")
        if not isinstance(indicators, list | tuple) or not indicators:
            return None
        if metadata.get("indicators_total", len(indicators)) != len(indicators):
            return None
        first: str | None = None
        for one in indicators:
            if not isinstance(one, dict):
                return None
            kind, value = one.get("type"), one.get("value")
            if not isinstance(kind, str) or not isinstance(value, str):
                return None
            found = self.list_of(kind, value)
            if found is None:
                return None
            first = first or found
        return first
