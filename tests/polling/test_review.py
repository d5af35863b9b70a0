"""What a hostile review found: secrets stored, runs that end early, clocks, half documents."""

from __future__ import annotations

import asyncio
import json
import os
import time
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from periscope import Periscope
from periscope.errors import FetchFailed, SettingInvalid
from periscope.polling import Feeds, FeedWorker
from periscope.polling.checks import define
from periscope.polling.feeds import feeds_of
from periscope.settings import Settings
from tests.conftest import OpenHere
from tests.polling.scene import add, done, lines, numbered, report, run_once, stored
from tests.polling.test_worker import Made, made, text
from tests.polling.web import Web


@pytest.fixture
async def here(open_here: OpenHere, tmp_path: Path) -> AsyncIterator[Periscope]:
    async with open_here(data_dir=str(tmp_path / "data")) as p:
        client = p.functions.connections.client
        await client.flushall()
        await p.refresh()
        yield p
        await client.flushall()


async def test_no_query_of_a_url_is_stored(here: Periscope, tmp_path: Path) -> None:
    async with Web() as web:
        web.says("/feed", lines(["a"]))
        place = web.url("/feed?apikey=hidden-in-a-query")
        feeds = Feeds(here)
        feeds.in_file["f"] = define(
            "f", {"kind": "http", "place": place, "allow": ["127.0.0.1"], "format": "ndjson"}
        )
        assert done(await feeds.run_feed("f")) == {"documents": 1, "read": 1, "added": 1}
    client = here.functions.connections.client
    for key in await client.keys("*feed*"):
        assert "hidden-in-a-query" not in str(await client.hgetall(key))


async def test_a_run_that_was_stopped_is_due_at_once_and_no_success(
    here: Periscope, tmp_path: Path
) -> None:
    place = tmp_path / "f.ndjson"
    place.write_text(lines(numbered(0, 9_000)))
    feeds = await add(here, "file", place, interval="1d")
    halt = asyncio.Event()
    ended = await feeds.run_feed("f", told=lambda _: halt.set(), halt=halt)
    assert (ended.halted, ended.counts.read) == (True, 4_000)
    info = await feeds.get_feed("f")
    assert (info.next_ms or 0) <= info.now_ms, "the rest need not wait a day"
    assert info.status.last_success_ms is None


async def test_a_feed_defined_anew_while_it_runs_ends_soon_and_is_due(
    here: Periscope, tmp_path: Path
) -> None:
    place = tmp_path / "f.ndjson"
    place.write_text(lines(numbered(0, 9_000)))
    feeds = await add(here, "file", place, interval="1d")
    again: list[asyncio.Task[object]] = []

    def told(_: object) -> None:
        if not again:
            fields = {"kind": "file", "place": str(place), "settle": "0s", "interval": "2d"}
            again.append(asyncio.create_task(feeds.add_feed("f", replace=True, **fields)))

    await feeds.run_feed("f", told=told)
    await again[0]
    info = await feeds.get_feed("f")
    assert (info.next_ms or 0) <= info.now_ms


@pytest.mark.parametrize("kind", ["file", "directory"])
async def test_a_file_from_the_future_is_read(here: Periscope, tmp_path: Path, kind: str) -> None:
    folder = tmp_path / "drop"
    folder.mkdir()
    place = folder / "f.ndjson"
    place.write_text(lines(["a"]))
    later = time.time() + 86_400 * 365
    os.utime(place, (later, later))
    await add(here, kind, place if kind == "file" else folder, settle="100ms")
    await asyncio.sleep(0.15)  # as long as it must have been left alone
    assert done(await run_once(here)) == {"documents": 1, "read": 1, "added": 1}


