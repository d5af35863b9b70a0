"""The queue is bounded, first come first served; closing answers whoever still stands in it."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest

from periscope import Periscope, StoreUnavailable
from periscope.room import QUEUE_BYTES, Room
from tests.support.servers import ServerProcess


@pytest.fixture
def own() -> Iterator[ServerProcess]:
    process = ServerProcess().start()
    yield process
    process.stop()


async def turns(count: int = 20) -> None:
    for _ in range(count):
        await asyncio.sleep(0)


async def connected(process: ServerProcess) -> int:
    """How many connections the server has, beside the one that asks."""
    reader, writer = await asyncio.open_unix_connection(process.socket)
    writer.write(b"CLIENT LIST\r\n")
    size = int((await reader.readline())[1:])
    listed = await reader.readexactly(size)
    writer.close()
    return listed.count(b"\n") - 1


async def test_room_is_given_in_the_order_of_asking() -> None:
    room, came = Room(2), list[int]()

    async def enter(number: int) -> None:
        await room.take(1)
        came.append(number)

    tasks = [asyncio.create_task(enter(number)) for number in range(8)]
    await turns()
    assert came == [0, 1]
    tasks[3].cancel()
    tasks[5].cancel()
    for _ in range(8):
        room.give(1)
        await turns()
    assert came == [0, 1, 2, 4, 6, 7]


async def test_room_that_came_together_with_a_cancellation_goes_to_the_next() -> None:
    room = Room(1)
    await room.take(5)
    first, second = (asyncio.create_task(room.take(5)) for _ in range(2))
    await turns()
    room.give(5)
    first.cancel()
    async with asyncio.timeout(5):
        await second
    assert first.cancelled()


async def test_room_is_bounded_in_bytes_and_takes_one_that_is_larger_than_all() -> None:
    room = Room(10)
    await room.take(QUEUE_BYTES * 2)
    small = asyncio.create_task(room.take(1))
    await turns()
    assert not small.done()
    room.give(QUEUE_BYTES * 2)
    async with asyncio.timeout(5):
        await small


@pytest.mark.parametrize("kind", ["add", "act", "get"])
async def test_closing_lets_nobody_in_who_stood_before_a_full_queue(
    own: ServerProcess, kind: str
) -> None:
    p = await Periscope.open(own.url, queue_limit=4, retry_s=5, durability="fast").start()
    await p.add_threat("t", "x", "LOW")
    client = p.functions.connections.client
    await client.execute_command("CLIENT", "PAUSE", 20_000, "ALL")
    calls: dict[str, Any] = {
        "add": lambda i: p.add_threat(f"late{i}", "x", "LOW"),
        "act": lambda i: p.record_interaction("t", f"a{i}", "view"),
        "get": lambda i: p.get_threat("t"),
    }
    tasks = [asyncio.create_task(calls[kind](i)) for i in range(30)]
    await turns()
    async with asyncio.timeout(10):
        await p.close()
        answers = await asyncio.gather(*tasks, return_exceptions=True)
    assert all(isinstance(answer, StoreUnavailable) for answer in answers), answers


async def test_closing_leaves_no_connection_open(own: ServerProcess) -> None:
    p = await Periscope.open(own.url, queue_limit=4, connections=2).start()
    tasks: list[asyncio.Task[Any]] = [
        asyncio.create_task(p.add_threat(f"t{i}", "x", "LOW")) for i in range(300)
    ]
    tasks += [asyncio.create_task(p.get_threat(f"t{i}")) for i in range(300)]
    await turns(6)
    async with asyncio.timeout(10):
        await p.close()
        await asyncio.gather(*tasks, return_exceptions=True)
        await turns(200)
        while await connected(own):
            await asyncio.sleep(0)


async def test_those_who_gave_up_on_a_server_that_hangs_take_no_memory_for_ever(
    own: ServerProcess,
) -> None:
    """However many ask and give up: what is kept of them is bounded by `queue_limit`."""
    async with (
        Periscope.open(own.url, queue_limit=50, call_timeout_s=20) as p,
        asyncio.timeout(20),
    ):
        await p.add_threat("t", "x", "LOW")
        own.freeze()
        for _ in range(40):
            tasks: list[asyncio.Task[Any]] = [
                asyncio.create_task(p.get_threat("t")) for _ in range(20)
            ]
            tasks += [asyncio.create_task(p.add_threat(f"t{i}", "x", "LOW")) for i in range(20)]
            await turns(3)
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        gathered, coalescer = p._queries._gathered, p._engine._coalescer
        assert sum(map(len, gathered._waiting.values())) <= 50
        assert sum(len(pump.waiting) for pump in coalescer._pumps.values()) <= 50
        own.thaw()
        assert await p.get_threat("t") is not None
        assert await p.add_threat("after", "x", "LOW") == "added"
