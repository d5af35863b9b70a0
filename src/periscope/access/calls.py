"""Typed calls of the functions in 88_access.lua; replies are parsed here only."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Mapping
from os import urandom
from typing import Any, NamedTuple, TypeVar

import msgspec
from redis.exceptions import RedisError

from periscope.access_keys import AccessKeys
from periscope.connection import LOST
from periscope.errors import BugError, StoreUnavailable
from periscope.functions import Functions
from periscope.keys import Keyspace
from periscope.reader import steady
from periscope.rules import Rules

PATIENCE_S = 1.0  # for what a request waits for: a store that is silent for longer is away
SILENT = "the store does not answer, so nobody can be let in; try again in a moment"
T = TypeVar("T")


class Book(NamedTuple):
    """Keys and accounts at one moment of the server's clock; no fields where nothing changed."""

    now_ms: int
    revision: int
    fields: dict[str, bytes]


class AccessCalls:
    """Calls about who may do what in one database.

    Those that requests wait for (`spend`, `read_session`, `attempt`) fail after PATIENCE_S.
    """

    def __init__(self, functions: Functions, keyspace: Keyspace) -> None:
        self._functions = functions
        self._keyspace = keyspace
        self._keys = AccessKeys(keyspace.namespace)

    async def read(self, known_revision: int) -> Book:
        """Keys and accounts, where they are of another revision than this one."""
        args = (known_revision, self._functions.moment)
        now_ms, revision, flat = await self._call("periscope_access", [self._keys.access], args)
        fields = {key.decode(): value for key, value in zip(flat[::2], flat[1::2], strict=True)}
        return Book(now_ms, revision, fields)

    async def put(self, expected: int, fields: Mapping[str, bytes]) -> bool:
        """Set these fields (empty: remove them) upon this revision; False if it is not in force."""
        args = (expected, *(part for pair in fields.items() for part in pair))
        names = [self._keys.control, self._keys.access]
        word, _ = await self._call("periscope_access_put", names, args)
        return _word("periscope_access_put", word, b"SET", b"CHANGED") == b"SET"

    async def note_used(self, used: Mapping[str, int]) -> None:
        """Note when keys were used last, by prefix."""
        args = tuple(part for pair in used.items() for part in pair)
        await self._call("periscope_access_used", [self._keys.access], args)

    async def attempt(self, digest: str) -> tuple[bool, int]:
        """Count a sign-in that begins: (may it be tried?, for how many ms none may be from now)."""
        call = self._call(
            "periscope_attempt", [self._keys.attempts(digest)], (self._functions.moment,)
        )
        word, lock_ms = await patiently(call)
        return _word("periscope_attempt", word, b"TRY", b"LOCKED") == b"TRY", lock_ms

    async def succeeded(self, digest: str) -> None:
        """Forget the failed sign-ins under a name."""
        await self._run("UNLINK", self._keys.attempts(digest))

    async def keep_session(
        self, digest: str, value: bytes, ttl_ms: int, *, renew: bool = False
    ) -> bool:
        """Keep a session for so long; with `renew` only one that is there still. Is it there?"""
        word = await self._call(
            "periscope_session", [self._keys.session(digest)], (value, ttl_ms, int(renew))
        )
        return _word("periscope_session", word, b"KEPT", b"GONE") == b"KEPT"

    async def read_session(self, digest: str) -> bytes | None:
        """What a session was kept as; None if it has ended."""
        found = await patiently(self._run("GET", self._keys.session(digest)))
        return None if found is None else bytes(found)

    async def end_session(self, digest: str) -> None:
        """End a session. Safe to repeat."""
        await self._run("UNLINK", self._keys.session(digest))

    async def spend(
        self, prefix: str, rate_per_s: float, burst: int, wanted: int, least: int
    ) -> tuple[int, int]:
        """Take tokens: (how many, 0), or (0, in how many ms there may be `least`)."""
        args = (repr(float(rate_per_s)), burst, wanted, least, self._functions.moment)
        call = self._call("periscope_spend", [self._keys.bucket(prefix)], args)
        given, wait_ms = await patiently(call)
        return given, wait_ms

    async def remark(self, who: str, action: str, told: Mapping[str, Any]) -> None:
        """Put an entry about no threat into the audit trail, once however often it is sent."""
        keys, request = self._keyspace.partitions[0], urandom(12).hex()
        names = [keys.meta, keys.audit, keys.reply(request.encode())]
        text = msgspec.json.encode(told)

        async def send(rules: Rules) -> Any:
            args = (rules.packed, self._functions.moment, action, who, request, text)
            return await self._call("periscope_remark", names, args)

        word = await steady(self._functions, send)
        _word("periscope_remark", word, b"DONE", b"AGAIN")

    async def _call(self, name: str, keys: list[bytes], args: tuple[Any, ...]) -> Any:
        return await self._functions.call(name, keys, args, aside=True)

    async def _run(self, *command: bytes | str) -> Any:
        connections = self._functions.connections
        try:
            return await connections.run(*command, aside=True)
        except (RedisError, *LOST) as exc:
            raise connections.explain(exc) from exc


async def patiently(call: Awaitable[T]) -> T:
    """Await what a request waits for, for PATIENCE_S at most.

    Raises:
        StoreUnavailable: it took longer.
    """
    try:
        async with asyncio.timeout(PATIENCE_S) as bound:
            return await call
    except TimeoutError as exc:
        if not bound.expired():
            raise
        raise StoreUnavailable(SILENT) from exc


def _word(name: str, word: bytes, *known: bytes) -> bytes:
    if word not in known:
        raise BugError(f"{name} answered {word!r:.100}")
    return word
