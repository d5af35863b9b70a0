"""What is told of the store is exact, whichever process is asked, and honest when it is away."""

from __future__ import annotations

import asyncio
import random
import time
from collections import Counter
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import pytest
from redis.asyncio import Redis

from periscope import Periscope, Policy, Status, StoreDamaged
from periscope.errors import Moving
from periscope.metrics import Metrics, read_watch
from periscope.models import SEVERITIES
from tests.conftest import OpenHere
from tests.metrics.told import Clock, told
from tests.rules.scene import (
    HOUR_MS,
    MINUTE_MS,
    START_MS,
    acts,
    add,
    latch,
    pass_time,
    promote,
    say,
)
from tests.support.clusters import cluster
from tests.support.servers import ServerProcess, free_port

AWAY = {
    "periscope_store_up",
    "periscope_store_partitions",
    "periscope_store_missing_partitions",
    "periscope_build_info",
    "periscope_requests_in_flight",
    "periscope_coalesced_callers_total",
    "periscope_coalesced_calls_total",
}


@pytest.fixture(params=[1, 3], ids=["1-partition", "3-partitions"])
async def p(request: pytest.FixtureRequest, open_here: OpenHere) -> AsyncIterator[Periscope]:
    async with Redis.from_url(open_here.url) as client:
        await client.flushall()
        async with open_here(partitions=request.param) as opened:
            opened.functions.now_ms = START_MS
            yield opened
            assert (await opened.get_ledger(deep=True)).balanced
        await client.flushall()


async def test_outcomes_are_the_ledgers_and_the_same_in_every_process(
    p: Periscope, open_here: OpenHere
) -> None:
    await add(p, "a", "b", "c")
    pass_time(p, 1000)
    assert await say(p, "a", content="anew") == "sighting"
    assert await say(p, "a", content="anew") == "duplicate"
    await p.add_threats_batch([{"threat_id": "", "content": "x", "severity": "LOW"}])
    async with open_here() as other:
        await other.add_threat("d", "x", "LOW")
        other.functions.now_ms = p.functions.now_ms
        found = await told(Metrics(other))
        names = ("periscope_reports_total", "periscope_reports_received_total")
        assert [found[name] for name in names] == [(await told(Metrics(p)))[name] for name in names]
    assert found["periscope_reports_total"] == {
        ("added",): 4,
        ("sighting",): 1,
        ("duplicate",): 1,
        ("suppressed",): 0,
        ("rejected",): 1,
    }
    assert found["periscope_reports_received_total"] == {(): 7}
    assert found["periscope_ledger_balanced"] == {(): 1}
    assert found["periscope_working_threats"]["HIGH", "open"] == 3
    assert found["periscope_threats"] == {("1",): 4, ("2",): 0, ("3",): 0}


async def test_the_oldest_unseen_is_told_since_it_was_first_seen(p: Periscope) -> None:
    await add(p, "old", "newer", severity="CRITICAL")
    pass_time(p, MINUTE_MS)
    await add(p, "new", severity="CRITICAL")
    pass_time(p, MINUTE_MS)
    await say(p, "old", "CRITICAL", content="anew")  # a sighting: its place is another one now
    await say(p, "newer", "CRITICAL", content="anew")
    oldest = (await told(Metrics(p)))["periscope_unseen_oldest_seconds"]
    assert oldest == {("CRITICAL",): 120, ("HIGH",): 0, ("MEDIUM",): 0, ("LOW",): 0}
    for one in ("old", "newer"):
        await acts(p, one, "ann view")
    assert (await told(Metrics(p)))["periscope_unseen_oldest_seconds"]["CRITICAL",] == 60
    await acts(p, "new", "ann view")
    assert (await told(Metrics(p)))["periscope_unseen_oldest_seconds"]["CRITICAL",] == 0


async def test_a_crowd_of_recalled_threats_does_not_hide_the_oldest(p: Periscope) -> None:
    """They stand before it on the board, and were answered when they were promoted."""
    crowd = [f"r{number}" for number in range(900)]
    await add(p, *crowd, severity="LOW")
    for one in crowd:
        await p.decide(one, "ann", "true_positive_no_impact")
    for one in crowd:
        await p.recall(one, "ann")
    pass_time(p, MINUTE_MS)
    await add(p, "unseen", severity="LOW")
    pass_time(p, MINUTE_MS)
    watch = await read_watch(p)
    since_ms = watch.unseen_since_ms["LOW"]
    assert since_ms is not None
    assert watch.waiting_s(since_ms) == 60


