"""The whole store is away for a while: calls fail fast, everything else comes back by itself."""

from __future__ import annotations

import asyncio
import logging
import os
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import aclosing
from datetime import timedelta
from typing import Any

import pytest
from redis.asyncio import Redis

from periscope import (
    EventsLost,
    FilterState,
    OutcomeUnknown,
    Periscope,
    StoreDamaged,
    StoreUnavailable,
)
from periscope.workers import PromotionWorker
from tests.support.following import Follower
from tests.support.history import acknowledged, check, load, say
from tests.support.nodes import wait_until
from tests.support.patience import BUSY_S
from tests.support.servers import ServerProcess, free_port

AWAY_S = 30.0 if "SOAK" in os.environ else 3.0
FAST_S = 1.0 + BUSY_S  # a second of waiting
BACK_S = 4.0 + BUSY_S
DURABLE = ("--appendonly", "yes", "--appendfsync", "always")


@pytest.fixture
def process() -> Iterator[ServerProcess]:
    made = ServerProcess(*DURABLE, port=free_port()).start()
    yield made
    made.stop()


@pytest.fixture
async def p(process: ServerProcess) -> AsyncIterator[Periscope]:
    async with Periscope.open(process.url) as opened:
        yield opened


async def latch(p: Periscope, threat_id: str) -> None:
    for analyst in ("ann", "bob"):
        await p.record_interaction(threat_id, analyst, "escalate")


async def test_callers_workers_events_and_filter_come_back_by_themselves(
    process: ServerProcess, p: Periscope, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING, "periscope")
    follower, worker = Follower(p), PromotionWorker(p, timedelta(seconds=0.2))
    await p.membership_ready()
    await worker.start()
    async with load(p, 8) as history:
        await acknowledged(history, 200)
        process.kill()
        killed = time.monotonic()
        await asyncio.sleep(AWAY_S)
        process.start()
        back = time.monotonic()
        await acknowledged(history, 50)
    async with Periscope.open(process.url) as other:
        await other.add_threat("afterwards", "x", "CRITICAL")
        await latch(other, "afterwards")
    await follower.until("afterwards", back + BACK_S - time.monotonic())

    async def promoted() -> bool:
        threat = await p.get_threat("afterwards")
        return threat is not None and threat.level == 2

    await wait_until(promoted, "it is promoted", timeout_s=back + BACK_S - time.monotonic())

    async def following() -> bool:
        return p.membership.state is FilterState.FOLLOWING

    await wait_until(following, "the filter follows", timeout_s=back + BACK_S - time.monotonic())
    assert await p.threat_exists("afterwards")
    await worker.stop()
    follower.task.cancel()

    meanwhile = [call for call in history.calls if killed < call.start and call.end < back]
    assert len(meanwhile) > AWAY_S
    for call in meanwhile:
        assert isinstance(call.error, StoreUnavailable)
        assert call.end - call.start < FAST_S
        assert "try again once it is up" in str(call.error)
        sent = isinstance(call.error, OutcomeUnknown)
        assert ("repeating it is safe" if sent else "nothing was sent") in str(call.error)
    say(
        f"store away for {AWAY_S:.0f} s: {len(meanwhile)} calls failed, the slowest after "
        f"{max(call.end - call.start for call in meanwhile):.2f} s"
    )
    assert not (await check(history, "store away")).lost
    assert max(follower.added.values()) == 1
    adds = {
        call.threat_id for call in history.calls if not call.is_act and call.told == "committed"
    }
    assert adds <= set(follower.added)
    told = [line for line in caplog.messages if line.startswith("events: ")]
    assert [line.split(" ")[1] for line in told] == ["wait", "go"]


async def test_a_refused_connection_fails_a_call_fast_and_a_short_restart_is_bridged(
    process: ServerProcess, p: Periscope
) -> None:
    await p.add_threat("t", "x", "LOW")
    process.kill()
    calls = asyncio.gather(p.add_threat("u", "x", "LOW"), p.get_threat("t"))
    await asyncio.sleep(0.2)
    process.start()
    assert (await calls)[0] in ("added", "duplicate")
    process.kill()
    for within_s in (FAST_S, 0.25 * (1 + BUSY_S)):  # that it is away is known the second time
        for call in (
            lambda: p.add_threat("v", "x", "LOW"),
            lambda: p.record_interaction("t", "ann", "view"),
            lambda: p.claim_next("ann"),
            lambda: p.get_threat("t"),
            lambda: p.get_top_threats(5),
        ):
            began = time.monotonic()
            with pytest.raises(StoreUnavailable, match="try again once it is up"):
                await call()
            assert time.monotonic() - began < within_s


