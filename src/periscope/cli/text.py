r"""Text that came from a feed, made fit for a terminal.

Threat content is hostile. Whatever could move the cursor, change colours, hide, reorder or stack
characters is shown as a visible escape (`\x1b`, `\u202e`); it never reaches the terminal as such.
For the exact text there is `--json`.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable

from rich.cells import cell_len, get_character_cell_size

MARKS_IN_A_ROW = 4
"""Combining marks upon one character; living scripts need no more, "zalgo" text does."""

ELLIPSIS, PLAIN_ELLIPSIS = "…", "~"

# Printable by Python's reckoning, and yet not seen (Unicode: Default_Ignorable_Code_Point).
_UNSEEN = (
    *((0x034F, 0x034F), (0x115F, 0x1160), (0x17B4, 0x17B5), (0x180B, 0x180F), (0x2065, 0x2065)),
    *((0x3164, 0x3164), (0xFE00, 0xFE0F), (0xFFA0, 0xFFA0), (0xFFF0, 0xFFF8), (0xE0000, 0xE0FFF)),
)
_SHORT = {"\n": "\\n", "\r": "\\r", "\t": "\\t"}
_LINE_END = re.compile(r"\r?\n")


class _Table(dict[int, str]):
    """For `str.translate`: judges a character when it is met first, and remembers."""

    def __missing__(self, code: int) -> str:
        shown = self[code] = _shown(chr(code))
        return shown


def _shown(character: str) -> str:
    if character in _SHORT:
        return _SHORT[character]
    if unicodedata.category(character) == "Zs":
        return " "
    code = ord(character)
    if character.isprintable() and not any(low <= code <= high for low, high in _UNSEEN):
        return character
    return escaped(character)


def escaped(character: str) -> str:
    r"""Return the character as `\xNN`, `\uNNNN` or `\UNNNNNNNN`."""
    code = ord(character)
    if code <= 0xFF:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code <= 0xFFFF else f"\\U{code:08x}"


_TABLE = _Table()


def safe(text: str) -> str:
    """Return the text as one line that a terminal shows as it is; safe text stays unchanged."""
    if text.isascii() and text.isprintable():
        return text
    shown = text.translate(_TABLE)
    return shown if shown.isascii() else "".join(_without_towers(shown))


def _without_towers(text: str) -> Iterable[str]:
    in_a_row = 0
    for character in text:
        in_a_row = in_a_row + 1 if get_character_cell_size(character) == 0 else 0
        yield escaped(character) if in_a_row > MARKS_IN_A_ROW else character


def safe_lines(text: str) -> list[str]:
    """Return the text as lines, each safe; tabs become spaces."""
    return [safe(line.expandtabs(4)) for line in _LINE_END.split(text)]


def first_line(text: str) -> str:
    """Return the first line that has anything in it, safe, without blanks around it."""
    stripped = text.lstrip()
    return safe(_LINE_END.split(stripped, maxsplit=1)[0]).strip()


def width_of(text: str) -> int:
    """Terminal cells that the text takes."""
    return cell_len(text)


def cut(text: str, cells: int, *, plain: bool = False) -> str:
    """Return the text in at most so many cells; what is cut ends in an ellipsis."""
    if len(text) <= cells and text.isascii():
        return text
    if cell_len(text) <= cells:
        return text
    end = PLAIN_ELLIPSIS if plain else ELLIPSIS
    return _head(text, cells - 1) + end if cells > 0 else ""


def _head(text: str, cells: int) -> str:
    taken = 0
    for at, character in enumerate(text):
        taken += get_character_cell_size(character)
        if taken > cells:
            return text[:at]
    return text


def fit(text: str, cells: int, *, right: bool = False, plain: bool = False) -> str:
    """Return the text in exactly so many cells, cut or filled up with blanks."""
    shown = cut(text, cells, plain=plain)
    blanks = " " * (cells - cell_len(shown))
    return blanks + shown if right else shown + blanks
