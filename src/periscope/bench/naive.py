"""The same work as a competent person writes it without this library: one redis-py call each.

What it does: a threat is a JSON value; two sorted sets rank it by a score that was computed when it
was written, one over all and one for its severity. Adding is one MULTI of SET NX and two ZADD,
acting one MULTI of HINCRBY and two ZINCRBY, each a single round trip; reading the top is ZREVRANGE
and MGET. Callers share a waiting pool of 50, and 200 of them add at once.

What it does not do: it neither validates nor fingerprints reports; of a threat that is reported
again it keeps the first words and ranks it anew; no score falls with time; there are no levels,
claims, audit trail, events, expiry or ledger; a call that is repeated counts twice. It is much less
work than ours.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Sequence
from math import exp
from typing import Any

from redis.asyncio import Redis

from periscope.bench.acting import STRIDE, interaction
from periscope.bench.threats import Item, report

RANKING = "naive:ranking"
FILL = 1000
PAGE = 100
BASE = {"CRITICAL": 1.0, "HIGH": 0.7, "MEDIUM": 0.4, "LOW": 0.1}


class Naive:
    """Threats in a Redis, without Periscope."""

    def __init__(self, client: Redis) -> None:
        self._client = client

    async def add(self, item: Item) -> None:
        """Store a threat and rank it."""
        async with self._client.pipeline(transaction=True) as pipe:
            _write(pipe, item)
            await pipe.execute()

    async def fill(self, numbers: range) -> None:
        """Store many, quickly and off the clock; the same keys as if added one by one."""
        for start in range(numbers.start, numbers.stop, FILL):
            async with self._client.pipeline(transaction=False) as pipe:
                for number in range(start, min(start + FILL, numbers.stop)):
                    _write(pipe, report(number))
                await pipe.execute()

    async def act(self, number: int, resident: int) -> None:
        """Count an interaction and raise the threat's score by what it is worth."""
        item = interaction(number, resident)
        name, severity = item["threat_id"], report_severity(number, resident)
        async with self._client.pipeline(transaction=True) as pipe:
            pipe.hincrby(f"naive:counts:{name}", item["action"], 1)
            pipe.zincrby(RANKING, 0.02, name)
            pipe.zincrby(_ranking_of(severity), 0.02, name)
            await pipe.execute()

    async def get(self, name: str) -> Any:
        """A threat as it was reported; None if unknown."""
        value = await self._client.get(f"naive:{name}")
        return None if value is None else json.loads(value)

    async def exists(self, name: str) -> bool:
        """Is there such a threat?"""
        return bool(await self._client.exists(f"naive:{name}"))

    async def top(self, count: int, ranking: str = RANKING, start: int = 0) -> list[Any]:
        """The first `count` of a ranking, as they were reported."""
        names: Any = await self._client.zrevrange(ranking, start, start + count - 1)
        return await self._read(names)

    async def severity_page(self, severity: str) -> list[Any]:
        """The first hundred of a severity."""
        return await self.top(PAGE, _ranking_of(severity))

    async def scan(self) -> AsyncIterator[Any]:
        """All threats in rank order, page by page."""
        start = 0
        while page := await self.top(PAGE, start=start):
            for item in page:
                yield item
            start += PAGE

    async def _read(self, names: Sequence[bytes]) -> list[Any]:
        if not names:
            return []
        values = await self._client.mget([b"naive:" + name for name in names])
        return [json.loads(value) for value in values if value is not None]


def report_severity(number: int, resident: int) -> str:
    """The severity of the threat that interaction `number` is about."""
    return str(report(number * STRIDE % resident)["severity"])


def _write(pipe: Any, item: Item) -> None:
    name, score = item["threat_id"], 0.3 * BASE[item["severity"]] + 0.2 * exp(0)
    pipe.set(f"naive:{name}", json.dumps(item), nx=True)
    pipe.zadd(RANKING, {name: score})
    pipe.zadd(_ranking_of(item["severity"]), {name: score})


def _ranking_of(severity: str) -> str:
    return f"{RANKING}:{severity}"
