"""TAXII 2.1 collections: paged, resumed, and nothing skipped, from servers that are honest."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from datetime import timedelta
from io import BytesIO
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from periscope.errors import FeedError, FetchFailed
from periscope.feeds import open_feed
from periscope.models import Report
from periscope.polling.document import Position
from periscope.polling.fetch import Client
from periscope.polling.taxii_source import TaxiiSource
from tests.polling.support import Run, options, run
from tests.polling.taxii_server import COLLECTION, NOW, TaxiiServer, objects_of
from tests.polling.web import Web

OTHER = "52892447-4d7e-4f70-b94d-d7f22742ff63"
CLIENT = Client()


@pytest.fixture
async def server() -> AsyncIterator[TaxiiServer]:
    async with TaxiiServer() as started:
        yield started


async def poll(
    server: TaxiiServer,
    position: Position | None = None,
    place: str | None = None,
    stop_after: int = 10**9,
    **given: Any,
) -> Run:
    source = TaxiiSource(place or server.collection_url, CLIENT, options(**given))
    result = await run(source, position, stop_after)
    for after in result.positions:
        assert len(json.dumps(after)) <= 64 * 1024
    return result


async def test_a_collection_is_read_page_by_page(server: TaxiiServer) -> None:
    server.add(*range(8), at=NOW - timedelta(days=1))
    result = await poll(server)
    assert [len(objects_of([body])) for body in result.bodies] == [3, 3, 2]
    assert objects_of(result.bodies) == list(range(8))
    assert result.error is None
    assert {request.headers["Accept"] for request in server.asked} == {
        "application/taxii+json;version=2.1"
    }
    assert result.names[0] == server.collection_url + "objects/"


async def test_pages_are_documents_that_the_stix_reader_reads(server: TaxiiServer) -> None:
    server.add(*range(4), at=NOW - timedelta(days=1))
    source = TaxiiSource(server.collection_url, CLIENT, options())
    reports = []
    async for document in source.documents(None):
        with document.file, open_feed(document.file, format=document.format) as feed:
            reports += list(feed)
    assert [type(item) for item in reports] == [Report] * 4


async def test_only_what_was_added_since_is_read(server: TaxiiServer) -> None:
    server.add(*range(4), at=NOW - timedelta(days=1))
    position = (await poll(server)).position()
    assert (await poll(server, position)).bodies == []
    server.pass_time(60)
    server.add(4, 5)
    assert objects_of((await poll(server, position)).bodies) == [4, 5]


@pytest.mark.parametrize("late", [timedelta(0), timedelta(seconds=1), timedelta(minutes=4)])
async def test_what_is_added_at_the_same_microsecond_or_late_is_not_skipped(
    server: TaxiiServer, late: timedelta
) -> None:
    """It turns up after a walk that saw objects of that very time, or of later ones."""
    server.add(1, 2)
    position = (await poll(server)).position()
    server.add(3, at=server.now - late)
    server.pass_time(1)
    again = await poll(server, position)
    assert 3 in objects_of(again.bodies)
    server.pass_time(10)
    settled = await poll(server, again.position(position))
    assert set(objects_of(settled.bodies)) <= {1, 2, 3}
    assert (await poll(server, settled.position(position))).bodies == []


async def test_a_poll_without_news_moves_nothing(server: TaxiiServer) -> None:
    """A batch of objects that have settled is not read again and again."""
    server.add(*range(30), at=NOW - timedelta(minutes=6))
    position = (await poll(server)).position()
    server.requests = 0
    assert (await poll(server, position)).positions == []
    assert server.requests == 1


@pytest.mark.parametrize("kept", range(6))
async def test_a_kill_after_any_page_skips_nothing(server: TaxiiServer, kept: int) -> None:
    server.add(*range(14), at=NOW - timedelta(days=1))
    first = await poll(server, stop_after=kept)
    second = await poll(server, first.position())
    assert set(objects_of(first.bodies + second.bodies)) == set(range(14))
    assert objects_of(second.bodies) == list(range(3 * min(kept, 5), 14))
    assert (await poll(server, second.position(first.position()))).bodies == []


async def test_a_page_that_comes_again_is_the_same_document(server: TaxiiServer) -> None:
    server.add(*range(9), at=NOW - timedelta(days=1))
    one, two = await poll(server), await poll(server)
    assert one.identities[-1] == two.identities[-1]
    assert len(set(one.identities)) == 3


@pytest.mark.parametrize("status", [400, 404, 410, 422, 500])
async def test_a_token_that_has_expired_begins_the_walk_anew(
    server: TaxiiServer, status: int
) -> None:
    server.add(*range(14), at=NOW - timedelta(days=1))
    first = await poll(server, stop_after=2)
    server.forget_tokens()
    server.lies.forgets = status
    second = await poll(server, first.position())
    assert second.error is None
    assert set(objects_of(first.bodies + second.bodies)) == set(range(14))


async def test_a_walk_that_failed_goes_on_from_its_last_page(server: TaxiiServer) -> None:
    server.add(*range(14), at=NOW - timedelta(days=1))
    server.lies.fails = {3: 500}
    first = await poll(server)
    assert isinstance(first.error, FetchFailed)
    assert objects_of(first.bodies) == list(range(6))
    second = await poll(server, first.position())
    assert objects_of(second.bodies) == list(range(6, 14))


@pytest.mark.parametrize("place", ["/taxii2/", "/taxii2", "/api1/", "/api1", "/api1/collections/"])
async def test_collections_are_found_from_wherever_one_begins(
    server: TaxiiServer, place: str
) -> None:
    server.open_collection(OTHER, "Others")
    server.open_collection("11111111-2222-4333-8444-555555555555", "Closed", can_read=False)
    server.add(1, at=NOW - timedelta(days=1))
    server.add(2, at=NOW - timedelta(days=1), to=OTHER)
    result = await poll(server, place=server.url(place))
    assert (sorted(objects_of(result.bodies)), result.error) == ([1, 2], None)
    assert (await poll(server, result.position(), server.url(place))).bodies == []


@pytest.mark.parametrize("name", [OTHER, "Others"])
async def test_collections_can_be_named(server: TaxiiServer, name: str) -> None:
    server.open_collection(OTHER, "Others")
    server.add(1, at=NOW - timedelta(days=1))
    server.add(2, at=NOW - timedelta(days=1), to=OTHER)
    place = server.url("/taxii2/")
    assert objects_of((await poll(server, place=place, collections=(name,))).bodies) == [2]
    result = await poll(server, place=place, collections=(name, "None"))
    assert objects_of(result.bodies) == [2]
    assert "no collection 'None'" in str(result.error)


async def test_the_same_collection_has_the_same_position_however_it_was_found(
    server: TaxiiServer,
) -> None:
    server.add(1, at=NOW - timedelta(days=1))
    position = (await poll(server, place=server.url("/taxii2/"))).position()
    assert (await poll(server, position, server.collection_url)).bodies == []
    assert (await poll(server, position, server.collection_url + "objects/")).bodies == []


async def test_a_collection_that_fails_does_not_stop_the_others(server: TaxiiServer) -> None:
    server.open_collection(OTHER, "Others")
    server.add(1, at=NOW - timedelta(days=1))
    server.add(2, at=NOW - timedelta(days=1), to=OTHER)
    for status in (403, 500):
        server.requests, server.lies.fails = 0, {1: status}
        result = await poll(server, place=server.url("/taxii2/"))
        assert len(result.bodies) == 1
        assert str(status) in str(result.error)
        assert len(objects_of((await poll(server, result.position())).bodies)) <= 1
    server.requests, server.lies.fails = 0, {1: 503}
    assert (await poll(server, place=server.url("/taxii2/"))).bodies == []


async def test_added_after_bounds_the_first_walk(server: TaxiiServer) -> None:
    server.add(1, at=NOW - timedelta(days=9))
    server.add(2, at=NOW - timedelta(days=1))
    result = await poll(server, added_after="2026-02-25T00:00:00Z")
    assert objects_of(result.bodies) == [2]
    with pytest.raises(FeedError, match="no time"):
        TaxiiSource(server.collection_url, CLIENT, options(added_after="yesterday"))


async def test_a_login_is_sent_to_the_server_and_to_no_other(server: TaxiiServer) -> None:
    server.login = ("reader", "hunter2")
    server.add(1, at=NOW - timedelta(days=1))
    refused = await poll(server)
    assert "credentials" in str(refused.error)
    login: dict[str, Any] = {"username": "reader", "password": "hunter2"}
    assert objects_of((await poll(server, **login)).bodies) == [1]
    async with Web() as other:
        other.says("/api1/collections/", '{"collections": []}')
        other.says("/taxii2/", json.dumps({"api_roots": [server.url("/api1/"), "/api1/"]}))
        away = await poll(server, place=other.url("/taxii2/"), **login)
    assert "401" in str(away.error)
    assert "Authorization" in other.asked[0].headers
    assert "Authorization" not in server.asked[-1].headers


def test_the_walk_never_skips() -> None:
    """Whatever is added when: together, late, between two pages; killed and failing wherever."""
    moves = st.lists(
        st.one_of(
            st.tuples(st.just("add"), st.integers(1, 4), st.integers(0, 4)),
            st.tuples(st.just("poll"), st.integers(0, 3), st.integers(0, 4)),
            st.tuples(st.just("pass"), st.integers(0, 9), st.just(0)),
            st.tuples(st.just("forget"), st.just(0), st.just(0)),
        ),
        min_size=3,
        max_size=16,
    )

    @given(
        moves=moves,
        mixes=st.booleans(),
        reverses=st.booleans(),
        no_times=st.booleans(),
        no_date=st.booleans(),
        grows=st.booleans(),
    )
    def holds(moves: list[tuple[str, int, int]], **lies: bool) -> None:
        asyncio.run(_played(moves, **lies))

    holds()


async def _played(moves: list[tuple[str, int, int]], **lies: bool) -> None:
    async with TaxiiServer(page_objects=2) as server:
        for name, value in lies.items():
            if name != "grows":
                setattr(server.lies, name, value)
        number, read, position = 0, set[int](), None
        server.lies.grows = 1_000 if lies["grows"] else 0
        for move, one, other in [*moves, ("poll", 0, 0), ("poll", 0, 0)]:
            if move == "add":
                late = timedelta(minutes=other)
                server.add(*range(number, number + one), at=server.now - late)
                number += one
            elif move == "poll":
                server.requests, server.lies.fails = 0, {other: 500} if other else {}
                result = await poll(server, position, stop_after=one or 10**9)
                read |= set(objects_of(result.bodies))
                position = result.position(position)
            elif move == "pass":
                server.pass_time(one)
            else:
                server.forget_tokens()
        server.lies.grows = 0
        server.pass_time(1)
        read |= set(objects_of((await poll(server, position)).bodies))
        assert read == server.numbers()


def test_an_empty_document_is_an_empty_feed() -> None:
    with open_feed(BytesIO(b""), format="stix") as feed:
        assert list(feed) == []
    assert COLLECTION
