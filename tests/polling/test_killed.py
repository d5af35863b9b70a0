"""Workers that are killed, stopped for longer than their lease, or many: nothing is skipped."""

from __future__ import annotations

import asyncio
import os
import random
import signal
import time
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import pytest

from periscope import Periscope
from periscope.polling import Feeds
from periscope.polling.reading import SLICE_ITEMS
from tests.conftest import OpenHere
from tests.polling.poller import Poller
from tests.polling.scene import add, lines, numbered, stored, until
from tests.support.history import say
from tests.support.patience import BUSY_S
from tests.support.servers import ServerProcess

ROUNDS = int(os.environ.get("CRASHES", "4"))
FILES, EACH = 4, 11_000
LEASE_MS = 400


@pytest.fixture
async def here(open_here: OpenHere, tmp_path: Path) -> AsyncIterator[Periscope]:
    async with open_here(data_dir=str(tmp_path / "data")) as p:
        client = p.functions.connections.client
        await client.flushall()
        await p.refresh()
        yield p
        assert (await p.get_ledger(deep=True)).balanced
        await client.flushall()


Start = Callable[..., Poller]


@pytest.fixture
def poller(here: Periscope) -> Iterator[Start]:
    """Starts workers; none of them outlives the test."""
    children: list[Poller] = []

    def start(lease_ms: int = LEASE_MS) -> Poller:
        assert here.settings.url is not None
        children.append(Poller(here.settings.url, here.settings.data_path, lease_ms))
        return children[-1]

    yield start
    for child in children:
        if child.process.poll() is None:
            child.kill()


def fill(folder: Path, prefix: str = "t") -> set[str]:
    """Files with a bad record each; the ids of all others."""
    folder.mkdir()
    ids = set()
    for number in range(FILES):
        some = numbered(number * EACH, EACH, prefix)
        place = folder / f"{number}.ndjson"
        place.write_text(lines(some[:5000]) + f"bad {number}\n" + lines(some[5000:]))
        os.utime(place, (1000 + number, 1000 + number))
        ids.update(some)
    return ids


async def counts(p: Periscope) -> int:
    """How many records are acknowledged."""
    return (await p.get_ledger()).received


async def is_over(feeds: Feeds, documents: int) -> bool:
    info = await feeds.get_feed("f")
    return info.owner is None and info.status.counts.documents >= documents


async def test_killed_at_random_points(here: Periscope, poller: Start, tmp_path: Path) -> None:
    ids = fill(tmp_path / "drop")
    feeds = await add(here, "directory", tmp_path / "drop", interval="10m")
    dice = random.Random()
    for turn in range(ROUNDS):
        child = poller().await_ready()
        before = await counts(here)
        goal = min(before + dice.randrange(1, 9_000), FILES * EACH - (ROUNDS - turn) * 500)
        async with asyncio.timeout(30):
            while await counts(here) < goal:
                await asyncio.sleep(dice.uniform(0, 0.005))
        child.kill()
    last = poller().await_ready()
    await until(lambda: is_over(feeds, FILES), "all is read")
    assert last.end() == 0
    assert await stored(here) == ids
    ledger = await here.get_ledger()
    assert (ledger.added, ledger.sightings) == (len(ids), 0)
    assert ledger.duplicates <= ROUNDS * SLICE_ITEMS
    assert FILES <= ledger.rejected <= FILES + ROUNDS
    kept = [one.excerpt for one in feeds.letters.read("f")]
    assert sorted(filter(None, kept)) == [f"bad {number}" for number in range(FILES)]
    say(f"feeds: {ROUNDS} kills, {ledger.duplicates} of {len(ids)} records repeated")


async def test_stopped_for_longer_than_the_lease_and_continued(
    here: Periscope, poller: Start, tmp_path: Path
) -> None:
    ids = fill(tmp_path / "drop")
    feeds = await add(here, "directory", tmp_path / "drop", interval="10m")
    first = poller().await_ready()
    async with asyncio.timeout(30):
        while not await counts(here):
            await asyncio.sleep(0.001)
    first.send(signal.SIGSTOP)
    stopped = time.monotonic()
    info = await feeds.get_feed("f")
    second = poller()

    async def is_anothers() -> bool:
        now = await feeds.get_feed("f")
        return now.owner not in (None, info.owner) or now.status.runs > 1

    try:
        await until(is_anothers, "the other one takes it over")
        took_s = time.monotonic() - stopped
        await until(lambda: is_over(feeds, FILES), "the other one reads all")
        done = await feeds.get_feed("f")
    finally:
        first.send(signal.SIGCONT)
    await until(lambda: _said(first, "another worker has taken it over"), "the first one notices")
    assert (await feeds.get_feed("f")).status == done.status, "what it wanted to note is refused"
    assert (first.end(), second.end()) == (0, 0)
    assert await stored(here) == ids
    assert (await here.get_ledger()).duplicates <= 2 * SLICE_ITEMS
    assert took_s < LEASE_MS / 1000 + 2 + BUSY_S, "and a start of Python"
    say(f"feeds: taken over {took_s:.1f} s after a stop, lease {LEASE_MS / 1000} s")


