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


def values_at(flat: Flat, *paths: str) -> Iterator[Any]:
    """Yield what stands under the paths in their order; of lists the first elements."""
    for path in paths:
        value = flat.get(path)
        if type(value) is list:
            yield from value[:MOST_VALUES]
        elif value is not None:
            yield value


def text_at(flat: Flat, *paths: str) -> str:
    """Return the first text under these paths; numbers count as text."""
    for path in paths:
        value = flat.get(path)
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
