"""Slots move under load, nodes join, libraries vanish: nothing is lost, nothing comes twice.

The callers see none of it: MOVED, ASK, TRYAGAIN and a missing library stay below.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from functools import partial
from itertools import count, cycle, islice, pairwise
from typing import Any

import pytest

from periscope import Periscope
from periscope.keys import PartitionKeys, slot_of_key
from tests.support.clusters import Cluster
from tests.support.history import History, acknowledged, check, load, say
from tests.support.nodes import Node, wait_until
from tests.support.patience import BUSY_S

SOAK = "SOAK" in os.environ
ROUNDS = 20 if SOAK else 3
BEFORE = 5000 if SOAK else 500
CROWDED = 5000  # threats of one partition: with 64 of them, a board of 320,000
READS = 20 if SOAK else 5
BATCH = 500
BEYOND_S = (
    0.5 if SOAK else 0.5 + BUSY_S
)  # a call waits at most this much longer than its slot is moved

Move = Callable[[Cluster, int], Awaitable[Any]]


async def by_key(it: Cluster, slot: int) -> None:
    """To another primary, ten keys at a time: as `--cluster reshard` does it."""
    await it.move_by_key(slot, await other_than_owner(it, slot))


async def at_once(it: Cluster, slot: int) -> None:
    """To another primary, with `CLUSTER MIGRATESLOTS`."""
    await it.migrate(slot, slot, await other_than_owner(it, slot))


async def other_than_owner(it: Cluster, slot: int) -> Node:
    source = await it.owner(slot)
    return next(node for node in await it.primaries() if node is not source)


WAYS = pytest.mark.parametrize("move", [by_key, at_once])


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


async def moved_under_load(
    p: Periscope, it: Cluster, moved: list[tuple[int, PartitionKeys]], move: Move
) -> None:
    """Move these slots while callers use them; tell how long a call of theirs took at most."""
    numbers = [keys.number for _, keys in moved]
    async with load(p, only=in_partitions(p, moved)) as history:
        await acknowledged(history, 50, numbers)
        ends = [time.monotonic()]
        for slot, _ in moved:
            await move(it, slot)
            ends.append(time.monotonic())
        await acknowledged(history, 50, numbers)
    assert_whole(history)
    name = f"{len(moved)} slots moved {move.__name__}, {(await p.get_ledger()).added:,} threats"
    assert not (await check(history, name)).lost
    calls = history.longest_calls(numbers, ends[0])
    assert len(calls) == len(numbers), "some partition was never asked"
    longest, took = max(calls.values()), max(b - a for a, b in pairwise(ends))
    say(f"{name}: each in at most {took:.3f} s, longest call {longest:.3f} s")
    assert longest < took + BEYOND_S


@WAYS
async def test_slots_moved_under_load(p: Periscope, shared: Cluster, move: Move) -> None:
    await fill(p, "before")
    await moved_under_load(p, shared, slots_of(p, ROUNDS), move)


@WAYS
async def test_a_crowded_partition_moved_under_load(
    p: Periscope, shared: Cluster, move: Move
) -> None:
    """With few threats in it any way is quick."""
    crowded = slots_of(p, 1)
    within = in_partitions(p, crowded)
    ids = islice(filter(within, (f"crowd{i}" for i in count())), CROWDED)
    await p.add_threats_batch(
        {"threat_id": one, "content": "x" * 200, "severity": "LOW"} for one in ids
    )
    await moved_under_load(p, shared, crowded, move)


async def test_a_batch_goes_on_while_slots_move(p: Periscope, shared: Cluster) -> None:
    """Its source ends when the last slot was moved: it is under way all the time."""
    made, ended = 0, asyncio.Event()

    async def source() -> AsyncIterator[dict[str, str]]:
        nonlocal made
        while not ended.is_set():
            yield {"threat_id": f"t{made}", "content": "x", "severity": "HIGH"}
            made += 1
            if made % BATCH == 0:
                await asyncio.sleep(0.01)

    async def stored() -> int:
        return (await p.get_ledger()).added

    batch = asyncio.create_task(p.add_threats_batch(source()))
    for slot, _ in slots_of(p, ROUNDS):
        for move in (by_key, at_once):
            before = await stored()
            await move(shared, slot)
            await wait_until(partial(_more, stored, before), "more is stored")
    ended.set()
    result = await batch
    say(f"a batch while slots moved {2 * ROUNDS} times: {made:,} reports, {result.added:,} added")
    assert (result.added, result.duplicates, result.rejected) == (made, 0, [])
    assert await stored() == made


async def _more(stored: Callable[[], Awaitable[int]], least: int) -> bool:
    return await stored() > least


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
    ended, reads = asyncio.Event(), list[float]()

    async def read() -> None:
        while not ended.is_set():
            began = time.monotonic()
            if reading == "top":
                assert len(await p.get_top_threats(100)) == 100
            elif reading == "pages":
                walked = [threat.threat_id async for threat in p.get_all_active()]
                assert len(walked) == len(set(walked)) == BEFORE
            else:
                assert (await p.get_ledger()).balanced
            reads.append(began)

    reader = asyncio.create_task(read())
    began = time.monotonic()
    for turn, (slot, _) in enumerate(cycle(slots_of(p, ROUNDS))):
        # Enough of them both began and ended between the first move's start and the last one's end.
        if reader.done() or (turn >= ROUNDS and sum(one > began for one in reads) >= READS):
            break
        await shared.move_by_key(slot, await other_than_owner(shared, slot), batch=1)
    amid = sum(one > began for one in reads)
    ended.set()
    await reader
    say(f"{reading} read whole {amid} times while {turn} slots moved, one key at a time")
    assert amid >= READS
