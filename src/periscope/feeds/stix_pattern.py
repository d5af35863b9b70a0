"""STIX patterns: the values that they compare for equality, with their paths.

https://docs.oasis-open.org/cti/stix/v2.1/, section 9. What a pattern means as a whole (AND, OR,
FOLLOWEDBY, qualifiers) does not matter here: each value that an observation may equal is an
indicator. What is negated, ordered or matched by a wildcard names no value.
"""

from __future__ import annotations

import re

QUOTED = r"'(?>(?:[^'\\]++|\\.)*)'|\"(?>(?:[^\"\\]++|\\.)*)\""
PATH = (
    r"(?<![\w.:'\"-])[A-Za-z][\w-]{0,99}+:"
    r"(?>(?:[\w-]++|'[^'\\]{0,250}+'|\"[^\"\\]{0,250}+\"|\.|\[(?:\d{1,9}+|\*)\])+)"
)
OPERATOR = r"(?:==?|!=|<>|[<>]=?|(?:IN|LIKE|MATCHES|ISSUBSET|ISSUPERSET)\b)"
LITERAL = rf"(?:[hbt]?(?:{QUOTED})|-?\d++(?:\.\d++)?|true\b|false\b)"
COMPARISON = re.compile(
    rf"({PATH})\s*+(NOT\b\s*+)?({OPERATOR})\s*+({LITERAL}|\((?:[^()'\"]++|{QUOTED})*+\))|{QUOTED}",
    re.DOTALL | re.IGNORECASE | re.ASCII,
)
ONE = re.compile(LITERAL, re.DOTALL | re.IGNORECASE | re.ASCII)
ESCAPED = re.compile(r"\\(.)", re.DOTALL)
EQUAL, UNEQUAL = ("=", "==", "IN", "ISSUBSET"), ("!=", "<>")
WILD = ("%", "_")
OTHER_KINDS = ("b", "t")  # bytes in base 64, times


def equalities(pattern: str) -> list[tuple[str, str]]:
    """Return the path and value of each comparison by which a pattern looks for a value, in order.

    The path is as the pattern spells it. An address block that must contain the observed address
    (`ISSUBSET`) counts as a value. One pass, however hostile the text is; what is no pattern gives
    nothing.
    """
    found: list[tuple[str, str]] = []
    for path, negated, operator, literal in COMPARISON.findall(pattern):
        if operator == "=" and not negated and literal[0] == "'" and "\\" not in literal:
            found.append((path, literal[1:-1]))
        elif operator and _looks_for(operator.upper(), bool(negated), literal):
            texts = map(_text, ONE.findall(literal))
            found += [(path, text) for text in texts if text is not None]
    return found


def _looks_for(operator: str, negated: bool, literal: str) -> bool:
    if operator in UNEQUAL:
        return negated
    if operator == "LIKE":
        return not negated and not any(sign in literal for sign in WILD)
    return operator in EQUAL and not negated


def _text(literal: str) -> str | None:
    if literal[0].isdigit() or literal[0] == "-":
        return literal
    if literal[0] in OTHER_KINDS or literal[-1] not in "'\"":
        return None
    text = literal[2 if literal[0] in "hH" else 1 : -1]
    return ESCAPED.sub(r"\1", text) if "\\" in text else text
