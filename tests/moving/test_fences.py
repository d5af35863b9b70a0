"""Fences that were lost, or left by others; targets that are gone: nothing stays closed."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from redis.asyncio import Redis

from periscope import Action, Interaction, MoveError, Moving, Periscope, UsageError
from periscope.archive import open_archive
from periscope.keys import Keyspace
from periscope.moving import abort, repartition
from periscope.moving.calls import MoverCalls
from periscope.moving.mover import Mover
from periscope.moving.state import Move, new_id
from tests.conftest import assert_only_known_keys
from tests.moving.conftest import Scene
from tests.rules.scene import acts, add
from tests.support.servers import ServerProcess

IDS = [f"t{number}" for number in range(60)]


class Killed(BaseException):
    """The process died here."""


@pytest.fixture
async def small(scene: Scene) -> Scene:
    await fill(scene)
    return scene


@pytest.fixture
def third_server() -> Iterator[ServerProcess]:
    process = ServerProcess().start()
    yield process
    process.stop()


async def fill(scene: Scene) -> None:
    async with Periscope(scene.settings(partitions=2)) as p:
        p.functions.now_ms = scene.now_ms
        await add(p, *IDS)
        await p.adopt_archive(scene.archive)


async def open_as_it_was(scene: Scene, seen: dict[str, Any]) -> None:
    """The database is open, has its two partitions, and shows what it showed."""
    p = await scene.opened()
    assert (len(p.keyspace.partitions), p.keyspace.generation) == (2, 0)
    await p.close()
    assert await scene.portrait() == seen


async def killed_in(name: str, scene: Scene, monkeypatch: pytest.MonkeyPatch, **to: str) -> None:
    """A move to four partitions is killed before this step of `Mover`."""

    async def die(*_: Any, **__: Any) -> None:
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(Mover, name, die)
        with pytest.raises(Killed):
            await scene.repartition(4, **to)


# ---- lost ----------------------------------------------------------------------------------------


@dataclass
class Lost:
    """A program that was open before, and partition 0 as a replica has it without the fence."""

    scene: Scene
    p: Periscope
    payload: bytes

    async def fail_over(self) -> None:
        """Such a replica takes over, and analysts work on it."""
        keys = self.p.keyspace.partitions[0]
        async with Redis.from_url(self.scene.url) as client:
            await client.restore(keys.meta, 0, self.payload, replace=True)
        mine = [one for one in IDS if self.p.keyspace.partition_of(one.encode()) is keys]
        await acts(self.p, mine[0], "ann escalate x3", "bob view")
        await acts(self.p, mine[1], "ann dismiss x2")
        await self.p.remove(self.scene.archive, mine[2], "ann")

    async def check(self, url: str) -> None:
        """What was done there is in the database that it became."""
        p = await self.scene.opened(url)
        assert p.keyspace.generation == 1
        threats = await p.get_threats(IDS)
        assert (len(threats), sum(t.interactions for t in threats)) == (59, 6)
        assert (await p.get_stats()).queue == 58
        ledger = await p.get_ledger(deep=True, archive=self.scene.archive)
        assert ledger.balanced, ledger
        await assert_only_known_keys(p)
        await p.close()


@pytest.fixture
async def lost(small: Scene) -> AsyncIterator[Lost]:
    p = await small.opened()
    async with Redis.from_url(small.url) as client:
        payload: Any = await client.dump(p.keyspace.partitions[0].meta)
    yield Lost(small, p, payload)
    await p.close()


@pytest.mark.parametrize("copied", [1, 2])
async def test_what_was_open_meanwhile_is_copied_anew(
    lost: Lost, other_server: ServerProcess, monkeypatch: pytest.MonkeyPatch, copied: int
) -> None:
    real = Mover._note

    async def note(mover: Mover, state: Move | None, fields: Any = None) -> None:
        await real(mover, state, fields)
        if state is not None and state.copied == copied:
            await lost.fail_over()

    with monkeypatch.context() as patch:
        patch.setattr(Mover, "_note", note)
        with pytest.raises(MoveError, match="lost a fence"):
            await lost.scene.repartition(4, to=other_server.url)
    await lost.scene.repartition(4, to=other_server.url)
    await lost.check(other_server.url)


@pytest.mark.parametrize("step", ["_check_doors", "_switch", "_switch_over"])
async def test_also_while_nobody_is_at_it(
    lost: Lost, other_server: ServerProcess, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    await killed_in(step, lost.scene, monkeypatch, to=other_server.url)
    await lost.fail_over()
    if step == "_switch_over":
        with pytest.raises(MoveError, match="lost a fence"):
            await lost.scene.repartition(4, to=other_server.url)
    await lost.scene.repartition(4, to=other_server.url)
    await lost.check(other_server.url)


async def test_within_a_server_too(lost: Lost, monkeypatch: pytest.MonkeyPatch) -> None:
    await killed_in("_switch", lost.scene, monkeypatch)
    await lost.fail_over()
    await lost.scene.repartition(4)
    await lost.check(lost.scene.url)


async def test_a_fence_of_the_copy_that_was_lost(
    small: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = await small.portrait()
    await killed_in("_switch", small, monkeypatch)
    async with Redis.from_url(small.url) as client:
        await client.delete(*Keyspace.of("periscope", 4, 1).partitions[1].singles)
    await small.repartition(4)
    assert await small.portrait() == seen


# ---- of others -----------------------------------------------------------------------------------


async def test_a_target_that_is_gone(
    small: Scene,
    other_server: ServerProcess,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    seen = await small.portrait()
    await killed_in("_switch", small, monkeypatch, to=other_server.url)
    other_server.stop()
    with pytest.raises(UsageError, match="say so with --to"):
        await abort(small.settings())
    assert await abort(small.settings(), to=other_server.url)
    assert "given up without the target (cannot reach" in caplog.text
    await open_as_it_was(small, seen)


async def test_a_target_that_goes_away_in_the_midst(
    small: Scene,
    other_server: ServerProcess,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    seen = await small.portrait()
    await killed_in("_switch", small, monkeypatch, to=other_server.url)
    real = MoverCalls.discard_rest

    async def discard_rest(calls: MoverCalls, *given: Any, **options: Any) -> None:
        other_server.stop()
        await real(calls, *given, **options)

    monkeypatch.setattr(MoverCalls, "discard_rest", discard_rest)
    assert await abort(small.settings(), to=other_server.url)
    assert "delete its keys" in caplog.text
    await open_as_it_was(small, seen)


async def test_two_databases_to_one_server(
    small: Scene,
    other_server: ServerProcess,
    third_server: ServerProcess,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The one that comes second is told, can be given up, and touches nothing of the first."""
    seen = await small.portrait()
    await killed_in("run", small, monkeypatch, to=third_server.url)
    first = Scene(other_server.url, await open_archive(tmp_path / "other.db"))
    await fill(first)
    await first.repartition(4, to=third_server.url)
    with pytest.raises(MoveError, match="there is a database"):
        await small.repartition(4, to=third_server.url)
    assert await abort(small.settings(), to=third_server.url)
    await open_as_it_was(small, seen)
    await first.portrait(third_server.url)
    await first.archive.close()


