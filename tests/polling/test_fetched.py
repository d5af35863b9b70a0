"""Feeds that are fetched, through everything: from a server on loopback to the queue."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from periscope import Periscope
from periscope.polling import Feeds
from tests.conftest import OpenHere
from tests.polling.scene import add, done, lines, numbered, stored
from tests.polling.taxii_server import TaxiiServer
from tests.polling.web import Web

HERE: dict[str, Any] = {"settle": "2s", "allow": ["127.0.0.1"]}


@pytest.fixture
async def here(open_here: OpenHere, tmp_path: Path) -> AsyncIterator[Periscope]:
    async with open_here(data_dir=str(tmp_path / "data")) as p:
        client = p.functions.connections.client
        await client.flushall()
        await p.refresh()
        yield p
        assert (await p.get_ledger(deep=True)).balanced
        await client.flushall()


async def test_a_document_is_fetched_when_it_changed(here: Periscope) -> None:
    async with Web() as server:
        server.says("/feed", lines(["a", "b"]), ETag='"1"')
        feeds = await add(here, "http", server.url("/feed"), **HERE)
        assert done(await feeds.run_feed("f")) == {"documents": 1, "read": 2, "added": 2}
        assert done(await feeds.run_feed("f")) == {}
        assert server.asked[-1].headers["If-None-Match"] == '"1"'
        server.says("/feed", lines(["a", "c"]), ETag='"2"')
        assert done(await feeds.run_feed("f")) == {
            "documents": 1,
            "read": 2,
            "added": 1,
            "duplicates": 1,
        }


async def test_loopback_is_refused_unless_it_is_allowed_by_name(here: Periscope) -> None:
    async with Web() as server:
        server.says("/feed", lines(["a"]))
        feeds = await add(here, "http", server.url("/feed"), settle="2s")
        ended = await feeds.run_feed("f")
        assert ended.error is not None
        assert "allow" in ended.error
        assert server.asked == []


async def test_secrets_go_to_the_server_and_nowhere_else(
    here: Periscope, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async with Web() as server:
        server.says("/feed", "no", status=401)
        feeds = await add(
            here,
            "http",
            server.url("/feed"),
            **HERE,
            username="me",
            password_env="THE_PASSWORD",
            headers_env={"Auth-Key": "THE_KEY"},
        )
        ended = await feeds.run_feed("f")
        assert ended.error is not None
        assert "THE_PASSWORD" in ended.error, "it is not set"
        monkeypatch.setenv("THE_PASSWORD", "sesame")
        monkeypatch.setenv("THE_KEY", "barley")
        ended = await feeds.run_feed("f")
        assert server.asked[0].headers["Auth-Key"] == "barley"
        assert server.asked[0].headers["Authorization"].startswith("Basic ")
        told = f"{ended.error} {caplog.text} {await feeds.get_feeds()}"
        client = here.functions.connections.client
        async for key in client.scan_iter():
            told += str(await client.dump(key))
        assert "sesame" not in told
        assert "barley" not in told


async def test_too_many_requests_are_waited_for(here: Periscope) -> None:
    async with Web() as server:
        server.says("/feed", "slow down", status=429, Retry_After="1800")
        feeds = await add(here, "http", server.url("/feed"), **HERE)
        assert (await feeds.run_feed("f")).error is not None
        info = await feeds.get_feed("f")
        assert info.next_ms is not None
        assert 1790 < (info.next_ms - info.now_ms) / 1000 <= 1800


async def test_a_document_that_is_no_feed_is_an_error_and_asked_for_again(here: Periscope) -> None:
    async with Web() as server:
        server.says("/feed", "<html>maintenance</html>", ETag='"1"')
        feeds = await add(here, "http", server.url("/feed"), **HERE, format="ndjson")
        first = await feeds.run_feed("f")
        assert (first.counts.added, first.counts.dead_letters) in ((0, 0), (0, 1))
        server.says("/feed", lines(["a"]), ETag='"2"')
        assert done(await feeds.run_feed("f"))["added"] == 1


async def test_a_collection_page_by_page(here: Periscope) -> None:
    async with TaxiiServer(page_objects=3) as server:
        server.add(*range(10))
        feeds = await add(here, "taxii", server.collection_url, **HERE)
        assert done(await feeds.run_feed("f"))["added"] == 10
        server.lies.fails = {server.requests + 2: 500}
        server.add(*range(10, 20))
        assert (await feeds.run_feed("f")).error is not None
        server.lies.fails = {}
        assert (await feeds.run_feed("f")).error is None
        assert len(await stored(here)) == 20


async def test_killed_in_the_middle_of_a_document_it_goes_on_there(here: Periscope) -> None:
    """The second run gets the same bytes again, and passes over what was acknowledged."""
    async with Web() as server:
        server.says("/feed", lines(numbered(0, 9_000)))
        feeds = await add(here, "http", server.url("/feed"), **HERE, max_records=4_000)
        runs = [done(await Feeds(here).run_feed("f")) for _ in range(3)]
        assert [run["added"] for run in runs] == [4_000, 4_000, 1_000]
        assert all(run["duplicates"] == 0 for run in runs)
        assert done(await feeds.run_feed("f")) == {}


async def test_a_slow_server_costs_its_own_feed_only(here: Periscope) -> None:
    async with Web() as server:

        async def trickle(request: web.Request) -> web.StreamResponse:
            answer = web.StreamResponse()
            await answer.prepare(request)
            await asyncio.sleep(30)
            return answer

        server.on("/feed", trickle)
        feeds = await add(here, "http", server.url("/feed"), **HERE, timeout="300ms")
        ended = await feeds.run_feed("f")
        assert ended.error is not None
        assert "127.0.0.1" in ended.error
