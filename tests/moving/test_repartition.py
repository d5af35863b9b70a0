"""A repartitioned database shows what it showed before, and works on."""

from __future__ import annotations

import asyncio
import time
from contextlib import suppress
from datetime import timedelta
from pathlib import Path

import pytest
from msgspec.structs import replace
from redis.asyncio import Redis
from redis.exceptions import ResponseError

from periscope import (
    Action,
    EventsLost,
    Interaction,
    MoveError,
    Moving,
    Periscope,
    RequestReused,
    UsageError,
)
from periscope.archive import open_archive
from periscope.backup import backup, restore
from periscope.keys import Keyspace, control_key, noise_key
from periscope.moving import abort, rebuild
from periscope.moving.mover import FENCE_KEPT_MS
from tests.backup.conftest import SNOOZE
from tests.conftest import assert_only_known_keys
from tests.moving.conftest import Scene, furnish
from tests.rules.scene import pass_time, say
from tests.support.following import Follower
from tests.support.servers import ServerProcess


async def furnished(scene: Scene, partitions: int) -> None:
    async with Periscope(scene.settings(partitions=partitions)) as p:
        p.functions.now_ms = scene.now_ms
        await furnish(p, scene.archive)
        scene.now_ms = p.functions.now_ms


@pytest.mark.parametrize(("before", "after"), [(1, 4), (4, 1), (1, 64), (3, 2)])
async def test_everything_is_as_it_was(scene: Scene, before: int, after: int) -> None:
    await furnished(scene, before)
    seen = await scene.portrait()
    moved = await scene.repartition(after)
    assert (moved.partitions, moved.generation, moved.resumed) == (after, 1, False)
    assert await scene.portrait() == seen
    p = await scene.opened()
    assert len(p.keyspace.partitions) == after
    await check_works_on(p, scene)
    await p.close()


