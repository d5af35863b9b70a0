"""Servers and workers that are stopped, killed, cancelled or many: nothing lost, nothing twice."""

from __future__ import annotations

import asyncio
import os
import random
import signal
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from periscope import Periscope, Policy
from periscope.archive import Archive
from periscope.workers import ArchiveWriter, ExpiryWorker, PromotionWorker, State, Supervisor
from tests.support.patience import BUSY_S
from tests.support.servers import ServerProcess
from tests.workers.child import Child
from tests.workers.support import QUICK, wait_until

ROUNDS = int(os.environ.get("CRASHES", "4"))
AT_ONCE = timedelta(0)
# What is not HIGH or CRITICAL leaves with the next sweep.
HASTY = Policy(working_ttl=AT_ONCE, target_low=AT_ONCE, target_medium=AT_ONCE)
ALL = "promotion,expiry,archive"


@pytest.fixture
def own_server() -> Iterator[ServerProcess]:
    process = ServerProcess("--appendonly", "yes", "--appendfsync", "always").start()
    yield process
    process.stop()


@pytest.fixture
async def database(own_server: ServerProcess) -> AsyncIterator[Periscope]:
    async with Periscope.open(own_server.url, partitions=3) as p:
        await p.set_policy(HASTY)
        yield p


def threats(first: int, count: int, severity: str = "LOW") -> Iterator[dict[str, Any]]:
    for n in range(first, first + count):
        yield {"threat_id": f"{severity}{n}", "content": "c", "severity": severity}


def acts(first: int, count: int, analyst: str, action: str) -> Iterator[dict[str, Any]]:
    for n in range(first, first + count):
        yield {"threat_id": f"CRITICAL{n}", "analyst_id": analyst, "action": action}


def all_workers(p: Periscope, archive: Archive) -> Supervisor:
    return Supervisor(
        PromotionWorker(p, QUICK), ExpiryWorker(p, archive, QUICK), ArchiveWriter(p, archive, QUICK)
    )


def states(supervisor: Supervisor) -> set[State]:
    return {status.state for status in supervisor.status()}


async def archived_ids(archive: Archive) -> Counter[str]:
    """The ids of all final rows, with how often each is there."""
    ids: Counter[str] = Counter()
    before = None
    while rows := await archive.history(limit=10_000, before=before):
        ids.update(row.threat_id for _, row in rows)
        before = rows[-1][0]
    return ids


async def assert_all_agree(p: Periscope, archive: Archive, left: set[str]) -> None:
    """Settle what is open; then store and archive say the same, and each threat left once."""
    await ArchiveWriter(p, archive).run_once()
    await ExpiryWorker(p, archive).run_once()
    ledger = await p.get_ledger(deep=True)
    assert ledger.balanced, ledger
    assert await archived_ids(archive) == Counter(left)
    assert await archive.pending() == []
    counts = await archive.counts()
    assert counts.get("expired_seen", 0) == ledger.archived_seen
    assert counts.get("expired_unseen", 0) == ledger.archived_unseen
    assert ledger.departed == len(left)


async def test_they_stop_within_two_seconds_while_the_server_hangs(
    own_server: ServerProcess, database: Periscope, archive: Archive
) -> None:
    supervisor = await all_workers(database, archive).start()
    await wait_until(lambda: all(s.last_result for s in supervisor.status()), "a run of each")
    assert own_server._process is not None
    own_server._process.send_signal(signal.SIGSTOP)
    try:
        await wait_until(lambda: states(supervisor) == {State.RUNNING}, "all wait for the server")
        async with asyncio.timeout(2):
            await supervisor.stop()
    finally:
        own_server._process.send_signal(signal.SIGCONT)
    assert states(supervisor) == {State.STOPPED}
    await database.add_threats_batch(threats(0, 10))
    await assert_all_agree(database, archive, {f"LOW{n}" for n in range(10)})


async def test_a_process_ends_soon_on_sigterm_while_the_server_hangs(
    own_server: ServerProcess, database: Periscope, tmp_path: Path
) -> None:
    child = Child(ALL, own_server.url, tmp_path / "archive.db")
    child.await_ready()
    assert own_server._process is not None
    own_server._process.send_signal(signal.SIGSTOP)
    try:
        began = time.monotonic()
        child.end()
        assert time.monotonic() - began < 2 + BUSY_S, "two seconds, and the end of the process"
    finally:
        own_server._process.send_signal(signal.SIGCONT)


