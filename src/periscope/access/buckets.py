"""Rates: a token bucket a key in the store, of which each process holds a few tokens at a time.

What a process holds was taken out of the bucket before, so all together never spend more than the
burst and what came in since. What it takes at a time is a quarter of what it spent in the last
second, and never more than a twentieth of the burst (but what is asked for): a key that is used
steadily costs four round trips a second, or a few more. What is not spent within a second is let
go, so that nobody hoards; a key that stops loses that much, which its next burst has less.
"""

from __future__ import annotations

import asyncio
from time import monotonic
from typing import NoReturn

from periscope.access.calls import AccessCalls
from periscope.access.words import Identity
from periscope.errors import AccessInvalid, RateLimited

HELD_S = 1.0
SHARE_OF_SPENT = 4
SHARE_OF_BURST = 20
MOST_BUCKETS = 10_000


class _Bucket:
    """What this process holds of one key's bucket."""

    __slots__ = (
        "empty_for",
        "empty_until",
        "held",
        "held_until",
        "lock",
        "since",
        "spent",
        "wanted",
    )

    def __init__(self) -> None:
        self.lock = asyncio.Lock()
        self.held = 0
        self.held_until = 0.0
        self.empty_for = 0  # so many tokens are not to be had,
        self.empty_until = 0.0  # until then
        self.wanted = 0  # by those who wait
        self.spent, self.since = 0, 0.0

    def take(self, cost: int, now: float) -> bool:
        """Spend of what is held, if that is enough."""
        if now - self.since > HELD_S:
            self.spent = 0 if now - self.since > 2 * HELD_S else self.spent // 2
            self.since = now
        if now >= self.held_until or self.held < cost:
            return False
        self.held -= cost
        self.spent += cost
        return True

    def at_once(self, burst: int) -> int:
        """How many tokens to take ahead."""
        return min(self.spent // SHARE_OF_SPENT, burst // SHARE_OF_BURST)


class Buckets:
    """The rates of API keys, as this process has its part in them."""

    def __init__(self, calls: AccessCalls) -> None:
        self._calls = calls
        self._buckets: dict[str, _Bucket] = {}

    async def spend(self, identity: Identity, cost: int = 1) -> None:
        """Spend `cost` of what the identity may spend; nothing where it has no rate.

        Raises:
            RateLimited: there is not so much just now; nothing was spent.
            AccessInvalid: a cost that no bucket of this key can ever pay.
            StoreUnavailable: the store cannot be asked.
        """
        rate, burst, prefix = identity.rate_per_s, identity.burst, identity.prefix
        if rate is None or burst is None or prefix is None:
            return
        if not 0 < cost <= burst:
            raise AccessInvalid(f"cost: not within 1 and the burst of {burst:,}", field="cost")
        bucket = self._buckets.get(prefix) or self._new(prefix)
        if bucket.take(cost, monotonic()):
            return
        bucket.wanted += cost
        try:
            async with bucket.lock:
                await self._refill(bucket, prefix, rate, burst, cost)
        finally:
            bucket.wanted -= cost

    async def _refill(
        self, bucket: _Bucket, prefix: str, rate: float, burst: int, cost: int
    ) -> None:
        now = monotonic()
        if bucket.take(cost, now):
            return  # of what somebody before us has brought
        if now < bucket.empty_until and cost >= bucket.empty_for:
            _refuse(bucket.empty_until - now)
        if now >= bucket.held_until:
            bucket.held = 0
        least = cost - bucket.held
        wanted = max(bucket.at_once(burst), bucket.wanted - bucket.held, least)
        given, wait_ms = await self._calls.spend(prefix, rate, burst, min(wanted, burst), least)
        now = monotonic()
        if given < least:
            bucket.empty_for, bucket.empty_until = cost, now + wait_ms / 1000
            _refuse(wait_ms / 1000)
        bucket.held += given - cost
        bucket.held_until = now + HELD_S
        bucket.spent += cost

    def _new(self, prefix: str) -> _Bucket:
        if len(self._buckets) >= MOST_BUCKETS:
            idle = [name for name, one in self._buckets.items() if not one.lock.locked()]
            for name in idle[: MOST_BUCKETS // 2]:
                del self._buckets[name]
        return self._buckets.setdefault(prefix, _Bucket())


def _refuse(wait_s: float) -> NoReturn:
    raise RateLimited("faster than this API key may be", max(0.001, wait_s))
