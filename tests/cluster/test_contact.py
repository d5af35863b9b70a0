"""First contact: a node of the URL that hangs must not cost every command its time."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator

import pytest

from periscope import Periscope
from tests.support.clusters import Cluster, cluster
from tests.support.nodes import Node, wait_until
from tests.support.patience import BUSY_S
from tests.support.servers import ServerProcess


@pytest.fixture
async def pair() -> AsyncIterator[Cluster]:
    async with cluster(3, 1) as made:
        yield made


async def test_a_frozen_node_that_the_url_names_first(pair: Cluster) -> None:
    victim = pair.nodes[0]
    async with Periscope.open(pair.url) as p:
        await p.add_threats_batch(
            {"threat_id": f"t{number}", "content": "c", "severity": "HIGH"} for number in range(200)
        )
    (heir,) = await pair.replicas_of(victim)
    await wait_until(lambda: _follows(heir), "the replica has everything")
    victim.freeze()
    try:
        await wait_until(lambda: _took_over(heir, pair), "the replica took over")
        began = time.monotonic()
        async with Periscope.open(pair.url) as p:
            assert (await p.get_ledger()).in_levels == 200
        assert time.monotonic() - began < 1 + BUSY_S
    finally:
        victim.thaw()


async def _follows(replica: Node) -> bool:
    text = await replica.ask("INFO", "replication")
    return "master_link_status:up" in text and "master_sync_in_progress:0" in text


async def _took_over(node: Node, it: Cluster) -> bool:
    """Do those who are not frozen take it for a primary?"""
    views = [await it.rows(one) for one in it.nodes[1:]]
    return all(any(row.port == node.port and row.slots for row in view) for view in views)


async def test_all_seeds_but_one_are_away(pair: Cluster) -> None:
    listed = pair.url.replace("valkey://", "valkey://127.0.0.1:1,127.0.0.1:2,")
    async with Periscope.open(listed) as p:
        assert p.server.kind


async def test_a_lone_server_that_is_slow_is_waited_for() -> None:
    process = ServerProcess().start()
    try:
        process.freeze()
        began = time.monotonic()
        asyncio.get_running_loop().call_later(2.5, process.thaw)
        async with Periscope.open(process.url) as p:
            assert await p.get_threat("t") is None
        assert time.monotonic() - began > 2.0
    finally:
        process.stop()
