"""Ingest under faults: what was acknowledged is there, nothing twice, and all accounted for."""

from __future__ import annotations

import asyncio
import random
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import aclosing
from typing import Any

import pytest

from periscope import BatchInterrupted, Periscope, StoreFull, StoreUnavailable
from periscope.batches import Batches
from periscope.lane import HEALS
from tests.conftest import OpenHere
from tests.support.proxy import CuttingProxy
from tests.support.servers import ServerProcess

Reports = list[dict[str, Any]]


def reports(count: int, prefix: str = "t", content: str = "x") -> Reports:
    return [
        {"threat_id": f"{prefix}{i}", "content": content, "severity": "HIGH"} for i in range(count)
    ]


@pytest.fixture
def durable() -> Iterator[ServerProcess]:
    process = ServerProcess("--appendonly", "yes", "--appendfsync", "always").start()
    yield process
    process.stop()


@pytest.mark.parametrize("garbage", [b"", b"+OK\r\n$-7\r\nnonsense"], ids=["cut", "garbage"])
@pytest.mark.parametrize("after", [0, 1, 40, 200])
async def test_a_chunk_repeated_after_a_lost_reply_counts_once(
    server: ServerProcess, periscope: Periscope, after: int, garbage: bytes
) -> None:
    async with (
        CuttingProxy(server.socket, cuts=HEALS, cut_after_bytes=after, garbage=garbage) as proxy,
        Periscope.open(proxy.url, retry_s=10) as p,
    ):
        proxy.armed = True
        result = await p.add_threats_batch(reports(12_000))
        proxy.armed = False
        assert (result.added, result.received) == (12_000, 12_000)
        assert proxy.done >= 1
    ledger = await periscope.get_ledger()
    assert (ledger.received, ledger.level_1) == (12_000, 12_000)


async def test_a_chunk_repeated_does_not_overwrite_a_newer_report(
    periscope: Periscope, server: ServerProcess
) -> None:
    """Two chunks in flight change the same threats; the replies to both are lost."""
    async with (
        CuttingProxy(server.socket, cuts=1, cut_after_bytes=0) as proxy,
        Periscope.open(proxy.url, retry_s=10) as p,
    ):
        proxy.armed = True
        result = await p.add_threats_batch([*reports(500), *reports(500, content="newer")])
        proxy.armed = False
    assert (result.added, result.sightings) == (500, 500)
    assert all([t.content == "newer" async for t in periscope.get_all_active()])


async def test_a_store_that_stays_away_ends_the_batch_with_an_account(
    durable: ServerProcess,
) -> None:
    async with Periscope.open(durable.url, retry_s=0.2) as p:
        met = 0

        def source() -> Iterator[dict[str, Any]]:
            nonlocal met
            for report in reports(50_000):
                met += 1
                if met == 20_000:
                    durable.kill()
                yield report

        with pytest.raises(BatchInterrupted) as caught:
            await p.add_threats_batch(source())
    exc = caught.value
    assert isinstance(exc.__cause__, StoreUnavailable)
    assert exc.result.committed + exc.refused + exc.unknown == met
    assert 0 < exc.unknown <= 9 * 500
    durable.start()
    async with Periscope.open(durable.url) as p:
        ledger = await p.get_ledger(deep=True)
        assert ledger.balanced
        assert exc.result.committed <= ledger.level_1 <= exc.result.committed + exc.unknown
        again = await p.add_threats_batch(reports(50_000))
        assert again.added == 50_000 - ledger.level_1
        assert again.duplicates == ledger.level_1


async def test_a_restarted_store_is_found_again_within_a_batch(durable: ServerProcess) -> None:
    async with Periscope.open(durable.url, retry_s=30) as p:

        def source() -> Iterator[dict[str, Any]]:
            for number, report in enumerate(reports(20_000)):
                if number in (5_000, 12_345):
                    durable.kill()
                    durable.start()
                yield report

        result = await p.add_threats_batch(source())
        assert (result.added, result.duplicates) == (20_000, 0)
        ledger = await p.get_ledger(deep=True)
        assert ledger.balanced
        assert ledger.received == 20_000


WRITER = """
import asyncio, sys
from periscope import Periscope
async def main():
    async with Periscope.open(sys.argv[1]) as p:
        reports = ({"threat_id": f"t{i}", "content": "x", "severity": "LOW"} for i in range(10**7))
        await p.add_threats_batch(reports)
asyncio.run(main())
"""