async def check_works_on(p: Periscope, scene: Scene) -> None:
    again = await p.record_interaction("new 7", "ann", "escalate", interaction_id="mine")
    assert (again.interactions, again.escalations) == (1, 1)
    with pytest.raises(RequestReused):
        await p.record_interaction("new 7", "ann", "view", interaction_id="mine")
    undone = await p.undo("mine", "ann")
    assert undone.interactions == 0
    assert str(await p.add_threat("new 449", "x", "LOW")) == "suppressed"
    assert str(await p.add_threat("old 8", "as first seen", "LOW")) == "duplicate"
    assert (await p.promote_eligible_threats()).promoted == 1
    await p.claim("new 20", "bob")
    await p.sweep(scene.archive)
    acts_before = len(await scene.archive.audit(limit=1000))
    assert await p.archive_audit(scene.archive) == 2  # undo and claim
    assert len(await scene.archive.audit(limit=1000)) == acts_before + 2
    pass_time(p, SNOOZE // timedelta(milliseconds=1))
    assert sorted((await p.wake_snoozed_threats()).woken_ids) == ["asleep", "new 30"]
    ledger = await p.get_ledger(deep=True, archive=scene.archive)
    assert ledger.balanced, ledger
    await assert_only_known_keys(p)


async def test_a_second_one_goes_on_from_the_first(scene: Scene) -> None:
    await furnished(scene, 2)
    seen = await scene.portrait()
    for number, partitions in enumerate((5, 1, 3), 1):
        assert (await scene.repartition(partitions)).generation == number
        assert await scene.portrait() == seen
    p = await scene.opened()
    await check_works_on(p, scene)
    await p.close()


@pytest.mark.parametrize("partitions", [1, 4])
async def test_to_another_server(
    scene: Scene, other_server: ServerProcess, partitions: int
) -> None:
    await furnished(scene, 1)
    seen = await scene.portrait()
    moved = await scene.repartition(partitions, to=other_server.url)
    assert moved.to == other_server.url
    assert await scene.portrait(other_server.url) == seen
    with pytest.raises(Moving, match=f"moved to {other_server.url}"):
        await scene.opened()
    with pytest.raises(UsageError, match="--delete-source"):
        await scene.repartition(partitions, to=other_server.url)
    await scene.repartition(partitions, to=other_server.url, delete_source=True)
    assert await scene.names() == [b"{periscope:0}:meta", b"{periscope:control}"]
    with pytest.raises(Moving, match="moved to"):
        await scene.opened()
    p = await scene.opened(other_server.url)
    await check_works_on(p, scene)
    await p.close()


async def test_a_target_that_is_not_empty_is_refused(
    scene: Scene, other_server: ServerProcess
) -> None:
    await furnished(scene, 1)
    await (await scene.opened(other_server.url)).close()
    for url in (other_server.url, scene.url):
        with pytest.raises(MoveError, match="holds keys of namespace 'periscope' already"):
            await scene.repartition(4, to=url)
    await (await scene.opened()).close()


async def test_nothing_left_but_the_fence(scene: Scene) -> None:
    await furnished(scene, 3)
    await scene.repartition(2)
    async with Redis.from_url(scene.url) as client:
        old = Keyspace.of("periscope", 3)
        for keys in old.partitions:
            assert await scene.names(keys.tag + b"*") == [keys.meta]
            assert 0 < await client.pttl(keys.meta) <= FENCE_KEPT_MS


async def test_an_open_program_is_told(scene: Scene) -> None:
    """It is refused while the move is under way and afterwards; what it was told holds."""
    await furnished(scene, 1)
    p = await scene.opened()
    moves: list[BaseException] = []

    async def write() -> None:
        number = 0
        while True:
            try:
                await p.add_threat(f"added {number}", "x", "LOW")
            except Moving as exc:
                moves.append(exc)
                return
            number += 1
            await asyncio.sleep(0)

    writing = asyncio.create_task(write())
    await scene.repartition(4)
    await writing
    assert "closed for `periscope repartition`" in str(moves[0]) or "open it again" in str(moves[0])
    before = await scene.portrait()
    for attempt in (p.add_threat("late", "x", "LOW"), p.get_top_threats(), p.get_stats()):
        with pytest.raises(Moving, match="open it again"):
            await attempt
    async with Redis.from_url(scene.url) as client:  # a day later the fence is gone as well
        await client.delete(Keyspace.of("periscope", 1).partitions[0].meta)
    with pytest.raises(Moving, match="open it again"):
        await p.add_threat("late", "x", "LOW")
    with pytest.raises(Moving, match="open it again"):
        await p.get_top_threats()
    await p.close()
    assert await scene.portrait() == before
    added = [one for one in before["threats"] if one.startswith("added")]
    assert before["ledger"].received == before["stats"].ledger.received >= len(added)


async def test_nothing_acknowledged_is_lost(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    """Analysts act until the fence; whatever was acknowledged is there, and in the archive."""
    monkeypatch.setattr("periscope.moving.mover.SETTLE_S", 0.3)
    async with Periscope(scene.settings(partitions=3)) as p:
        await p.add_threats_batch(
            {"threat_id": f"t{n}", "content": "x", "severity": "HIGH"} for n in range(600)
        )
        acknowledged: list[tuple[str, int]] = []

        async def act(analyst: str) -> None:
            with suppress(Moving):
                for number in range(10_000):
                    one = f"t{number % 600}"
                    threat = await p.record_interaction(one, analyst, "view")
                    acknowledged.append((one, threat.interactions))
                    if number == 100:
                        started.set()

        started = asyncio.Event()
        tasks = [asyncio.create_task(act(analyst)) for analyst in ("ann", "bob", "zoe")]
        await started.wait()
        await scene.repartition(2)
        await asyncio.gather(*tasks)
    async with Periscope(scene.settings()) as p:
        views = await p.get_threats([f"t{n}" for n in range(600)])
        assert sum(t.views for t in views) == len(acknowledged)
        assert (await p.get_ledger(deep=True, archive=scene.archive)).balanced
        assert await p.archive_audit(scene.archive) == 0
    rows = [row async for row in scene.archive.export() if row["table"] == "audit"]
    assert len(rows) == len(acknowledged)


async def test_followers_are_told_that_they_missed_something(scene: Scene) -> None:
    await furnished(scene, 3)
    positions: list[str] = []
    for change in (3, 2, 3):
        p = await scene.opened()
        if positions:
            with pytest.raises(EventsLost):
                await anext(p.events(since=positions[-1]))
        following = p.events()
        waiting = asyncio.ensure_future(anext(following))
        while not waiting.done():
            await say(p, "seen", "LOW", content=str(len(positions)) + str(time.monotonic_ns()))
        positions.append((await waiting).position)
        await following.aclose()  # type: ignore[attr-defined]
        await p.close()
        if change != len(p.keyspace.partitions):
            await scene.repartition(change)
        else:
            await rebuild(scene.settings(), scene.archive, lambda o: replace(o, escalations_cap=2))


async def test_who_follows_is_told_to_open_it_again(scene: Scene) -> None:
    await furnished(scene, 1)
    p = await scene.opened()
    follower = Follower(p)
    await p.add_threat("followed", "x", "LOW")
    await follower.until("followed", 10)
    await scene.repartition(2)
    await follower.ended(Moving, "open it again")
    await p.close()


async def test_an_old_program_is_refused(scene: Scene) -> None:
    """One of 0.2 looks under the old names: both its ways in are shut."""
    await furnished(scene, 1)
    p = await scene.opened()
    await scene.repartition(2)
    (keys,) = p.keyspace.partitions
    await p.close()
    async with Redis.from_url(scene.url) as client:
        with pytest.raises(ResponseError, match="NEWER_FORMAT a database of format 2"):
            await client.fcall("periscope_control", 1, "{periscope:control}", 1, 1, "s", "{}")
        with pytest.raises(ResponseError, match="MOVING"):
            await client.fcall("periscope_prepare", 1, keys.meta, 1, 1, "1")


async def test_a_backup_of_it_restores(
    scene: Scene, other_server: ServerProcess, tmp_path: Path
) -> None:
    await furnished(scene, 2)
    await scene.repartition(3)
    seen = await scene.portrait()
    p = await scene.opened()
    taken = await backup(p, scene.archive, tmp_path / "b")
    await p.close()
    place = await open_archive(tmp_path / "other.db")
    await restore(scene.settings(url=other_server.url), place, taken.path)
    assert await scene.portrait(other_server.url) == seen
    await place.close()


async def test_what_makes_no_sense_is_refused(scene: Scene) -> None:
    with pytest.raises(MoveError, match="no database"):
        await scene.repartition(2)
    await furnished(scene, 2)
    for partitions, said in ((2, "partitions is 2 already"), (0, "from 1"), (1025, "to 1,024")):
        with pytest.raises(UsageError, match=said):
            await scene.repartition(partitions)
    with pytest.raises(UsageError, match="delete_source"):
        await scene.repartition(3, delete_source=True)
    assert not await abort(scene.settings())


async def test_a_crowd_of_analysts_and_large_reports_come_along(scene: Scene) -> None:
    """More analysts than are read with the threat, more bytes than one reply or call takes."""
    async with Periscope(scene.settings()) as p:
        p.functions.now_ms = scene.now_ms
        await p.add_threats_batch(
            {"threat_id": f"t{n}", "content": "x" * 50_000, "severity": "HIGH"} for n in range(60)
        )
        await p.record_interactions_batch(
            Interaction(one, f"analyst {n}", Action.VIEW)
            for one, count in (("t1", 1200), ("t2", 300))
            for n in range(count)
        )
    seen = await scene.portrait()
    assert [len(seen["desks"][one][1]) for one in ("t1", "t2")] == [1200, 300]
    await scene.repartition(3)
    assert await scene.portrait() == seen


async def test_rules_and_lists_go_to_another_server_and_no_further(
    scene: Scene, other_server: ServerProcess
) -> None:
    await furnished(scene, 2)
    seen = await scene.portrait()
    assert seen["noise"].endswith("Sample of harmless hosts")
    await scene.repartition(3, to=other_server.url, delete_source=True)
    assert await scene.portrait(other_server.url) == seen
    async with Redis.from_url(scene.url) as client:
        assert not await client.exists(noise_key("periscope"))
    p = await scene.opened(other_server.url)
    await p.drop_warninglist("Sample of harmless hosts")
    assert await p.get_warninglists() == []
    await p.close()


async def test_rules_stand_still_while_a_move_is_under_way(scene: Scene) -> None:
    await furnished(scene, 1)
    p = await scene.opened()
    async with Redis.from_url(scene.url) as client:
        await client.hset(control_key("periscope"), "move", "somebody's")
        with pytest.raises(Moving, match="change rules and lists when that is done"):
            await p.add_suppression("source=x", "noise", "ann")
        await client.hdel(control_key("periscope"), "move")
    await p.add_suppression("source=x", "noise", "ann")
    await p.close()
