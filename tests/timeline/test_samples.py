"""A sample a minute, of any number of processes, whatever the server's clock does."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator

import pytest
from redis.asyncio import Redis

from periscope import Periscope, StoreDamaged
from periscope.console_keys import console_keys
from periscope.errors import BugError
from periscope.timeline import DAY_S, EVERY_MS, Sampler, Timeline, read_timeline
from tests.access.support import plain_client
from tests.conftest import OpenHere
from tests.rules.scene import DAY_MS, HOUR_MS, START_MS, acts, add, pass_time, set_time
from tests.support.servers import ServerProcess
from tests.workers.support import wait_until

TOP_MS = START_MS - START_MS % EVERY_MS
KEY = console_keys("periscope").timeline


@pytest.fixture(params=[1, 3], ids=["1-partition", "3-partitions"])
async def p(request: pytest.FixtureRequest, open_here: OpenHere) -> AsyncIterator[Periscope]:
    async with Redis.from_url(open_here.url) as client:
        await client.flushall()
        async with open_here(partitions=request.param) as opened:
            set_time(opened, TOP_MS)
            yield opened
        await client.flushall()


async def shown(p: Periscope, for_s: int = DAY_S) -> Timeline:
    return await read_timeline(p.functions, "periscope", for_s)


async def moments(p: Periscope, for_s: int = DAY_S) -> list[int]:
    """How many minutes after the first one each sample is."""
    return [(one.at_ms - TOP_MS) // EVERY_MS for one in (await shown(p, for_s)).samples]


async def test_what_a_sample_says(p: Periscope) -> None:
    await add(p, "a", "b", severity="CRITICAL")
    await add(p, "c", severity="LOW")
    await acts(p, "a", "ann view")
    await acts(p, "c", "ann dismiss")
    pass_time(p, 1234)
    assert await Sampler(p).sample()
    found = await shown(p)
    assert (found.since_ms, found.until_ms) == (TOP_MS + 1234 - DAY_MS, TOP_MS + 1234)
    (one,) = found.samples
    assert one.at_ms == TOP_MS + 1234
    assert one.open == {"CRITICAL": 2, "HIGH": 0, "MEDIUM": 0, "LOW": 0}
    assert one.unseen == {"CRITICAL": 1, "HIGH": 0, "MEDIUM": 0, "LOW": 0}
    assert (one.level_1, one.level_2, one.level_3) == (3, 0, 0)
    assert (one.received, one.departed) == (3, 0)


async def test_of_several_processes_one_keeps_it(p: Periscope, open_here: OpenHere) -> None:
    async with open_here() as second, open_here() as third:
        samplers = [Sampler(one) for one in (p, second, third)]
        for minute in range(5):
            for one in (p, second, third):
                set_time(one, TOP_MS + minute * EVERY_MS + 5)
            kept = await asyncio.gather(*(one.sample() for one in samplers))
            assert sorted(kept) == [False, False, True]
        assert await moments(p) == [0, 1, 2, 3, 4]
        set_time(second, TOP_MS + 3 * EVERY_MS)  # one that was held up comes late
        assert not await samplers[1].sample()
        assert await moments(p) == [0, 1, 2, 3, 4]


async def test_a_day_of_them_is_kept(p: Periscope) -> None:
    sampler, client = Sampler(p), plain_client(p)
    for minute in range(3):
        set_time(p, TOP_MS + minute * EVERY_MS)
        await sampler.sample()
    payload = (await client.xrange(KEY))[-1][1]
    async with client.pipeline(transaction=False) as pipeline:
        for minute in range(3, 1440):
            pipeline.xadd(KEY, payload, f"{TOP_MS + minute * EVERY_MS}-0")
        await pipeline.execute()
    assert await client.xlen(KEY) == 1440
    set_time(p, TOP_MS + 1440 * EVERY_MS)
    assert await sampler.sample()
    assert await client.xlen(KEY) == 1440
    assert (await client.xrange(KEY, count=1))[0][0] == b"%d-0" % (TOP_MS + EVERY_MS)
    assert len((await shown(p)).samples) == 1440
    assert len((await shown(p, 90)).samples) == 2


async def test_a_clock_that_is_set_ahead_and_back(p: Periscope) -> None:
    sampler = Sampler(p)
    for moment in (0, 1, 2):
        set_time(p, TOP_MS + moment * EVERY_MS)
        await sampler.sample()
    set_time(p, TOP_MS + 365 * DAY_MS)
    assert await sampler.sample()
    assert len((await shown(p)).samples) == 1, "what is more than a day ago is not shown"
    set_time(p, TOP_MS + 3 * EVERY_MS)
    assert await sampler.sample()
    assert await moments(p) == [0, 1, 2, 3]
    set_time(p, TOP_MS + 4 * EVERY_MS)
    assert await sampler.sample()
    assert await moments(p) == [0, 1, 2, 3, 4]


async def test_a_clock_that_is_set_back(p: Periscope) -> None:
    sampler = Sampler(p)
    for moment in range(10):
        set_time(p, TOP_MS + moment * EVERY_MS)
        await sampler.sample()
    set_time(p, TOP_MS + 8 * EVERY_MS + 1)  # a little: those minutes are there already
    assert not await sampler.sample()
    assert await p.functions.connections.client.xlen(KEY) == 10
    set_time(p, TOP_MS + 4 * EVERY_MS)  # more: what is in the future now has not been yet
    assert await sampler.sample()
    assert await moments(p) == [0, 1, 2, 3, 4]
    set_time(p, TOP_MS - HOUR_MS)
    assert await sampler.sample()
    assert await moments(p) == [-60]


async def test_what_no_sampler_sends_is_refused(p: Periscope) -> None:
    keys = console_keys("periscope")
    for minute, sample in (
        (TOP_MS + 1, b"x"),
        (TOP_MS + 2 * EVERY_MS, b"x"),
        (TOP_MS, b"x" * 5000),
    ):
        with pytest.raises(BugError):
            await p.functions.call(
                "periscope_sample", [keys.control, keys.timeline], (minute, sample, TOP_MS)
            )
    assert not await p.functions.connections.client.exists(KEY)


async def test_damage_is_told_and_nothing_is_written(
    p: Periscope, caplog: pytest.LogCaptureFixture
) -> None:
    client = p.functions.connections.client
    await client.set(KEY, "not a stream")
    with pytest.raises(StoreDamaged):
        await Sampler(p).sample()
    assert await client.get(KEY) == b"not a stream"
    await client.delete(KEY)
    await client.xadd(KEY, {"sample": "no JSON"}, f"{TOP_MS - EVERY_MS}-0")
    assert await Sampler(p).sample()
    with caplog.at_level(logging.WARNING):
        assert await moments(p) == [0]
    assert "cannot be read by this program" in caplog.text


async def test_a_store_that_is_away_is_told_and_then_it_goes_on(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("periscope.workers.worker.backoff_s", lambda failures, error: 0.01)
    server = ServerProcess("--appendonly", "yes", "--appendfsync", "always").start()
    try:
        async with Periscope.open(server.url, retry_s=0.0) as p:
            set_time(p, TOP_MS)
            sampler = Sampler(p)
            server.kill()
            with caplog.at_level(logging.ERROR):
                async with sampler:
                    await wait_until(lambda: sampler.status().failures > 2, "it has tried")
                    server.start()
                    await wait_until(lambda: bool(sampler.status().last_result), "it has kept one")
            told = [one for one in caplog.messages if "worker timeline failed" in one]
            assert len(told) <= sampler.status().failures.bit_length(), "the 1st, 2nd, 4th ... time"
            assert await moments(p) == [0]
    finally:
        server.stop()


async def test_the_next_one_is_due_when_the_next_minute_begins(p: Periscope) -> None:
    sampler = Sampler(p)
    for past, rest_s in ((0, 60.0), (1, 59.999), (59_000, 1.0), (59_999, 0.001)):
        set_time(p, TOP_MS + past)
        await sampler.run_once()
        assert sampler._rest_s() == pytest.approx(rest_s)
