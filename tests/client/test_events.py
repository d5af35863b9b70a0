"""Events through the client: resumed where they were, whatever the connection does; and exports."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator
from contextlib import aclosing
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from periscope.client import Client, Gone, Unauthenticated, Unreachable
from periscope.client.server_sent import MAX_FRAME_BYTES, Frame, Frames, FrameTooLong
from periscope.shapes import EventDocument
from tests.api.conftest import Served
from tests.support.rough import Harm, Mood, RoughProxy


async def add(client: Client, *ids: str) -> None:
    given = [{"threat_id": one, "content": "x", "severity": "HIGH"} for one in ids]
    assert (await client.add_reports(given)).received == len(ids)


async def take(events: AsyncGenerator[EventDocument, None], count: int) -> list[EventDocument]:
    async with asyncio.timeout(30):
        return [await anext(events) for _ in range(count)]


async def test_what_happens_from_a_position_on(client: Client) -> None:
    await add(client, "a")
    async with aclosing(client.events("0-0")) as events:
        (first,) = await take(events, 1)
        await client.interact("a", "escalate", "ann")
        (second,) = await take(events, 1)
    assert (first.kind, first.threat_ids, first.analyst_id) == ("added", ["a"], None)
    assert (second.kind, second.analyst_id, second.level) == ("escalate", "ann", 1)
    async with aclosing(client.events(first.position, kinds=["escalate"])) as events:
        assert await take(events, 1) == [second]


async def test_nothing_is_missed_or_told_twice_over_many_connections(
    served: Served, client: Client
) -> None:
    """Every connection is cut a little later than the one before, in the midst of a frame too."""
    moods = [Mood(Harm.CUT_ANSWER, 700 + 61 * n) for n in range(12)]
    async with (
        RoughProxy(served.service.port, moods) as proxy,
        Client(proxy.url, served.secret) as rough,
        aclosing(rough.events("0-0")) as events,
    ):
        for number in range(60):
            await add(client, f"t{number}")
        told = await take(events, 60)
        assert proxy.met >= 10
    assert [one.threat_ids for one in told] == [[f"t{number}"] for number in range(60)]


async def test_a_silent_connection_is_given_up(served: Served, client: Client) -> None:
    await add(client, "a")
    async with aclosing(client.events("0-0", silence_s=0.3, retry_s=0)) as events:
        await take(events, 1)
        began = time.monotonic()
        with pytest.raises(Unreachable, match="in time"):
            await anext(events)
    assert time.monotonic() - began < 5


async def test_a_position_that_is_no_more_and_a_key_that_is_none(
    served: Served, client: Client
) -> None:
    with pytest.raises(Gone):
        await take(client.events("0-0,0-0"), 1)
    async with Client(served.service.url, "psk_nobody") as stranger:
        with pytest.raises(Unauthenticated):
            await take(stranger.events(), 1)


async def test_a_key_that_is_revoked_ends_it(served: Served, client: Client) -> None:
    key, secret = await served.tenant.access.create_key("reader", ("read",), by="tests")
    async with Client(served.service.url, secret) as reader, aclosing(reader.events("0-0")) as told:
        await add(client, "a")
        await take(told, 1)
        await served.tenant.access.revoke_key(key.prefix, by="tests")
        with pytest.raises(Unauthenticated):
            await take(told, 1)


async def test_exports(client: Client) -> None:
    names = [f"t{number}" for number in range(1_200)]
    await add(client, *names)
    assert {one.threat_id async for one in client.export(severity="HIGH")} == set(names)
    assert [one async for one in client.export(severity="LOW")] == []
    lines = b"".join([part async for part in client.export_bytes("csv")]).splitlines()
    assert len(lines) == 1_201


async def test_an_export_that_breaks_off_is_not_taken_for_whole(
    served: Served, client: Client
) -> None:
    await add(client, *(f"t{number}" for number in range(3_000)))
    moods = [Mood(Harm.CUT_ANSWER, 200_000)]
    async with (
        RoughProxy(served.service.port, moods) as proxy,
        Client(proxy.url, served.secret) as rough,
    ):
        with pytest.raises(Unreachable):
            [one async for one in rough.export()]


FRAMES = (
    b"retry: 2000\n\n: \nid: 1-0\n\nid: 2-0\nevent: added\ndata: {}\n\n"
    b": store-away\n\r\nevent:ended\r\ndata:a\r\ndata: b\r\n\r\nid: 3-0"
)
FOUND = [
    Frame("message", None, None),
    Frame("message", None, "1-0"),
    Frame("added", b"{}", "2-0"),
    Frame("message", None, None),
    Frame("ended", b"a\nb", None),
]


@given(cuts=st.lists(st.integers(0, len(FRAMES)), max_size=12))
def test_frames_are_read_wherever_they_are_cut(cuts: list[int]) -> None:
    places = [0, *sorted(cuts), len(FRAMES)]
    frames = Frames()
    found = [frame for start, end in pairwise(places) for frame in frames.feed(FRAMES[start:end])]
    assert found == FOUND


def test_a_frame_without_an_end_is_refused() -> None:
    for pieces in (b"x" * 1000, b"data: x\n" * 100):
        frames, endless = Frames(), pieces * (MAX_FRAME_BYTES // len(pieces))
        assert frames.feed(endless) == []
        with pytest.raises(FrameTooLong):
            frames.feed(endless)
