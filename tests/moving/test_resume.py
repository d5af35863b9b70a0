"""Killed at any step, the same command goes on; given up at any step, all is as before."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace
from redis.asyncio import Redis

from periscope import MoveError, Moving, Periscope, Policy, UsageError
from periscope.functions import Functions
from periscope.moving import abort, rebuild
from periscope.moving.copying import STEP
from tests.conftest import assert_only_known_keys
from tests.moving.conftest import Scene, says, to_long_term
from tests.rules.scene import acts, add
from tests.support.servers import ServerProcess

ROOT = Path(__file__).parent.parent.parent


class Killed(BaseException):
    """The process died here."""


class Countdown:
    """Lets so many calls of functions through, then kills: before the call, or after it."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.left = -1
        self.after = False
        self.only: str | None = None  # counts calls of this function, none else
        self.calls = 0
        real = Functions.call

        async def call(functions: Functions, *given: Any, **options: Any) -> Any:
            if self.only not in (None, given[0]):
                return await real(functions, *given, **options)
            self.calls += 1
            self.left -= 1
            if self.left == 0 and not self.after:
                raise Killed
            reply = await real(functions, *given, **options)
            if self.left == 0:
                raise Killed
            return reply

        monkeypatch.setattr(Functions, "call", call)

    async def run(self, left: int, work: Callable[[], Any], *, after: bool) -> bool:
        """Do the work with so many calls; was it killed?"""
        self.left, self.after = left, after
        try:
            await work()
        except Killed:
            return True
        finally:
            self.left = -1
        return False


@pytest.fixture
def countdown(monkeypatch: pytest.MonkeyPatch) -> Countdown:
    return Countdown(monkeypatch)


@pytest.fixture
async def small(scene: Scene) -> Scene:
    """A few threats of all kinds in two partitions; remembered, to be set back to."""
    async with Periscope(scene.settings(partitions=2)) as p:
        p.functions.now_ms = scene.now_ms
        await add(p, *(f"t{number}" for number in range(8)))
        await add(p, "long", severity="CRITICAL")
        await to_long_term(p, "long")
        await acts(p, "t1", "ann dismiss", "bob view")
        await p.claim("t2", "ann")
        await p.remove(scene.archive, "t7", "ann")
        scene.now_ms = p.functions.now_ms
    await scene.remember()
    return scene


@pytest.mark.parametrize("after", [False, True], ids=["before-the-call", "after-the-call"])
async def test_it_goes_on_from_every_step(small: Scene, countdown: Countdown, after: bool) -> None:
    seen = await small.portrait()
    left, killed = 0, True
    while killed:
        left += 1
        await small.set_back()
        killed = await countdown.run(left, lambda: small.repartition(3), after=after)
        if killed:
            await check_refused_or_whole(small, seen)
            moved = await small.repartition_or_done(3)
            assert moved.generation == 1
        assert await small.portrait() == seen, left
        await check_clean(small)
    assert left > 25


