"""What goes wrong between calls is mended: no deadlock, no overtaking, no second database."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Any

import pytest

from periscope import (
    BatchInterrupted,
    CursorStale,
    Periscope,
    Policy,
    SettingInvalid,
    StoreDamaged,
    StoreUnavailable,
    StoreUnsuitable,
    UsageError,
)
from periscope.chunks import ReportChunk
from periscope.connection import honour
from periscope.intake import Intake
from periscope.lane import Lane
from periscope.library import ensure_library
from tests.conftest import OpenHere
from tests.support.servers import ServerProcess, free_port

GOOD: dict[str, Any] = {"threat_id": "t", "content": "c", "severity": "LOW"}
UPSIDE_DOWN = Policy(severity_low=1.0, severity_high=0.0)


def reports(count: int) -> list[dict[str, Any]]:
    return [GOOD | {"threat_id": f"t{i}", "severity": ("LOW", "HIGH")[i % 2]} for i in range(count)]


@pytest.mark.parametrize("connections", [1, 4])
async def test_healing_needs_no_connection_that_another_holds(
    open_here: OpenHere, periscope: Periscope, connections: int
) -> None:
    async with open_here(connections=connections) as p, asyncio.timeout(20):
        await periscope.functions.connections.client.execute_command("FUNCTION", "FLUSH")
        await asyncio.gather(*(p.add_threats_batch([r]) for r in reports(12)))
        await periscope.set_policy(UPSIDE_DOWN)
        await asyncio.gather(*(p.add_threat(f"u{i}", "x", "LOW") for i in range(12)))
        assert (await p.get_stats()).queue == 24


async def test_a_chunk_never_overtakes_one_that_was_refused(periscope: Periscope) -> None:
    """The library vanishes, and comes back between two chunks that are under way."""
    p, client = periscope, periscope.functions.connections.client
    intake, (keys,) = Intake(bytes(16)), p.keyspace.partitions
    async with Lane(p.functions, p.settings) as lane:
        await client.execute_command("FUNCTION", "FLUSH")
        await lane.submit(ReportChunk(keys, [intake.one(GOOD | {"content": "older"})]))
        await client.ping()
        await ensure_library(client)
        await lane.submit(ReportChunk(keys, [intake.one(GOOD | {"content": "newer"})]))
        await lane.drain()
        assert [answer.refusal for answer in lane.answers()] == [None, None]
    threat = await p.get_threat("t")
    assert threat is not None
    assert threat.content == "newer"


async def test_a_server_that_shakes_hands_and_answers_nothing_is_away(
    open_here: OpenHere, periscope: Periscope
) -> None:
    client = periscope.functions.connections.client
    async with open_here(call_timeout_s=0.2, retry_s=0.3) as p:
        await client.execute_command("CLIENT", "PAUSE", "2500", "WRITE")
        async with asyncio.timeout(2):
            with pytest.raises(BatchInterrupted) as caught:
                await p.add_threats_batch(reports(1_500))
        assert isinstance(caught.value.__cause__, StoreUnavailable)
        assert caught.value.unknown == 1_500
        await client.execute_command("CLIENT", "UNPAUSE")


async def test_a_walk_under_an_old_policy_is_stale_not_short(
    open_here: OpenHere, periscope: Periscope
) -> None:
    await periscope.add_threats_batch(reports(1_200))
    async with open_here() as other:
        seen = 0
        walk = periscope.get_all_active()
        while seen < 500:
            await anext(walk)
            seen += 1
        await other.set_policy(UPSIDE_DOWN)
        with pytest.raises(CursorStale):
            await anext(walk)
        page = await periscope.get_active_paginated(count=5)
        await other.set_policy(Policy())
        with pytest.raises(CursorStale):
            await periscope.get_active_paginated(page.next_cursor)
        fresh = await other.get_active_paginated(count=5)
        assert len(await periscope.get_active_paginated(fresh.next_cursor, count=5)) == 5


@pytest.mark.parametrize(
    "policy",
    [
        None,
        "x",
        {"severity_weight": 5},
        {"severity_low": "z"},
        {"recency_weight": True},
        {"recency_weight": 2},
    ],
)
async def test_a_policy_that_is_none_is_never_stored(periscope: Periscope, policy: Any) -> None:
    with pytest.raises(SettingInvalid if isinstance(policy, dict) else UsageError):
        await periscope.set_policy(Policy(**policy) if isinstance(policy, dict) else policy)
    assert await periscope.get_policy() == Policy()


async def test_two_who_change_the_policy_at_once_do_not_both_believe_it(
    open_here: OpenHere, periscope: Periscope
) -> None:
    async with open_here() as other:
        await periscope.set_policy(Policy(severity_low=0.2))
        with pytest.raises(UsageError, match="somebody else"):
            await other.set_policy(Policy(severity_low=0.3))
        assert await other.get_policy() == Policy(severity_low=0.2)


async def test_a_flushed_database_is_made_again_as_its_users_know_it(open_here: OpenHere) -> None:
    async with open_here(namespace="flushed", partitions=4) as p:
        await p.functions.connections.client.flushall()
        await p.add_threats_batch(reports(20))
        async with open_here(namespace="flushed") as later:
            assert (await later.get_stats()).queue == 20
            assert (await later.add_threats_batch(reports(20))).duplicates == 20
        await p.functions.connections.client.flushall()


async def test_a_replaced_database_is_refused(open_here: OpenHere) -> None:
    async with open_here(namespace="replaced") as p:
        await p.functions.connections.client.flushall()
        async with open_here(namespace="replaced"):
            pass
        await p.functions.connections.client.delete(p.keyspace.partitions[0].meta)
        with pytest.raises(StoreDamaged, match="replaced by another"):
            await p.get_top_threats()
        await p.functions.connections.client.flushall()


@pytest.mark.parametrize("command", ["mset", "zadd", "hincrby", "set", "hset"])
async def test_a_user_who_lacks_a_command_writes_nothing_by_halves(command: str) -> None:
    process = ServerProcess(port=free_port()).start()
    try:
        async with Periscope.open(process.url) as admin:
            client = admin.functions.connections.client
            rule = ("ACL", "SETUSER", "half", "on", ">pw", "~*", "+@all", f"-{command}")
            await client.execute_command(*rule)
            async with Periscope.open(process.url.replace("//", "//half:pw@")) as p:
                with pytest.raises(BatchInterrupted) as caught:
                    await p.add_threats_batch(reports(3))
                assert isinstance(caught.value.__cause__, StoreUnsuitable)
            ledger = await admin.get_ledger(deep=True)
            assert ledger.balanced
            assert (ledger.received, ledger.records) == (0, 0)
    finally:
        process.stop()


async def test_use_outside_of_its_life_is_told(open_here: OpenHere) -> None:
    p = open_here(namespace="life")
    with pytest.raises(UsageError, match="is new"):
        await p.get_stats()
    async with p:
        with pytest.raises(UsageError, match="is open"):
            await p.start()
        await p.get_stats()
    await p.close()
    with pytest.raises(UsageError, match="is closed"):
        await p.add_threat("t", "x", "LOW")


def test_another_event_loop_is_told(server: ServerProcess) -> None:
    async def start() -> Periscope:
        return await Periscope.open(server.url, namespace="loops").start()

    with asyncio.Runner() as one, asyncio.Runner() as other:
        p = one.run(start())
        with pytest.raises(UsageError, match="another process or event loop"):
            other.run(p.get_stats())
        one.run(p.close())


@pytest.mark.parametrize("nothing", [None, 5, "text", b"bytes"])
async def test_what_is_no_iterable_is_told(periscope: Periscope, nothing: Any) -> None:
    with pytest.raises(UsageError, match="iterable"):
        await periscope.add_threats_batch(nothing)
    with pytest.raises(UsageError, match="iterable"):
        await periscope.get_threats(nothing)


async def test_a_cancellation_that_comes_with_the_result_counts() -> None:
    """As `asyncio.wait_for` of Python 3.11 drops it: the call returns although it was cancelled."""

    async def swallowing() -> str:
        task = asyncio.current_task()
        assert task is not None
        task.cancel()
        with suppress(asyncio.CancelledError):
            await asyncio.sleep(0)
        return "a result"

    async def calling() -> str:
        return str(await honour(swallowing()))

    with pytest.raises(asyncio.CancelledError):
        await asyncio.create_task(calling())
