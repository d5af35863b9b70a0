"""What was sent and not answered is in doubt, whatever the server says when it is sent again."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import AsyncExitStack
from typing import Any

import pytest

from periscope import BatchInterrupted, OutcomeUnknown, Periscope, StoreDamaged, StoreFull
from tests.conftest import OpenHere
from tests.support.proxy import CuttingProxy
from tests.support.servers import ServerProcess


class MeanProxy(CuttingProxy):
    """Cuts the first reply, and before anybody notices makes the server refuse whatever comes."""

    def __init__(self, server: ServerProcess, then: Callable[[], Awaitable[Any]]) -> None:
        super().__init__(server.socket, cuts=1, cut_after_bytes=0)
        self._then = then

    async def on_cut(self) -> None:
        await self._then()


@pytest.fixture
def own() -> Iterator[ServerProcess]:
    process = ServerProcess().start()
    yield process
    process.stop()


async def through(stack: AsyncExitStack, own: ServerProcess) -> tuple[Any, Any, Any]:
    """(a database reached directly, the proxy, a database reached through it)."""
    admin = await stack.enter_async_context(Periscope.open(own.url))
    await admin.add_threat("known", "x", "LOW")
    client = admin.functions.connections.client

    async def fill() -> None:
        await client.config_set("maxmemory", "1")

    proxy = await stack.enter_async_context(MeanProxy(own, fill))
    p = await stack.enter_async_context(Periscope.open(proxy.url, retry_s=5))
    proxy.armed = True
    return admin, proxy, p


async def test_a_report_refused_the_second_time_may_have_been_stored_the_first(
    own: ServerProcess,
) -> None:
    async with AsyncExitStack() as stack, asyncio.timeout(20):
        admin, _, p = await through(stack, own)
        with pytest.raises(OutcomeUnknown, match="out of memory"):
            await p.add_threat("t", "x", "LOW")
        assert await admin.get_threat("t") is not None  # it was: "nothing stored" would be a lie
        with pytest.raises(StoreFull):
            await p.add_threat("u", "x", "LOW")
        await admin.functions.connections.client.config_set("maxmemory", "0")
        assert await p.add_threat("t", "x", "LOW") == "duplicate"


async def test_an_act_refused_the_second_time_may_have_been_done_the_first(
    own: ServerProcess,
) -> None:
    async with AsyncExitStack() as stack, asyncio.timeout(20):
        admin, _, p = await through(stack, own)
        with pytest.raises(OutcomeUnknown):
            await p.record_interaction("known", "ann", "view", "id 1")
        await admin.functions.connections.client.config_set("maxmemory", "0")
        threat = await p.record_interaction("known", "ann", "view", "id 1")
        assert threat.interactions == 1


async def test_a_batch_counts_as_unknown_what_may_have_been_stored(own: ServerProcess) -> None:
    async with AsyncExitStack() as stack, asyncio.timeout(20):
        admin, _, p = await through(stack, own)
        with pytest.raises(BatchInterrupted) as caught:
            await p.add_threats_batch(
                {"threat_id": f"t{i}", "content": "x", "severity": "LOW"} for i in range(300)
            )
        assert (caught.value.refused, caught.value.unknown) == (0, 300)
        assert (await admin.get_stats()).queue == 301


@pytest.mark.parametrize("in_flight", [1, 2, 8])
async def test_what_comes_behind_a_bad_threat_does_not_overtake_those_beside_it(
    open_here: OpenHere, periscope: Periscope, in_flight: int
) -> None:
    """The chunk with the bad one is taken apart: later reports of the others still come later."""
    (keys,) = periscope.keyspace.partitions
    client = periscope.functions.connections.client
    await client.hset(keys.record(b"bad"), "not", "a record")
    async with open_here(in_flight=in_flight) as p, asyncio.timeout(30):
        calls = [p.add_threat("bad", "x", "LOW")]
        calls += [p.add_threat(f"t{i % 40}", f"step {i // 40}", "LOW") for i in range(1_600)]
        answers = await asyncio.gather(*calls, return_exceptions=True)
        assert [type(a) for a in answers if isinstance(a, Exception)] == [StoreDamaged]
        threats = await p.get_threats(f"t{i}" for i in range(40))
        assert {threat.content for threat in threats} == {"step 39"}
    await client.delete(keys.record(b"bad"))
