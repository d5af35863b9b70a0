"""Entries, while replicas take over and slots move: they count as many as the ledger says."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from itertools import count
from typing import Any

import pytest

from periscope import BatchInterrupted, Periscope
from periscope.keys import slot_of_key
from periscope.models import Mark
from tests.support.clusters import Cluster, cluster
from tests.support.marking import mark_with
from tests.support.nodes import wait_until

IDS = 200
BATCH = 600
REPLICATED: Any = {"durability": "replicated", "replica_timeout_s": 0.5}


@pytest.fixture
async def pair() -> AsyncIterator[Cluster]:
    async with cluster(3, 1, durable=True, node_timeout_ms=1000) as made:
        yield made


@dataclass
class Fired:
    """Reports told to be suppressed, those that may be, and batches that went through whole."""

    told: int = 0
    doubtful: int = 0
    whole: int = 0

    async def next_whole(self) -> None:
        """Wait until another batch has gone through."""
        before = self.whole

        async def is_through() -> bool:
            return self.whole > before + 1  # the next may have begun already

        await wait_until(is_through, "another batch is through")


async def fire(p: Periscope, fired: Fired, ended: asyncio.Event) -> None:
    """The same alerts again and again."""
    for turn in count():
        if ended.is_set():
            return
        reports = [
            {"threat_id": f"noise {number % IDS}", "content": f"{turn}", "severity": "LOW"}
            for number in range(BATCH)
        ]
        try:
            result = await p.add_threats_batch(reports)
            fired.whole += 1
        except BatchInterrupted as exc:
            result = exc.result
            fired.doubtful += exc.unknown
        fired.told += result.suppressed


async def while_firing(p: Periscope, happens: Callable[[], Awaitable[None]]) -> None:
    await mark_with(p, lambda _: Mark("rule:noise"))
    ended, fired = asyncio.Event(), Fired()
    firing = asyncio.create_task(fire(p, fired, ended))
    try:
        await fired.next_whole()
        await happens()
        await fired.next_whole()
    finally:
        ended.set()
        await firing
    ledger = await p.get_ledger(deep=True)
    assert ledger.balanced, ledger
    page = await p.get_suppressed(count=1000)
    assert (len(page), page.total) == (IDS, IDS)
    assert sum(entry.count for entry in page) == ledger.suppressed == ledger.received
    assert fired.told <= ledger.suppressed <= fired.told + fired.doubtful


async def test_replicas_take_over(pair: Cluster) -> None:
    async with Periscope.open(pair.url, **REPLICATED) as p:

        async def happens() -> None:
            for node in pair.nodes[:3]:
                (replica,) = await pair.replicas_of(node)
                await pair.fail_over(replica)
                await pair.until_whole()

        await while_firing(p, happens)


async def test_slots_move(pair: Cluster) -> None:
    async with Periscope.open(pair.url) as p:

        async def happens() -> None:
            for keys in p.keyspace.partitions[:4]:
                slot = slot_of_key(keys.suppressed)
                owner = await pair.owner(slot)
                target = next(node for node in await pair.primaries() if node is not owner)
                await pair.move_by_key(slot, target)

        await while_firing(p, happens)
