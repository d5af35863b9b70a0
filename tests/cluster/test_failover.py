"""Primaries die, freeze, are cut off or replaced under load; replicas take over.

With `replicated` no acknowledged change is lost. With `durable` a failover may lose what the
replica had not received yet: as much is counted here, and printed, never hidden.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from periscope import Periscope
from periscope.errors import OutcomeUnknown, PartitionsMissing, StoreUnavailable
from periscope.keys import slot_of_key
from tests.support.clusters import Cluster, cluster
from tests.support.history import History, Told, acknowledged, check, load, say
from tests.support.nodes import Node
from tests.support.patience import BUSY_S

SOAK = "SOAK" in os.environ
NODE_TIMEOUT_MS = 1000
BACK_WITHIN_S = NODE_TIMEOUT_MS / 1000 + 2 + BUSY_S
OTHERS_WITHIN_S = 0.5 if SOAK else 1 + BUSY_S
CUT_OFF_S = 10.0 if SOAK else 0.0  # at least; until the replica has taken over in any case
# A node pings the others every half node timeout at the least, and waits a whole one.
ALONE_FOR_S = 1.5 * NODE_TIMEOUT_MS / 1000 + 0.5
REPLICATED: Any = {"durability": "replicated", "replica_timeout_s": 0.5}


@pytest.fixture
async def pair() -> AsyncIterator[Cluster]:
    async with cluster(3, 1, durable=True, node_timeout_ms=NODE_TIMEOUT_MS) as made:
        yield made


async def partitions_of(p: Periscope, it: Cluster, node: Node) -> list[int]:
    """The partitions that a node serves."""
    return [
        keys.number
        for keys in p.keyspace.partitions
        if await it.owner(slot_of_key(keys.meta)) is node
    ]


def among(p: Periscope, partitions: list[int]) -> Callable[[str], bool]:
    return lambda threat_id: p.keyspace.partition_of(threat_id.encode()).number in partitions


def id_in(p: Periscope, partitions: list[int], start: int = 0) -> str:
    number = start
    while p.keyspace.partition_of(f"x{number}".encode()).number not in partitions:
        number += 1
    return f"x{number}"


def figures(
    history: History, name: str, failed: list[int], others: list[int], since: float
) -> None:
    back = history.first_answer(failed, since)
    calls = history.longest_calls(others, since)
    longest = max(calls.values())
    say(f"{name}: failed shard back in {back:.2f} s; longest call of the others {longest:.2f} s")
    assert back < BACK_WITHIN_S
    assert len(calls) == len(others), "some partition was never asked"
    assert longest < OTHERS_WITHIN_S


async def test_a_primary_killed_under_load_durable(pair: Cluster) -> None:
    # The node that the client asked first, of all.
    victim = pair.nodes[0]
    async with Periscope.open(pair.url) as p:
        failed = await partitions_of(p, pair, victim)
        others = [keys.number for keys in p.keyspace.partitions if keys.number not in failed]
        async with load(p, only=among(p, others)) as history:
            await acknowledged(history, 200)
            victim.kill()
            killed = time.monotonic()
            await acknowledged(history, 50, failed)
        figures(history, "primary killed, durable", failed, others, killed)
        verdict = await check(history, "primary killed, durable")
        assert all(killed - 1 < call.end < killed + 0.1 for call in verdict.lost)


async def test_a_primary_killed_under_load_replicated(pair: Cluster) -> None:
    victim = pair.nodes[1]
    async with Periscope.open(pair.url, **REPLICATED) as p:
        failed = await partitions_of(p, pair, victim)
        (heir,) = await pair.replicas_of(victim)
        async with load(p, 8) as history:
            await acknowledged(history, 200)
            victim.kill()
            await pair.until_primary(heir)
            victim.start()  # comes back as a replica: from now on there is somebody to wait for
            await acknowledged(history, 50, failed)
        assert not (await check(history, "primary killed, replicated")).lost


async def test_manual_failovers_in_a_loop_under_load(pair: Cluster) -> None:
    async with Periscope.open(pair.url, **REPLICATED) as p:
        async with load(p, 8) as history:
            for turn in range(30 if SOAK else 3):
                await acknowledged(history, 50)
                primary = pair.nodes[turn % 3]
                replicas = await pair.replicas_of(primary)
                await pair.fail_over(replicas[0] if replicas else primary)
                await pair.until_whole()
            await acknowledged(history, 50)
        assert not (await check(history, "manual failovers, replicated")).lost
    rejected = [call for call in history.calls if call.told is Told.REJECTED]
    assert not rejected, rejected[:3]


async def alone_under_load(it: Cluster, p: Periscope) -> tuple[History, float, float]:
    """A primary is cut off from all nodes, but not from us, and joins again: since when it was."""
    primary = it.nodes[0]
    failed = await partitions_of(p, it, primary)
    (replica,) = await it.replicas_of(primary)
    async with load(p, 8, only=among(p, failed)) as history:
        await acknowledged(history, 100)
        began = time.monotonic()
        await it.cut_off(primary)
        cut = time.monotonic()
        await it.until_primary(replica)
        await asyncio.sleep(max(0.0, cut + CUT_OFF_S - time.monotonic()))
        await it.join_again(primary)
        await it.until_whole()
        await acknowledged(history, 50, failed)
    return history, began, cut


async def test_a_primary_alone_on_its_side_of_a_partition(pair: Cluster) -> None:
    """It goes on taking writes until it notices; with `replicated` nobody is told they are safe."""
    async with Periscope.open(pair.url, **REPLICATED) as p:
        history, *_ = await alone_under_load(pair, p)
        verdict = await check(history, "a partition, replicated")
        assert not verdict.lost
        assert verdict.unknown > 0


async def test_what_a_partition_costs_with_durable(pair: Cluster) -> None:
    """All that is lost was acknowledged after the cut and before the primary noticed it."""
    async with Periscope.open(pair.url) as p:
        history, began, cut = await alone_under_load(pair, p)
        verdict = await check(history, "a partition, durable")
    assert verdict.lost, "the primary that was cut off took nothing: the test shows nothing"
    first, last = (pick(call.end for call in verdict.lost) for pick in (min, max))
    say(f"a partition, durable: the last loss was acknowledged {last - cut:.2f} s after the cut")
    assert first > began - 0.1
    assert last < cut + ALONE_FOR_S


async def test_too_few_replicas_is_unknown_and_never_success(pair: Cluster) -> None:
    primary = pair.nodes[0]
    (replica,) = await pair.replicas_of(primary)
    async with Periscope.open(pair.url, **REPLICATED) as p:
        one = id_in(p, await partitions_of(p, pair, primary))
        await p.add_threat(one, "before", "LOW")
        replica.freeze()
        try:
            with pytest.raises(OutcomeUnknown, match="too few replicas"):
                await p.add_threat(one, "meanwhile", "HIGH")
            with pytest.raises(OutcomeUnknown):
                await p.record_interaction(one, "ann", "escalate", "mine")
        finally:
            replica.thaw()
        await pair.until_whole()
        threat = await p.record_interaction(one, "ann", "escalate", "mine")
        assert threat.escalations == 1


async def test_a_frozen_primary(pair: Cluster) -> None:
    victim = pair.nodes[2]
    async with Periscope.open(pair.url) as p:
        failed = await partitions_of(p, pair, victim)
        others = [keys.number for keys in p.keyspace.partitions if keys.number not in failed]
        async with load(p, only=among(p, others)) as history:
            await acknowledged(history, 100)
            victim.freeze()
            frozen = time.monotonic()
            await acknowledged(history, 50, failed)
            if SOAK:
                await asyncio.sleep(max(0.0, frozen + 9 - time.monotonic()))
            victim.thaw()
            await pair.until_whole()
            await acknowledged(history, 50, failed)
        figures(history, "primary frozen, durable", failed, others, frozen)
        verdict = await check(history, "primary frozen, durable")
        assert all(call.end < frozen + 0.1 for call in verdict.lost)


async def test_a_node_away_without_a_replica() -> None:
    async with (
        cluster(3, 0, node_timeout_ms=NODE_TIMEOUT_MS) as it,
        Periscope.open(it.url, retry_s=0.5, call_timeout_s=1.0) as p,
    ):
        reports = [{"threat_id": f"t{i}", "content": "x", "severity": "HIGH"} for i in range(500)]
        await p.add_threats_batch(reports)
        gone = await partitions_of(p, it, it.nodes[0])
        there = [keys.number for keys in p.keyspace.partitions if keys.number not in gone]
        it.nodes[0].kill()
        began = time.monotonic()
        with pytest.raises(StoreUnavailable):
            await p.add_threat(id_in(p, gone), "x", "LOW")
        assert time.monotonic() - began < 2 + BUSY_S
        await p.add_threat(id_in(p, there), "x", "LOW")
        assert await p.get_threat(id_in(p, there)) is not None
        for read in (p.get_top_threats, p.get_active_paginated, p.get_stats, p.get_ledger):
            began = time.monotonic()
            with pytest.raises(PartitionsMissing) as caught:
                await read()
            assert sorted(caught.value.missing) == sorted(gone), read
            assert caught.value.partial, read
            assert time.monotonic() - began < 2 + BUSY_S, read
        with pytest.raises(PartitionsMissing):
            await p.claim_next("ann")


async def test_callers_of_a_lost_shard_fail_by_their_deadline_and_others_go_on() -> None:
    async with (
        cluster(3, 0, node_timeout_ms=NODE_TIMEOUT_MS) as it,
        Periscope.open(it.url, retry_s=1.0, call_timeout_s=1.0) as p,
    ):
        gone = await partitions_of(p, it, it.nodes[1])
        there = [keys.number for keys in p.keyspace.partitions if keys.number not in gone]
        async with load(p, only=among(p, there)) as history:
            await acknowledged(history, 100)
            it.nodes[1].kill()
            killed = time.monotonic()
            await acknowledged(history, 500, there)
        late = [call for call in history.calls if call.start > killed and call.end - call.start > 3]
        assert not late, late[:3]
        assert all(
            call.partition in gone for call in history.calls if call.told is not Told.COMMITTED
        )
