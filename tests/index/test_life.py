"""The index builds itself, heals itself, and leaves nothing behind; all else goes on meanwhile."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest

from periscope import Event, EventsLost, IndexUnavailable, Moving, Periscope, UsageError
from periscope.archive import open_archive
from periscope.functions import RankQuery
from periscope.index import IndexState, ReadIndex, Where, dirty, feeder, read_index
from tests.conftest import OpenHere
from tests.index.support import ids, indexed, report, up_to_now
from tests.support.disk import small_disk
from tests.support.nodes import wait_until


async def test_before_it_is_built_it_says_so(periscope: Periscope, tmp_path: Path) -> None:
    index = ReadIndex(periscope, tmp_path)
    with pytest.raises(UsageError, match="not started"):
        await index.page()
    await index.start()
    await index.start()
    with pytest.raises(IndexUnavailable, match="being built") as caught:
        await index.page()
    assert caught.value.http_status == 503
    assert caught.value.retry_after_s > 0
    states = [index.status.state]
    await up_to_now(periscope, index)
    assert [*states, index.status.state] == [IndexState.BUILDING, IndexState.READY]
    await index.close()
    await index.close()
    assert list(tmp_path.iterdir()) == []


async def test_closed_in_the_middle_of_building(periscope: Periscope, tmp_path: Path) -> None:
    await periscope.add_threats_batch(map(report, range(5000)))
    for pause_s in (0.0, 0.005, 0.02, 0.08):
        index = ReadIndex(periscope, tmp_path)
        await index.start()
        await asyncio.sleep(pause_s)
        await index.close()
        assert list(tmp_path.iterdir()) == []
    assert (await periscope.get_stats()).queue == 5000


async def test_callers_that_give_up_harm_nobody(periscope: Periscope, tmp_path: Path) -> None:
    await periscope.add_threats_batch(map(report, range(2000)))
    async with indexed(periscope, tmp_path) as index:

        async def ask() -> int:
            return len((await index.page(RankQuery(), Where(text="beacon"), None, 50)).items)

        tasks = [asyncio.create_task(ask()) for _ in range(100)]
        await asyncio.sleep(0.01)
        for task in tasks[::2]:
            task.cancel()
        answers = await asyncio.gather(*tasks, return_exceptions=True)
        assert answers[1::2] == [50] * 50
        assert {type(answer) for answer in answers[::2]} <= {asyncio.CancelledError, int}
        assert await ask() == 50


async def test_closing_answers_those_who_wait(periscope: Periscope, tmp_path: Path) -> None:
    await periscope.add_threats_batch(map(report, range(2000)))
    async with indexed(periscope, tmp_path) as index:
        where = Where(text="beacon")
        tasks = [asyncio.create_task(index.page(RankQuery(), where)) for _ in range(50)]
        await asyncio.sleep(0)
        await index.close()
        answers = await asyncio.gather(*tasks, return_exceptions=True)
        refused = [one for one in answers if isinstance(one, BaseException)]
        assert all(isinstance(one, IndexUnavailable | UsageError) for one in refused), refused


@pytest.mark.parametrize("most", [0, 40])
async def test_more_changes_than_it_remembers(
    periscope: Periscope, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, most: int
) -> None:
    monkeypatch.setattr(dirty, "MOST", most)
    archive = await open_archive(tmp_path / "archive.db")
    await periscope.adopt_archive(archive)
    await periscope.add_threats_batch(map(report, range(100)))
    async with indexed(periscope, tmp_path) as index:
        await periscope.add_threats_batch(map(report, range(50, 400)))
        await periscope.remove(archive, "t7", "ann")
        await periscope.claim("t8", "ann", timedelta(minutes=5))
        await periscope.decide("t9", "ann", "benign_expected")
        await up_to_now(periscope, index)
        assert index.status.threats == 399
        assert ids((await index.page(RankQuery(), Where(holder="ann"))).items) == ["t8"]
        page = await index.page(RankQuery(), Where(source="s4"), None, 1000)
        assert set(ids(page.items)) == {f"t{number}" for number in range(4, 400, 5)} - {"t9"}
        await wait_until(lambda: is_ready(index), "it has caught up")
    await archive.close()


async def is_ready(index: ReadIndex) -> bool:
    return index.status.state is IndexState.READY and index.status.lag_events == 0


async def test_events_that_were_lost_are_made_good(periscope: Periscope, tmp_path: Path) -> None:
    tries = 0

    async def follow(since: str) -> AsyncIterator[Event]:
        nonlocal tries
        tries += 1
        first = tries == 1
        async for event in periscope.events(since):
            if first and "t5" in event.threat_ids:
                raise EventsLost("gone")
            yield event

    index = ReadIndex(periscope, tmp_path, follow=follow)
    await index.start()
    await up_to_now(periscope, index)
    await periscope.add_threats_batch([report(1)])
    await periscope.add_threats_batch([report(5)])
    await up_to_now(periscope, index)
    assert tries == 2
    assert index.status.threats == 2
    await index.close()


@pytest.mark.parametrize(
    ("error", "reason"),
    [(Moving("the database was moved"), "moved"), (KeyError("secret"), "KeyError, which is a bug")],
)
async def test_what_waiting_does_not_mend_is_told(
    periscope: Periscope,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    error: Exception,
    reason: str,
) -> None:
    monkeypatch.setattr(read_index, "FIRST_PAUSE_S", 0.3)
    refused = 0

    async def follow(since: str) -> AsyncIterator[Event]:
        nonlocal refused
        refused += 1
        if refused == 1:
            raise error
        async for event in periscope.events(since):
            yield event

    await periscope.add_threats_batch(map(report, range(5)))
    index = ReadIndex(periscope, tmp_path, follow=follow)
    await index.start()

    async def has_failed() -> bool:
        return index.status.state is IndexState.FAILED

    await wait_until(has_failed, "it says that it failed")
    assert reason in (index.status.reason or "")
    assert "secret" not in (index.status.reason or "")
    with pytest.raises(IndexUnavailable, match=reason):
        await index.page()
    await wait_until(lambda: is_ready(index), "it is built anew")
    assert await index.count() == 5
    await index.close()


async def test_readers_who_find_the_file_broken_have_it_built_anew(
    periscope: Periscope, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(read_index, "FIRST_PAUSE_S", 0.05)
    await periscope.add_threats_batch(map(report, range(5)))
    async with indexed(periscope, tmp_path) as index:
        life = index._life
        assert life is not None
        with pytest.raises(IndexUnavailable, match="built anew"):
            await life.ask(lambda asker: asker._rows("SELECT * FROM gone", (), 1))

        async def another() -> bool:
            return index._life not in (None, life) and await is_ready(index)

        await wait_until(another, "there is a new one")
        assert await index.count() == 5


async def test_an_emptied_database_empties_it(
    open_here: OpenHere, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(feeder, "CENSUS_S", 0.1)
    async with open_here(namespace="emptied") as p:
        await p.add_threats_batch(map(report, range(50)))
        async with indexed(p, tmp_path) as index:
            await p.functions.connections.client.flushall()
            await p.add_threats_batch([report(3)])

            async def only_one() -> bool:
                return index.status.threats == 1

            await wait_until(only_one, "the others are gone")
            assert ids((await index.page()).items) == ["t3"]
        await p.functions.connections.client.flushall()


async def test_each_namespace_has_its_own(open_here: OpenHere, tmp_path: Path) -> None:
    async with open_here(namespace="one") as one, open_here(namespace="two") as two:
        await one.add_threats_batch(map(report, range(10)))
        await two.add_threats_batch(map(report, range(5, 8)))
        async with indexed(one, tmp_path) as mine, indexed(two, tmp_path) as theirs:
            await two.add_threats_batch([report(20, source="theirs")])
            await up_to_now(two, theirs)
            assert mine.status.threats == 10
            assert theirs.status.threats == 4
            assert not (await mine.page(RankQuery(), Where(source="theirs"))).items
            assert "theirs" not in ((await mine.facets()).source or {})
            assert await mine.matching(["t20"], Where()) == set()
            assert not (await mine.similar("t20")).items
        await one.functions.connections.client.flushall()


async def test_a_full_disk_stops_nothing_else(periscope: Periscope, tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk", "1m") as resize:
        await periscope.add_threats_batch(map(report, range(5000)))
        index = ReadIndex(periscope, tmp_path / "disk")
        await index.start()

        async def has_failed() -> bool:
            return index.status.state is IndexState.FAILED

        await wait_until(has_failed, "the disk is full")
        assert "disk" in (index.status.reason or "")
        with pytest.raises(IndexUnavailable, match="failed: its file cannot be used"):
            await index.page()
        assert (await periscope.get_active_paginated()).total == 5000
        resize("size=200m")
        await wait_until(lambda: is_ready(index), "it is built anew by itself", 30)
        assert await index.count(Where(source="s1")) == 1000
        await index.close()


async def test_a_file_that_was_taken_away(
    periscope: Periscope, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(read_index, "FIRST_PAUSE_S", 0.01)
    async with indexed(periscope, tmp_path) as index:
        (folder,) = tmp_path.iterdir()
        (folder / "index.db").write_bytes(b"no database" * 1000)
        await periscope.add_threats_batch(map(report, range(300)))
        await wait_until(lambda: has(index, 300), "it is built anew, or did not notice", 30)


async def has(index: ReadIndex, count: int) -> bool:
    try:
        return await index.count() == count
    except IndexUnavailable:
        return False


CHILD = """
import asyncio, sys
from pathlib import Path
from periscope import Periscope
from periscope.index import ReadIndex
async def main():
    async with Periscope.open(sys.argv[1]) as p:
        index = ReadIndex(p, Path(sys.argv[2]))
        await index.start()
        await index.reached(await p.get_event_position(), 20)
        print("up", flush=True)
        await asyncio.sleep(60)