@pytest.mark.parametrize("seed", range(3))
async def test_the_oldest_is_that_of_a_look_at_every_threat(p: Periscope, seed: int) -> None:
    chance = random.Random(seed)
    for step in range(250):
        one = f"t{chance.randrange(60)}"
        pass_time(p, chance.randrange(1, 5000))
        severity = chance.choice(SEVERITIES).value
        if chance.random() < 0.7 or not await p.threat_exists(one, exact=True):
            await p.add_threat(one, f"x{step}", severity)
        else:
            verb = chance.choice(("view", "dismiss", "decide", "recall", "snooze"))
            await act(p, one, verb)
    expected: dict[str, int | None] = {one.value: None for one in SEVERITIES}
    async for threat in p.get_all_active():
        if not threat.interactions and threat.home is None:
            known = expected[threat.severity.value]
            expected[threat.severity.value] = min(known or 2**60, threat.first_seen_ms)
    assert (await read_watch(p)).unseen_since_ms == expected


async def act(p: Periscope, one: str, verb: str) -> None:
    if verb == "decide":
        await p.decide(one, "ann", "true_positive_no_impact")
    elif verb == "recall":
        await p.recall(one, "ann")
    elif verb == "snooze":
        threat = await p.get_threat(one)
        if threat is not None and threat.status is not Status.CLOSED:
            await p.snooze(one, "ann", timedelta(hours=1))
    else:
        await p.record_interaction(one, "ann", verb)


async def test_the_promotion_lag_is_of_what_nobody_holds(p: Periscope) -> None:
    await add(p, "a", "b", severity="CRITICAL")
    await latch(p, "a")
    pass_time(p, MINUTE_MS)
    await latch(p, "b")
    pass_time(p, MINUTE_MS)
    found = await told(Metrics(p))
    assert found["periscope_promotion_lag_seconds"] == {(): 120}
    assert found["periscope_promotable_threats"] == {(): 2}
    claim = await p.claim("a", "ann")
    assert (await told(Metrics(p)))["periscope_promotion_lag_seconds"] == {(): 60}
    await p.release(claim)
    await promote(p, "a")
    assert (await told(Metrics(p)))["periscope_promotion_lag_seconds"] == {(): 0}


async def test_acts_are_counted_by_their_kind_for_ever(p: Periscope, open_here: OpenHere) -> None:
    await add(p, "a", "b", "c")
    await acts(p, "a", "ann view x3", "bob escalate")
    await p.record_interactions_batch(
        [{"threat_id": one, "analyst_id": "eve", "action": "dismiss"} for one in "abc"]
    )
    view = await p.record_interaction("b", "ann", "view", "one-act")
    again = await p.record_interaction("b", "ann", "view", "one-act")
    assert view.interactions == again.interactions
    await p.undo("one-act")
    await p.decide("c", "ann", "benign_expected")
    await p.comment("c", "ann", "a word")
    async with open_here() as other:
        found = (await told(Metrics(other)))["periscope_acts_total"]
    expected = {"view": 4, "escalate": 1, "dismiss": 3, "undo": 1, "decide": 1, "comment": 1}
    assert found == {(action,): count for action, count in expected.items()}
    trail = Counter(one.action for one in await p.get_recent_audit())
    assert {(action,): count for action, count in trail.items()} == found


async def test_a_damaged_count_refuses_the_act_and_nothing_is_written(p: Periscope) -> None:
    await add(p, "a")
    keys = p.keyspace.partition_of(b"a")
    client = p.functions.connections.client
    await client.hset(keys.meta, "acts_view", "many")
    before = {key: await client.dump(key) for key in sorted(await client.keys(keys.tag + b"*"))}
    with pytest.raises(StoreDamaged):
        await p.record_interaction("a", "ann", "view")
    after = {key: await client.dump(key) for key in sorted(await client.keys(keys.tag + b"*"))}
    assert after == before
    await client.hdel(keys.meta, "acts_view")


async def test_overdue_targets_and_limits_are_of_the_policy_in_force(p: Periscope) -> None:
    await p.set_policy(Policy(target_high=timedelta(minutes=5), audit_limit_kb=100))
    await add(p, "a", "b")
    pass_time(p, HOUR_MS)
    await say(p, "b", content="anew")
    found = await told(Metrics(p))
    assert found["periscope_response_target_seconds"]["HIGH",] == 300
    assert found["periscope_overdue_threats"]["HIGH",] == 2
    limit = 100 * 1024 * len(p.keyspace.partitions)
    assert found["periscope_stream_limit_bytes"]["audit",] == limit


