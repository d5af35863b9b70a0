"""One who follows for all: what subscribers are told of the store, the end, their own pace."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator

import pytest

from periscope import Event, EventsLost, Periscope, Policy, StoreUnavailable, UsageError
from periscope.hub import Ended, EventHub, Subscription
from periscope.hub.told import STORE_AWAY, STORE_BACK
from tests.hub.listening import beginning, read_frames
from tests.support.nodes import wait_until
from tests.support.servers import ServerProcess, free_port

DURABLE = ("--appendonly", "yes", "--appendfsync", "always")


@pytest.fixture
async def hub(periscope: Periscope) -> AsyncIterator[EventHub]:
    made = EventHub(periscope)
    await made.start()
    yield made
    await made.close()


async def hear(subscription: Subscription, number: int, timeout_s: float = 10) -> list[str]:
    """The first threats of the next events, so many."""
    found: list[str] = []
    async with asyncio.timeout(timeout_s):
        while len(found) < number:
            data = await subscription.frames()
            assert data is not None, subscription.ended
            found += [one["threat_ids"][0] for one in read_frames(data)[0]]
    return found


async def test_a_frame_says_what_happened(periscope: Periscope, hub: EventHub) -> None:
    async with hub.subscribe() as subscription:
        await periscope.add_threat("a b\u2028\x7f\u202e\x85ü", "x", "LOW")
        data = await subscription.frames(5)
    assert data is not None
    assert data.isascii()
    assert not set(data) & ({*range(32), 127} - {10})
    head, event, line, *rest = data.decode().split("\n")
    assert (head, event, rest) == (f"id: {subscription.position}", "event: added", ["", ""])
    told = json.loads(line.removeprefix("data: "))
    assert told["threat_ids"] == ["a b\u2028\x7f\u202e\x85ü"]
    assert told["at"].endswith("Z")
    assert told["at_ms"] > 0
    assert told["position"] == subscription.position


async def test_one_frame_serves_all_who_leave_nothing_out(
    periscope: Periscope, hub: EventHub
) -> None:
    one, two = hub.subscribe(), hub.subscribe(kinds=frozenset({"added"}))
    await periscope.add_threat("t", "x", "LOW")
    assert await one.frames(5) == await two.frames(5)
    assert hub.ring[0].frame is hub.ring[0].frame
    await one.close()
    await two.close()


async def test_two_hundred_listeners_cost_the_store_what_one_does(
    periscope: Periscope, hub: EventHub
) -> None:
    ids = [f"t{number}" for number in range(1000)]
    client = periscope.functions.connections.client
    async with contextlib.AsyncExitStack() as stack:
        one = await stack.enter_async_context(hub.subscribe())
        await periscope.add_threat("first", "x", "LOW")
        assert await hear(one, 1) == ["first"]
        before = len(await client.client_list())
        more = [await stack.enter_async_context(hub.subscribe()) for _ in range(199)]
        await periscope.add_threats_batch(
            {"threat_id": threat_id, "content": "x", "severity": "LOW"} for threat_id in ids
        )
        told = await asyncio.gather(*(hear(each, 2) for each in (one, *more)))
        assert told == [["t0", "t500"]] * 200
        assert len(await client.client_list()) <= before + 2  # the batch's own


async def test_wishes(periscope: Periscope, hub: EventHub) -> None:
    about = hub.subscribe(threat_id="t7")
    by = hub.subscribe(analyst="ann")
    await periscope.add_threats_batch(
        {"threat_id": f"t{n}", "content": "x", "severity": "LOW"} for n in range(20)
    )
    await periscope.record_interaction("t3", "ann", "view")
    await periscope.record_interaction("t7", "bob", "view")
    heard: list[Event] = []
    while len(heard) < 2:
        heard += await about.events(5) or []
    assert [(one.kind, one.threat_ids) for one in heard] == [("added", ("t7",)), ("view", ("t7",))]
    (acted,) = await by.events(5) or []
    assert (acted.threat_id, acted.analyst_id) == ("t3", "ann")
    await about.close()
    await by.close()


async def test_nothing_happens_and_the_id_moves_on(periscope: Periscope, hub: EventHub) -> None:
    async with hub.subscribe(kinds=frozenset({"nothing"})) as subscription:
        assert await subscription.frames(0) == b""
        before = subscription.position
        await periscope.add_threat("t", "x", "LOW")
        await wait_until(lambda: _is(hub.ring.end == 1), "the hub has it")
        assert await subscription.frames(0) == b""
        _, last_id = read_frames(subscription.heartbeat())
        assert last_id == subscription.position == hub.ring.head != before


async def _is(truth: bool) -> bool:
    return truth


async def test_who_lags_is_ended_and_loses_nothing(periscope: Periscope, hub: EventHub) -> None:
    slow, swift = hub.subscribe(most_bytes=1_000), hub.subscribe()
    for number in range(30):
        await periscope.add_threat(f"t{number}", "x", "LOW")
    assert await hear(swift, 30) == [f"t{number}" for number in range(30)]
    assert (await slow.frames(1), slow.ended) == (None, Ended.LAGGING)
    async with hub.subscribe(slow.position, most_bytes=1_000) as again:
        assert await hear(again, 30) == [f"t{number}" for number in range(30)]
    await slow.close()
    await swift.close()


async def test_older_than_what_is_kept_here_comes_from_the_store(periscope: Periscope) -> None:
    ids = [f"t{number}" for number in range(60)]
    for one in ids[:30]:
        await periscope.add_threat(one, "x", "LOW")
    hub = EventHub(periscope, ring_bytes=1)
    await hub.start()
    async with hub.subscribe(beginning(periscope)) as subscription:
        for one in ids[30:]:
            await periscope.add_threat(one, "x", "LOW")
        await wait_until(lambda: _is(hub.ring.end == 30), "the hub has them, and keeps the last")
        assert await hear(subscription, 60) == ids
    await hub.close()


async def test_what_is_no_longer_kept_is_said_to_be_lost(
    periscope: Periscope, hub: EventHub
) -> None:
    await periscope.set_policy(Policy(events_limit_kb=1))
    await periscope.add_threat("t", "x", "LOW")
    for number in range(300):
        await periscope.record_interaction("t", f"analyst {number}", "view")
    fresh = EventHub(periscope)
    await fresh.start()
    async with fresh.subscribe("1-0") as subscription:
        assert (await subscription.frames(5), subscription.ended) == (None, Ended.LOST)
    await fresh.close()


@pytest.mark.parametrize("since", ["", "x", "0", "1-1+x", "-1-0", "0-0\n", "9" * 70_000])
async def test_what_is_no_position_is_refused(hub: EventHub, since: str) -> None:
    with pytest.raises(UsageError):
        hub.subscribe(since)


async def test_a_position_of_other_partitions_is_lost(hub: EventHub) -> None:
    with pytest.raises(EventsLost):
        hub.subscribe("0-0,0-0")


async def test_a_position_that_never_was_is_lost(
    periscope: Periscope, hub: EventHub, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("periscope.hub.subscription.AHEAD_S", 0.2)
    async with hub.subscribe("9999999999999-0") as subscription:
        await periscope.add_threat("t", "x", "LOW")
        assert (await subscription.frames(5), subscription.ended) == (None, Ended.LOST)


async def test_closing_ends_whoever_waits(periscope: Periscope, hub: EventHub) -> None:
    one, two = hub.subscribe(), hub.subscribe()
    waiting = [asyncio.create_task(s.frames(60)) for s in (one, two)]
    await asyncio.sleep(0)
    await one.close()
    await hub.close()
    async with asyncio.timeout(2):
        assert await asyncio.gather(*waiting) == [None, None]
    assert (one.ended, two.ended, hub.is_live) == (Ended.CLOSED, Ended.CLOSED, False)
    with pytest.raises(StoreUnavailable):
        hub.subscribe()
    await two.close()


async def test_a_closed_database_ends_everything() -> None:
    process = ServerProcess(port=free_port()).start()
    try:
        async with Periscope.open(process.url) as p:
            hub = EventHub(p)
            await hub.start()
            subscription = hub.subscribe()
        async with asyncio.timeout(5):
            assert (await subscription.frames(60), subscription.ended) == (None, Ended.CLOSED)
        await hub.close()
    finally:
        process.stop()


async def test_the_store_goes_away_and_comes_back_and_nothing_is_missing() -> None:
    process = ServerProcess(*DURABLE, port=free_port()).start()
    try:
        async with Periscope.open(process.url) as p:
            hub = EventHub(p)
            await hub.start()
            one, cut = hub.subscribe(), hub.subscribe()
            await p.add_threat("before", "x", "LOW")
            assert await hear(one, 1) == await hear(cut, 1) == ["before"]
            await cut.close()
            process.kill()
            async with asyncio.timeout(10):
                assert await one.frames(10) == STORE_AWAY
            process.start()
            async with Periscope.open(process.url) as other:
                await other.add_threat("after", "x", "LOW")
            again = hub.subscribe(cut.position)
            data = b""
            async with asyncio.timeout(10):
                while b"after" not in data or STORE_BACK not in data:
                    data += await one.frames(10) or b""
            assert [e["threat_ids"] for e in read_frames(data)[0]] == [["after"]]
            assert await hear(again, 1) == ["after"]
            await hub.close()
    finally:
        process.stop()


async def test_a_store_that_answers_nothing_is_said_to_be_away() -> None:
    process = ServerProcess(port=free_port()).start()
    try:
        async with Periscope.open(process.url) as p:
            hub = EventHub(p)
            await hub.start()
            async with hub.subscribe() as subscription, asyncio.timeout(20):
                process.freeze()
                assert await subscription.frames(20) == STORE_AWAY
                process.thaw()
                assert await subscription.frames(20) == STORE_BACK
                await p.add_threat("t", "x", "LOW")
                assert await hear(subscription, 1) == ["t"]
            await hub.close()
    finally:
        process.stop()


async def test_a_store_that_forgot_ends_all_as_lost_and_begins_anew() -> None:
    process = ServerProcess(port=free_port()).start()
    try:
        async with Periscope.open(process.url) as p:
            hub = EventHub(p)
            await hub.start()
            subscription = hub.subscribe()
            await p.add_threat("t", "x", "LOW")
            assert await hear(subscription, 1) == ["t"]
            process.kill()
            process.start()
            async with asyncio.timeout(10):
                while await subscription.frames(10) is not None:
                    pass
            assert subscription.ended is Ended.LOST
            await wait_until(lambda: _is(hub.is_live), "it follows again")
            async with hub.subscribe() as fresh:
                await p.add_threat("u", "x", "LOW")
                assert await hear(fresh, 1) == ["u"]
            await hub.close()
    finally:
        process.stop()
