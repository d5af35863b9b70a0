"""Whatever is cut, held up or doubled on the way: what was sent once counts once."""

from __future__ import annotations

import asyncio
import os
import time
from itertools import count
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from periscope import BatchInterrupted
from periscope.client import Client, Unreachable
from tests.api.conftest import Served
from tests.support.rough import Harm, Mood, RoughProxy

NUMBERS = count()
MOODS = st.lists(
    st.builds(Mood, st.sampled_from(Harm), st.integers(0, 120_000) | st.integers(0, 500)),
    min_size=1,
    max_size=8,
)


def reports(name: int, size: int) -> list[dict[str, Any]]:
    """Reports of which every tenth is bad and some are of the same threats."""
    return [
        {"threat_id": f"{name}-{n % (size - 3)}", "content": f"c{n}", "severity": "HIGH"}
        if n % 10
        else {"threat_id": f"{name}-bad", "content": f"{n}", "severity": "BAD"}
        for n in range(size)
    ]


@settings(max_examples=int(os.environ.get("EXAMPLES", "15")))
@given(moods=MOODS, at_once=st.integers(1, 4), size=st.integers(10, 3_000))
async def test_what_was_sent_once_counts_once(
    served: Served, moods: list[Mood], at_once: int, size: int
) -> None:
    periscope = served.tenant.periscope
    before = await periscope.get_ledger()
    given = reports(next(NUMBERS), size)
    async with (
        RoughProxy(served.service.port, moods) as proxy,
        Client(proxy.url, served.secret, timeout_s=5) as c,
    ):
        result = await c.add_reports(given, at_once=at_once)
    after = await periscope.get_ledger()
    bad = sum(one["severity"] == "BAD" for one in given)
    assert (result.received, result.rejected_count) == (size, bad)
    assert after.received - before.received == size
    assert after.level_1 - before.level_1 == result.added
    for name in ("added", "sightings", "duplicates", "rejected"):
        told = result.rejected_count if name == "rejected" else getattr(result, name)
        assert getattr(after, name) - getattr(before, name) == told, name
    last = {one["threat_id"]: one["content"] for one in given if one["severity"] != "BAD"}
    there = await periscope.get_threats(last)
    assert {one.threat_id: one.content for one in there} == last


@pytest.mark.parametrize("harm", list(Harm))
async def test_each_harm_is_met(served: Served, harm: Harm) -> None:
    moods = [Mood(harm, 700)] * 4
    async with (
        RoughProxy(served.service.port, moods) as proxy,
        Client(proxy.url, served.secret) as c,
    ):
        result = await c.add_reports(reports(0, 2_000), at_once=2)
        assert result.received == 2_000
        assert proxy.met or harm is Harm.DELAY


async def test_a_service_that_is_not_there_is_told_in_time(served: Served) -> None:
    await served.service.close()
    async with Client(served.service.url, served.secret, retry_s=0.5) as c:
        began = time.monotonic()
        with pytest.raises(Unreachable) as caught:
            await c.threat("a")
        with pytest.raises(BatchInterrupted) as batch:
            await c.add_reports(reports(0, 100))
    assert time.monotonic() - began < 5
    assert caught.value.is_certain
    assert served.secret not in f"{caught.value!r} {caught.value.problem}"
    assert isinstance(batch.value.__cause__, Unreachable)
    assert (batch.value.refused, batch.value.unknown) == (100, 0)


async def test_an_answer_that_never_comes_leaves_it_unknown(served: Served) -> None:
    moods = [Mood(Harm.CUT_ANSWER)] * 1_000
    async with (
        RoughProxy(served.service.port, moods) as proxy,
        Client(proxy.url, served.secret) as c,
    ):
        with pytest.raises(BatchInterrupted) as caught:
            await c.add_reports(reports(0, 1_500), retry_s=1)
    told = caught.value
    assert told.result.committed == 0
    assert (told.unknown, told.refused) == (1_000, 500), "the second body waited for the first"
    ledger = await served.tenant.periscope.get_ledger()
    assert ledger.received == 1_000, "and stored once, however often it was sent"


async def test_cancelling_is_heard_and_harms_no_other(served: Served) -> None:
    async with Client(served.service.url, served.secret) as c:
        victims = [asyncio.create_task(c.add_reports(reports(n, 20_000))) for n in range(3)]
        other = asyncio.create_task(c.add_reports(reports(99, 5_000)))
        await asyncio.sleep(0)
        while not (await c.threats_page(limit=1)).items:
            pass
        for task in victims:
            task.cancel()
        gone = await asyncio.gather(*victims, return_exceptions=True)
        assert all(isinstance(one, asyncio.CancelledError) for one in gone)
        assert (await other).received == 5_000
