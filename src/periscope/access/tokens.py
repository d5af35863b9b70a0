"""Secrets: made here, shown once, and from then on known by their SHA-256 only.

An API key is `psk_<8 characters>_<43 characters>`. Its letters and digits carry no sign that could
be taken for the `_` between them. 43 of 62 characters, drawn evenly by the system's generator, have
256 bits of entropy: nobody tries them out, so a plain SHA-256 keeps them as well as any slow hash
would, and costs half a microsecond where a slow one would cost every request fifty milliseconds. (A
password has no such entropy: `passwords.py`.)
"""

from __future__ import annotations

import string
from hashlib import sha256
from secrets import choice
from typing import NamedTuple

ALPHABET = string.ascii_letters + string.digits
START = "psk_"
PREFIX_CHARS = 8
SECRET_CHARS = 43
KEY_CHARS = len(START) + PREFIX_CHARS + 1 + SECRET_CHARS
TOKEN_CHARS = 43  # of a session: 256 bits as well
_PREFIX = slice(len(START), len(START) + PREFIX_CHARS)


class NewSecret(NamedTuple):
    """An API key that was just made: what recognises it, what is shown once, what is stored."""

    prefix: str
    secret: str
    digest: str


def new_secret() -> NewSecret:
    """Make an API key."""
    prefix = _characters(PREFIX_CHARS)
    secret = f"{START}{prefix}_{_characters(SECRET_CHARS)}"
    return NewSecret(prefix, secret, sha256(secret.encode()).hexdigest())


def new_token() -> str:
    """Make the token of a session."""
    return _characters(TOKEN_CHARS)


def prefix_of(secret: object) -> str | None:
    """Return the prefix of what has the length of an API key; None of anything else."""
    if type(secret) is not str or len(secret) != KEY_CHARS or not secret.isascii():
        return None
    return secret[_PREFIX]


def digest_of(text: str) -> str:
    """Return the SHA-256 of a text, in hexadecimal."""
    return sha256(text.encode()).hexdigest()


def is_token(token: object) -> bool:
    """Can it be the token of a session?"""
    return type(token) is str and len(token) == TOKEN_CHARS and token.isascii() and token.isalnum()


def _characters(count: int) -> str:
    return "".join(choice(ALPHABET) for _ in range(count))
