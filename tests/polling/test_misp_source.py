"""MISP feeds: only what moved is fetched, nothing is skipped, and a bad event stops no other."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import AsyncIterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from periscope.errors import FeedError, FetchFailed, FetchRefused
from periscope.polling.document import Position
from periscope.polling.fetch import Client
from periscope.polling.misp_known import MAX_BUCKETS, Event, Known, known_of
from periscope.polling.misp_source import MAX_FAILED_IN_A_ROW, MispSource
from tests.feeds.support import real_data
from tests.polling.misp_feed import MispFeed, events_of, uuid_of
from tests.polling.support import Run, options, run
from tests.polling.web import Web
from tests.support.history import say

CLIENT = Client()


@pytest.fixture
async def feed() -> AsyncIterator[MispFeed]:
    async with MispFeed() as started:
        yield started


async def poll(
    feed: Web, position: Position | None = None, place: str | None = None, stop: int = 10**9
) -> Run:
    place = place or feed.url("/osint/")
    feed.asked.clear()
    return await run(MispSource(place, CLIENT, options()), position, stop)


async def test_events_come_oldest_first_and_once(feed: MispFeed) -> None:
    for number, time in ((1, 300), (2, 100), (3, 200)):
        feed.put(number, time)
    result = await poll(feed)
    assert events_of(result.bodies) == [(2, 100), (3, 200), (1, 300)]
    assert result.error is None
    assert (await poll(feed, result.position())).bodies == []
    assert len(feed.asked) == 1


async def test_only_what_moved_is_fetched(feed: MispFeed) -> None:
    for number in range(50):
        feed.put(number, 1_000 + number)
    position = (await poll(feed)).position()
    feed.put(7, 5_000)
    feed.put(50, 5_001)
    result = await poll(feed, position)
    assert {(7, 5_000), (50, 5_001)} <= set(events_of(result.bodies))
    assert len(result.bodies) <= 6
    assert (await poll(feed, result.position())).bodies == []


async def test_an_old_event_published_late_is_fetched_and_nothing_else(feed: MispFeed) -> None:
    """A mark at the newest timestamp would skip it for ever."""
    for number in range(50):
        feed.put(number, 1_000 + number)
    position = (await poll(feed)).position()
    feed.put(99, 5)
    assert events_of((await poll(feed, position)).bodies) == [(99, 5)]


@pytest.mark.parametrize("stop", range(5))
async def test_a_kill_after_any_event_skips_none(feed: MispFeed, stop: int) -> None:
    for number in range(5):
        feed.put(number, 100 + number)
    first = await poll(feed, stop=stop)
    second = await poll(feed, first.position())
    assert [one for one, _ in events_of(first.bodies + second.bodies)] == list(range(5))


@pytest.mark.parametrize("status", [404, 403, 410, 500])
async def test_a_failed_event_stops_no_other_and_is_asked_for_again(
    feed: MispFeed, status: int
) -> None:
    for number in range(5):
        feed.put(number, 100 + number)
    feed.fails = {1: status, 4: status}
    first = await poll(feed)
    assert [one for one, _ in events_of(first.bodies)] == [0, 2, 3]
    assert str(status) in str(first.error)
    feed.fails = {}
    second = await poll(feed, first.position())
    assert [one for one, _ in events_of(second.bodies)] == [1, 4]
    assert second.error is None


async def test_an_event_that_nobody_can_open_is_asked_for_again(feed: MispFeed) -> None:
    for number in range(4):
        feed.put(number, 100 + number)
    source = MispSource(feed.place, CLIENT, options())
    position: Position | None = None

    async def read() -> None:
        nonlocal position
        async for document in source.documents(None):
            document.file.close()
            if document.name.endswith(f"{uuid_of(1)}.json"):
                source.refuse(document, "no event")
            else:
                position = document.after

    with pytest.raises(FeedError, match="no event"):
        await read()
    assert [one for one, _ in events_of((await poll(feed, position)).bodies)] == [1]


async def test_events_that_always_fail_do_not_starve_the_others(feed: MispFeed) -> None:
    """Ten failures in a row look like a server that is down; next time the others go first."""
    for number in range(MAX_FAILED_IN_A_ROW + 20):
        feed.put(number, 100 + number)
    feed.fails = dict.fromkeys(range(MAX_FAILED_IN_A_ROW + 2), 500)
    first = await poll(feed)
    assert isinstance(first.error, FetchFailed)
    assert len(feed.fetched) == MAX_FAILED_IN_A_ROW
    assert [body for body in first.bodies if body] == []
    second = await poll(feed, first.position())
    assert len(events_of(second.bodies)) == 18
    feed.fails = {}
    third = await poll(feed, second.position())
    assert [one for one, _ in events_of(third.bodies)] == [10, 11, *range(10)]
    assert (await poll(feed, third.position())).bodies == []


@pytest.mark.parametrize("status", [401, 429, 503])
async def test_a_server_that_asks_for_a_pause_gets_it(feed: MispFeed, status: int) -> None:
    for number in range(5):
        feed.put(number, 100 + number)
    feed.fails = {2: status}
    result = await poll(feed)
    assert feed.fetched == [0, 1, 2]
    assert len(result.bodies) == 2
    assert str(status) in str(result.error)


@pytest.mark.parametrize("path", ["/osint", "/osint/", "/osint/manifest.json"])
async def test_the_place_is_the_folder_or_its_manifest(feed: MispFeed, path: str) -> None:
    feed.put(1, 100)
    result = await poll(feed, place=feed.url(f"{path}?key=secret"))
    assert len(result.bodies) == 1
    assert "secret" not in result.names[0]
    assert {request.query["key"] for request in feed.asked} == {"secret"}


async def test_what_is_no_uuid_becomes_no_path(
    feed: MispFeed, caplog: pytest.LogCaptureFixture
) -> None:
    feed.put(1, 100)
    keys = ["../../etc/passwd", "..", "a/b", "http://10.0.0.1/", uuid_of(2)[:-1], uuid_of(2) + "\n"]
    keys += ["x" * 5_000, "१" + uuid_of(2)[1:], ""]
    feed.extra = {key: {"timestamp": "1"} for key in keys}
    with caplog.at_level(logging.WARNING):
        result = await poll(feed)
    assert (events_of(result.bodies), result.error) == ([(1, 100)], None)
    assert feed.fetched == [1]
    assert "9 entries have no UUID" in caplog.text
    assert "passwd" not in caplog.text


@pytest.mark.parametrize("stamp", [None, "", "soon", -5, 1e99, "9" * 400, [], {"a": 1}, True])
async def test_an_entry_without_a_usable_time_is_fetched_when_it_changes(
    feed: MispFeed, stamp: Any
) -> None:
    feed.put(1, 100)
    feed.extra = {uuid_of(1): {"timestamp": stamp, "info": "a"}}
    first = await poll(feed)
    assert len(first.bodies) == 1
    assert (await poll(feed, first.position())).bodies == []
    feed.extra = {uuid_of(1): {"timestamp": stamp, "info": "b"}}
    assert len((await poll(feed, first.position())).bodies) == 1


@pytest.mark.parametrize(
    "body",
    [
        *(b"", b"[1]", b"<html>", b'"x"', b"null", b'{"a"', b"[" * 100_000, b"\xff\xfe{\x00"),
        b'{"x":' * 100_000,
    ],
)
async def test_what_is_no_manifest_is_an_error(body: bytes) -> None:
    async with Web() as web:
        web.says("/osint/manifest.json", body)
        result = await poll(web)
    assert isinstance(result.error, FeedError)
    assert "\n" not in str(result.error)


async def test_an_empty_feed_is_empty_however_it_is_written() -> None:
    async with Web() as web:
        for body in ("{}", "[]", " [] \n"):
            web.says("/osint/manifest.json", body)
            result = await poll(web)
            assert (result.bodies, result.error) == ([], None)


async def test_an_event_that_is_sent_elsewhere_is_judged(feed: MispFeed) -> None:
    feed.put(1, 100)
    feed.put(2, 200)
    feed.sends_on(f"/osint/{uuid_of(1)}.json", "http://10.0.0.1/")
    result = await poll(feed)
    assert isinstance(result.error, FetchRefused)
    assert events_of(result.bodies) == [(2, 200)]


async def test_a_damaged_position_reads_everything_again(feed: MispFeed) -> None:
    feed.put(1, 100)
    for position in ({}, {"known": 5}, {"known": "\x00"}, {"known": "abc", "late": 7}):
        assert len((await poll(feed, position)).bodies) == 1


async def test_a_real_feed_is_read() -> None:
    folder = real_data("misp", "feed")
    async with Web() as web:
        for path in folder.iterdir():
            web.says(f"/osint/{path.name}", path.read_bytes())
        result = await poll(web)
    assert result.error is None
    assert len(result.bodies) == 4
    assert all("Event" in json.loads(body) for body in result.bodies)


# ---- what is known ------------------------------------------------------------------------------


def test_a_hundred_thousand_events_fit_into_a_position() -> None:
    events = [Event(number, uuid_of(number * 7919), str(number)) for number in range(100_000)]
    known = known_of(events, set())
    stored = json.dumps({"known": known.stored(), "late": [uuid_of(1)] * 200})
    assert len(stored) <= 64 * 1024
    assert known.unread(events) == set()
    added = Event(5, uuid_of(3), "5")
    assert Known.load(known.stored()).unread([*events, added]) == {added}
    moved = [events[0]._replace(time=200_000, version="200000"), *events[1:]]
    again = Known.load(known.stored()).unread(moved)
    assert moved[0] in again
    assert len(again) <= 4 * len(events) / MAX_BUCKETS
    for failed in (set(events[::40_000]), set(events[5:7])):
        assert known_of(events, failed).unread(events) == failed
    say(
        f"MISP: of 100,000 events known in {len(stored):,} bytes, one that moves costs {len(again)}"
    )


EVENTS = st.builds(
    lambda number, time: Event(time, uuid_of(number), str(time)),
    st.integers(0, 30),
    st.integers(0, 9),
)


@given(
    st.lists(EVENTS, unique_by=lambda event: event.uuid),
    st.lists(EVENTS, unique_by=lambda event: event.uuid),
)
def test_what_was_not_read_is_never_taken_for_known(before: list[Event], now: list[Event]) -> None:
    known = Known.load(known_of(before, set()).stored())
    assert set(now) - set(before) <= known.unread(now)
    assert Known.load(known_of(now, known.unread(now)).stored()).unread(now) >= known.unread(now)


def test_a_feed_that_changes_is_never_skipped() -> None:
    moves = st.lists(
        st.tuples(st.sampled_from(["put", "poll", "fail", "drop"]), st.integers(0, 6)), max_size=25
    )

    @given(moves)
    def holds(moves: list[tuple[str, int]]) -> None:
        asyncio.run(_played(moves))

    holds()


async def _played(moves: list[tuple[str, int]]) -> None:
    async with MispFeed() as feed:
        position, read, time = None, set[tuple[int, int]](), 1_000
        published = set[tuple[int, int]]()
        for move, number in [*moves, ("heal", 0), ("poll", 99)]:
            if move == "put":
                time += 1 if number % 2 else -3
                feed.put(number, time)
                published = {one for one in published if one[0] != number} | {(number, time)}
            elif move == "fail":
                feed.fails = {number: 404, number + 1: 500}
            elif move == "heal":
                feed.fails = {}
            elif move == "drop" and number in feed.events:
                feed.take_away(number)
                published = {one for one in published if one[0] != number}
            elif move == "poll":
                result = await poll(feed, position, stop=number)
                read |= set(events_of(result.bodies))
                position = result.position(position)
        assert published <= read
