"""The master that sentinels name changes under load: by command, by death, and while frozen."""

from __future__ import annotations

import os
import time
from collections.abc import AsyncIterator

import pytest

from periscope import Periscope
from tests.support.following import Follower
from tests.support.history import Told, acknowledged, check, load, say
from tests.support.nodes import wait_until
from tests.support.sentinels import Sentinels, sentinels

SOAK = "SOAK" in os.environ
FAILOVERS = 12 if SOAK else 2


@pytest.fixture
async def watched() -> AsyncIterator[Sentinels]:
    async with sentinels(durable=True) as made:
        yield made


async def test_masters_changed_by_command_under_load(watched: Sentinels) -> None:
    """Every replica has what is acknowledged: the old master lives on, so one would not do."""
    async with Periscope.open(
        watched.url, durability="replicated", replicas=2, replica_timeout_s=0.5, retry_s=20
    ) as p:
        await p.add_threat("held", "x", "HIGH")
        claim = await p.claim("held", "ann")
        async with load(p, 8) as history:
            for _ in range(FAILOVERS):
                await acknowledged(history, 50)
                primary = await watched.fail_over()
                await watched.until_following(primary, 2)
            await acknowledged(history, 50)
        verdict = await check(history, "masters changed by command, replicated")
        assert not verdict.lost
        assert not verdict.rejected
        await p.release(claim)


async def test_a_master_killed_under_load_replicated(watched: Sentinels) -> None:
    """One replica of two is enough: the dead master acknowledges nothing more."""
    async with Periscope.open(
        watched.url, durability="replicated", replica_timeout_s=0.5, retry_s=20
    ) as p:
        async with load(p, 8) as history:
            await acknowledged(history, 100)
            victim = await watched.primary()
            victim.kill()
            killed = time.monotonic()
            await watched.until_other_primary(victim)
            await acknowledged(history, 50)
        back = history.first_answer([0], killed)
        say(f"master killed, replicated: a new master answers after {back:.2f} s")
        assert not (await check(history, "master killed, replicated")).lost


async def test_a_master_killed_under_load_durable(watched: Sentinels) -> None:
    """What no replica had yet is lost: as much is counted, and all of it is of the last moment."""
    async with Periscope.open(watched.url, retry_s=20) as p:
        async with load(p, 8) as history:
            await acknowledged(history, 100)
            victim = await watched.primary()
            victim.kill()
            killed = time.monotonic()
            await watched.until_other_primary(victim)
            await acknowledged(history, 50)
        verdict = await check(history, "master killed, durable")
        assert all(killed - 1 < call.end < killed + 0.1 for call in verdict.lost)


@pytest.mark.parametrize("how", ["command", "kill", "freeze"])
async def test_who_follows_goes_on_at_the_new_master(watched: Sentinels, how: str) -> None:
    """A frozen master breaks no connection: who waits there must not wait until it thaws."""
    async with Periscope.open(
        watched.url, durability="replicated", replicas=2, replica_timeout_s=2, retry_s=20
    ) as p:
        follower = Follower(p)
        await p.add_threat("before", "x", "LOW")
        await follower.until("before", 5)
        old = await watched.primary()
        if how == "command":
            await watched.fail_over()
        else:
            old.kill() if how == "kill" else old.freeze()
            await watched.until_other_primary(old)
        changed = time.monotonic()
        await p.add_threat("after", "x", "LOW", durability="durable")
        await follower.until("after", 10)
        waited_s = time.monotonic() - changed
        say(f"master changed by {how}: events of the new one after {waited_s:.2f} s")
        assert follower.added == {"before": 1, "after": 1}
        follower.task.cancel()


async def test_an_old_master_that_comes_back_is_not_written_to(watched: Sentinels) -> None:
    """Frozen, replaced, thawed: for a moment it still takes itself for the master."""
    async with Periscope.open(
        watched.url,
        durability="replicated",
        replicas=2,
        replica_timeout_s=0.5,
        retry_s=20,
        call_timeout_s=5,
    ) as p:
        async with load(p, 8) as history:
            await acknowledged(history, 50)
            old = await watched.primary()
            old.freeze()
            await watched.until_other_primary(old)
            old.thaw()

            async def follows() -> bool:
                return bool((await old.ask("ROLE"))[0] == "slave")

            await wait_until(follows, "the old master follows the new one", timeout_s=30)
            await acknowledged(history, 50)
        assert not (await check(history, "master frozen, replicated")).lost
        assert any(call.told is Told.COMMITTED for call in history.calls)