async def _said(child: Poller, words: str) -> bool:
    return any(words in line for line in child.log)


async def test_a_killed_worker_is_replaced_within_lease_and_a_second(
    here: Periscope, poller: Start, tmp_path: Path
) -> None:
    ids = fill(tmp_path / "drop")
    children = [poller(), poller()]
    for child in children:
        child.await_ready()
    feeds = await add(here, "directory", tmp_path / "drop", interval="10m")
    async with asyncio.timeout(30):
        while (owner := (await feeds.get_feed("f")).owner) is None or not await counts(here):
            await asyncio.sleep(0.001)
    pids = {str(child.process.pid): child for child in children}
    victim = pids[owner.split(":")[1]]
    victim.kill()
    killed = time.monotonic()

    async def is_anothers() -> bool:
        return (await feeds.get_feed("f")).owner not in (None, owner)

    await until(is_anothers, "the other one takes it over", LEASE_MS / 1000 + 1)
    say(f"feeds: taken over {time.monotonic() - killed:.2f} s after a kill")
    await until(lambda: is_over(feeds, FILES), "all is read")
    for child in children:
        if child is not victim:
            assert child.end() == 0
    assert await stored(here) == ids


async def test_ended_by_a_signal_it_repeats_nothing(
    here: Periscope, poller: Start, tmp_path: Path
) -> None:
    ids = fill(tmp_path / "drop")
    feeds = await add(here, "directory", tmp_path / "drop", interval="10m")
    for _ in range(ROUNDS):
        child = poller().await_ready()
        before = await counts(here)
        async with asyncio.timeout(30):
            while await counts(here) == before < FILES * EACH:
                await asyncio.sleep(0.001)
        began = time.monotonic()
        assert child.end() == 0
        assert time.monotonic() - began < 2 + BUSY_S, "two seconds, and the end of the process"
        assert (await feeds.get_feed("f")).owner is None
        await feeds.resume_feed("f")
        await feeds.pause_feed("f")
        await feeds.resume_feed("f")  # due at once
    last = poller().await_ready()
    await until(lambda: is_over(feeds, FILES), "all is read")
    last.end()
    assert await stored(here) == ids
    assert (await here.get_ledger()).duplicates == 0


async def test_of_many_workers_one_runs_each_feed(
    here: Periscope, poller: Start, tmp_path: Path
) -> None:
    feeds, ids = Feeds(here), set()
    for number in range(5):
        place = tmp_path / f"{number}.ndjson"
        some = numbered(0, 3_000, f"f{number}-")
        place.write_text(lines(some))
        ids.update(some)
        await feeds.add_feed(f"f{number}", kind="file", place=str(place), settle="0s")
    children = [poller(15_000) for _ in range(3)]  # a busy machine must not cost a lease
    for child in children:
        child.await_ready()

    async def all_read() -> bool:
        return all(info.status.counts.documents for info in await feeds.get_feeds())

    await until(all_read, "all are read")
    for child in children:
        assert child.end() == 0
    assert await stored(here) == ids
    ledger = await here.get_ledger()
    assert (ledger.added, ledger.received) == (len(ids), len(ids))


async def test_it_ends_within_two_seconds_while_the_server_hangs(tmp_path: Path) -> None:
    fill(tmp_path / "drop")
    server = ServerProcess().start()
    try:
        async with Periscope.open(server.url, data_dir=str(tmp_path / "data")) as p:
            feeds = await add(p, "directory", tmp_path / "drop")
            child = Poller(server.url, tmp_path / "data", 15_000).await_ready()
            async with asyncio.timeout(30):
                while not await counts(p):
                    await asyncio.sleep(0.001)
            server.freeze()
            try:
                began = time.monotonic()
                assert child.end() == 0
                took_s = time.monotonic() - began
            finally:
                server.thaw()
            assert took_s < 2 + BUSY_S, "two seconds, and the end of the process"
            await feeds.pause_feed("f")
    finally:
        server.stop()
