"""Lanes and pools when things go wrong: nothing hangs, is misread, or is misjudged."""

from __future__ import annotations

import asyncio
import copy
import os
import signal
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest
from redis.asyncio import Redis

from periscope import (
    BatchInterrupted,
    OutcomeUnknown,
    Periscope,
    StoreFull,
    StoreUnavailable,
    chunks,
)
from periscope import errors as all_errors
from periscope.connection.pool import WaitingPool
from periscope.errors import PartitionsMissing, PeriscopeError
from tests.coalesce.test_doubt import MeanProxy
from tests.conftest import OpenHere
from tests.support.clusters import cluster
from tests.support.nodes import wait_until
from tests.support.servers import ServerProcess

SLOW_SCRIPT = """local function now() local t = redis.call('TIME') return t[1] + t[2] / 1e6 end
local began = now() while now() - began < 0.6 do end return 1"""


@pytest.fixture
def own() -> Iterator[ServerProcess]:
    process = ServerProcess("--busy-reply-threshold", "100").start()
    yield process
    process.stop()


def reports(name: str, count: int = 500) -> list[dict[str, Any]]:
    return [{"threat_id": f"{name}{i}", "content": "x", "severity": "LOW"} for i in range(count)]


def pool_of(p: Periscope) -> WaitingPool:
    return p.functions.connections.topology.primaries()[0].pool


def test_every_error_can_be_copied() -> None:
    """Each of many callers gets one of their own."""
    error = PartitionsMissing("two are away", missing=(1, 2), partial=["rest"])
    again = copy.copy(error)
    assert (str(again), again.missing, again.partial) == ("two are away", (1, 2), ["rest"])
    kinds = [k for k in vars(all_errors).values() if isinstance(k, type)]
    for kind in [k for k in kinds if issubclass(k, PeriscopeError)]:
        made = copy.copy(kind.__new__(kind, "reason"))
        assert (type(made), str(made)) == (kind, "reason")


async def test_a_connection_that_was_cut_between_two_chunks_misleads_nobody(
    periscope: Periscope, open_here: OpenHere
) -> None:
    """Sending would make it anew, and the second answer would be taken for the first."""
    async with open_here(retry_s=5) as p:

        async def source() -> AsyncIterator[dict[str, Any]]:
            for report in reports("t"):
                yield report
            await wait_until(stored, "the first chunk is stored")
            for connection in pool_of(p)._in_use_connections:
                await connection.disconnect(nowait=True)
            for report in reports("t"):
                yield report

        async def stored() -> bool:
            return await periscope.get_threat("t499") is not None

        result = await p.add_threats_batch(source())
    assert (result.added, result.duplicates) == (500, 500)


async def test_what_is_kept_for_the_next_call_is_given_up_for_who_waits(
    periscope: Periscope, open_here: OpenHere
) -> None:
    """Lanes wait for the next call with their connections; batches need connections too."""
    ended = asyncio.Event()

    async def slow(name: str) -> AsyncIterator[dict[str, Any]]:
        yield reports(name, 1)[0]
        await ended.wait()

    async with (
        open_here(namespace="kept", partitions=8, connections=4) as p,
        asyncio.timeout(20),
    ):
        await asyncio.gather(*(p.add_threat(f"s{i}", "x", "LOW") for i in range(100)))
        batches = [asyncio.create_task(p.add_threats_batch(slow(f"b{n}"))) for n in range(3)]
        await wait_until(lambda: _all_known(p, ["b00", "b10", "b20"]), "the batches pause")
        for number in range(20):
            await p.add_threat(f"n{number}", "x", "LOW")
            assert await p.get_threat(f"s{number}") is not None
        assert len(await p.get_top_threats(5)) == 5
        ended.set()
        await asyncio.gather(*batches)


async def _all_known(p: Periscope, ids: list[str]) -> bool:
    return len(await p.get_threats(ids)) == len(ids)


async def test_a_lane_that_was_idle_for_long_does_not_stand_in_its_own_way(
    periscope: Periscope, open_here: OpenHere
) -> None:
    async with open_here(connections=2, health_check_s=0.05) as p, asyncio.timeout(20):

        async def source() -> AsyncIterator[dict[str, Any]]:
            for number in range(3):
                yield reports(f"q{number}", 1)[0]
                await asyncio.sleep(0.1)  # longer than a lane may be idle
                await p.add_threat(f"inner{number}", "x", "LOW")

        assert (await p.add_threats_batch(source())).added == 3


