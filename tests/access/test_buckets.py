"""Rates: exact in the store, and never more than they say over all programs together."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from periscope import AccessInvalid, Periscope, RateLimited, StoreDamaged
from periscope.access import Access, Identity
from periscope.access.calls import AccessCalls
from periscope.access_keys import AccessKeys
from tests.access.conftest import Programs
from tests.access.model import Bucket
from tests.access.support import plain_client
from tests.conftest import OpenHere
from tests.support.history import say

# Rates that binary fractions hold exactly: so that a difference is a mistake, and not a rounding.
RATES = st.sampled_from([0.125, 0.5, 1.0, 2.0, 8.0, 62.5, 1000.0, 15625.0])
STEPS = st.lists(
    st.tuples(st.integers(0, 20_000), st.integers(1, 60), st.integers(1, 60)),
    min_size=1,
    max_size=30,
)
START_MS = 1_790_000_000_000


async def bucket_prefixed(p: Periscope, prefix: str) -> AccessCalls:
    await plain_client(p).delete(AccessKeys("periscope").bucket(prefix))
    return AccessCalls(p.functions, p.keyspace)


@given(rate=RATES, burst=st.integers(1, 50), steps=STEPS)
def test_the_store_and_the_model_agree(
    open_here: OpenHere, rate: float, burst: int, steps: list[tuple[int, int, int]]
) -> None:
    async def compare() -> None:
        async with open_here() as p:
            calls, model, now_ms = await bucket_prefixed(p, "model"), Bucket(rate, burst), START_MS
            for passed_ms, wanted, least in steps:
                now_ms += passed_ms
                least = min(least, wanted, burst)
                p.functions.now_ms = now_ms
                found = await calls.spend("model", rate, burst, wanted, least)
                expected = model.take(wanted, least, now_ms)
                assert found == expected or _differ_by_rounding(found, expected)

    asyncio.run(compare())


def _differ_by_rounding(found: tuple[int, int], expected: tuple[int, int]) -> bool:
    """A wait may be a millisecond off where a sum of doubles fell on the other side of a whole."""
    return found[0] == expected[0] == 0 and abs(found[1] - expected[1]) <= 1


@given(steps=STEPS, back=st.lists(st.integers(0, 100_000), max_size=5))
def test_a_clock_that_goes_back_gives_nothing_away(
    open_here: OpenHere, steps: list[tuple[int, int, int]], back: list[int]
) -> None:
    async def spend() -> None:
        async with open_here() as p:
            calls, now_ms, passed, given = await bucket_prefixed(p, "back"), START_MS, 0, 0
            for number, (passed_ms, wanted, _) in enumerate(steps):
                now_ms += passed_ms
                passed += passed_ms
                if number < len(back):
                    now_ms -= back[number]
                    p.functions.now_ms = now_ms
                    given += (await calls.spend("back", 2.0, 10, wanted, 1))[0]
                    now_ms += back[number]
                    passed += back[number]
                p.functions.now_ms = now_ms
                given += (await calls.spend("back", 2.0, 10, wanted, 1))[0]
            assert given <= 10 + passed * 2.0 / 1000

    asyncio.run(spend())


async def test_what_is_no_bucket_is_told(periscope: Periscope, access: Access) -> None:
    client, key = plain_client(periscope), AccessKeys("periscope").bucket("x")
    await client.set(key, "many", px=60_000)
    with pytest.raises(StoreDamaged):
        await access._calls.spend("x", 1.0, 1, 1, 1)
    assert await client.get(key) == b"many"


async def limited(access: Access, rate: float, burst: int) -> Identity:
    _, secret = await access.create_key(
        f"{rate}-{burst}", ["read"], by="a", rate_per_s=rate, burst=burst
    )
    return await access.identify_key(secret)


async def served(access: Access, who: Identity, until: float, cost: int) -> int:
    """Spend as fast as it goes; how much was granted."""
    granted = 0
    while time.monotonic() < until:
        try:
            await access.spend(who, cost)
            granted += cost
        except RateLimited as exc:
            await asyncio.sleep(min(exc.retry_after_s, 0.005))
    return granted


@pytest.mark.parametrize(
    ("rate", "burst", "cost"), [(200.0, 100, 1), (1000.0, 40, 1), (50.0, 200, 7), (5000.0, 5000, 1)]
)
async def test_many_programs_together_spend_no_more_than_there_is(
    programs: Programs, rate: float, burst: int, cost: int
) -> None:
    some = await programs.some(4)
    who = await limited(some[0], rate, burst)
    began = time.monotonic()
    spenders = [served(one, who, began + 1.5, cost) for one in some for _ in range(5)]
    found = sum(await asyncio.gather(*spenders))
    passed = time.monotonic() - began
    assert found <= burst + rate * passed
    assert found >= 0.8 * (burst + rate * 1.5) - 20 * cost  # and what there is can be had
    there = burst + rate * passed
    say(f"rate {rate:g}, burst {burst}, cost {cost}: {found} of {there:.0f} were spent")


async def test_a_key_within_its_rate_seldom_asks_the_store(
    access: Access, monkeypatch: pytest.MonkeyPatch
) -> None:
    who, asked = await limited(access, 1000.0, 1000), 0
    spend = access._calls.spend

    async def counted(*given: Any) -> tuple[int, int]:
        nonlocal asked
        asked += 1
        return await spend(*given)

    monkeypatch.setattr(access._calls, "spend", counted)
    for _ in range(600):  # over a second and a half: less than it may
        await access.spend(who)
        await asyncio.sleep(0.0025)
    assert asked < 600 / 4, asked


async def test_concurrent_requests_share_a_round_trip(
    access: Access, monkeypatch: pytest.MonkeyPatch
) -> None:
    who, asked = await limited(access, 1000.0, 500), 0
    spend = access._calls.spend

    async def counted(*given: Any) -> tuple[int, int]:
        nonlocal asked
        asked += 1
        return await spend(*given)

    monkeypatch.setattr(access._calls, "spend", counted)
    await asyncio.gather(*(access.spend(who) for _ in range(400)))
    assert asked <= 3


async def test_a_flood_beyond_the_rate_does_not_reach_the_store(
    access: Access, monkeypatch: pytest.MonkeyPatch
) -> None:
    who = await limited(access, 1.0, 5)
    for _ in range(5):
        await access.spend(who)
    with pytest.raises(RateLimited):
        await access.spend(who)

    async def unexpected(*_: Any) -> tuple[int, int]:
        raise AssertionError("the store was asked")

    monkeypatch.setattr(access._calls, "spend", unexpected)
    for _ in range(1000):
        with pytest.raises(RateLimited) as caught:
            await access.spend(who)
    assert 0 < caught.value.retry_after_s <= 1.0


async def test_the_wait_that_is_told_is_enough(access: Access) -> None:
    who = await limited(access, 20.0, 1)
    await access.spend(who)
    for _ in range(5):
        with pytest.raises(RateLimited) as caught:
            await access.spend(who)
        await asyncio.sleep(caught.value.retry_after_s + 0.002)
        await access.spend(who)


async def test_no_rate_no_limit_and_no_impossible_cost(access: Access) -> None:
    _, secret = await access.create_key("free", ["read"], by="a")
    for _ in range(1000):
        await access.spend(await access.identify_key(secret))
    who = await limited(access, 1.0, 5)
    for cost in (0, -1, 6):
        with pytest.raises(AccessInvalid) as caught:
            await access.spend(who, cost)
        assert caught.value.field == "cost"


async def test_a_full_bucket_is_no_key(periscope: Periscope, access: Access) -> None:
    who = await limited(access, 10.0, 5)
    await access.spend(who, 4)
    client, key = plain_client(periscope), AccessKeys("periscope").bucket(who.prefix or "")
    assert 0 < await client.pttl(key) <= 4 / 10 * 1000 + 1000
