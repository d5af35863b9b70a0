"""The right to run one feed, kept alive while it is run, and noticed when it is gone."""

from __future__ import annotations

import asyncio
import logging

from periscope.errors import PeriscopeError
from periscope.polling.calls import FeedCalls, Taken, Word

log = logging.getLogger(__name__)


class LeaseLost(Exception):
    """Somebody else runs this feed now, or may: nothing more is to be written about it."""


class Lease:
    """A feed that was taken; `is_asked_to_stop` once it was paused meanwhile.

    Everything that is stored through it is refused by the store once another worker has taken the
    feed over; a token that only rises tells the two apart.
    """

    def __init__(self, calls: FeedCalls, name: str, taken: Taken, lease_ms: int) -> None:
        self.name = name
        self.is_asked_to_stop = False
        self._calls = calls
        self._token = taken.token
        self._lease_ms = lease_ms
        self._now = asyncio.get_running_loop().time
        self._good_until = self._now() + lease_ms / 1000

    async def keep(self, *, status: bytes = b"", position: bytes = b"") -> None:
        """Renew it, and store what is given.

        Raises:
            LeaseLost: somebody else has the feed; nothing was stored.
            StoreError: no answer.
        """
        sent = self._now()
        word = await self._calls.keep(
            self.name, self._token, self._lease_ms, status=status, position=position
        )
        if word is Word.LOST:
            raise LeaseLost
        self.is_asked_to_stop = self.is_asked_to_stop or word is Word.PAUSED
        self._good_until = sent + self._lease_ms / 1000

    async def release(self, wait_ms: int, *, status: bytes, position: bytes = b"") -> None:
        """Give the feed back, due again in `wait_ms`.

        Raises:
            LeaseLost: somebody else has the feed; nothing was stored.
            StoreError: no answer; the lease ends by itself.
        """
        word = await self._calls.release(
            self.name, self._token, wait_ms, status=status, position=position
        )
        if word is Word.LOST:
            raise LeaseLost

    async def hold(self) -> None:
        """Renew it again and again; returns when it is lost, or so old that it may be."""
        while True:
            await asyncio.sleep(self._lease_ms / 3000)
            try:
                await self.keep()
            except LeaseLost:
                return
            except PeriscopeError as exc:
                log.debug("feed %s: its lease was not renewed: %s", self.name, exc)
                if self._now() >= self._good_until:
                    return