async def test_who_waits_for_a_connection_to_a_replaced_primary_is_sent_on() -> None:
    async with (
        cluster(3, 1, durable=True) as it,
        Periscope.open(it.url, partitions=1, connections=2, call_timeout_s=30, retry_s=20) as p,
        asyncio.timeout(25),
    ):
        await p.add_threat("t", "x", "LOW")
        node = p.functions.connections.topology.node_of(p.keyspace.partitions[0].meta)
        assert node is not None
        frozen = it.node(node.address.port)
        frozen.freeze()
        try:
            found = await asyncio.gather(*(p.get_threats(["t"]) for _ in range(40)))
            assert [len(threats) for threats in found] == [1] * 40
        finally:
            frozen.thaw()


async def test_closing_ends_batches_and_reads_and_leaves_no_connection(own: ServerProcess) -> None:
    async with Redis.from_url(own.url) as admin:

        async def connections() -> int:
            return sum(one["name"] == "periscope" for one in await admin.client_list())

        p = await Periscope.open(own.url, retry_s=5).start()
        begun, given = asyncio.Event(), 0

        async def source() -> AsyncIterator[dict[str, Any]]:
            nonlocal given
            while True:
                yield reports(f"t{given}-", 1)[0]
                given += 1
                if given > 2000:
                    begun.set()
                    await asyncio.sleep(0)

        batch = asyncio.create_task(p.add_threats_batch(source()))
        reads = [asyncio.create_task(p.get_top_threats(5000)) for _ in range(20)]
        await begun.wait()
        await p.close()
        with pytest.raises(BatchInterrupted) as caught:
            await batch
        told = caught.value
        for read in await asyncio.gather(*reads, return_exceptions=True):
            assert isinstance(read, list | StoreUnavailable)
        assert await connections() == 0
        async with Periscope.open(own.url) as other:
            there = (await other.get_ledger(deep=True)).level_1
        assert told.result.committed <= there <= told.result.committed + told.unknown


async def test_a_confirmation_that_is_refused_does_not_undo_what_is_stored(
    own: ServerProcess,
) -> None:
    async with (
        Redis.from_url(own.url) as admin,
        Periscope.open(own.url, durability="replicated", replica_timeout_s=0.2) as p,
    ):
        await admin.execute_command("ACL", "SETUSER", "default", "-wait")
        with pytest.raises(OutcomeUnknown):
            await p.add_threat("t", "x", "LOW")
        assert await p.get_threat("t") is not None
        with pytest.raises(BatchInterrupted) as caught:
            await p.add_threats_batch(reports("b", 3))
        assert (caught.value.refused, caught.value.unknown) == (0, 3)
        assert await p.get_threat("b2") is not None


async def test_whatever_ends_a_lane_what_may_be_stored_is_unknown(own: ServerProcess) -> None:
    async with AsyncExitStack() as stack, asyncio.timeout(20):
        admin = await stack.enter_async_context(Redis.from_url(own.url))

        async def lock_out() -> None:
            await admin.config_set("requirepass", "new")

        proxy = await stack.enter_async_context(MeanProxy(own, lock_out))
        p = await stack.enter_async_context(Periscope.open(proxy.url, retry_s=1))
        await p.add_threat("known", "x", "LOW")
        proxy.armed = True
        with pytest.raises(OutcomeUnknown, match="credentials"):
            await p.add_threat("t", "x", "LOW")
        proxy.armed = False
        await admin.config_set("requirepass", "")
        assert await p.get_threat("t") is not None


