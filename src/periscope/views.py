"""Saved views: what somebody looks at, under a name; for themselves or for all."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator
from enum import StrEnum
from hashlib import blake2b
from os import urandom
from typing import Any

import msgspec
from redis.exceptions import RedisError

from periscope.connection import LOST
from periscope.console_keys import console_keys
from periscope.errors import BugError
from periscope.periscope import Periscope

OWNER_BYTES = 8
ID_BYTES = 8

log = logging.getLogger("periscope")


class ViewWord(StrEnum):
    """What became of a change."""

    SET = "SET"
    CHANGED = "CHANGED"
    """Somebody else has changed the view meanwhile: nothing was done."""
    GONE = "GONE"
    """There is no such view (any more)."""
    FULL = "FULL"
    """There are 1,000 views."""
    FULL_OWN = "FULL_OWN"
    """Its owner has 100."""


class View(msgspec.Struct, frozen=True):
    """A saved view; `revision` grows with each change, `changed_ms` is the server's time of it."""

    id: str
    name: str
    query: str
    owner: str
    shared: bool
    revision: int = 0
    changed_ms: int = 0


class _Stored(msgspec.Struct, frozen=True):
    """What of it is stored as JSON, behind its revision and the ms of its change."""

    name: str
    query: str
    owner: str
    shared: bool


def new_view(owner: str, name: str, query: str, *, shared: bool) -> View:
    """Return a view with an id of its own, which is not stored yet.

    The id begins with what stands for its owner: the bound of an owner is counted by that.
    """
    digest = blake2b(owner.encode(), digest_size=OWNER_BYTES).hexdigest()
    return View(f"{digest}-{urandom(ID_BYTES).hex()}", name, query, owner, shared)


class Views:
    """The saved views of an open database, over all processes."""

    def __init__(self, periscope: Periscope) -> None:
        self._functions = periscope.functions
        self._keys = console_keys(periscope.settings.namespace)

    async def all(self) -> list[View]:
        """All of them, by name; those that this program cannot read are none to it."""
        found = await self._run("HGETALL", self._keys.views)
        is_map = isinstance(found, dict)
        pairs = found.items() if is_map else zip(found[::2], found[1::2], strict=True)
        return sorted(_readable(pairs), key=lambda one: (one.name.casefold(), one.name, one.id))

    async def get(self, view_id: str) -> View | None:
        """The view of this id; None if there is none."""
        found = await self._run("HGET", self._keys.views, view_id)
        return None if found is None else next(_readable([(view_id.encode(), found)]), None)

    async def put(self, view: View, expected: int) -> tuple[ViewWord, View]:
        """Store a view whose revision still is `expected` (0: a new one). Safe to repeat.

        Returns what became of it, and the view with the revision that it has now.
        """
        stored = _Stored(view.name, view.query, view.owner, view.shared)
        word, revision, changed_ms = await self._put(view.id, expected, msgspec.json.encode(stored))
        told = msgspec.structs.replace(view, revision=revision, changed_ms=changed_ms)
        return word, told

    async def remove(self, view: View) -> ViewWord:
        """Remove a view, if it still is as it was read. Safe to repeat."""
        return (await self._put(view.id, view.revision, b""))[0]

    async def _put(self, view_id: str, expected: int, text: bytes) -> tuple[ViewWord, int, int]:
        args = (view_id, expected, text, self._functions.moment)
        names = [self._keys.control, self._keys.views]
        word, revision, changed_ms = await self._functions.call(
            "periscope_view_put", names, args, aside=True
        )
        try:
            return ViewWord(word.decode()), revision, changed_ms
        except ValueError as exc:
            raise BugError(f"periscope_view_put: {exc}") from None

    async def _run(self, *command: bytes | str) -> Any:
        connections = self._functions.connections
        try:
            return await connections.run(*command, aside=True)
        except (RedisError, *LOST) as exc:
            raise connections.explain(exc) from exc


def _readable(pairs: Iterable[tuple[bytes, bytes]]) -> Iterator[View]:
    for view_id, stored in pairs:
        try:
            revision, changed_ms, text = stored.split(b" ", 2)
            told = msgspec.json.decode(text, type=_Stored)
            yield View(
                view_id.decode(),
                told.name,
                told.query,
                told.owner,
                told.shared,
                int(revision),
                int(changed_ms),
            )
        except (msgspec.MsgspecError, ValueError):
            log.warning("a saved view cannot be read by this program")
