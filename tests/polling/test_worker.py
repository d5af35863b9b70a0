"""The worker of feeds: what fails holds up nobody, is said once, and waits longer each time."""

from __future__ import annotations

import asyncio
import logging
import os
import time
from collections.abc import AsyncIterator
from datetime import timedelta
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest

from periscope import Periscope
from periscope.errors import FeedError, FetchFailed
from periscope.polling import Definition, Document, Feeds, FeedWorker
from periscope.polling import sources as sources_module
from periscope.polling.document import Position
from periscope.workers import State
from tests.conftest import OpenHere
from tests.polling.scene import USUAL, add, done, lines, numbered, run_once, stored, until
from tests.support.history import say
from tests.support.patience import PATIENCE

QUICK = timedelta(milliseconds=10)


@pytest.fixture
async def here(open_here: OpenHere, tmp_path: Path) -> AsyncIterator[Periscope]:
    async with open_here(data_dir=str(tmp_path / "data")) as p:
        client = p.functions.connections.client
        await client.flushall()
        await p.refresh()
        yield p
        await client.flushall()


class Made:
    """A source made to order: documents, and errors in their places."""

    def __init__(self, *given: bytes | Exception) -> None:
        self.given = list(given)
        self.asked: list[Position | None] = []

    def __call__(self, definition: Definition) -> Made:
        return self

    async def documents(self, position: Position | None) -> AsyncIterator[Document]:
        self.asked.append(position)
        begin = 0 if position is None else position["at"]
        for at, one in enumerate(self.given[begin:], begin):
            if isinstance(one, Exception):
                raise one
            yield Document(f"doc {at}", BytesIO(one), f"doc {at}", {"at": at + 1}, "ndjson")


async def made(p: Periscope, monkeypatch: pytest.MonkeyPatch, source: Any, **fields: Any) -> Feeds:
    monkeypatch.setitem(sources_module.SOURCES, "http", source)
    return await add(p, "http", "https://example.com/", **{"settle": "2s", **fields})


def text(*ids: str) -> bytes:
    return lines(ids).encode()


