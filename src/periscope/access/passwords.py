"""Passwords: argon2id, in threads, a few at a time.

A hash takes 64 MiB and some fifty milliseconds: so no more than AT_ONCE are worked out at a time,
no more than WAITING wait for it, and the others are told to come again.
"""

from __future__ import annotations

import asyncio
import unicodedata
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from argon2 import PasswordHasher
from argon2.exceptions import Argon2Error, InvalidHashError

from periscope.access.tokens import new_token
from periscope.errors import AccessInvalid, RateLimited

MIN_CHARS = 12
MAX_CHARS = 1_024
AT_ONCE = 2
WAITING = 64
BUSY_S = 2.0


def checked_password(password: Any) -> str:
    """Return a password that may be one: 12 to 1,024 characters, whichever they are.

    Raises:
        AccessInvalid: too short, too long, or no text.
    """
    if type(password) is not str or not can_be(password):
        reason = f"password: must have {MIN_CHARS} to {MAX_CHARS:,} characters"
        raise AccessInvalid(reason, field="password")
    return password


def can_be(password: object) -> bool:
    """Can this be somebody's password?"""
    if type(password) is not str or not MIN_CHARS <= len(password) <= MAX_CHARS:
        return False
    try:
        password.encode()
    except UnicodeEncodeError:
        return False
    return True


class Passwords:
    """Hashes passwords, and compares them with hashes."""

    def __init__(self) -> None:
        self._hasher = PasswordHasher()  # argon2id, RFC 9106's choice for little memory
        self._threads = ThreadPoolExecutor(AT_ONCE, "passwords")
        self._waiting = 0
        self._nobodys: str | None = None

    async def hash(self, password: str) -> str:
        """Hash a password.

        Raises:
            RateLimited: too many are being hashed just now.
        """
        return str(await self._aside(self._hasher.hash, _normal(password)))

    async def matches(self, hashed: str | None, password: str) -> bool:
        """Is this the password of that hash? Without a hash: no, and it takes as long.

        Raises:
            RateLimited: too many are being compared just now.
        """
        if self._nobodys is None:  # before it is needed: else the first unknown name took longer
            self._nobodys = await self.hash(new_token())
        found = await self._aside(self._verify, hashed or self._nobodys, _normal(password))
        return found and hashed is not None

    def is_outdated(self, hashed: str) -> bool:
        """Was it hashed with other parameters than are used now?"""
        return self._hasher.check_needs_rehash(hashed)

    def close(self) -> None:
        """Let the threads go."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    def _verify(self, hashed: str, password: str) -> bool:
        try:
            return self._hasher.verify(hashed, password)
        except (Argon2Error, InvalidHashError):
            return False

    async def _aside(self, work: Any, *given: str) -> Any:
        if self._waiting >= WAITING:
            raise RateLimited("too many sign-ins at once; try again in a moment", BUSY_S)
        self._waiting += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._threads, work, *given)
        finally:
            self._waiting -= 1


def _normal(password: str) -> str:
    """One text for what keyboards send as several (NFKC)."""
    return unicodedata.normalize("NFKC", password)
