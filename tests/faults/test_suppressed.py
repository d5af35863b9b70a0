"""What is suppressed is counted once, whatever happens: entries say what the ledger says."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from periscope import Periscope, StoreFull
from periscope.lane import HEALS
from periscope.models import Mark
from tests.support.marking import mark_with
from tests.support.proxy import CuttingProxy
from tests.support.servers import ServerProcess

IDS = 40
COUNT = 12_000


def alerts(count: int = COUNT) -> Iterator[dict[str, Any]]:
    """A sensor that fires the same few alerts; every third report is of something else."""
    for number in range(count):
        noise = number % 3 > 0
        name = f"noise {number % IDS}" if noise else f"threat {number}"
        yield {"threat_id": name, "content": f"x {number}", "severity": "LOW"}


def is_noise(fields: Any) -> Mark | None:
    return Mark("rule:noise") if fields["threat_id"].startswith("noise") else None


async def counted(p: Periscope) -> int:
    """How many reports all entries say were suppressed."""
    page = await p.get_suppressed(count=1000)
    assert (len(page), page.next_cursor) == (page.total, None)
    return sum(entry.count for entry in page)


@pytest.mark.parametrize("garbage", [b"", b"+OK\r\n$-7\r\nnonsense"], ids=["cut", "garbage"])
@pytest.mark.parametrize("after", [0, 40])
async def test_a_chunk_repeated_after_a_lost_reply_counts_once(
    server: ServerProcess, periscope: Periscope, after: int, garbage: bytes
) -> None:
    async with (
        CuttingProxy(server.socket, cuts=HEALS, cut_after_bytes=after, garbage=garbage) as proxy,
        Periscope.open(proxy.url, retry_s=10) as p,
    ):
        await mark_with(p, is_noise)
        proxy.armed = True
        result = await p.add_threats_batch(alerts())
        proxy.armed = False
        assert proxy.done >= 1
    assert (result.added, result.suppressed) == (COUNT // 3, 2 * COUNT // 3)
    ledger = await periscope.get_ledger()
    assert (ledger.received, ledger.suppressed) == (COUNT, 2 * COUNT // 3)
    assert await counted(periscope) == ledger.suppressed


async def test_a_store_that_is_killed_and_comes_back_within_a_batch() -> None:
    process = ServerProcess("--appendonly", "yes", "--appendfsync", "always").start()
    try:
        async with Periscope.open(process.url, retry_s=30, partitions=3) as p:
            await mark_with(p, is_noise)

            def source() -> Iterator[dict[str, Any]]:
                for number, report in enumerate(alerts()):
                    if number in (2_500, 7_777):
                        process.kill()
                        process.start()
                    yield report

            result = await p.add_threats_batch(source())
            assert (result.added, result.suppressed) == (COUNT // 3, 2 * COUNT // 3)
            ledger = await p.get_ledger(deep=True)
            assert ledger.balanced, ledger
            assert await counted(p) == ledger.suppressed == result.suppressed
    finally:
        process.stop()


async def test_a_library_that_is_flushed_is_loaded_again(periscope: Periscope) -> None:
    await mark_with(periscope, is_noise)
    client = periscope.functions.connections.client
    for turn in range(3):
        await client.execute_command("FUNCTION", "FLUSH")
        result = await periscope.add_threats_batch(alerts(300))
        assert result.suppressed == 200
        assert await counted(periscope) == 200 * (turn + 1)


async def test_a_full_store_refuses_whole_and_lets_entries_be_forgotten(
    periscope: Periscope,
) -> None:
    await mark_with(periscope, is_noise)
    await periscope.add_threat("noise 1", "x", "LOW")
    client = periscope.functions.connections.client
    await client.config_set("maxmemory", "1mb")
    try:
        with pytest.raises(StoreFull):
            await periscope.add_threat("noise 2", "x", "LOW")
        assert await periscope.forget_suppressed("noise 1")
    finally:
        await client.config_set("maxmemory", "0")
    assert await counted(periscope) == 0