async def test_a_fetched_document_that_breaks_off_is_asked_for_again(here: Periscope) -> None:
    """Sent until the connection closes, without a length: only its reader sees that it was cut."""
    whole = json.dumps([report(one) for one in numbered(0, 9_000)])
    async with Web() as web:
        web.says("/feed", whole[:-20_000], ETag='"1"')
        fields = {"format": "json", "allow": ["127.0.0.1"], "settle": "2s"}
        feeds = await add(here, "http", web.url("/feed"), **fields)
        ended = await feeds.run_feed("f")
        assert web.url("/feed") in (ended.error or "")
        assert (ended.counts.documents, ended.counts.rejected) == (0, 0)
        web.says("/feed", whole, ETag='"1"')
        assert (await feeds.run_feed("f")).error is None
        assert "If-None-Match" not in web.asked[-1].headers
    assert await stored(here) == set(numbered(0, 9_000))
    assert (await here.get_ledger()).balanced


async def test_a_clock_that_was_set_back_holds_up_no_feed(here: Periscope, tmp_path: Path) -> None:
    place = tmp_path / "f.ndjson"
    place.write_text(lines(["a"]))
    now_ms = time.time_ns() // 1_000_000
    here.functions.now_ms = now_ms + 365 * 86_400_000
    await add(here, "file", place, interval="10s")
    await FeedWorker(here).run_once()
    here.functions.now_ms = now_ms
    place.write_text(lines(["a", "b"]))
    stats = await FeedWorker(here).run_once()
    assert (stats.runs, stats.added) == (1, 1)


async def test_a_time_in_the_future_does_not_hide_the_lag(here: Periscope, tmp_path: Path) -> None:
    place = tmp_path / "f.ndjson"
    hour_ago = datetime.now(UTC) - timedelta(hours=1)
    said = [hour_ago, datetime(2999, 1, 1, tzinfo=UTC)]
    reports = [report(f"t{n}", observed_at=when.isoformat()) for n, when in enumerate(said)]
    place.write_text("".join(json.dumps(one) + "\n" for one in reports))
    feeds = await add(here, "file", place)
    await feeds.run_feed("f")
    lag_ms = (await feeds.get_feed("f")).lag_ms
    assert lag_ms is not None
    assert 3_600_000 <= lag_ms < 3_700_000


def test_more_feeds_than_there_may_be_are_told(tmp_path: Path) -> None:
    path = tmp_path / "periscope.toml"
    table = '[feeds.f{}]\nkind = "file"\nplace = "f"\n'
    path.write_text("".join(table.format(number) for number in range(501)))
    with pytest.raises(SettingInvalid, match="501 feeds"):
        feeds_of(Settings(config=str(path)))


@pytest.mark.parametrize("at", [1, 2, 3])
async def test_one_bad_line_costs_itself_wherever_it_is(
    here: Periscope, tmp_path: Path, at: int
) -> None:
    written = lines(numbered(0, 3)).splitlines(keepends=True)
    written.insert(at, "bad\n")
    place = tmp_path / "f.ndjson"
    place.write_text("".join(written))
    await add(here, "file", place)
    brought = {"documents": 1, "read": 4, "added": 3, "rejected": 1, "dead_letters": 1}
    assert done(await run_once(here)) == brought
    (letter,) = Feeds(here).letters.read("f")
    assert (letter.excerpt, letter.place) == ("bad", f"line {at + 1}")


async def test_a_failure_after_progress_is_the_first_in_a_row(
    here: Periscope, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else a long walk through a server that often fails would wait an hour after each step."""
    source = Made(*(text(f"t{at}") for at in range(3)))
    feeds = await made(here, monkeypatch, source, interval="10s", jitter="0s")
    for at in range(3):
        source.given.insert(at, FetchFailed("no answer"))
        await feeds.run_feed("f")
        await feeds.run_feed("f")
        source.given.pop(at)
        source.given.insert(at + 1, FetchFailed("no answer"))
        await feeds.run_feed("f")
        source.given.pop(at + 1)
        info = await feeds.get_feed("f")
        assert info.status.failures == 1
        assert (info.next_ms or 0) - info.now_ms <= 10_000
