"""Back-pressure: a server that is full or away slows a batch, then refuses; nothing is lost."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
from redis.asyncio import Redis

from periscope import BatchInterrupted, Periscope, StoreFull
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
