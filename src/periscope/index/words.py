"""Text as words, and what is searched for in them: the same rules for records and for questions.

Words are runs of letters and digits, without regard to case, accents and width; a character of a
script that is written without spaces is a word by itself. A full-text index is filled with these
words and asked by them, so that index and plain comparison agree on every text, and nothing that
anybody types is ever read as the index's own query language.
"""

from __future__ import annotations

import re
from typing import NamedTuple
from unicodedata import normalize

from periscope.errors import UsageError

LONGEST_WORD = 128  # characters; what is longer becomes several words (a SHA-512 is one)
LONGEST_QUESTION = 1_024  # characters
MOST_PHRASES = 32
MOST_WORDS = 64
SHORTEST_PREFIX = 2
BOUND = "\x1f"  # between two texts: no phrase goes across
WALL = "\u2016"  # what stands for it among the words

# Scripts without spaces: Thai to Tibetan, Myanmar, Khmer, kana, Chinese characters.
_ALONE = (
    "\u0e00-\u0fff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u31f0-\u31ff"
    "\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
)
_ASCII_WORD = re.compile(rf"[a-z0-9]{{1,{LONGEST_WORD}}}|{BOUND}")
_WORD = re.compile(rf"[^\W_{_ALONE}]{{1,{LONGEST_WORD}}}|(?!\W)[{_ALONE}]|{BOUND}")
_ACCENTS = re.compile("[\u0300-\u036f]+")
_DOT = re.compile(r"[\[({] ?dot ?[\])}]")
_PIECE = re.compile(r'"([^"]*)(?:"(\*)?)?|([^\s"]+)')


def words(text: str) -> str:
    """The words of a text in order, each after a space, and a space at the end."""
    folded = text.lower() if text.isascii() else _folded(text)
    if "hxxp" in folded:  # as reports make addresses harmless
        folded = folded.replace("hxxp", "http")
    if "dot" in folded:
        folded = _DOT.sub(".", folded)
    found = (_ASCII_WORD if folded.isascii() else _WORD).findall(folded)
    joined = f" {' '.join(found)} " if found else " "
    return joined.replace(BOUND, WALL) if BOUND in joined else joined


def _folded(text: str) -> str:
    return _ACCENTS.sub("", normalize("NFKD", normalize("NFKD", text).casefold()))


class Phrase(NamedTuple):
    """Words that must follow each other; with `prefix` the last one may go on."""

    words: tuple[str, ...]
    prefix: bool

    @property
    def pattern(self) -> str:
        """What stands in `words` of a text that has the phrase."""
        joined = " " + " ".join(self.words)
        return joined if self.prefix else joined + " "

    @property
    def match(self) -> str:
        """The phrase in the language of FTS5; words have no quotes in them."""
        return f'"{" ".join(self.words)}"' + (" *" if self.prefix else "")


def read_phrases(text: str) -> tuple[Phrase, ...]:
    """What a question asks for: all of these phrases.

    Each piece between spaces is a phrase of its words, so `evil[.]example` is one of two; a piece
    in quotes may have spaces in it, and `*` at the end of a piece stands for any further letters.

    Raises:
        UsageError: there is no word in it, or too much.
    """
    if not isinstance(text, str):
        raise UsageError(f"text must be text, not {type(text).__name__}")
    if len(text) > LONGEST_QUESTION:
        raise UsageError(f"text has more than {LONGEST_QUESTION:,} characters; search for less")
    phrases = [
        phrase
        for quoted, star, bare in _PIECE.findall(text.replace(BOUND, " "))
        if (phrase := _phrase(quoted or bare, bare.endswith("*") or bool(star)))
    ]
    if not phrases:
        raise UsageError("text has no letter or digit to search for")
    if len(phrases) > MOST_PHRASES or sum(len(one.words) for one in phrases) > MOST_WORDS:
        raise UsageError(f"text has more than {MOST_PHRASES} phrases or {MOST_WORDS} words")
    return tuple(dict.fromkeys(phrases))


def _phrase(piece: str, prefix: bool) -> Phrase | None:
    found = tuple(words(piece).split())
    if not found:
        return None
    if prefix and len(found) == 1 and len(found[0]) < SHORTEST_PREFIX:
        raise UsageError(f"give at least {SHORTEST_PREFIX} letters before *")
    return Phrase(found, prefix)
