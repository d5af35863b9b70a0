"""Slots move under load, nodes join, libraries vanish: nothing is lost, nothing comes twice.

The callers see none of it: MOVED, ASK, TRYAGAIN and a missing library stay below.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable

import pytest

from periscope import Periscope
from periscope.keys import PartitionKeys, slot_of_key
from tests.support.clusters import Cluster
from tests.support.history import History, acknowledged, check, load, say

SOAK = "SOAK" in os.environ
ROUNDS = 20 if SOAK else 3
BEFORE = 5000 if SOAK else 500


def slots_of(p: Periscope, count: int) -> list[tuple[int, PartitionKeys]]:
    """The slots of the first partitions: all of one primary."""
    return [(slot_of_key(keys.meta), keys) for keys in p.keyspace.partitions[:count]]


def in_partitions(p: Periscope, moved: list[tuple[int, PartitionKeys]]) -> Callable[[str], bool]:
    wanted = {keys.number for _, keys in moved}
    return lambda threat_id: p.keyspace.partition_of(threat_id.encode()).number in wanted


async def fill(p: Periscope, name: str) -> None:
    await p.add_threats_batch(
        {"threat_id": f"{name}{i}", "content": "x" * 200, "severity": "LOW"} for i in range(BEFORE)
    )


def assert_whole(history: History) -> None:
    failed = [call for call in history.calls if call.error is not None]
    assert not failed, failed[:3]


def tell_pause(name: str, history: History, partitions: list[int]) -> None:
    pause = history.longest_pause(partitions)
    say(f"{name}: longest pause of the moved partitions {pause:.3f} s")
    assert pause < 5


async def test_slots_moved_key_by_key_under_load(p: Periscope, shared: Cluster) -> None:
    moved = slots_of(p, ROUNDS)
    await fill(p, "before")
    numbers = [keys.number for _, keys in moved]
    async with load(p, only=in_partitions(p, moved)) as history:
        await acknowledged(history, 50, numbers)
        for slot, _ in moved:
            source = await shared.owner(slot)
            target = next(node for node in await shared.primaries() if node is not source)
            await shared.move_by_key(slot, target, batch=5)
        await acknowledged(history, 50, numbers)
    assert_whole(history)
    verdict = await check(history, "slots moved key by key")
    assert not verdict.lost
    tell_pause("slots moved key by key", history, numbers)


async def test_slots_moved_at_once_under_load(p: Periscope, shared: Cluster) -> None:
    moved = slots_of(p, ROUNDS)
    await fill(p, "before")
    numbers = [keys.number for _, keys in moved]
    async with load(p, only=in_partitions(p, moved)) as history:
        await acknowledged(history, 50, numbers)
        for slot, _ in moved:
            source = await shared.owner(slot)
            target = next(node for node in await shared.primaries() if node is not source)
            await shared.migrate(slot, slot, target)
        await acknowledged(history, 50, numbers)
    assert_whole(history)
    verdict = await check(history, "slots moved by MIGRATESLOTS")
    assert not verdict.lost
    tell_pause("slots moved by MIGRATESLOTS", history, numbers)


async def test_a_batch_goes_on_while_slots_move(p: Periscope, shared: Cluster) -> None:
    moved = slots_of(p, ROUNDS)
    number = 200_000 if SOAK else 20_000
    reports = ({"threat_id": f"t{i}", "content": "x", "severity": "HIGH"} for i in range(number))
    batch = asyncio.create_task(p.add_threats_batch(reports))
    for slot, _ in moved:
        source = await shared.owner(slot)
        target = next(node for node in await shared.primaries() if node is not source)
        await shared.move_by_key(slot, target)
        await shared.migrate(slot, slot, source)
    result = await batch
    assert (result.added, result.duplicates, result.rejected) == (number, 0, [])
    assert (await p.get_ledger()).added == number


async def test_an_empty_primary_joins_takes_slots_and_gets_the_library(
    p: Periscope, shared: Cluster
) -> None:
    (slot, keys), *_ = slots_of(p, 1)
    async with load(p, only=in_partitions(p, [(slot, keys)])) as history:
        joined = await shared.add_primary()
        await shared.migrate(slot, slot, joined)
        await acknowledged(history, 30, [keys.number])
    assert_whole(history)
    assert await shared.owner(slot) is joined
    assert not (await check(history, "an empty primary joins")).lost
    assert "periscope" in str(await joined.ask("FUNCTION", "LIST", "LIBRARYNAME", "periscope"))


async def test_a_flushed_library_is_loaded_again(p: Periscope, shared: Cluster) -> None:
    async with load(p) as history:
        for node in (await shared.primaries())[:3]:
            await acknowledged(history, 20)
            await node.ask("FUNCTION", "FLUSH", "SYNC")
        await acknowledged(history, 100)
    assert_whole(history)
    assert not (await check(history, "library flushed")).lost


@pytest.mark.parametrize("reading", ["top", "pages", "ledger"])
async def test_reads_are_whole_while_slots_move(
    p: Periscope, shared: Cluster, reading: str
) -> None:
    await fill(p, "t")
    stop = asyncio.Event()

    async def read() -> int:
        turns = 0
        while not stop.is_set() or not turns:
            turns += 1
            if reading == "top":
                assert len(await p.get_top_threats(100)) == 100
            elif reading == "pages":
                walked = [threat.threat_id async for threat in p.get_all_active()]
                assert len(walked) == len(set(walked)) == BEFORE
            else:
                assert (await p.get_ledger()).balanced
        return turns

    reader = asyncio.create_task(read())
    for slot, _ in slots_of(p, ROUNDS):
        source = await shared.owner(slot)
        target = next(node for node in await shared.primaries() if node is not source)
        await shared.move_by_key(slot, target, batch=1)
    stop.set()
    assert await reader > 0