async def test_they_are_back_within_five_seconds_of_the_servers_return(
    own_server: ServerProcess,
    database: Periscope,
    archive: Archive,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """With the worst luck: after many failures, and with the longest pause that may be drawn."""
    monkeypatch.setattr("periscope.workers.backoff.FIRST_S", 1_000.0)
    monkeypatch.setattr("periscope.workers.backoff.uniform", lambda low, high: high)
    async with all_workers(database, archive) as supervisor:
        await wait_until(lambda: all(s.last_result for s in supervisor.status()), "a run of each")
        own_server.kill()
        await wait_until(lambda: states(supervisor) == {State.FAILING}, "all have noticed")
        own_server.start()
        await wait_until(lambda: states(supervisor).isdisjoint({State.FAILING}), "all try", 5)
        await wait_until(
            lambda: not any(s.consecutive_failures for s in supervisor.status()), "all are well", 1
        )
    assert "cannot reach the server" in caplog.text
    assert [status.restarts for status in supervisor.status()] == [0, 0, 0]


async def test_four_of_each_at_once_do_nothing_twice(
    own_server: ServerProcess, database: Periscope, archive: Archive, tmp_path: Path
) -> None:
    place = tmp_path / "archive.db"
    kinds = ["promotion"] * 4 + ["expiry,archive"] * 4
    children = [Child(kind, own_server.url, place) for kind in kinds]
    for child in children:
        child.await_ready()
    for first in range(0, 3_000, 500):
        await database.add_threats_batch(threats(first, 500))
        await database.add_threats_batch(threats(first // 10, 50, "CRITICAL"))
        for analyst in ("ann", "bob"):
            await database.record_interactions_batch(acts(first // 10, 50, analyst, "escalate"))
    await until_levels(database, (0, 300, 0))
    done = [child.end() for child in children]
    assert [error for one in done for error in one["errors"]] == []
    promoted = Counter(threat_id for one in done for threat_id in one["promoted"])
    assert promoted == Counter(f"CRITICAL{n}" for n in range(300))
    assert sum(one["unseen"] for one in done) == 3_000
    assert sum(one["moved"] for one in done) <= 600
    await assert_all_agree(database, archive, {f"LOW{n}" for n in range(3_000)})
    assert len(await archive.audit(limit=10_000)) == 600
    knowledge = await database.get_short_term(count=1_000)
    assert {threat.consolidations for threat in knowledge} == {1}


async def until_levels(p: Periscope, levels: tuple[int, int, int]) -> None:
    async with asyncio.timeout(60):
        while True:
            ledger = await p.get_ledger()
            if (ledger.level_1, ledger.level_2, ledger.level_3) == levels:
                return


async def test_killed_in_the_middle_of_sweeps_again_and_again(
    own_server: ServerProcess, database: Periscope, archive: Archive, tmp_path: Path
) -> None:
    dice = random.Random()
    each = 3_000
    for turn in range(ROUNDS):
        first = turn * each
        await database.add_threats_batch(threats(turn * 100, 100, "CRITICAL"))
        await database.record_interactions_batch(acts(turn * 100, 100, "ann", "view"))
        await database.add_threats_batch(threats(first, each))
        children = [Child("expiry,archive", own_server.url, tmp_path / "archive.db")]
        children.append(Child("expiry", own_server.url, tmp_path / "archive.db"))
        goal = first + dice.randrange(1, each)
        while (await database.get_ledger()).departed < goal:
            assert all(child.process.poll() is None for child in children)
        for child in children:
            child.kill()
    await assert_all_agree(database, archive, {f"LOW{n}" for n in range(ROUNDS * each)})
    audit = [(entry.threat_id, entry.analyst_id) for _, entry in await archive.audit(limit=10_000)]
    assert Counter(audit) == Counter((f"CRITICAL{n}", "ann") for n in range(ROUNDS * 100))


async def test_cancelled_anywhere_nothing_is_done_by_halves(
    database: Periscope, archive: Archive
) -> None:
    dice = random.Random()
    worker, writer = ExpiryWorker(database, archive), ArchiveWriter(database, archive)
    for turn in range(40):
        await database.add_threats_batch(threats(turn * 300, 300))
        runs = [asyncio.create_task(one.run_once()) for one in (worker, writer)]
        await asyncio.wait(runs, timeout=dice.uniform(0, 0.05))
        for run in runs:
            run.cancel()
            with suppress(asyncio.CancelledError):
                await run
    await assert_all_agree(database, archive, {f"LOW{n}" for n in range(40 * 300)})


class SlowArchive:
    """An archive that holds its caller up right after one of its calls was carried out."""

    def __init__(self, archive: Archive, call: str) -> None:
        self._archive = archive
        self._call = call
        self.reached, self.may_go_on = asyncio.Event(), asyncio.Event()

    def __getattr__(self, name: str) -> Any:
        call = getattr(self._archive, name)
        return self._held_up(call) if name == self._call else call

    def _held_up(self, call: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
        async def held_up(*arguments: Any) -> Any:
            result = await call(*arguments)
            self.reached.set()
            await self.may_go_on.wait()
            return result

        return held_up


async def test_a_worker_that_was_held_up_and_overtaken_does_nothing_twice(
    database: Periscope, archive: Archive
) -> None:
    await database.add_threats_batch(threats(0, 500))
    slow: Any = SlowArchive(archive, "prepare")
    held_up = asyncio.create_task(ExpiryWorker(database, slow).run_once())
    await slow.reached.wait()
    await ArchiveWriter(database, archive).run_once()  # gives the batch up
    stats = await ExpiryWorker(database, archive).run_once()
    assert stats is not None
    assert stats.expired == 500
    slow.may_go_on.set()
    late = await held_up
    assert late is not None
    assert late.expired == 0
    await assert_all_agree(database, archive, {f"LOW{n}" for n in range(500)})


async def test_what_was_confirmed_while_another_settles_it_stays_as_it_is(
    database: Periscope, archive: Archive
) -> None:
    """One finds a batch open; its owner confirms it, the store forgets it, then that one asks."""
    await database.add_threats_batch(threats(0, 100))
    sweeping: Any = SlowArchive(archive, "prepare")
    settling: Any = SlowArchive(archive, "pending")
    sweep = asyncio.create_task(ExpiryWorker(database, sweeping).run_once())
    await sweeping.reached.wait()
    settle = asyncio.create_task(ArchiveWriter(database, settling).run_once())
    await settling.reached.wait()
    sweeping.may_go_on.set()
    stats = await sweep
    assert stats is not None
    assert stats.expired == 100
    settling.may_go_on.set()
    await settle
    await assert_all_agree(database, archive, {f"LOW{n}" for n in range(100)})
