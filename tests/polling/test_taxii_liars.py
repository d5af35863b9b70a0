"""TAXII servers that fail midway, repeat themselves and lie: an end, an error, nothing skipped."""

from __future__ import annotations

import json
import time
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import pytest
from aiohttp import web as http

from periscope.errors import FeedError, FetchFailed, FetchRefused
from periscope.polling.taxii_source import MAX_IDLE_PAGES, PAGE_OBJECTS
from tests.polling.support import Run
from tests.polling.taxii_server import NOW, TaxiiServer, indicator, objects_of
from tests.polling.test_taxii_source import poll
from tests.polling.web import Web

OBJECTS = "/api1/collections/one/objects/"
HEAD = {"X-TAXII-Date-Added-First": "2026-01-01T00:00:00Z"}


@pytest.fixture
async def server() -> AsyncIterator[TaxiiServer]:
    async with TaxiiServer() as started:
        started.add(*range(8), at=NOW - timedelta(days=1))
        yield started


async def catches_up(server: TaxiiServer, first: Run) -> None:
    """However the first run ended: with what comes later, everything is read in the end."""
    server.add(100, at=server.now - timedelta(minutes=1))
    server.pass_time(60)
    second = await poll(server, first.position())
    third = await poll(server, second.position(first.position()))
    read = objects_of(first.bodies + second.bodies + third.bodies)
    assert set(read) == {*range(8), 100}


@pytest.mark.parametrize("lie", ["ends_never", "repeats"])
async def test_more_without_anything_more_ends_in_an_error(server: TaxiiServer, lie: str) -> None:
    setattr(server.lies, lie, True)
    result = await poll(server)
    assert set(objects_of(result.bodies)) == set(range(8))
    assert "brought nothing new" in str(result.error)
    assert not isinstance(result.error, FetchFailed)
    assert server.requests <= 4 + MAX_IDLE_PAGES
    await catches_up(server, result)


async def test_a_liar_costs_each_run_little(server: TaxiiServer) -> None:
    """It does not make each run read everything again."""
    server.lies.ends_never = True
    server.collections = {name: [] for name in server.collections}
    for number in range(8):
        server.add(number, at=NOW - timedelta(days=9 - number))
    position = (await poll(server)).position()
    server.requests = 0
    again = await poll(server, position)
    assert len(objects_of(again.bodies)) <= 2
    assert server.requests <= 2 * (MAX_IDLE_PAGES + 2)
    position = again.position(position)
    for number in range(8, 12):
        server.pass_time(60)
        server.add(number)
        server.pass_time(10)
        again = await poll(server, position)
        assert number in objects_of(again.bodies)
        assert len(objects_of(again.bodies)) <= 3
        position = again.position(position)


async def test_the_same_token_for_every_page_is_progress_while_pages_differ(
    server: TaxiiServer,
) -> None:
    server.lies.same_next = True
    result = await poll(server)
    assert (objects_of(result.bodies), result.error) == (list(range(8)), None)


async def test_the_same_page_for_ever_ends_in_an_error() -> None:
    page = {"more": True, "next": "same", "objects": [indicator(1), indicator(2)]}
    async with Web() as web:
        web.says(OBJECTS, json.dumps(page))
        result = await poll_at(web)
    assert objects_of(result.bodies) == [1, 2]
    assert "brought nothing new" in str(result.error)
    assert len(web.asked) == 1 + MAX_IDLE_PAGES


async def test_the_same_objects_in_another_order_are_not_new() -> None:
    turn = 0

    async def answer(_: http.Request) -> http.StreamResponse:
        nonlocal turn
        turn += 1
        objects = [indicator(number) for number in range(6)]
        page = {"more": True, "next": f"token-{turn}", "objects": objects[turn % 6 :]}
        page["objects"] = [*objects[turn % 6 :], *objects[: turn % 6]]
        return http.json_response(page)

    async with Web() as web:
        web.on(OBJECTS, answer)
        result = await poll_at(web)
    assert len(result.bodies) == 1
    assert "brought nothing new" in str(result.error)


@pytest.mark.parametrize("lie", ["denies_more", "always_next"])
async def test_next_is_followed_whatever_more_says(server: TaxiiServer, lie: str) -> None:
    setattr(server.lies, lie, True)
    result = await poll(server)
    assert (objects_of(result.bodies), result.error) == (list(range(8)), None)
    await catches_up(server, result)