async def test_a_killed_client_leaves_whole_chunks_only(durable: ServerProcess) -> None:
    async with Periscope.open(durable.url) as p:
        writer = await asyncio.create_subprocess_exec(sys.executable, "-c", WRITER, durable.url)
        while (await p.get_stats()).queue < 5_000:
            await asyncio.sleep(0)
        writer.send_signal(signal.SIGKILL)
        await writer.wait()
        ledger = await p.get_ledger(deep=True)
        assert ledger.balanced
        assert ledger.level_1 % 500 == 0
        again = await p.add_threats_batch(
            {"threat_id": f"t{i}", "content": "x", "severity": "LOW"} for i in range(40_000)
        )
        assert (await p.get_ledger(deep=True)).balanced
        assert again.duplicates == min(ledger.level_1, 40_000)


async def test_a_source_that_fails_keeps_what_it_gave(periscope: Periscope) -> None:
    def source() -> Iterator[dict[str, Any]]:
        yield from reports(777)
        raise ZeroDivisionError("oops")

    with pytest.raises(BatchInterrupted, match="ZeroDivisionError: oops") as caught:
        await periscope.add_threats_batch(source())
    assert caught.value.result.added == 777
    assert isinstance(caught.value.__cause__, ZeroDivisionError)
    assert (caught.value.refused, caught.value.unknown) == (0, 0)


async def test_an_async_source_that_fails_keeps_what_it_gave(periscope: Periscope) -> None:
    async def source() -> AsyncIterator[dict[str, Any]]:
        for report in reports(777):
            yield report
        raise ZeroDivisionError("oops")

    with pytest.raises(BatchInterrupted) as caught:
        await periscope.add_threats_batch(source())
    assert caught.value.result.added == 777


async def test_a_slow_async_source_is_not_waited_for(periscope: Periscope) -> None:
    arrived = asyncio.Event()

    async def source() -> AsyncIterator[dict[str, Any]]:
        yield reports(1)[0]
        await arrived.wait()

    batch = asyncio.create_task(periscope.add_threats_batch(source()))
    async with asyncio.timeout(10):
        while not await periscope.threat_exists("t0"):
            await asyncio.sleep(0)
    arrived.set()
    assert (await batch).added == 1


async def test_a_full_server_refuses_whole_chunks_and_recovers() -> None:
    process = ServerProcess("--maxmemory", "6mb", "--maxmemory-policy", "noeviction").start()
    try:
        async with Periscope.open(process.url) as p:
            with pytest.raises(BatchInterrupted, match="out of memory") as caught:
                await p.add_threats_batch(reports(100_000, content="x" * 200))
            exc = caught.value
            assert isinstance(exc.__cause__, StoreFull)
            assert exc.unknown == 0
            ledger = await p.get_ledger()
            assert ledger.balanced
            assert ledger.level_1 == exc.result.committed
            assert len(await p.get_top_threats(5)) == 5
            await p.functions.connections.client.config_set("maxmemory", "64mb")
            assert (await p.add_threats_batch(reports(10, "later"))).added == 10
    finally:
        process.stop()


async def test_cancelling_batches_harms_no_other(open_here: OpenHere, periscope: Periscope) -> None:
    chance = random.Random(7)
    async with open_here(connections=3) as p:
        batches = [
            asyncio.create_task(p.add_threats_batch(reports(3_000, f"b{n}-"))) for n in range(12)
        ]
        victims = set(chance.sample(range(12), 6))
        for victim in victims:
            await asyncio.sleep(chance.random() / 200)
            batches[victim].cancel()
        results = await asyncio.gather(*batches, return_exceptions=True)
        for number, result in enumerate(results):
            if isinstance(result, BaseException):
                assert isinstance(result, asyncio.CancelledError)
                assert number in victims
            else:
                assert result.added == 3_000
        assert len({t.threat_id for t in await p.get_top_threats(5)}) == 5


async def test_two_thousand_singles_on_two_connections_are_all_stored(
    open_here: OpenHere, periscope: Periscope
) -> None:
    async with open_here(connections=2) as p:
        outcomes = await asyncio.gather(*(p.add_threat(f"t{i}", "x", "LOW") for i in range(2_000)))
    assert set(outcomes) == {"added"}
    assert (await periscope.get_stats()).queue == 2_000


async def test_cancelled_reads_leave_no_reply_for_others(
    open_here: OpenHere, periscope: Periscope
) -> None:
    await periscope.add_threats_batch(reports(100))
    async with open_here(connections=2) as p:
        tasks = [asyncio.create_task(p.get_threat(f"t{i % 100}")) for i in range(1_000)]
        await asyncio.sleep(0)
        for task in tasks[::3]:
            task.cancel()
        for number, found in enumerate(await asyncio.gather(*tasks, return_exceptions=True)):
            if not isinstance(found, BaseException):
                assert found is not None
                assert found.threat_id == f"t{number % 100}"