async def test_an_embedded_server_that_cannot_start_again_ends_a_batch_with_its_account(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with Periscope.open(data_dir=tmp_path) as p:
        server = p._server
        assert server is not None
        await p.add_threat("before", "x", "LOW")

        async def refuse(**options: Any) -> None:
            raise StoreFull("no room to start in")

        def source() -> Iterator[dict[str, Any]]:
            for number, report in enumerate(reports("t", 1200)):
                if number == 700:
                    monkeypatch.setattr(server, "revive", refuse)
                    os.kill(server._pid or 0, signal.SIGKILL)
                yield report

        with pytest.raises(BatchInterrupted) as caught:
            await p.add_threats_batch(source())
        told = caught.value
        assert isinstance(told.__cause__, OutcomeUnknown)
        assert told.result.committed + told.refused + told.unknown == 1200
        monkeypatch.undo()
        assert await p.get_threat("before") is not None


async def test_a_doubt_that_is_too_old_is_not_repeated(
    own: ServerProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The server forgets replies after ten minutes: then a repetition would count once more."""
    monkeypatch.setattr(chunks, "REPEATED_FOR_S", 0.3)
    async with AsyncExitStack() as stack, asyncio.timeout(20):

        async def leave() -> None:
            own.kill()

        proxy = await stack.enter_async_context(MeanProxy(own, leave))
        p = await stack.enter_async_context(Periscope.open(proxy.url))
        await p.add_threat("known", "x", "LOW")

        async def source() -> AsyncIterator[dict[str, Any]]:
            yield reports("first", 1)[0]
            await wait_until(lambda: _all_known(p, ["first0"]), "the first report is stored")
            proxy.armed = True  # the batch has its connection by now
            for report in reports("t", 5):
                yield report

        with pytest.raises(BatchInterrupted) as caught:
            await p.add_threats_batch(source(), wait_s=60)
        assert (caught.value.refused, caught.value.unknown) == (0, 5)


async def test_one_chunk_under_way_at_a_time_keeps_the_order_too(
    periscope: Periscope, open_here: OpenHere
) -> None:
    await periscope.add_threat("bad", "x", "LOW")
    keys = periscope.keyspace.partitions[0]
    client = periscope.functions.connections.client
    kept: Any = await client.get(keys.record(b"bad"))
    async with open_here(in_flight=1) as p:
        await client.set(keys.record(b"bad"), b"damaged")
        calls = [p.add_threat("bad", "y", "HIGH"), p.add_threat("t", "older", "LOW")]
        calls += [p.add_threat(f"f{number}", "x", "LOW") for number in range(40)]
        calls += [p.add_threat("t", "newer", "HIGH")]
        await asyncio.gather(*calls, return_exceptions=True)
        await client.set(keys.record(b"bad"), kept)
        threat = await p.get_threat("t")
    assert threat is not None
    assert threat.content == "newer"


async def test_somebody_elses_script_is_waited_for(own: ServerProcess) -> None:
    async with Redis.from_url(own.url) as other, Periscope.open(own.url) as p:
        await p.add_threat("a", "x", "LOW")
        script: Any = asyncio.ensure_future(other.eval(SLOW_SCRIPT, 0))

        async def busy() -> bool:
            async with Redis.from_url(own.url) as probe:
                return await _is_busy(probe)

        await wait_until(busy, "the server is busy")
        assert await p.add_threat("b", "x", "LOW") == "added"
        assert (await p.add_threats_batch(reports("c", 3))).added == 3
        await script
        assert (await p.get_ledger()).received == 5


async def _is_busy(client: Redis) -> bool:
    try:
        await client.ping()
    except Exception as exc:
        return "BUSY" in str(exc) or "busy" in str(exc)
    return False


async def test_what_was_read_ahead_is_counted_to_the_last_item(own: ServerProcess) -> None:
    given = 0

    async def source() -> AsyncIterator[dict[str, Any]]:
        nonlocal given
        while True:
            given += 1
            yield {"threat_id": f"t{given}", "content": "x" * 10_000, "severity": "LOW"}

    async with Redis.from_url(own.url) as admin, Periscope.open(own.url) as p:
        used = int((await admin.info("memory"))["used_memory"])
        await admin.config_set("maxmemory", used + 20_000_000)
        with pytest.raises(BatchInterrupted) as caught:
            await p.add_threats_batch(source())
        told = caught.value
        assert told.result.committed + told.refused + told.unknown == given


async def test_a_cancellation_during_the_clean_up_of_a_source_is_heard(own: ServerProcess) -> None:
    cleaning = asyncio.Event()

    async def source() -> AsyncIterator[dict[str, Any]]:
        try:
            for report in reports("t", 5000):
                yield report
                await asyncio.sleep(0)
        finally:
            cleaning.set()
            await asyncio.sleep(0.2)

    async with Redis.from_url(own.url) as admin, Periscope.open(own.url) as p:
        await admin.config_set("maxmemory", 1)
        batch = asyncio.create_task(p.add_threats_batch(source()))
        await cleaning.wait()
        batch.cancel()
        with pytest.raises(asyncio.CancelledError):
            await batch
