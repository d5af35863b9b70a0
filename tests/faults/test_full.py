"""Back-pressure: a server that is full or away slows a batch, then refuses; nothing is lost."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from redis.asyncio import Redis

from periscope import BatchInterrupted, Level, Periscope, StoreFull, Writable
from periscope.archive import open_archive
from tests.support.full import LIMITED, MANY, give_room, is_full, reports
from tests.support.nodes import wait_until
from tests.support.servers import ServerProcess


@pytest.fixture
def limited() -> Iterator[ServerProcess]:
    process = ServerProcess(*LIMITED).start()
    yield process
    process.stop()


@pytest.fixture
def durable() -> Iterator[ServerProcess]:
    process = ServerProcess("--appendonly", "yes", "--appendfsync", "always").start()
    yield process
    process.stop()


async def test_a_batch_waits_for_room_and_all_is_stored(limited: ServerProcess) -> None:
    async with Periscope.open(limited.url) as p, asyncio.timeout(60):
        batch = asyncio.create_task(p.add_threats_batch(reports(), wait_s=30))
        await give_room(limited)
        result = await batch
        assert (result.added, result.received) == (MANY, MANY)
        assert (await p.get_ledger(deep=True)).balanced


@pytest.mark.parametrize("wait_s", [0.0, 1.0])
async def test_past_its_limit_a_batch_refuses_with_exact_counts(
    limited: ServerProcess, wait_s: float
) -> None:
    async with Periscope.open(limited.url) as p, asyncio.timeout(60):
        met = 0

        def source() -> Iterator[dict[str, Any]]:
            nonlocal met
            for report in reports():
                met += 1
                yield report

        with pytest.raises(BatchInterrupted) as caught:
            await p.add_threats_batch(source(), wait_s=wait_s)
        told = caught.value
        assert isinstance(told.__cause__, StoreFull)
        assert (told.unknown, told.result.committed + told.refused) == (0, met)
        ledger = await p.get_ledger()
        assert (ledger.balanced, ledger.level_1) == (True, told.result.committed)


HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS


async def fill(p: Periscope) -> int:
    """A threat that was recalled, then reports until nothing fits; how many there are."""
    await p.add_threat("known", "x", "CRITICAL")
    for analyst in ("ann", "bob"):
        await p.record_interaction("known", analyst, "escalate")
    assert (await p.promote_eligible_threats()).promoted == 1
    _, home = await p.recall("known", "ann")
    assert home is Level.SHORT_TERM
    with pytest.raises(BatchInterrupted) as caught:
        await p.add_threats_batch(reports())
    assert isinstance(caught.value.__cause__, StoreFull)
    # What clients have under way counts as well: full is what stays full when they are quiet.
    client = p.functions.connections.client
    await client.config_set("maxmemory", (await client.info("memory"))["used_memory"] - 600_000)
    return int(caught.value.result.added) + 1


async def test_a_full_server_is_read_and_emptied_and_then_filled_again(
    limited: ServerProcess, tmp_path: Path
) -> None:
    """With an archive that was never used: adopting it is part of what a full server must let."""
    archive = await open_archive(tmp_path / "archive.db")
    async with Periscope.open(limited.url) as p, asyncio.timeout(60):
        here = await fill(p)
        with pytest.raises(StoreFull, match="refused whole"):
            await p.add_threat("new", "x", "LOW")
        with pytest.raises(StoreFull, match="refused whole"):
            await p.record_interaction("t1", "ann", "view")
        assert (await p.get_ledger()).level_1 == here
        assert len((await p.get_active_paginated()).items) == 100
        assert (await p.get_threat("t1")) is not None
        assert await p.archive_audit(archive) == 3
        await p.remove(archive, "t1", "ann", "makes room")
        p.functions.now_ms = (await p.get_stats()).as_of_ms + HOUR_MS + 1
        assert (await p.sweep(archive)).settled == 1  # what is settled must not stop a sweep
        p.functions.now_ms += DAY_MS
        assert (await p.sweep(archive)).expired_unseen == here - 2
        p.functions.now_ms = None
        again = [report | {"threat_id": f"again-{i}"} for i, report in enumerate(reports(1_000))]
        assert (await p.add_threats_batch(again)).added == 1_000
        assert (await p.get_ledger(deep=True, archive=archive)).balanced
    await archive.close()


async def test_what_was_snoozed_wakes_on_a_full_server(limited: ServerProcess) -> None:
    async with Periscope.open(limited.url) as p, asyncio.timeout(60):
        await p.add_threat("asleep", "x", "HIGH")
        await p.snooze("asleep", "ann", timedelta(hours=1))
        await fill(p)
        with pytest.raises(StoreFull, match="refused whole"):
            await p.snooze("known", "ann", None)
        p.functions.now_ms = (await p.get_stats()).as_of_ms + HOUR_MS
        assert (await p.wake_snoozed_threats()).woken_ids == ["asleep"]
        assert (await p.get_ledger(deep=True)).balanced


async def test_stats_say_that_the_server_is_full_and_that_it_no_longer_is(
    limited: ServerProcess,
) -> None:
    async with Periscope.open(limited.url) as p, asyncio.timeout(60):
        capacity = (await p.get_stats()).capacity
        assert capacity is not None
        assert (capacity.writable, capacity.refusal) == (Writable.YES, "")
        assert 0 < capacity.used_memory_bytes < capacity.max_memory_bytes == 7 * 2**20
        await fill(p)
        capacity = (await p.get_stats()).capacity
        assert capacity is not None
        assert capacity.writable is Writable.FULL
        assert "raise its maxmemory, or remove threats" in capacity.refusal
        await give_room(limited)
        capacity = (await p.get_stats()).capacity
        assert capacity is not None
        assert capacity.writable is Writable.YES


async def test_stats_say_that_a_server_refuses_writes_for_lack_of_replicas(
    durable: ServerProcess,
) -> None:
    async with Periscope.open(durable.url) as p, Redis.from_url(durable.url) as admin:
        await admin.config_set("min-replicas-to-write", 1)
        capacity = (await p.get_stats()).capacity
        assert capacity is not None
        assert capacity.writable is Writable.REFUSED
        assert "too few replicas" in capacity.refusal
        assert capacity.max_memory_bytes == 0


async def test_an_endless_source_is_not_read_ahead_while_the_server_is_full(
    limited: ServerProcess,
) -> None:
    """Waiting slows the source down: it is not read into memory meanwhile."""
    met = 0

    async def source() -> AsyncIterator[dict[str, Any]]:
        nonlocal met
        for report in reports(1_000_000):
            met += 1
            yield report

    async with Periscope.open(limited.url) as p, asyncio.timeout(60):
        batch = asyncio.create_task(p.add_threats_batch(source(), wait_s=30))
        async with Redis.from_url(limited.url) as admin:
            await wait_until(lambda: is_full(admin), "the server is full", timeout_s=30)
            stored = (await p.get_ledger()).level_1
            seen = [met]

            async def still() -> bool:
                await asyncio.sleep(0.3)
                seen.append(met)
                return seen[-1] == seen[-2]

            await wait_until(still, "the source is no longer read")
            assert met - stored < 20_000
        batch.cancel()
        with pytest.raises(asyncio.CancelledError):
            await batch


async def test_a_server_that_comes_back_within_the_wait_loses_nothing(
    durable: ServerProcess,
) -> None:
    async with Periscope.open(durable.url, retry_s=0.2) as p, asyncio.timeout(60):

        def source() -> Iterator[dict[str, Any]]:
            for number, report in enumerate(reports()):
                if number == 20_000:
                    durable.kill()
                yield report

        batch = asyncio.create_task(p.add_threats_batch(source(), wait_s=30))

        async def dead() -> bool:
            return durable._process is not None and durable._process.poll() is not None

        await wait_until(dead, "the server was killed")
        await asyncio.sleep(0.5)  # longer than retry_s: the wait is what carries it over
        durable.start()
        result = await batch
        assert (result.added, result.received) == (MANY, MANY)
        assert (await p.get_ledger(deep=True)).balanced