async def test_without_next_pages_follow_each_other_by_time(server: TaxiiServer) -> None:
    server.lies.no_next = True
    server.collections = {name: [] for name in server.collections}
    for number in range(8):
        server.add(number, at=NOW - timedelta(days=1, seconds=-number // 2))
    result = await poll(server)
    assert result.error is None
    assert set(objects_of(result.bodies)) == set(range(8))
    for kept in range(1, 4):
        first = await poll(server, stop_after=kept)
        second = await poll(server, first.position())
        assert set(objects_of(first.bodies + second.bodies)) == set(range(8))


async def test_more_of_one_instant_than_a_page_holds_is_said(server: TaxiiServer) -> None:
    """Without `next` there is no way to the others; going on would skip them."""
    server.lies.no_next = True
    result = await poll(server)
    assert objects_of(result.bodies) == [0, 1, 2]
    assert "brought nothing new" in str(result.error)
    server.lies.no_next = False
    await catches_up(server, result)


async def test_neither_next_nor_times_is_said(server: TaxiiServer) -> None:
    server.lies.no_next = server.lies.no_times = True
    result = await poll(server)
    assert "not where" in str(result.error)
    assert objects_of(result.bodies) == [0, 1, 2]


@pytest.mark.parametrize("kept", range(5))
async def test_pages_out_of_order_skip_nothing(server: TaxiiServer, kept: int) -> None:
    server.collections = {name: [] for name in server.collections}
    for number in range(8):
        server.add(number, at=NOW - timedelta(days=9 - number))
    server.lies.mixes = True
    first = await poll(server, stop_after=kept)
    server.forget_tokens()  # so that it cannot go on from where it was
    await catches_up(server, first)


@pytest.mark.parametrize("order", [None, "mixes", "reverses"])
@pytest.mark.parametrize("forgets", [False, True])
@pytest.mark.parametrize("shown", [3, 6])
async def test_what_a_server_hides_is_read_when_it_shows(
    server: TaxiiServer, order: str | None, forgets: bool, shown: int
) -> None:
    server.collections = {name: [] for name in server.collections}
    for number in range(8):
        server.add(number, at=NOW - timedelta(days=9 - number))
    server.lies.hides = shown
    if order is not None:
        setattr(server.lies, order, True)
    first = await poll(server)
    assert "brought nothing new" in str(first.error)
    assert len(objects_of(first.bodies)) == shown
    server.lies.hides = None
    if forgets:
        server.forget_tokens()
    await catches_up(server, first)


async def test_a_token_that_is_answered_with_nothing_is_not_believed(server: TaxiiServer) -> None:
    first = await poll(server, stop_after=1)
    server.forget_tokens()
    server.lies.starts_over = True
    second = await poll(server, first.position())
    assert set(objects_of(first.bodies + second.bodies)) == set(range(8))


@pytest.mark.parametrize("fault", ["cuts", "garbles"])
async def test_half_a_page_is_none(server: TaxiiServer, fault: str) -> None:
    setattr(server.lies, fault, {2})
    result = await poll(server)
    assert isinstance(result.error, FetchFailed)
    assert objects_of(result.bodies) == [0, 1, 2]
    second = await poll(server, result.position())
    assert objects_of(second.bodies) == [3, 4, 5, 6, 7]


async def test_a_clock_in_the_future_hides_nothing(server: TaxiiServer) -> None:
    server.add(8, at=NOW + timedelta(days=365 * 50))
    server.now += timedelta(days=365 * 50)
    first = await poll(server)
    server.now = NOW + timedelta(days=365)
    server.add(9)
    assert 9 in objects_of((await poll(server, first.position())).bodies)


async def test_more_objects_than_were_asked_for_are_taken(server: TaxiiServer) -> None:
    server.page_objects = 10**6
    server.add(*range(8, 2 * PAGE_OBJECTS), at=NOW - timedelta(days=1))
    original = server._page

    def all_at_once(request: http.Request) -> http.Response:
        return original(request.clone(rel_url=str(request.rel_url.without_query_params("limit"))))

    server._page = all_at_once  # type: ignore[method-assign]
    result = await poll(server)
    assert [len(objects_of([body])) for body in result.bodies] == [2 * PAGE_OBJECTS]


@pytest.mark.parametrize(
    "body",
    [
        *(b"", b"[", b"<html>login</html>", b'"text"', b"null", b"12", b'{"objects": [{]}'),
        *(b'{"objects": [', b'{"title": "Not here", "http_status": "404"}', b"\xff\xfe{\x00"),
        *(b'{"objects": []} {"objects": []}', b'[{"objects": []}]', b"[" * 100_000),
        b'{"x": ' + b"[" * 100_000,
    ],
)
async def test_what_is_no_envelope_is_an_error(body: bytes) -> None:
    async with Web() as web:
        web.says(OBJECTS, body)
        result = await poll_at(web)
    assert isinstance(result.error, FeedError)
    assert result.bodies == []
    assert "\n" not in str(result.error)


@pytest.mark.parametrize(
    ("body", "given"),
    [
        *((b"{}", 0), (b'{"more": false}', 0), (b'{"objects": null}', 0), (b'{"objects": []}', 0)),
        *((b'{"objects": [1, null, "x", {}]}', 1), (b'{"more": 1, "objects": [{}]}', 1)),
        (b'{"objects": [{"id": "\xff"}, {"n": 1e999}, {"a": 1, "a": 2}]}', 1),
        (b'{"next": 7, "objects": [{"x": "' + b"y" * 5_000_000 + b'"}]}', 1),  # twice the same
    ],
    ids=range(8),
)
async def test_bad_objects_are_the_readers_to_judge(body: bytes, given: int) -> None:
    """A page whose brackets fit is a page; one bad object does not stop a feed."""
    async with Web() as web:
        web.says(OBJECTS, body)
        result = await poll_at(web)
    assert (len([body for body in result.bodies if body]), result.error) == (given, None)


@pytest.mark.parametrize("token", ["x" * 5_000, "", None, True, ["x"], "\ud800", "a\r\nb", "&x=1#"])
async def test_any_token_is_sent_as_it_is_or_not_at_all(token: Any) -> None:
    page = {"more": True, "next": token, "objects": [indicator(1)]}
    async with Web() as web:
        web.says(OBJECTS, json.dumps(page))
        result = await poll_at(web)
    assert isinstance(result.error, FeedError)
    sent = [request.query.get("next") for request in web.asked[1:]]
    assert sent in ([], [token] * len(sent))


@pytest.mark.parametrize(
    "listing",
    [
        {"api_roots": ["http://10.0.0.1/"]},
        {"api_roots": ["file:///etc/passwd", "http://169.254.169.254/x/"]},
        {"api_roots": ["//10.0.0.1/"] * 50},
        {"api_roots": [f"/{number}/" for number in range(50)]},
        {"collections": [{"id": "../../secret"}, {"id": ".."}, {"id": "a/b"}, {"id": ""}]},
        {"collections": [{"id": "x", "can_read": False}]},
        {"collections": []},
        {"collections": [1]},
        {"versions": 1},
        {"title": "x"},
        [],
    ],
    ids=range(11),
)
async def test_what_a_server_lists_is_not_believed(listing: object) -> None:
    async with Web() as web:
        web.says("/taxii2/", json.dumps(listing))
        result = await poll_at(web, "/taxii2/")
    assert isinstance(result.error, FeedError)
    assert len(web.asked) <= 21
    assert all("secret" not in request.path for request in web.asked)


async def test_ten_thousand_collections_are_too_many() -> None:
    async with Web() as web:
        listed = [{"id": f"c{number}", "title": "x" * 99} for number in range(10_000)]
        web.says("/api1/collections/", json.dumps({"collections": listed}))
        page = {"more": True, "next": "y" * 600, "objects": [indicator(1)]}

        async def answer(request: http.Request) -> http.StreamResponse:
            return http.json_response(page)

        for one in listed[:80]:
            web.on(f"/api1/collections/{one['id']}/objects/", answer)
            web.on(f"/api1/collections/c{9_999 - listed.index(one)}/objects/", answer)
        result = await poll_at(web, "/api1/collections/")
    assert result.error is not None
    assert len(web.asked) <= 1 + 64 * 2 * (MAX_IDLE_PAGES + 2)


async def test_a_redirected_page_is_judged() -> None:
    async with Web() as web:
        web.sends_on(OBJECTS, "http://10.0.0.1/")
        assert isinstance((await poll_at(web)).error, FetchRefused)


async def test_a_page_of_many_objects_is_looked_through_in_time() -> None:
    page = json.dumps({"objects": [indicator(number) for number in range(50_000)]})
    async with Web() as web:
        web.says(OBJECTS, page)
        began = time.monotonic()
        result = await poll_at(web)
    assert len(result.bodies[0]) == len(page)
    assert time.monotonic() - began < 10


async def poll_at(web: Web, path: str = OBJECTS) -> Run:
    return await poll(TaxiiServer(), place=web.url(path))