async def test_who_follows_is_let_go_at_once_when_the_database_is_closed(
    process: ServerProcess,
) -> None:
    for away in (False, True):
        async with Periscope.open(process.url) as p:
            await p.add_threat("t", "x", "LOW")
            follower = Follower(p)
            await follower.until("t", 5)
            if away:
                process.kill()
                await asyncio.sleep(0.5)
            began = time.monotonic()
        await follower.ended(StoreUnavailable, "closed")
        assert time.monotonic() - began < 0.5 + BUSY_S


async def test_who_follows_can_be_cancelled_while_the_store_is_away(
    process: ServerProcess, p: Periscope, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING, "periscope")
    follower = Follower(p)
    await p.add_threat("t", "x", "LOW")
    await follower.until("t", 5)
    process.kill()

    async def waits() -> bool:
        return any(line.startswith("events: wait") for line in caplog.messages)

    await wait_until(waits, "it waits")
    began = time.monotonic()
    follower.task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await follower.task
    assert time.monotonic() - began < 0.5 + BUSY_S


async def test_a_server_that_forgot_what_was_given_is_not_followed_on() -> None:
    """Without an append-only file it comes back empty: the events between cannot be told."""
    process = ServerProcess(port=free_port()).start()
    try:
        async with Periscope.open(process.url) as p:
            follower = Follower(p)
            await p.add_threat("t", "x", "LOW")
            await follower.until("t", 5)
            process.kill()
            process.start()
            await follower.ended(EventsLost, "no longer kept")
            await p.add_threat("t", "x", "LOW")
            with pytest.raises(EventsLost):
                await anext(aiter(p.events(follower.events[-1].position)))
    finally:
        process.stop()


async def test_a_database_that_was_replaced_is_told_to_those_who_follow(
    process: ServerProcess, p: Periscope
) -> None:
    follower = Follower(p)
    await p.add_threat("t", "x", "LOW")
    await follower.until("t", 5)
    async with Redis.from_url(process.url) as admin:
        await admin.flushall()
        async with Periscope.open(process.url) as another:
            await admin.delete(another.keyspace.partitions[0].meta)
            await follower.ended(StoreDamaged, "replaced by another")


async def test_a_stream_outlives_calls_that_may_take_less_than_it_waits(
    process: ServerProcess,
) -> None:
    """A reader waits a second at the server, whatever `call_timeout_s` is for other calls."""
    async with Periscope.open(process.url, call_timeout_s=0.3) as p:
        follower = Follower(p)
        await asyncio.sleep(1.5)
        await p.add_threat("t", "x", "LOW")
        await follower.until("t", 1)
        follower.task.cancel()


async def test_to_follow_from_now_on_needs_a_server(process: ServerProcess, p: Periscope) -> None:
    process.kill()
    with pytest.raises(StoreUnavailable):
        await anext(aiter(p.events()))


async def test_many_partitions_come_back_in_one_order(process: ServerProcess) -> None:
    async with Periscope.open(process.url, namespace="spread", partitions=5) as p:
        follower = Follower(p)
        reports: list[dict[str, Any]] = [
            {"threat_id": f"t{number}", "content": "x", "severity": "LOW"} for number in range(400)
        ]
        await p.add_threats_batch(reports[:200])
        process.kill()
        process.start()
        await p.add_threats_batch(reports)
        await follower.until("t399", BACK_S)

        async def whole() -> bool:
            return len(follower.added) == 400

        await wait_until(whole, "all are told")
        assert max(follower.added.values()) == 1
        position = follower.events[-1].position
        follower.task.cancel()
        async with aclosing(p.events(position)) as rest:  # type: ignore[type-var]
            await p.record_interaction("t1", "ann", "view")
            assert (await anext(rest)).kind == "view"
