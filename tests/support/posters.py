"""Clients that post all the time, and write down what they were told."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from itertools import count
from typing import Any

from periscope import BatchInterrupted, Periscope
from periscope.client import Client
from tests.support.nodes import wait_until

REPORTS = 10
"""Of a body: they are one chunk of the one partition, so that all of them are stored or none."""
PACE_S = 0.005
AFTER_S = 0.05
"""Pause of a client that was refused."""


@dataclass
class Told:
    """What became of bodies by what their senders were told; a body by the ids in it."""

    acknowledged: list[tuple[str, ...]] = field(default_factory=list)
    refused: list[tuple[str, ...]] = field(default_factory=list)
    unknown: list[tuple[str, ...]] = field(default_factory=list)
    problems: set[str] = field(default_factory=set)
    pauses: set[float | None] = field(default_factory=set)
    longest_s: float = 0.0

    async def more(self, bodies: int = 20, timeout_s: float = 15.0) -> float:
        """Wait until so many more bodies were acknowledged; the seconds until the first one."""
        began, before = time.monotonic(), len(self.acknowledged)

        async def is_more(by: int) -> bool:
            return len(self.acknowledged) >= before + by

        await wait_until(lambda: is_more(1), "a body is taken in", timeout_s)
        first_s = time.monotonic() - began
        await wait_until(lambda: is_more(bodies), f"{bodies} bodies are", timeout_s)
        return first_s

    def __str__(self) -> str:
        return (
            f"{REPORTS * len(self.acknowledged):,} acknowledged, "
            f"{REPORTS * len(self.unknown):,} unknown, {REPORTS * len(self.refused):,} refused, "
            f"longest call {self.longest_s:.2f} s, {sorted(self.problems)}"
        )


@asynccontextmanager
async def posters(
    url: str, secret: str, *, clients: int = 20, timeout_s: float = 2.0
) -> AsyncIterator[Told]:
    """Clients that send bodies one after the other and repeat none, until the end."""
    told, ended = Told(), asyncio.Event()

    async def poster(name: int) -> None:
        async with Client(url, secret, timeout_s=timeout_s) as client:
            for number in count():
                if ended.is_set():
                    return
                ids = tuple(f"p{name}-{number}-{i}" for i in range(REPORTS))
                await _post(client, ids, told)
                await asyncio.sleep(PACE_S)

    tasks = [asyncio.create_task(poster(name)) for name in range(clients)]
    try:
        yield told
    finally:
        ended.set()
        await asyncio.gather(*tasks)


async def _post(client: Client, ids: tuple[str, ...], told: Told) -> None:
    began = time.monotonic()
    body = [{"threat_id": one, "content": "x", "severity": "LOW"} for one in ids]
    try:
        result = await client.add_reports(body, retry_s=0)
        assert result.added == REPORTS, result
        told.acknowledged.append(ids)
    except BatchInterrupted as exc:
        cause: Any = exc.__cause__
        told.problems.add(cause.kind)
        told.pauses.add(cause.retry_after_s)
        (told.refused if exc.refused else told.unknown).append(ids)
        await asyncio.sleep(AFTER_S)
    told.longest_s = max(told.longest_s, time.monotonic() - began)


async def check(p: Periscope, told: Told, others: int = 0) -> None:
    """What was acknowledged is there, once; what was refused is not; nothing else is.

    `others` reports came from elsewhere.
    """
    everything = [*told.acknowledged, *told.refused, *told.unknown]
    there = {
        threat.threat_id: threat.sightings
        for threat in await p.get_threats([one for ids in everything for one in ids])
    }
    lost = [one for ids in told.acknowledged for one in ids if one not in there]
    assert not lost, f"{len(lost)} lost: {lost[:5]}"
    assert set(there.values()) <= {0}, "some were seen again"
    assert not any(one in there for ids in told.refused for one in ids)
    torn = [ids for ids in told.unknown if 0 < sum(one in there for one in ids) < REPORTS]
    assert not torn
    ledger = await p.get_ledger(deep=True)
    assert ledger.balanced
    assert (ledger.duplicates, ledger.sightings, ledger.rejected) == (0, 0, 0)
    assert ledger.received == len(there) + others
