"""What this process knows of keys and accounts: never older than a second, or nobody is let in.

A task looks at the revision every LOOK_S. Whoever is to be let in is let in by knowledge of at most
STALE_S; where that is older (the task was held up, the store is away), the store is asked first. So
what is revoked anywhere is refused everywhere within a second, and a store that is away means
`StoreUnavailable`, never "allowed"; once the task has seen that it is, at once.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping
from time import monotonic

from periscope.access.calls import SILENT, AccessCalls, Book, patiently
from periscope.access.stored import StoredAccount, StoredKey, read_accounts, read_keys
from periscope.errors import PeriscopeError, StoreUnavailable, UsageError

LOOK_S = 0.4
STALE_S = 0.9
TRIES = 8

log = logging.getLogger("periscope")

Edit = Callable[["Register"], Mapping[str, bytes]]


class Register:
    """Keys by prefix and accounts by name, of one moment of the store."""

    def __init__(self, calls: AccessCalls, changed: Callable[[Register], None]) -> None:
        self._calls = calls
        self._changed = changed
        self._refreshing: asyncio.Task[None] | None = None
        self._is_away = False
        self._changing = asyncio.Lock()
        self._fields: Mapping[str, bytes] = {}
        self._ahead_ms = 0.0  # the server's clock before our monotonic one
        self.read_at = float("-inf")
        self.revision = -1
        self.keys: Mapping[str, StoredKey] = {}
        self.accounts: Mapping[str, StoredAccount] = {}

    def now_ms(self) -> int:
        """The server's time, as far as it is known here."""
        return int(monotonic() * 1000 + self._ahead_ms)

    @property
    def is_stale(self) -> bool:
        """Is what is known here too old to let anybody in?"""
        return monotonic() - self.read_at > STALE_S

    async def fresh(self) -> None:
        """Return once what is known here is young enough.

        Raises:
            StoreUnavailable: the store is away, or silent.
        """
        if self.is_stale:
            if self._is_away:  # everybody would wait for what the task waits for already
                raise StoreUnavailable(SILENT)
            if self._refreshing is None or self._refreshing.done():
                self._refreshing = asyncio.ensure_future(self.refresh())
            await patiently(asyncio.shield(self._refreshing))

    async def refresh(self) -> None:
        """Look at the store now."""
        began = monotonic()  # what is known is as old as the question, not as the answer
        known = self.revision
        book = await self._calls.read(known)
        if began < self.read_at or (book.revision == known != self.revision):
            return  # somebody else was answered first, and knows of something later
        self._ahead_ms = book.now_ms - began * 1000
        self.read_at = began
        if book.revision != self.revision:
            self._take(book)

    async def follow(self) -> None:
        """Look again and again, until cancelled; while the store is away, say so once."""
        while True:
            await asyncio.sleep(LOOK_S)
            try:
                await patiently(self.refresh())
            except PeriscopeError as exc:
                if not self._is_away:
                    log.warning("nobody can be let in for now: %s", exc)
                self._is_away = True
            else:
                self._is_away = False

    async def change(self, edit: Edit) -> None:
        """Change fields as `edit` says of what is there, whoever else does so at the same time.

        Raises:
            UsageError: others change it all the time.
            OutcomeUnknown: it may be done. Whatever `edit` raises: nothing was.
        """
        async with self._changing:  # those of this process come one after the other
            await self._change(edit)

    async def _change(self, edit: Edit) -> None:
        wanted: Mapping[str, bytes] = {}
        for _ in range(TRIES):
            await self.refresh()
            if wanted and self._has(wanted):
                return  # done by an earlier try whose answer was lost
            wanted = edit(self)
            if not wanted or await self._calls.put(self.revision, wanted):
                await self.refresh()
                return
        raise UsageError("keys and accounts are changed by others all the time; try again")

    def close(self) -> None:
        """Ask nobody any more."""
        if self._refreshing is not None:
            self._refreshing.cancel()

    def _take(self, book: Book) -> None:
        self._fields, self.revision = book.fields, book.revision
        self.keys = read_keys(book.fields)
        self.accounts = read_accounts(book.fields)
        self._changed(self)

    def _has(self, wanted: Mapping[str, bytes]) -> bool:
        return all(self._fields.get(name, b"") == value for name, value in wanted.items())