async def test_killed_connections_are_replaced(periscope: Periscope) -> None:
    client = periscope.functions.connections.client
    for _ in range(5):
        await client.execute_command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
        assert (await periscope.add_threats_batch(reports(1_000))).received == 1_000


def test_the_suites_python_runs_the_product_from_its_own_tree() -> None:
    done = subprocess.run([sys.executable, "-c", "import periscope"], check=False)
    assert done.returncode == 0


async def test_a_stopped_server_fails_calls_by_their_deadline(
    open_here: OpenHere, periscope: Periscope
) -> None:
    client = periscope.functions.connections.client
    async with open_here(call_timeout_s=0.2) as p:
        await client.execute_command("CLIENT", "PAUSE", "1500", "ALL")
        async with asyncio.timeout(1.2):
            with pytest.raises(StoreUnavailable, match="Timeout"):
                await p.get_stats()
        await client.ping()
        assert (await p.get_stats()).queue == 0


async def test_chunks_that_are_answered_late_count_once(
    open_here: OpenHere, periscope: Periscope
) -> None:
    client = periscope.functions.connections.client
    async with open_here(call_timeout_s=0.2, retry_s=20) as p:
        await client.execute_command("CLIENT", "PAUSE", "700", "WRITE")
        result = await p.add_threats_batch(reports(8_000))
        assert (result.added, result.received) == (8_000, 8_000)
    assert (await periscope.get_ledger()).received == 8_000


async def test_a_clock_that_jumps_back_harms_no_rank(periscope: Periscope) -> None:
    periscope.functions.now_ms = 1_790_000_000_000
    await periscope.add_threats_batch(reports(10))
    periscope.functions.now_ms -= 3_600_000
    await periscope.add_threats_batch(reports(10, "late"))
    await periscope.add_threats_batch(reports(10, content="again"))
    top = await periscope.get_top_threats()
    assert len(top) == 20
    assert all(0 <= threat.score <= 1 and threat.age_ms == 0 for threat in top)
    assert top[0].last_activity_ms == 1_790_000_000_000
    periscope.functions.now_ms += 366 * 24 * 3_600_000
    assert all(0 <= threat.score <= 1 for threat in await periscope.get_top_threats())


async def test_a_source_that_pauses_after_a_whole_list_says_so() -> None:
    """Else answers would lie there unread, and be unknown if the server died meanwhile."""
    more = asyncio.Event()

    async def source() -> AsyncIterator[int]:
        for number in range(10):
            yield number
        await more.wait()
        yield 10

    lists = Batches(source(), 5)
    async with asyncio.timeout(10), aclosing(lists):
        assert [await anext(aiter(lists)) for _ in range(3)] == [[*range(5)], [*range(5, 10)], []]
        more.set()
        assert [items async for items in lists] == [[10]]


async def test_a_server_known_to_be_away_ends_a_batch_with_an_account(
    durable: ServerProcess,
) -> None:
    async with Periscope.open(durable.url, retry_s=0.0) as p:
        durable.kill()
        with pytest.raises(StoreUnavailable):
            await p.get_stats()
        for size in (3, 700, 3_000):
            met = 0

            def source(most: int) -> Iterator[dict[str, Any]]:
                nonlocal met
                for report in reports(most):
                    met += 1
                    yield report

            with pytest.raises(BatchInterrupted) as caught:
                await p.add_threats_batch(source(size))
            told = caught.value
            assert isinstance(told.__cause__, StoreUnavailable)
            assert (told.refused, told.unknown, told.result.received) == (met, 0, 0)
            assert 0 < met <= min(size, 500)
        acts = [{"threat_id": "t", "analyst_id": "ann", "action": "view"}] * 5
        with pytest.raises(BatchInterrupted) as caught:
            await p.record_interactions_batch(acts)
        assert (caught.value.refused, caught.value.unknown) == (5, 0)


async def test_wait_s_counts_from_the_batch_not_from_when_the_server_went_away(
    durable: ServerProcess,
) -> None:
    async with Periscope.open(durable.url, retry_s=0.0) as p, asyncio.timeout(30):
        durable.kill()
        with pytest.raises(BatchInterrupted):
            await p.add_threats_batch(reports(1))
        batch = asyncio.create_task(p.add_threats_batch(reports(1_000), wait_s=20))
        _, waiting = await asyncio.wait({batch}, timeout=0.5)
        assert waiting
        durable.start()
        assert (await batch).added == 1_000