async def test_many_scrapers_cost_as_much_as_one(p: Periscope) -> None:
    clock = Clock()
    metrics, client = Metrics(p, clock=clock), p.functions.connections.client

    async def calls() -> int:
        stats = await client.info("commandstats")
        return int(stats.get("cmdstat_fcall_ro", {"calls": 0})["calls"])

    async def cost(scrapers: int) -> int:
        before = await calls()
        await asyncio.gather(*(metrics.render() for _ in range(scrapers)))
        return await calls() - before

    one = await cost(1)
    assert one > 0
    assert await cost(10) == 0
    clock.now_s += 1
    assert await cost(10) == one


async def test_a_store_that_hangs_or_is_gone_is_told_so_and_nothing_stale(
    open_here: OpenHere,
) -> None:
    server = ServerProcess(port=free_port()).start()
    try:
        async with Periscope.open(server.url) as p:
            await p.add_threat("a", "x", "LOW")
            clock = Clock()
            metrics = Metrics(p, clock=clock)
            assert (await told(metrics))["periscope_store_up"] == {(): 1}
            for harm in (server.freeze, server.kill):
                clock.now_s += 1
                harm()
                began = time.monotonic()
                found = await told(metrics)
                assert time.monotonic() - began < 5
                assert found["periscope_store_up"] == {(): 0}
                assert {name for name in found if name.startswith("periscope_")} == AWAY
                assert found["process_cpu_seconds_total"][()] > 0
                server.thaw() if harm == server.freeze else None
    finally:
        server.stop()


async def test_it_is_up_again_by_itself() -> None:
    server = ServerProcess().start()
    try:
        async with Periscope.open(server.url) as p:
            await p.add_threat("a", "x", "LOW")
            clock = Clock()
            metrics = Metrics(p, clock=clock)
            server.freeze()
            assert (await told(metrics))["periscope_store_up"] == {(): 0}
            server.thaw()
            clock.now_s += 1
            found = await told(metrics)
            assert found["periscope_store_up"] == {(): 1}
            assert found["periscope_reports_received_total"] == {(): 1}
    finally:
        server.stop()


async def test_partitions_that_are_away_are_counted_and_no_counter_seems_to_begin_anew() -> None:
    reports: list[Any] = [
        {"threat_id": f"t{number}", "content": "x", "severity": "LOW"} for number in range(300)
    ]
    async with cluster(3, 0) as it, Periscope.open(it.url) as p:
        await p.add_threats_batch(reports)
        clock = Clock()
        metrics = Metrics(p, clock=clock)
        whole = await told(metrics)
        assert whole["periscope_threats"]["1",] == 300
        assert whole["periscope_store_missing_partitions"] == {(): 0}
        gone = [
            keys.number
            for keys in p.keyspace.partitions
            if await it.owner(slot(keys.meta)) is it.nodes[2]
        ]
        it.nodes[2].kill()
        clock.now_s += 1
        began = time.monotonic()
        found = await told(metrics)
        assert time.monotonic() - began < 8
        assert found["periscope_store_up"] == {(): 1}
        assert found["periscope_store_missing_partitions"] == {(): len(gone)}
        there = sum(
            p.keyspace.partition_of(one["threat_id"].encode()).number not in gone for one in reports
        )
        assert (
            found["periscope_threats"]["1",] == found["periscope_unseen_threats"]["LOW",] == there
        )
        lost = set(whole) - set(found)
        assert {name for name in lost if not name.endswith("_total")} == {
            "periscope_ledger_balanced",
            "periscope_overdue_threats",
        }
        assert "periscope_reports_received_total" in lost


def slot(key: bytes) -> int:
    from periscope.keys import slot_of_key

    return slot_of_key(key)


async def test_a_database_that_moved_away_is_told_as_away(open_here: OpenHere) -> None:
    async with open_here() as p:
        await p.add_threat("a", "x", "LOW")
        control = "{periscope:control}"
        client = p.functions.connections.client
        await client.delete(*[keys.meta for keys in p.keyspace.partitions])
        await client.hset(control, "moved_to", "elsewhere")
        with pytest.raises(Moving):
            await p.get_stats()
        assert (await told(Metrics(p)))["periscope_store_up"] == {(): 0}
        await client.flushall()
