"""Whole elements of a JSON array at one go, where they are small and lie in one chunk.

This is the fast way through what `json_split` does bracket by bracket; what does not match is left
to it, so both always cut at the same places.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

LEVELS = 16
"""Levels of nesting that are matched at one go."""


def _element() -> bytes:
    string = rb'"[^"\\]*+(?>(?:\\.[^"\\]*+)*)"'
    between = rb'[^"\[\]{}]*+'
    inside = between + rb"(?>(?:" + string + between + rb")*)"
    for _ in range(LEVELS):
        inside = (
            between + rb"(?>(?:(?:" + string + rb"|[\[{]" + inside + rb"[\]}])" + between + rb")*)"
        )
    return rb"[ \t\r\n]*+([\[{]" + inside + rb"[\]}])([ \t\r\n]*+)(?:,|(?=\]))"


ELEMENT = re.compile(_element(), re.DOTALL)


def elements(chunk: bytes, at: int, most: int) -> Iterator[tuple[int, bytes, int]]:
    """Yield, from a place right after a bracket or comma, the start, text and end of elements.

    An element ends after its comma, the last of an array before the bracket. One of more than
    `most` bytes, with the space after it, is not among them.
    """
    while found := ELEMENT.match(chunk, at):
        if found.end(2) - found.start(1) > most:
            return
        at = found.end()
        yield found.start(1), found[1], at