@pytest.fixture
async def crowded(scene: Scene) -> Scene:
    """So many threats in two partitions that each of three takes them in several calls."""
    async with Periscope(scene.settings(partitions=2)) as p:
        p.functions.now_ms = scene.now_ms
        ids = [f"t{number}" for number in range(6 * 2 * STEP + 6 * STEP // 2)]
        await add(p, *ids)
        await p.record_interactions_batch(
            {"threat_id": one, "analyst_id": "ann", "action": "view"} for one in ids[::7]
        )
    await scene.remember()
    return scene


async def test_it_goes_on_from_every_call_that_fills_a_crowded_partition(
    crowded: Scene, countdown: Countdown
) -> None:
    seen = await crowded.portrait()
    countdown.only = "periscope_adopt"
    left, killed = 0, True
    while killed:
        left += 1
        await crowded.set_back()
        killed = await countdown.run(left, lambda: crowded.repartition(3), after=bool(left % 2))
        if killed:
            await check_refused_or_whole(crowded, seen)
            await crowded.repartition_or_done(3)
        assert await crowded.portrait() == seen, left
        await check_clean(crowded)
    # From each of two partitions to each of three, and each time more than two calls.
    assert left > 2 * 3 * 2


async def check_refused_or_whole(scene: Scene, seen: dict[str, Any]) -> None:
    """Whoever comes meanwhile is refused, or sees everything."""
    try:
        assert await scene.portrait() == seen
    except Moving as exc:
        says(exc, "periscope repartition")


async def check_clean(scene: Scene) -> None:
    """Nothing is left of the copying but fences of what was left behind."""
    p = await scene.opened()
    mine = {keys.tag for keys in p.keyspace.partitions}
    await assert_only_known_keys(p)
    await p.close()
    for name in await scene.names(b"{periscope:*"):
        tag = name[: name.index(b"}") + 1]
        assert tag in mine or name.endswith((b":meta", b"control}")), name
    async with Redis.from_url(scene.url) as client:
        assert not await client.hexists("{periscope:control}", "move")


async def test_it_is_killed_again_and_again(small: Scene, countdown: Countdown) -> None:
    seen = await small.portrait()
    left, killed = 3, True
    while killed:
        left += 1
        killed = await countdown.run(left, lambda: small.repartition(3), after=bool(left % 2))
    assert await small.portrait() == seen
    await check_clean(small)


@pytest.mark.parametrize("after", [False, True], ids=["before-the-call", "after-the-call"])
async def test_it_is_given_up_at_every_step(
    small: Scene, countdown: Countdown, after: bool
) -> None:
    seen = await small.portrait()
    left = given_up = 0
    while True:
        left += 1
        await small.set_back()
        if not await countdown.run(left, lambda: small.repartition(3), after=after):
            break
        try:
            if await abort(small.settings()):
                given_up += 1
                await check_as_before(small)
        except UsageError as exc:
            says(exc, "has switched already")
            await small.repartition(3)
        assert await small.portrait() == seen
    assert given_up > 15


async def check_as_before(scene: Scene) -> None:
    p = await scene.opened()
    assert (len(p.keyspace.partitions), p.keyspace.generation) == (2, 0)
    await p.close()
    await check_clean(scene)


async def test_giving_up_is_killed_at_every_step(small: Scene, countdown: Countdown) -> None:
    seen = await small.portrait()
    left, killed = 0, True
    while killed:
        left += 1
        await small.set_back()
        assert await countdown.run(28, lambda: small.repartition(3), after=False)
        killed = await countdown.run(left, lambda: abort(small.settings()), after=bool(left % 2))
        if killed:
            await abort(small.settings())
        await check_as_before(small)
        assert await small.portrait() == seen


async def test_another_move_is_refused_meanwhile(small: Scene, countdown: Countdown) -> None:
    assert await countdown.run(28, lambda: small.repartition(3), after=True)
    with pytest.raises(UsageError, match="periscope repartition --partitions 3"):
        await small.repartition(4)
    with pytest.raises(UsageError, match="another move is under way"):
        await rebuild(small.settings(), small.archive, lambda p: replace(p, interactions_cap=4))
    with pytest.raises(UsageError, match="no other server"):
        await abort(small.settings(), to=small.url)
    await small.repartition(3)


async def test_a_policy_cannot_change_meanwhile(small: Scene, countdown: Countdown) -> None:
    p = await small.opened()
    assert await countdown.run(28, lambda: small.repartition(3), after=True)
    with pytest.raises(Moving):
        await p.set_policy(Policy(promote_score=0.9))
    await p.close()
    await small.repartition(3)


async def test_the_slower_of_two_stops(small: Scene) -> None:
    seen = await small.portrait()
    both = await asyncio.gather(*(small.repartition(3) for _ in range(2)), return_exceptions=True)
    failed = [one for one in both if isinstance(one, BaseException)]
    assert all(isinstance(one, UsageError | MoveError | Moving) for one in failed), failed
    if len(failed) == 2:
        await small.repartition(3)
    assert await small.portrait() == seen
    await check_clean(small)


async def test_to_another_server_from_every_step(
    small: Scene, countdown: Countdown, other_server: ServerProcess
) -> None:
    seen = await small.portrait()
    left, killed = 0, True
    while killed:
        left += 3
        await small.set_back()
        async with Redis.from_url(other_server.url) as client:
            await client.flushall()

        async def move() -> None:
            await small.repartition(2, to=other_server.url)

        killed = await countdown.run(left, move, after=bool(left % 2))
        if killed and left % 4:
            await small.repartition_or_done(2, to=other_server.url)
        elif killed:
            await give_up(small, other_server.url)
            continue
        assert await small.portrait(other_server.url) == seen


async def give_up(scene: Scene, url: str) -> None:
    try:
        await abort(scene.settings(), to=url)
    except UsageError as exc:
        says(exc, "has switched already")
        return
    await check_as_before(scene)
    async with Redis.from_url(url) as client:
        assert await client.dbsize() == 0


CHILD = """
import asyncio, os, signal, sys
from pathlib import Path
from periscope import Settings
from periscope.archive import open_archive
from periscope.functions import Functions
from periscope.moving import repartition

url, place, left = sys.argv[1], sys.argv[2], int(sys.argv[3])
real = Functions.call

async def call(self, *given, **options):
    global left
    left -= 1
    if left == 0:
        asyncio.get_running_loop().call_later(0.0005, os.kill, os.getpid(), signal.SIGKILL)
    return await real(self, *given, **options)

Functions.call = call

async def main():
    archive = await open_archive(Path(place))
    await repartition(Settings.load({}, url=url), archive, 3)
    await archive.close()

asyncio.run(main())
"""


@pytest.mark.parametrize("left", [9, 17, 26, 33, 40])
async def test_a_killed_process(small: Scene, left: int) -> None:
    seen = await small.portrait()
    command = [sys.executable, "-c", CHILD, small.url, small.archive.shown, str(left)]
    done = await asyncio.to_thread(
        subprocess.run, command, check=False, env=os.environ, cwd=ROOT, timeout=60
    )
    assert done.returncode == -signal.SIGKILL
    await small.repartition_or_done(3)
    assert await small.portrait() == seen
    await check_clean(small)


@pytest.mark.parametrize("departs", [False, True], ids=["before-the-store", "after-the-store"])
async def test_departures_under_way_are_settled(
    small: Scene, monkeypatch: pytest.MonkeyPatch, departs: bool
) -> None:
    """A worker died between archive and store, or store and archive, just before the fence."""
    p = await small.opened()
    removed = (await p.get_ledger()).removed
    dies_in = "periscope.archive.Archive.confirm" if departs else "periscope.calls.Calls.depart"

    async def killed(*_: Any, **__: Any) -> Any:
        raise Killed

    async def remove_late(*_: Any) -> None:
        with monkeypatch.context() as patch:
            patch.setattr(dies_in, killed)
            with pytest.raises(Killed):
                await p.remove(small.archive, "t3", "ann")

    with monkeypatch.context() as patch:
        patch.setattr("periscope.keeping.Keeping.archive_audit", remove_late)
        await small.repartition(3)
    await p.close()
    p = await small.opened()
    ledger = await p.get_ledger(deep=True, archive=small.archive)
    assert ledger.balanced
    assert ledger.removed == removed + departs
    assert (await p.get_threat("t3") is None) is departs
    await p.close()
    assert await small.archive.pending() == []