asyncio.run(main())
"""


async def test_what_a_killed_process_left_is_taken_away(
    periscope: Periscope, open_here: OpenHere, tmp_path: Path
) -> None:
    child = subprocess.Popen(
        [sys.executable, "-c", CHILD, open_here.url, str(tmp_path)], stdout=subprocess.PIPE
    )
    assert child.stdout is not None
    assert await asyncio.to_thread(child.stdout.readline) == b"up\n"
    (left,) = tmp_path.iterdir()
    async with indexed(periscope, tmp_path):
        assert left.exists()  # it is in use
        os.kill(child.pid, signal.SIGKILL)
        await asyncio.to_thread(child.wait)
    child.stdout.close()
    async with indexed(periscope, tmp_path):
        assert not left.exists()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("position", ["", "x", "1-2-3", "1-1,", "9" * 70_000, "1-1\n"])
async def test_what_is_no_position(periscope: Periscope, tmp_path: Path, position: str) -> None:
    async with indexed(periscope, tmp_path) as index:
        with pytest.raises(UsageError, match="not a position"):
            await index.reached(position)


async def test_what_one_has_written_one_can_read(periscope: Periscope, tmp_path: Path) -> None:
    async with indexed(periscope, tmp_path) as index:
        for number in range(30):
            await periscope.add_threats_batch([report(number)])
            assert await index.reached(await periscope.get_event_position())
            page = await index.page(RankQuery(), Where(text=f"beacon {number} seen"))
            assert f"t{number}" in ids(page.items)
            assert page.position == index.status.position
        at_ms = index.status.as_of_ms
        assert at_ms is not None
        assert not await index.reached("9999999999999-0", 0.01)


async def test_a_claim_that_was_prolonged_is_still_one(
    periscope: Periscope, tmp_path: Path
) -> None:
    await periscope.add_threats_batch(map(report, range(3)))
    await periscope.claim("t1", "ann", timedelta(seconds=1))
    await periscope.claim("t2", "ann", timedelta(seconds=1))
    async with indexed(periscope, tmp_path) as index:
        await periscope.claim("t1", "ann", timedelta(minutes=5))  # tells nobody

        async def only_one() -> bool:
            return (await index.facets(analyst="ann")).mine == 1

        await wait_until(only_one, "the other one's has ended")
        life = index._life
        assert life is not None

        async def looked() -> bool:
            found = await life.ask(
                lambda asker: asker._rows("SELECT max(until) FROM threats", (), 1)
            )
            return bool(found[0][0] and found[0][0] > life.feeder.now_ms + 60_000)

        await wait_until(looked, "it was looked at again")
        assert ids((await index.page(RankQuery(), Where(holder="ann"))).items) == ["t1"]
