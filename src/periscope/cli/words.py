"""Words out of closed sets, as people type them: any case, `-` for `_`, with a hint for typos."""

from __future__ import annotations

from enum import StrEnum
from typing import TypeVar

from periscope.cli.mistakes import suggestion
from periscope.errors import UsageError

Word = TypeVar("Word", bound=StrEnum)


def chosen(kind: type[Word], text: str, what: str) -> Word:
    """Return the member that the text names; `what` is the option or argument it stands for.

    Raises:
        UsageError: there is none of this name.
    """
    names = {one.value.lower(): one for one in kind}
    found = names.get(text.lower().replace("-", "_"))
    if found is None:
        raise unknown(text, what, [one.value for one in kind])
    return found


def unknown(text: str, what: str, known: list[str]) -> UsageError:
    """Return the error for a word that is none of the known ones."""
    by_lower = {name.lower(): name for name in known}
    near = suggestion(text.replace("-", "_"), by_lower)
    for lower, name in by_lower.items():
        near = near.replace(f" {lower}?", f" {name}?")
    return UsageError(f"{what} {text}: unknown{near or '; one of ' + ', '.join(known)}")
