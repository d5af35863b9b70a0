"""Which of many texts is a part of a value? In time that hardly depends on how many there are."""

from __future__ import annotations

from collections.abc import Iterable

_WIDEST = 8


class Substrings:
    """Texts, each with the name of its list; the earliest name counts.

    They are sorted by their first characters, as many as the shortest of them has: at each place of
    a value one look says which may begin there.
    """

    def __init__(self, named: Iterable[tuple[str, str]]) -> None:
        names: dict[str, str] = {}
        for text, name in named:
            if text and (text not in names or name < names[text]):
                names[text] = name
        self._width = min([_WIDEST, *map(len, names)])
        self._starts: dict[str, list[tuple[str, str]]] = {}
        for text, name in names.items():
            self._starts.setdefault(text[: self._width], []).append((text, name))

    def __bool__(self) -> bool:
        return bool(self._starts)

    def find(self, value: str) -> str | None:
        """The first list, by name, that has a part of this value; None if none has."""
        width, starts = self._width, self._starts
        found: str | None = None
        for at in range(len(value) - width + 1):
            for text, name in starts.get(value[at : at + width], ()):
                if (found is None or name < found) and value.startswith(text, at):
                    found = name
        return found
