"""Regular expressions of warninglists, as MISP writes them (`/.../i`), matched in linear time.

The engine is RE2: what no expression of it can say (backreferences, looking around) is refused, and
what it can say takes no more time than the value is long, whoever wrote the two.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

MOST_MEMORY_BYTES = 32 * 2**20
MAX_PATTERN = 2_000
_DELIMITERS = "/#~@%!"
_FLAGS = {"i": "i", "m": "m", "s": "s", "u": "", "g": "", "D": ""}


class PatternError(ValueError):
    """An expression that cannot be used; says why in a few words."""


def read_pattern(text: str) -> str:
    """An expression in RE2's words: `/abc/i` is `(?i:abc)`. Without delimiters it is one as it is.

    Raises:
        PatternError: RE2 cannot match it, or it has a flag that is unknown.
    """
    import re2

    if len(text) > MAX_PATTERN:
        raise PatternError(f"longer than {MAX_PATTERN:,} characters")
    pattern = _undelimited(text)
    try:
        compiled = re2.compile(pattern, _options())
    except (re2.error, UnicodeError):
        raise PatternError("not an expression that can be matched in linear time") from None
    if compiled.search(""):
        raise PatternError("an expression that is found everywhere")
    return pattern


def _undelimited(text: str) -> str:
    end = text.rfind(text[0]) if text[:1] in tuple(_DELIMITERS) else 0
    if end <= 0:
        return text
    flags = text[end + 1 :]
    if unknown := set(flags) - set(_FLAGS):
        raise PatternError(f"unknown flag {min(unknown)!a}")
    ours = "".join(dict.fromkeys(_FLAGS[flag] for flag in flags))
    return f"(?{ours}:{text[1:end]})" if ours else text[1:end]


def _options() -> Any:
    import re2

    options = re2.Options()
    options.max_mem = MOST_MEMORY_BYTES
    options.log_errors = False
    return options


class Patterns:
    """Expressions, each with the name of its list; the first one given counts."""

    def __init__(self, named: Iterable[tuple[str, str]]) -> None:
        self._names: list[str] = []
        self._set: Any = None
        for pattern, name in named:
            if self._set is None:
                import re2

                self._set = re2.Set.SearchSet(_options())
            self._set.Add(pattern)
            self._names.append(name)
        if self._set is not None:
            self._set.Compile()

    def __bool__(self) -> bool:
        return bool(self._names)

    def find(self, value: str) -> str | None:
        """The list of the first expression that is found in this value; None if none is."""
        try:
            found = self._set.Match(value) if self._set is not None else ()
        except UnicodeError:  # a lone surrogate
            return None
        return self._names[min(found)] if found else None