async def test_documents_before_a_failure_stand(
    here: Periscope, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = Made(text("a"), FeedError("the page is gone"), text("b"))
    feeds = await made(here, monkeypatch, source)
    ended = await feeds.run_feed("f")
    assert (ended.error, ended.counts.added) == ("the page is gone", 1)
    source.given[1] = text("c")
    assert done(await feeds.run_feed("f")) == {"documents": 2, "read": 2, "added": 2}
    assert source.asked == [None, {"at": 1}]


async def test_a_failure_waits_longer_each_time_and_is_said_once(
    here: Periscope, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)
    source = Made(FeedError("no answer"))
    feeds = await made(here, monkeypatch, source, interval="10s", jitter="0s")
    waits = []
    for _ in range(4):
        await feeds.run_feed("f")
        info = await feeds.get_feed("f")
        assert info.next_ms is not None
        waits.append(round((info.next_ms - info.now_ms) / 1000))
    assert waits == [10, 20, 40, 80]
    assert (info.state, info.status.failures, info.status.last_error) == ("failing", 4, "no answer")
    assert caplog.text.count("no answer") == 1
    source.given = []
    await feeds.run_feed("f")
    assert "feed f is well again" in caplog.text
    info = await feeds.get_feed("f")
    assert (info.state, info.status.failures) == ("waiting", 0)
    assert info.status.last_error == "no answer", "kept, with its time"


async def test_what_the_server_asks_for_is_waited(
    here: Periscope, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = Made(FetchFailed("too many requests", retry_after_s=7200.0))
    feeds = await made(here, monkeypatch, source, interval="10s", jitter="0s")
    await feeds.run_feed("f")
    info = await feeds.get_feed("f")
    assert info.next_ms is not None
    assert 7190 < (info.next_ms - info.now_ms) / 1000 <= 7200


async def test_a_feed_that_breaks_stops_no_other(
    here: Periscope, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Not even with an error that is none of ours."""
    feeds = await made(here, monkeypatch, Made(ZeroDivisionError("ours"), text("x")))
    (tmp_path / "good.ndjson").write_text(lines(["good"]))
    await feeds.add_feed("good", kind="file", place=str(tmp_path / "good.ndjson"), settle="0s")
    await feeds.add_feed("gone", kind="file", place="/nowhere")
    stats = await FeedWorker(here).run_once()
    assert (stats.runs, stats.failed, stats.added) == (3, 2, 1)
    states = {one.name: (one.state, one.status.last_error) for one in await feeds.get_feeds()}
    assert states["f"] == ("failing", "ZeroDivisionError: ours")
    assert states["good"][0] == "waiting"
    assert "/nowhere" in str(states["gone"][1])


async def test_no_more_than_four_at_once(here: Periscope, monkeypatch: pytest.MonkeyPatch) -> None:
    running, most = 0, 0

    class Slow(Made):
        async def documents(self, position: Position | None) -> AsyncIterator[Document]:
            nonlocal running, most
            running += 1
            most = max(most, running)
            await asyncio.sleep(0.05)
            running -= 1
            yield Document("doc", BytesIO(text("a")), "doc", {"at": 1}, "ndjson")

    monkeypatch.setitem(sources_module.SOURCES, "http", Slow())
    for number in range(10):
        await Feeds(here).add_feed(f"f{number}", kind="http", place="https://example.com/")
    stats = await FeedWorker(here).run_once()
    assert (stats.runs, most) == (10, 4)


async def test_a_hanging_fetch_delays_neither_others_nor_the_end(
    here: Periscope, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    class Hanging(Made):
        async def documents(self, position: Position | None) -> AsyncIterator[Document]:
            await asyncio.sleep(3600)
            yield Document("doc", BytesIO(b""), "doc", {})

    feeds = await made(here, monkeypatch, Hanging())
    (tmp_path / "good.ndjson").write_text(lines(["good"]))
    await feeds.add_feed("good", kind="file", place=str(tmp_path / "good.ndjson"), settle="0s")
    worker = await FeedWorker(here, QUICK).start()
    await until(lambda: has(here, "good"), "the other one is read")
    async with asyncio.timeout(2):
        await worker.stop()
    assert worker.status().state is State.STOPPED
    info = await feeds.get_feed("f")
    assert (info.owner, info.status.failures) == (None, 0), "given back, and no failure"


async def has(p: Periscope, threat_id: str) -> bool:
    return await p.threat_exists(threat_id, exact=True)


async def test_paused_in_the_middle_it_ends_after_the_slice(
    here: Periscope, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    place = tmp_path / "feed.ndjson"
    place.write_text(lines(numbered(0, 12_000)))
    feeds = await add(here, "file", place)
    slices = 0

    def pause(run: Any) -> None:
        nonlocal slices
        slices += 1
        pausing.append(asyncio.create_task(feeds.pause_feed("f")))

    pausing: list[asyncio.Task[bool]] = []
    ended = await feeds.run_feed("f", told=pause)
    await asyncio.gather(*pausing)
    assert ended.halted
    assert ended.counts.added < 12_000
    await feeds.resume_feed("f")
    rest = await feeds.run_feed("f")
    assert ended.counts.added + rest.counts.added == 12_000
    assert rest.counts.duplicates == 0


async def test_a_limit_of_records_goes_on_in_the_next_run(here: Periscope, tmp_path: Path) -> None:
    place = tmp_path / "feed.ndjson"
    place.write_text(lines(numbered(0, 9_000)))
    await add(here, "file", place, max_records=4_500)
    runs = [done(await run_once(here)) for _ in range(3)]
    assert [run["added"] for run in runs] == [4_500, 4_500, 0]
    assert await stored(here) == set(numbered(0, 9_000))


async def test_reading_does_not_hold_up_the_event_loop(here: Periscope, tmp_path: Path) -> None:
    """Records that the slow way has to map, 40,000 of them, while a clock ticks.

    Measured in this process's own time: how long others have the machine says nothing about us.
    """
    place = tmp_path / "feed.ndjson"
    place.write_text(
        "".join(f'{{"id": "t{n}", "level": "high", "message": "m{n}"}}\n' for n in range(40_000))
    )
    await add(here, "file", place)
    longest_s = 0.0

    async def tick() -> None:
        nonlocal longest_s
        while True:
            before = time.process_time()
            await asyncio.sleep(0.001)
            longest_s = max(longest_s, time.process_time() - before)

    ticking = asyncio.create_task(tick())
    assert done(await run_once(here))["added"] == 40_000
    ticking.cancel()
    say(f"feeds: 40,000 mapped records, the loop held up for {longest_s * 1000:.0f} ms at most")
    assert (
        longest_s < 0.2 * PATIENCE
    )  # of a second of reading in all; the thread that reads counts as well


async def test_definitions_are_looked_at_anew(here: Periscope, tmp_path: Path) -> None:
    """A feed that is added, changed or removed while a worker runs."""
    (tmp_path / "a.ndjson").write_text(lines(["a"]))
    (tmp_path / "b.ndjson").write_text(lines(["b"]))
    async with FeedWorker(here, QUICK):
        feeds = await add(here, "file", tmp_path / "a.ndjson")
        await until(lambda: has(here, "a"), "it is read")
        await feeds.add_feed(
            "f", replace=True, kind="file", place=str(tmp_path / "b.ndjson"), **USUAL
        )
        await until(lambda: has(here, "b"), "it is read from the other place")
        await feeds.remove_feed("f")
    assert await feeds.get_feeds() == []


async def test_what_is_left_of_a_feed_that_is_gone(
    here: Periscope, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """One of a periscope.toml that another process has no part in."""
    config = tmp_path / "periscope.toml"
    config.write_text('[feeds.mine]\nkind = "file"\nplace = "a.ndjson"\nsettle = "0s"\n')
    (tmp_path / "a.ndjson").write_text(lines(["a"]))
    async with Periscope.open(here.settings.url, config=str(config)) as p:
        assert (await FeedWorker(p).run_once()).added == 1
        info = await Feeds(p).get_feed("mine")
        assert (info.origin, info.state) == ("file", "waiting")
    info = await Feeds(here).get_feed("mine")
    assert (info.origin, info.state, info.definition) == ("gone", "gone", None)
    await Feeds(here).add_feed("mine", kind="file", place="/elsewhere")
    async with Periscope.open(here.settings.url, config=str(config)) as p:
        await FeedWorker(p).run_once()
        assert (await Feeds(p).get_feed("mine")).origin == "file"
    assert "the file counts" in caplog.text
    await Feeds(here).remove_feed("mine")


async def test_what_was_begun_is_remembered_while_another_document_comes_before(
    here: Periscope, tmp_path: Path
) -> None:
    """A file with an older time is moved in after a run was broken off in the middle of another."""
    folder = tmp_path / "drop"
    folder.mkdir()
    (folder / "big.ndjson").write_text(lines(numbered(0, 6_000)))
    feeds = await add(here, "directory", folder, max_records=4_000)
    assert done(await run_once(here))["added"] == 4_000
    (folder / "small.ndjson").write_text(lines(["small"]))
    os.utime(folder / "small.ndjson", (1, 1))
    await feeds.add_feed("f", replace=True, kind="directory", place=str(folder), **USUAL)
    assert done(await run_once(here)) == {"documents": 2, "read": 2_001, "added": 2_001}