class Slow:
    """A move that stands still at one of its fences until it is told to go on."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, at: int) -> None:
        self.stands, self.go_on = asyncio.Event(), asyncio.Event()
        self._left = at
        real = MoverCalls.fence

        async def fence(calls: MoverCalls, *given: Any, **options: Any) -> None:
            self._left -= 1
            if self._left == 0:
                self.stands.set()
                await self.go_on.wait()
            await real(calls, *given, **options)

        monkeypatch.setattr(MoverCalls, "fence", fence)


@pytest.mark.parametrize("at", [1, 2, 3, 5])
async def test_a_mover_that_slept_while_it_was_given_up(
    small: Scene, monkeypatch: pytest.MonkeyPatch, at: int
) -> None:
    """It takes its fences away again: the database is open, and can be moved."""
    seen = await small.portrait()
    slow = Slow(monkeypatch, at)
    first = asyncio.create_task(small.repartition(4))
    await slow.stands.wait()
    assert await abort(small.settings())
    slow.go_on.set()
    with pytest.raises(MoveError, match="given up, or finished, by somebody else"):
        await first
    await open_as_it_was(small, seen)
    await small.repartition(3)
    assert await small.portrait() == seen


@pytest.mark.parametrize("at", [1, 2, 3, 5])
async def test_one_that_slept_and_then_died(
    small: Scene, monkeypatch: pytest.MonkeyPatch, at: int
) -> None:
    """What it left is taken over by the next move, or lifted by --abort."""
    seen = await small.portrait()

    async def die(_: Mover) -> None:
        raise Killed

    for opens in (False, True):
        with monkeypatch.context() as patch:
            slow = Slow(patch, at)
            patch.setattr(Mover, "_look_again", die)
            first = asyncio.create_task(killed(small.repartition(4)))
            await slow.stands.wait()
            assert await abort(small.settings())
            slow.go_on.set()
            await first
        if opens:
            assert await abort(small.settings()) is (at < 3)
            await open_as_it_was(small, seen)
    await small.repartition(4)
    assert await small.portrait() == seen


async def killed(work: Awaitable[Any]) -> None:
    with pytest.raises(Killed):
        await work


async def test_an_earlier_move_takes_nothing_over(small: Scene) -> None:
    p = await small.opened()
    keys = p.keyspace.partitions[0]
    earlier, later = (MoverCalls(p.functions, new_id(ms)) for ms in (1_000, 2_000))
    await later.fence(keys, "is of the later one")
    with pytest.raises(Moving, match="is of the later one"):
        await earlier.fence(keys, "is of the earlier one")
    assert await later.hold(keys)
    assert not await earlier.hold(keys)
    await p.close()


async def test_a_finished_move_is_not_undone_by_one_that_slept(
    small: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = await small.portrait()
    stands, go_on = asyncio.Event(), asyncio.Event()
    real = Mover._look_again

    async def look_again(mover: Mover) -> None:
        if not stands.is_set():
            stands.set()
            await go_on.wait()
        await real(mover)

    monkeypatch.setattr(Mover, "_look_again", look_again)
    first = asyncio.create_task(small.repartition(4))
    await stands.wait()
    await small.repartition(4)
    go_on.set()
    with pytest.raises(MoveError, match="given up, or finished"):
        await first
    assert await small.portrait() == seen
    async with Redis.from_url(small.url) as client:
        for keys in Keyspace.of("periscope", 2).partitions:
            assert await client.hget(keys.meta.decode(), "format") == b"99"


async def test_whoever_comes_to_the_target_is_sent_to_the_source(
    small: Scene, other_server: ServerProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    await killed_in("_switch", small, monkeypatch, to=other_server.url)
    there = small.settings(url=other_server.url)
    with pytest.raises(UsageError, match="target of a move that is not finished: go to the source"):
        await abort(there)
    with pytest.raises(UsageError, match="target of a move that is not finished: go to the source"):
        await repartition(there, small.archive, 8)
    await small.repartition(4, to=other_server.url)


# ---- left behind ---------------------------------------------------------------------------------


async def test_a_deletion_that_was_killed_goes_on_a_day_later(
    small: Scene, other_server: ServerProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = await small.portrait()
    await small.repartition(4, to=other_server.url)
    first, second = Keyspace.of("periscope", 2).partitions
    real = Mover._discard

    async def discard(mover: Mover, side: Any, calls: Any, keys: Any, keep_ms: int) -> None:
        if keys.meta == second.meta:
            raise Killed
        await real(mover, side, calls, keys, keep_ms)

    with monkeypatch.context() as patch:
        patch.setattr(Mover, "_discard", discard)
        with pytest.raises(Killed):
            await small.repartition(4, to=other_server.url, delete_source=True)
    async with Redis.from_url(small.url) as client:
        await client.delete(first.meta)
        assert await client.exists(second.board)
        await small.repartition(9, to=other_server.url, delete_source=True)
        assert await small.names() == [second.meta, b"{periscope:control}"]
    with pytest.raises(UsageError, match="nothing is left here"):  # its fence is there for a day
        await small.repartition(4, to=other_server.url, delete_source=True)
    assert await small.portrait(other_server.url) == seen


async def test_nothing_is_deleted_if_the_database_is_not_there(
    small: Scene, other_server: ServerProcess
) -> None:
    await small.repartition(4, to=other_server.url)
    names = await small.names()
    async with Redis.from_url(other_server.url) as client:
        await client.flushall()
    with pytest.raises(MoveError, match="nothing was deleted here"):
        await small.repartition(4, to=other_server.url, delete_source=True)
    assert await small.names() == names


async def test_memos_and_crowds_are_counted(small: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is missing of them in the copy is found, whatever reads or writes it."""
    async with Periscope(small.settings()) as p:
        await p.record_interactions_batch(
            Interaction(one, "ann", Action.VIEW, interaction_id=f"i{n}")
            for n, one in enumerate(IDS)
        )
        await p.record_interactions_batch(
            Interaction("t1", f"analyst {n}", Action.VIEW) for n in range(600)
        )
    real = MoverCalls.fill
    for name in (b":done", b":a:"):

        async def fill(calls: MoverCalls, keys: Any, key: bytes, kind: str, parts: Any) -> None:
            await real(calls, keys, key, kind, parts)
            if name in key and parts:  # noqa: B023 - called within this turn
                async with Redis.from_url(small.url) as client:
                    await client.hset(key.decode(), "more", "x")

        with monkeypatch.context() as patch:
            patch.setattr(MoverCalls, "fill", fill)
            with pytest.raises(MoveError, match="the copy is not what the database is"):
                await small.repartition(4)
        assert await abort(small.settings())


