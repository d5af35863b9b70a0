"""What a process knows of itself: requests, forecasts, and how its calls travel."""

from __future__ import annotations

import asyncio
from math import inf

import pytest

from periscope import Periscope
from periscope.metrics import Metrics
from periscope.metrics.forecast import Forecast
from tests.conftest import OpenHere
from tests.metrics.told import Clock, told

MIB = 1 << 20


def test_the_time_to_full_is_what_is_left_over_how_fast_it_grew() -> None:
    # 100 bytes a second: at 1,100 s 61,000 are used of 121,000, so 60,000 are left: 600 s.
    forecast = Forecast()
    for at_s in range(500, 1100, 20):
        forecast.seconds(at_s, 100.0 * at_s - 49_000, 121_000)
    assert forecast.seconds(1100, 61_000, 121_000) == pytest.approx(600)


def test_the_line_through_uneven_samples_has_the_least_squares() -> None:
    # (0, 0), (60, 100), (120, 80): means 60 and 60; slope 60 * 20 + 60 * 60 over 7,200 = 2 / 3.
    forecast = Forecast()
    forecast.seconds(0, 0, 1000)
    forecast.seconds(60, 100, 1000)
    assert forecast.seconds(120, 80, 1000) == pytest.approx(920 / (2 / 3))


def test_what_does_not_grow_is_never_full_and_what_is_full_is_so_now() -> None:
    steady, shrinking, full = Forecast(), Forecast(), Forecast()
    assert steady.seconds(0, 10, 100) is None
    assert steady.seconds(59, 10, 100) is None
    assert steady.seconds(60, 10, 100) == inf
    shrinking.seconds(0, 10, 100)
    assert shrinking.seconds(60, 9, 100) == inf
    full.seconds(0, 10, 100)
    assert full.seconds(60, 110, 100) == 0


def test_only_the_last_hour_counts_and_memory_stays_bounded() -> None:
    forecast = Forecast()
    for at_s in range(3000):  # grows, then rests for more than an hour
        forecast.seconds(at_s, at_s, 1e6)
    for at_s in range(3000, 3000 + 3600 + 20):
        last = forecast.seconds(at_s, 3000, 1e6)
    assert last == inf
    assert len(forecast._samples) <= 3600 / 15 + 1


async def test_routes_methods_and_statuses_make_a_bounded_number_of_series(
    periscope: Periscope,
) -> None:
    metrics = Metrics(periscope)
    for number in range(600):
        metrics.observe_request(f"/made-up/{number}", "GET", 200, 0.1)
    metrics.observe_request("/v1/threats", "BREW", 418, 0.1)
    metrics.observe_request("/made-up/1", "PUT", 99, 0.1)
    counts = (await told(metrics))["periscope_request_duration_seconds_count"]
    assert len({route for _, route, _ in counts}) == 501
    assert counts["GET", "other", "2xx"] == 100
    assert counts["OTHER", "other", "4xx"] == 1
    assert counts["PUT", "/made-up/1", "other"] == 1


async def test_callers_that_travel_together_are_told_with_their_calls(periscope: Periscope) -> None:
    ids = [f"t{number}" for number in range(100)]
    await asyncio.gather(*(periscope.add_threat(one, "x", "LOW") for one in ids))
    await asyncio.gather(*(periscope.get_threat(one) for one in ids))
    found = await told(Metrics(periscope))
    callers, calls = (found[f"periscope_coalesced_{one}_total"] for one in ("callers", "calls"))
    assert callers == {("changes",): 100, ("reads",): 100}
    assert 1 <= calls["changes",] <= 20
    assert 1 <= calls["reads",] <= 20


async def test_the_forecast_of_memory_needs_a_limit(open_here: OpenHere) -> None:
    async with open_here() as p:
        clock = Clock()
        metrics = Metrics(p, clock=clock)
        name, client = "periscope_store_time_to_full_seconds", p.functions.connections.client
        assert name not in await told(metrics)
        try:
            await client.config_set("maxmemory", 512 * MIB)
            clock.now_s += 2
            assert name not in await told(metrics)  # not a minute yet
            await client.execute_command(
                "SETRANGE", p.keyspace.partitions[0].reply(b"x"), MIB, b"x"
            )
            clock.now_s += 60
            found = await told(metrics)
            assert 0 < found[name]["memory",] < inf
            assert found["periscope_store_memory_limit_bytes"] == {(): 512 * MIB}
        finally:
            await client.config_set("maxmemory", 0)
            await client.delete(p.keyspace.partitions[0].reply(b"x"))
