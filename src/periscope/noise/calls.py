"""Typed calls of the functions in 84_noise.lua, and the plain reads of what they wrote."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from redis.exceptions import RedisError

from periscope.connection import LOST
from periscope.errors import BugError, StoreDamaged
from periscope.functions import Functions
from periscope.keys import control_key, noise_key
from periscope.noise.index import Index, Warninglist, decode_index, encode_index

SET, CHANGED, INCOMPLETE = "SET", "CHANGED", "INCOMPLETE"
WORDS = (SET, CHANGED, INCOMPLETE)
PIECE = b"p:"
READ_AT_ONCE = 8  # pieces of one reply


class NoiseCalls:
    """Calls about the noise of one database; `move_id` is that of the move that carries it over."""

    def __init__(self, functions: Functions, namespace: str, move_id: str = "") -> None:
        self._functions = functions
        self._keys = [control_key(namespace), noise_key(namespace)]
        self._move_id = move_id

    async def revision(self) -> int:
        """Which revision is in force; 0 where there never was a rule or list."""
        return _number(await self._read("HGET", self._keys[1], "revision"))

    async def now_ms(self) -> int:
        """The time of the server that keeps the noise."""
        fixed = self._functions.now_ms
        if fixed is not None:
            return fixed
        seconds, microseconds = await self._read("TIME", key=self._keys[1])
        return int(seconds) * 1000 + int(microseconds) // 1000

    async def index(self) -> tuple[int, Index]:
        """(revision, index), of one moment."""
        revision, encoded = await self._read("HMGET", self._keys[1], "revision", "index")
        return _number(revision), decode_index(encoded or b"")

    async def missing(self, names: Sequence[str]) -> list[str]:
        """Those of these pieces that the store does not have."""
        there = set(await self._read("HKEYS", self._keys[1])) if names else set()
        return [name for name in names if PIECE + name.encode() not in there]

    async def pieces(self, about: Warninglist) -> list[bytes] | None:
        """The pieces of a list in their order; None if one is not there (any more)."""
        found: list[bytes] = []
        for start in range(0, len(about.pieces), READ_AT_ONCE):
            names = about.pieces[start : start + READ_AT_ONCE]
            fields = [PIECE + name.encode() for name in names]
            part = await self._read("HMGET", self._keys[1], *fields)
            if None in part:
                return None
            found += part
        return found

    async def put(self, expected: int, pieces: Mapping[str, bytes]) -> bool:
        """Keep pieces for a commit upon this revision; False if it is not in force any more."""
        for name, data in pieces.items():
            args = (self._move_id, expected, name, data)
            word, _ = await self._call("periscope_noise_piece", args)
            if word != SET:
                return False
        return True

    async def commit(self, expected: int, index: Index) -> tuple[str, int]:
        """Put an index in force upon this revision: (SET, CHANGED or INCOMPLETE, revision)."""
        args = (self._move_id, expected, encode_index(index), *index.pieces)
        return await self._call("periscope_noise_commit", args)

    async def delete(self) -> None:
        """Delete rules and lists: what a database left behind, or a copy that was given up."""
        await self._read("UNLINK", self._keys[1])

    async def _call(self, name: str, args: tuple[Any, ...]) -> tuple[str, int]:
        word, revision = await self._functions.call(name, self._keys, args, aside=True)
        told = word.decode()
        if told not in WORDS:
            raise BugError(f"{name} answered {word!r:.40}")
        return told, int(revision)

    async def _read(self, *command: Any, key: bytes | None = None) -> Any:
        connections = self._functions.connections
        try:
            return await connections.run(*command, key=key, aside=True)
        except (RedisError, *LOST) as exc:
            raise connections.explain(exc) from exc


def _number(revision: bytes | None) -> int:
    try:
        return int(revision or 0)
    except ValueError:
        raise StoreDamaged("the revision of the suppression rules is no number") from None
