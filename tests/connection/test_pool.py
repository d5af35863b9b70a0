"""The pool is bounded and waits; no cancellation, however timed, keeps a connection for ever."""

from __future__ import annotations

import asyncio
import random

import pytest

from periscope import Periscope
from periscope.connection.pool import WaitingPool
from tests.conftest import OpenHere


def pool_of(p: Periscope) -> WaitingPool:
    pool = p.functions.connections.client.connection_pool
    assert isinstance(pool, WaitingPool)
    return pool


def sizes(p: Periscope) -> tuple[int, int]:
    """(connections lent, connections made)."""
    pool = pool_of(p)
    lent = len(pool._in_use_connections)
    return lent, lent + len(pool._available_connections)


async def turns(count: int) -> None:
    for _ in range(count):
        await asyncio.sleep(0)


async def test_who_is_woken_and_cancelled_at_once_wakes_the_next(
    open_here: OpenHere, periscope: Periscope
) -> None:
    async with open_here(connections=1) as p, asyncio.timeout(10):
        pool = pool_of(p)
        held = await pool.get_connection()
        first, second = (asyncio.create_task(p.get_stats()) for _ in range(2))
        await turns(10)
        await pool.release(held)
        first.cancel()
        await second
        assert first.cancelled() or first.done()
        assert sizes(p) == (0, 1)


async def test_those_who_wait_are_served_in_order(
    open_here: OpenHere, periscope: Periscope
) -> None:
    async with open_here(connections=1) as p, asyncio.timeout(10):
        pool, came = pool_of(p), list[int]()

        async def use(number: int) -> None:
            connection = await pool.get_connection()
            came.append(number)
            await pool.release(connection)

        await asyncio.gather(*(use(number) for number in range(50)))
        assert came == list(range(50))


@pytest.mark.parametrize("connections", [1, 3])
async def test_cancelled_at_any_moment_no_connection_is_kept(
    open_here: OpenHere, periscope: Periscope, connections: int
) -> None:
    """Also at the moments of a new connection: each round begins with dead ones."""
    chance = random.Random(connections)
    async with open_here(connections=connections) as p, asyncio.timeout(60):
        pool = pool_of(p)
        for _ in range(250):
            for connection in [*pool._in_use_connections, *pool._available_connections]:
                await connection.disconnect(nowait=True)
            tasks = [asyncio.create_task(p.get_stats()) for _ in range(8)]
            await turns(chance.randrange(14))
            for task in chance.sample(tasks, 4):
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            assert pool._free == connections
        lent, made = sizes(p)
        assert lent == 0
        assert made <= connections


async def test_cancelled_batches_keep_no_connection(
    open_here: OpenHere, periscope: Periscope
) -> None:
    chance = random.Random(9)
    client = periscope.functions.connections.client
    kill = ("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
    async with open_here(connections=2, retry_s=20) as p, asyncio.timeout(60):
        for number in range(120):
            entries = [
                {"threat_id": f"t{number}-{i}", "content": "x", "severity": "LOW"} for i in range(9)
            ]
            tasks = [asyncio.create_task(p.add_threats_batch(entries)) for _ in range(5)]
            await turns(chance.randrange(8))
            if number % 3 == 0:
                await client.execute_command(*kill)
            await turns(chance.randrange(8))
            for task in chance.sample(tasks, 3):
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        async with asyncio.timeout(5):
            while sizes(p)[0]:
                await asyncio.sleep(0)
        assert sizes(p)[1] <= 2
