"""`bench pool`: a small sweep, and the advice that comes out."""

from __future__ import annotations

from pathlib import Path

import pytest

from periscope.bench import run_pool
from periscope.bench.acting import by_callers
from periscope.bench.figures import Spread
from periscope.bench.pool import PARTITIONS, Cell, caveat_of, recommend, sweep_pools
from periscope.bench.seed_ways import our_way
from periscope.bench.stand import CONNECTIONS, stand
from periscope.bench.work import ingest
from periscope.errors import UsageError

SPREAD = Spread.of([1.0])


def cells(*rates: list[float], callers: int = 200) -> list[Cell]:
    """Pools of 1, 2, 4, 8 (the default), 16 connections."""
    return [Cell(2**n, callers, runs, SPREAD) for n, runs in enumerate(rates)]


def test_what_lies_within_the_noise_of_the_runs_is_the_default() -> None:
    size, reason = recommend(cells([99, 80], [130, 90], [90, 140], [100, 95], [120, 100]))
    assert size == CONNECTIONS
    assert "(the default)" in reason
    assert "no other size is faster by more than the noise" in reason
    assert "differ by up to 43%" in reason


def test_a_size_that_is_better_in_every_run_is_recommended() -> None:
    judged = cells([50, 51], [60, 61], [70, 71], [80, 85], [150, 160])
    size, reason = recommend([*judged, *cells([9, 9], [1, 1], [1, 1], [1, 1], callers=1)])
    assert size == 16
    assert "(not 8)" in reason
    assert "1.88 times the rate of 8, in every run" in reason


def test_of_those_that_are_better_the_smallest_is_recommended() -> None:
    assert recommend(cells([50, 51], [120, 130], [125, 128], [80, 85], [131, 128]))[0] == 2


def test_a_smaller_pool_that_is_only_as_good_is_not() -> None:
    assert recommend(cells([100, 100], [102, 102], [101, 101], [100, 100], [99, 99]))[0] == 8


def test_one_run_says_nothing_of_noise() -> None:
    size, reason = recommend(cells([10], [20], [30], [40], [90]))
    assert size == CONNECTIONS
    assert "one run cannot tell" in reason


def test_a_machine_that_does_not_rest_is_told() -> None:
    assert caveat_of(0.2) == ""
    assert "not at rest (load 3.30" in caveat_of(3.3)


async def test_a_small_sweep_of_pools(temporary: Path) -> None:
    said: list[str] = []
    document = await sweep_pools(20, 2, said.append, sizes=(1, 2), callers=(1, 5))
    assert [(cell.connections, cell.callers) for cell in document.cells] == [
        *((1, 1), (1, 5), (2, 1), (2, 5))
    ]
    assert all(cell.rate > 0 and cell.wait_ms.p99 > 0 for cell in document.cells)
    assert document.recommended in (1, 2)
    assert len(said) == 4


async def test_the_pool_is_used_whole(temporary: Path) -> None:
    """What is swept must make a difference: with one partition three connections are made."""
    async with stand(connections=16, partitions=PARTITIONS) as on:
        await ingest(on, 0, 1000)
        job = our_way(on, 1000).mixed
        await by_callers(on, 200, range(1200), job)
        names = [one["name"] for one in await on.client.client_list()]
        assert names.count("periscope") >= 16


async def test_a_pool_is_swept_whole_numbers_of_times(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="whole numbers"):
        await run_pool(None, 0, 1)
