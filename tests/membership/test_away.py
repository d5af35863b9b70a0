"""Servers that are away, or hang, while the filter is built: the others are answered for."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator

import pytest

from periscope import FilterState, Periscope
from periscope.errors import PartitionsMissing
from periscope.keys import slot_of_key
from tests.membership.support import add, membership_of, wait_until
from tests.support.clusters import Cluster, cluster
from tests.support.nodes import Node
from tests.support.servers import ServerProcess

IDS = [f"t{number}" for number in range(300)]


@pytest.fixture
async def three() -> AsyncIterator[Cluster]:
    async with cluster(3, 0) as made:
        yield made


async def on(p: Periscope, it: Cluster, node: Node) -> set[int]:
    """The partitions of a node."""
    return {
        keys.number
        for keys in p.keyspace.partitions
        if await it.owner(slot_of_key(keys.meta)) is node
    }


def strangers(p: Periscope, partitions: set[int]) -> list[str]:
    """Unknown ids that belong to these partitions."""
    tried = (f"u{number}" for number in range(300))
    return [one for one in tried if p.keyspace.partition_of(one.encode()).number in partitions]


async def test_it_is_ready_after_everything_was_flushed() -> None:
    process = ServerProcess().start()
    try:
        async with Periscope.open(process.url) as p:
            await p.functions.connections.client.flushall()
            await p.membership_ready()
            assert membership_of(p).is_absent("t")
    finally:
        process.stop()


async def test_a_shard_that_is_down_is_told_and_the_others_are_answered_for(three: Cluster) -> None:
    victim = three.nodes[1]
    async with Periscope.open(three.url, retry_s=0.5) as p:
        await add(p, IDS)
        gone = await on(p, three, victim)
        there = {keys.number for keys in p.keyspace.partitions} - gone
        victim.kill()
        began = time.monotonic()
        with pytest.raises(PartitionsMissing, match=r"the filter does not answer for") as caught:
            await p.membership_ready()
        assert time.monotonic() - began < 5
        assert set(caught.value.missing) == gone
        assert all(membership_of(p).is_absent(one) for one in strangers(p, there))
        assert not any(membership_of(p).is_absent(one) for one in strangers(p, gone))
        assert p.membership.state is FilterState.BEHIND
        victim.start()
        await victim.until_up()
        await three.until_whole()
        # It came back empty, as it keeps nothing on disk: what matters is that it is read again.
        await p.membership_ready()
        assert all(membership_of(p).is_absent(one) for one in strangers(p, gone))


async def test_a_node_that_hangs_does_not_keep_the_others_from_being_filled(
    three: Cluster,
) -> None:
    victim = three.nodes[0]
    async with Periscope.open(three.url, retry_s=1.0) as p:
        await add(p, IDS)
        gone = await on(p, three, victim)
        there = {keys.number for keys in p.keyspace.partitions} - gone
        victim.freeze()
        began = time.monotonic()
        members = membership_of(p)
        members.begin()
        try:
            await wait_until(
                lambda: all(members.is_absent(one) for one in strangers(p, there)),
                "the healthy partitions are answered for",
                within_s=12,
            )
            with pytest.raises(PartitionsMissing) as caught:
                await p.membership_ready()
            assert set(caught.value.missing) == gone
            assert time.monotonic() - began < 20
        finally:
            victim.thaw()
        await p.membership_ready()
        assert p.membership.state is FilterState.FOLLOWING