async def test_a_memo_that_the_copy_lost(small: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    """One that was used in two partitions is there once; that is no loss."""
    keyspace = Keyspace.of("periscope", 2)
    one, other = (
        next(i for i in IDS if keyspace.partition_of(i.encode()) is keys)
        for keys in keyspace.partitions
    )
    async with Periscope(small.settings()) as p:
        for threat_id in (one, other):
            await p.record_interaction(threat_id, "ann", "view", interaction_id="of both")
        await p.record_interaction(one, "ann", "view", interaction_id="lost")
    real = Mover._check_doors

    async def check_doors(mover: Mover) -> None:
        await real(mover)
        async with Redis.from_url(small.url) as client:
            done = mover.target.partitions[0].done.decode()
            (name,) = [name for name in await client.hkeys(done) if b"lost" in name]
            await client.hdel(done, name)

    with monkeypatch.context() as patch:
        patch.setattr(Mover, "_check_doors", check_doors)
        with pytest.raises(MoveError, match="something that is remembered differs"):
            await small.repartition(1)
    assert await abort(small.settings())
    await small.repartition(1)
    async with Periscope(small.settings()) as p:
        await p.record_interaction(one, "ann", "view", interaction_id="of both")
        assert (await p.record_interaction(one, "ann", "view", interaction_id="lost")).views == 2
