"""Streams cut silently, trimmed, flushed; servers killed: never a wrong "no", and it heals."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from periscope import FilterState, Periscope, Policy
from periscope.membership import follower
from tests.conftest import OpenHere
from tests.membership.support import (
    add,
    as_of,
    membership_of,
    report,
    settle,
    wait_until,
    wrong_answers,
)
from tests.support.servers import ServerProcess

Damage = Callable[[Periscope], Awaitable[object]]
OLD = [f"old-{number}" for number in range(50)]
NEW = [f"new-{number}" for number in range(50)]


def client_of(p: Periscope) -> Any:
    return p.functions.connections.client


def events_of(p: Periscope) -> bytes:
    return p.keyspace.partitions[0].events


async def no_entry_read_last(p: Periscope) -> None:
    last = await client_of(p).xrevrange(events_of(p), count=1)
    await client_of(p).xdel(events_of(p), last[0][0])


async def trimmed(p: Periscope) -> None:
    await client_of(p).xtrim(events_of(p), maxlen=0)


async def no_stream(p: Periscope) -> None:
    await client_of(p).delete(events_of(p))


async def another_stream(p: Periscope) -> None:
    await no_stream(p)
    await client_of(p).xadd(events_of(p), {"e": b"\xc1 not msgpack"})


async def nothing_left(p: Periscope) -> None:
    await client_of(p).flushall()


async def no_functions(p: Periscope) -> None:
    await client_of(p).execute_command("FUNCTION", "FLUSH")


async def no_clients(p: Periscope) -> None:
    await client_of(p).execute_command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")


async def another_policy(p: Periscope) -> None:
    await p.set_policy(Policy(severity_low=0.2))


@pytest.mark.parametrize("slip", [False, True], ids=["told", "untold"])
@pytest.mark.parametrize(
    "damage",
    [
        *(no_entry_read_last, trimmed, no_stream, another_stream, nothing_left),
        *(no_functions, no_clients, another_policy),
    ],
    ids=lambda damage: damage.__name__,
)
async def test_whatever_happens_to_the_stream(
    open_here: OpenHere, periscope: Periscope, damage: Damage, slip: bool, impatient: None
) -> None:
    """Another program writes before (untold: nobody hears of it) and after the damage."""
    p = periscope
    async with open_here() as other:
        await other.add_threats_batch(map(report, OLD))
        await p.membership_ready()
        if slip:
            await other.add_threats_batch(map(report, NEW[:25]))
        await damage(p)
        await other.add_threats_batch(map(report, NEW))
        acknowledged_ms = time.time_ns() // 1_000_000
        denied = [one for one in NEW if membership_of(p).is_absent(one)]
        assert not [one for one in denied if as_of(p, one) > acknowledged_ms]
        await settle(p)
        assert not await wrong_answers(p, [*OLD, *NEW])
        assert not [one for one in NEW if membership_of(p).is_absent(one)]


async def test_a_library_that_tells_no_events_is_found_out(
    open_here: OpenHere, periscope: Periscope, impatient: None
) -> None:
    """As programs of version 0.1 do where nobody has loaded this library again yet."""
    p = periscope
    await p.membership_ready()
    async with open_here() as other:
        stream = await client_of(p).dump(events_of(p)) if await _exists(p) else None
        await other.add_threats_batch(map(report, NEW))
        await client_of(p).delete(events_of(p))
        if stream is not None:
            await client_of(p).restore(events_of(p), 0, stream)
    await settle(p)
    assert p.membership.gaps == 1
    assert not [one for one in NEW if membership_of(p).is_absent(one)]


async def _exists(p: Periscope) -> bool:
    return bool(await client_of(p).exists(events_of(p)))


async def test_a_slow_follower_of_a_stream_that_lets_go_reads_anew(
    open_here: OpenHere, periscope: Periscope, impatient: None
) -> None:
    """The engine itself lets go of events that this process has not read."""
    p = periscope
    await p.set_policy(Policy(events_limit_kb=64))
    await p.membership_ready()
    async with open_here() as other:
        many = [f"{'x' * 400}{number}" for number in range(6000)]
        await other.add_threats_batch(map(report, many))
    assert not [one for one in many if membership_of(p).is_absent(one) and as_of(p, one) > _now()]
    await settle(p)
    assert not [one for one in many if membership_of(p).is_absent(one)]


def _now() -> int:
    return time.time_ns() // 1_000_000


async def test_what_was_let_go_of_up_to_the_place_is_no_gap(
    open_here: OpenHere, periscope: Periscope
) -> None:
    p = periscope
    (keys,) = p.keyspace.partitions
    async with open_here() as other:
        await other.add_threats_batch(map(report, OLD))
        await p.membership_ready()
        last = await client_of(p).xrevrange(keys.events, count=1)
        await client_of(p).xtrim(keys.events, maxlen=0)
        await client_of(p).hset(keys.meta, "events_lost", last[0][0])
        await other.add_threats_batch(map(report, NEW))
    await settle(p)
    assert p.membership.gaps == 0
    assert not [one for one in NEW if membership_of(p).is_absent(one)]


async def test_a_server_killed_and_started_again(impatient: None) -> None:
    process = ServerProcess("--appendonly", "yes", "--appendfsync", "always").start()
    try:
        async with (
            Periscope.open(process.url, retry_s=0.0) as p,
            Periscope.open(process.url, retry_s=0.0) as other,
        ):
            await other.add_threats_batch(map(report, OLD))
            await p.membership_ready()
            await other.add_threats_batch(map(report, NEW[:25]))
            process.kill()
            await wait_until(lambda: p.membership.state is FilterState.BEHIND, "it is away")
            assert not membership_of(p).is_absent("nobody knows now")
            process.start()
            back = time.monotonic()
            await other.add_threats_batch(map(report, NEW))
            await settle(p)
            assert time.monotonic() - back < 5
            assert p.membership.gaps == 0
            assert not await wrong_answers(p, [*OLD, *NEW])
    finally:
        process.stop()


async def test_a_user_who_may_not_look_at_streams_is_answered_by_the_server() -> None:
    process = ServerProcess().start()
    try:
        async with Periscope.open(process.url) as admin:
            rule = ("ACL", "SETUSER", "default", "-xinfo")
            await client_of(admin).execute_command(*rule)
            await admin.add_threat("t", "c", "LOW")
            assert await admin.threat_exists("t")
            for _ in range(20):
                assert not await admin.threat_exists("u")
                await asyncio.sleep(0)
            assert admin.membership.local == 0
    finally:
        process.stop()


STEPS = st.lists(
    st.sampled_from(
        [
            *("other adds", "other adds", "own adds", "acts", "settle", "settle"),
            *("cut first", "cut last", "trim", "drop", "flush", "unload", "kill", "save", "load"),
        ]
    ),
    min_size=3,
    max_size=14,
)


class Scene:
    """Two programs on one store, and somebody who meddles with it."""

    def __init__(self, p: Periscope, other: Periscope) -> None:
        self.p, self.other, self.client = p, other, client_of(p)
        self.acknowledged: dict[str, int] = {}
        self.kept: dict[bytes, bytes] = {}
        self.known_then: dict[str, int] = {}
        self.number = 0

    def fresh(self) -> list[str]:
        self.number += 3
        return [f"t{self.number - one}" for one in range(3)]

    async def step(self, name: str) -> None:
        await getattr(self, name.replace(" ", "_"))()
        self.check()

    def check(self) -> None:
        for one, at_ms in self.acknowledged.items():
            if membership_of(self.p).is_absent(one):
                assert as_of(self.p, one) <= at_ms, one

    async def other_adds(self) -> None:
        ids = self.fresh()
        await self.other.add_threats_batch(map(report, ids))
        self.acknowledged |= dict.fromkeys(ids, _now())

    async def own_adds(self) -> None:
        ids = self.fresh()
        await add(self.p, ids)
        assert not [one for one in ids if membership_of(self.p).is_absent(one)]
        self.acknowledged |= dict.fromkeys(ids, _now())

    async def acts(self) -> None:
        for one in list(self.acknowledged)[-2:]:
            await self.other.decide(one, "ann", "true_positive_impact")

    async def settle(self) -> None:
        await settle(self.p)
        denied = [one for one in self.acknowledged if membership_of(self.p).is_absent(one)]
        assert not denied

    async def cut_first(self) -> None:
        await self._cut(await self.client.xrange(events_of(self.p), count=1))

    async def cut_last(self) -> None:
        await self._cut(await self.client.xrevrange(events_of(self.p), count=1))

    async def _cut(self, found: list[Any]) -> None:
        if found:
            await self.client.xdel(events_of(self.p), found[0][0])

    async def trim(self) -> None:
        await self.client.xtrim(events_of(self.p), maxlen=1)

    async def drop(self) -> None:
        await self.client.delete(events_of(self.p))

    async def flush(self) -> None:
        await self.client.flushall()
        await self.other.refresh()
        self.acknowledged.clear()

    async def unload(self) -> None:
        await self.client.execute_command("FUNCTION", "FLUSH")

    async def kill(self) -> None:
        await no_clients(self.p)

    async def save(self) -> None:
        """A backup of everything, as `periscope backup` takes it."""
        keys = [key async for key in self.client.scan_iter() if b":reply:" not in key]
        self.kept = {key: await self.client.dump(key) for key in keys}
        self.known_then = dict(self.acknowledged)

    async def load(self) -> None:
        """The store as it was saved, and whatever was acknowledged since is gone."""
        await self.client.flushall()
        for key, value in self.kept.items():
            await self.client.restore(key, 0, value, replace=True)  # p may mend meanwhile
        await self.other.refresh()
        self.acknowledged = dict.fromkeys(self.known_then, _now()) if self.kept else {}


@settings(max_examples=max(20, settings().max_examples // 3))
@given(steps=STEPS)
async def test_any_order_of_events(
    open_here: OpenHere, periscope: Periscope, impatient: None, steps: list[str]
) -> None:
    async with open_here() as p, open_here() as other:
        scene = Scene(p, other)
        await scene.flush()
        await scene.other_adds()
        await p.membership_ready()
        for step in steps:
            await scene.step(step)
        await scene.settle()
        await client_of(p).flushall()
        await other.refresh()


async def test_a_tail_that_was_lost_and_replaced_is_found_out(
    open_here: OpenHere, periscope: Periscope, impatient: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As after a failover to a replica that lacked the end and whose clock is behind: as many
    entries, as many threats, but others, and before the place that was read last."""
    monkeypatch.setattr(follower, "POLL_S", 30.0)
    p = periscope
    scene = Scene(p, p)
    async with open_here() as other:
        await other.add_threats_batch(map(report, OLD))
        await scene.save()
        await other.add_threats_batch(map(report, NEW[:25]))
        await p.membership_ready()
        (lost,) = await client_of(p).xrevrange(events_of(p), count=1)
        await scene.load()
        await other.add_threats_batch(map(report, NEW[25:]))
        entries = await client_of(p).xrange(events_of(p))
        before = b"%d-0" % (int(lost[0].partition(b"-")[0]) - 1)
        pipe = client_of(p).pipeline(transaction=True).delete(events_of(p))
        pipe.xadd(events_of(p), entries[0][1], id=entries[0][0])
        await pipe.xadd(events_of(p), entries[1][1], id=before).execute()
    await settle(p)
    assert p.membership.gaps == 1
    assert not await wrong_answers(p, [*OLD, *NEW])
