"""Typed calls of the functions about feeds; as in `functions.py`, replies are parsed here only."""

from __future__ import annotations

import re
from enum import StrEnum
from typing import Any, NamedTuple

from periscope.errors import BugError, StoreDamaged
from periscope.feed_keys import feed_keys
from periscope.functions import Functions

LEASE_MOST_MS = 3_600_000
_STATE = re.compile(rb"(\d+) (\d+) (\d+) ([01]) ([!-~]*)\n(.*)", re.DOTALL)


class Word(StrEnum):
    """What the functions answer."""

    TAKEN = "TAKEN"
    HELD = "HELD"
    PAUSED = "PAUSED"
    EARLY = "EARLY"
    KEPT = "KEPT"
    LOST = "LOST"
    RELEASED = "RELEASED"


class Held(NamedTuple):
    """The state of a feed as the store holds it; times in milliseconds of the server's clock."""

    token: int = 0
    lease_end_ms: int = 0
    next_ms: int = 0
    paused: bool = False
    owner: str = ""
    status: bytes = b""

    def is_held(self, now_ms: int) -> bool:
        """Does somebody run it? A lease that ends later than any can is of a clock set back."""
        return now_ms < self.lease_end_ms <= now_ms + LEASE_MOST_MS

    def is_due(self, now_ms: int) -> bool:
        """May a worker take it now?"""
        return self.is_free(now_ms) and self.next_ms <= now_ms

    def is_free(self, now_ms: int) -> bool:
        """May it be taken now, if not before it is due?"""
        return not self.paused and not self.is_held(now_ms)


class Book(NamedTuple):
    """All feeds at one moment: definitions that are stored, and states by name."""

    now_ms: int
    definitions: dict[str, bytes]
    states: dict[str, Held]


class Taken(NamedTuple):
    """The answer to who wants to run a feed; a token only with TAKEN."""

    word: Word
    now_ms: int
    token: int
    lease_end_ms: int
    owner: str
    status: bytes
    position: bytes


class FeedCalls:
    """Calls about the feeds of one database."""

    def __init__(self, functions: Functions, namespace: str) -> None:
        self._functions = functions
        self._keys = feed_keys(namespace)
        self._names = [self._keys.control, self._keys.state, self._keys.position]

    async def read(self) -> Book:
        """All there is, at one moment."""
        now_ms, defined, states = await self._call(
            "periscope_feeds", [self._keys.feeds, self._keys.state], (self._moment,)
        )
        held = {name: _held(name, value) for name, value in _pairs(states) if name}
        return Book(now_ms, dict(_pairs(defined)), held)

    async def take(self, name: str, owner: str, lease_ms: int, *, early: bool = False) -> Taken:
        """Become the one who reads a feed. Safe to repeat with the same owner."""
        args = (name, owner, lease_ms, int(early), self._moment)
        word, now_ms, token, end_ms, holder, status, position = await self._call(
            "periscope_feed_take", self._names, args
        )
        told = _word(word, Word.TAKEN, Word.HELD, Word.PAUSED, Word.EARLY)
        return Taken(told, now_ms, token, end_ms, holder.decode(), status, position)

    async def keep(
        self,
        name: str,
        token: int,
        lease_ms: int,
        *,
        status: bytes = b"",
        position: bytes = b"",
    ) -> Word:
        """Renew the lease and store what is given: KEPT, PAUSED (kept: stop soon) or LOST."""
        args = (name, token, lease_ms, status, position, self._moment)
        word, *_ = await self._call("periscope_feed_keep", self._names, args)
        return _word(word, Word.KEPT, Word.PAUSED, Word.LOST)

    async def release(
        self,
        name: str,
        token: int,
        wait_ms: int,
        *,
        status: bytes = b"",
        position: bytes = b"",
    ) -> Word:
        """Give a feed back, due again in `wait_ms`: RELEASED or LOST."""
        args = (name, token, wait_ms, status, position, self._moment)
        word, *_ = await self._call("periscope_feed_release", self._names, args)
        return _word(word, Word.RELEASED, Word.LOST)

    async def pause(self, name: str, *, paused: bool) -> bool:
        """Hold a feed back, or let it run; whether that is new. Safe to repeat."""
        word = await self._call("periscope_feed_pause", self._names[:2], (name, int(paused)))
        if word not in (b"CHANGED", b"SAME"):
            raise BugError(f"periscope_feed_pause answered {word!r:.100}")
        return bool(word == b"CHANGED")

    async def define(self, name: str, expected: bytes, definition: bytes) -> bytes | None:
        """Replace a definition if it says what is expected (b'': nothing, or to remove it).

        None if that was done, else what it says. Safe to repeat.
        """
        names = [self._keys.control, *self._keys.own]
        word, found = await self._call("periscope_feed_define", names, (name, expected, definition))
        if word not in (b"DEFINED", b"CHANGED"):
            raise BugError(f"periscope_feed_define answered {word!r:.100}")
        return None if word == b"DEFINED" else bytes(found)

    @property
    def _moment(self) -> Any:
        return self._functions.moment

    async def _call(self, name: str, keys: list[bytes], args: tuple[Any, ...]) -> Any:
        return await self._functions.call(name, keys, args, aside=True)


def _word(word: bytes, *known: Word) -> Word:
    text = word.decode()
    if text not in known:
        raise BugError(f"a function about feeds answered {text!r:.100}")
    return Word(text)


def _pairs(flat: list[bytes]) -> list[tuple[str, bytes]]:
    names = (name.decode() for name in flat[::2])
    return list(zip(names, flat[1::2], strict=True))


def _held(name: str, value: bytes) -> Held:
    found = _STATE.fullmatch(value)
    if found is None:
        raise StoreDamaged(f"the state of feed {name!r:.60} cannot be read; remove the feed")
    token, end_ms, next_ms, paused, owner, status = found.groups()
    return Held(int(token), int(end_ms), int(next_ms), paused == b"1", owner.decode(), status)
