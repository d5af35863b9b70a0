"""One record's values by their dotted paths, whether its keys are nested, dotted, or both."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

Flat = dict[str, Any]
MOST_VALUES = 50


def flattened(record: Flat) -> Flat:
    """Return the values that are no objects under their paths: `{"a": {"b.c": 1}}` has `a.b.c`.

    Lists stay as they are. Of two values with one path the first counts.
    """
    found: Flat = {}
    waiting: list[tuple[str, Flat]] = [("", record)]
    for prefix, part in waiting:
        for key, value in part.items():
            if type(value) is dict:
                waiting.append((f"{prefix}{key}.", value))
            elif value is not None:
                found.setdefault(prefix + key if prefix else key, value)
    return found


def values_at(flat: Flat, *paths: str) -> list[Any]:
    """Return what stands under the paths in their order; of lists the first elements."""
    found: list[Any] = []
    for path in paths:
        if path in flat:
            value = flat[path]
            if type(value) is list:
                found += value[:MOST_VALUES]
            else:
                found.append(value)
    return found


class Places:
    """Many paths, each with a word about what stands there, of which a record has but a few."""

    def __init__(self, *kinds: tuple[str, Iterable[str]]) -> None:
        self._words = {path: word for word, paths in kinds for path in paths}
        self._order = {path: place for place, path in enumerate(self._words)}

    def in_record(self, flat: Flat) -> Iterator[tuple[str, Any]]:
        """Yield word and value of each path that the record has, in the order of the paths."""
        paths = self._order.keys() & flat.keys()
        for path in sorted(paths, key=self._order.__getitem__):
            word = self._words[path]
            for value in values_at(flat, path):
                yield word, value


def text_at(flat: Flat, *paths: str) -> str:
    """Return the first text under these paths; numbers count as text."""
    for path in paths:
        if path not in flat:
            continue
        value = flat[path]
        if type(value) is list:
            value = value[0] if value else None
        if type(value) is str:
            if value := value.strip():
                return value
        elif type(value) in (int, float):
            return str(value)
    return ""


def some(flat: Flat, names: Iterable[tuple[str, tuple[str, ...]]], longest: int = 512) -> Flat:
    """Return the first text under the paths of each name, cut; names without one are left out."""
    found = ((name, text_at(flat, *paths)[:longest]) for name, paths in names)
    return {name: text for name, text in found if text}
