"""What each worker does, on a real server and a real archive."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from periscope import Event, Level, Periscope, WakeStats
from periscope.archive import Archive, open_archive
from periscope.errors import ArchiveMismatch
from periscope.workers import (
    ArchiveStats,
    ArchiveWriter,
    ExpiryWorker,
    PromotionWorker,
    SnoozeWorker,
    State,
    Supervisor,
    Worker,
)
from tests.archive.samples import departure
from tests.conftest import OpenHere
from tests.workers.support import QUICK, wait_until

START_MS = 1_790_000_000_000
HOUR_MS = 60 * 60 * 1000
DAY_MS = 24 * HOUR_MS


async def add(periscope: Periscope, *ids: str, severity: str = "LOW") -> None:
    await periscope.add_threats_batch(
        {"threat_id": threat_id, "content": "c", "severity": severity} for threat_id in ids
    )


async def make_eligible(periscope: Periscope, threat_id: str) -> None:
    await add(periscope, threat_id, severity="CRITICAL")
    for analyst in ("ann", "bob"):
        await periscope.record_interaction(threat_id, analyst, "escalate")


class SteadyClock:
    """The clock of the workers, and that of the server as some databases have it."""

    def __init__(self, periscope: Periscope) -> None:
        self.now_ms = 0
        self.server_ms = START_MS
        self.databases: list[Periscope] = []
        self.show_to(periscope)

    def show_to(self, periscope: Periscope) -> None:
        self.databases.append(periscope)
        periscope.functions.now_ms = self.server_ms

    def pass_by(self, ms: int) -> None:
        self.now_ms += ms
        self.jump(ms)

    def jump(self, ms: int) -> None:
        """Set the server's clock, and only that."""
        self.server_ms += ms
        for periscope in self.databases:
            periscope.functions.now_ms = self.server_ms


@pytest.fixture
def clock(periscope: Periscope, monkeypatch: pytest.MonkeyPatch) -> SteadyClock:
    made = SteadyClock(periscope)
    monkeypatch.setattr("periscope.workers.clock.steady_ms", lambda: made.now_ms)
    return made


async def test_promotion(periscope: Periscope) -> None:
    await make_eligible(periscope, "t")
    await add(periscope, "u")
    worker = PromotionWorker(periscope)
    stats = await worker.run_once()
    assert (stats.promoted, stats.failed, stats.promoted_ids) == (1, 0, ["t"])
    assert (await worker.run_once()).promoted == 0
    threat = await periscope.get_threat("t")
    assert threat is not None
    assert threat.level == Level.SHORT_TERM


async def test_a_threat_that_cannot_be_promoted_is_told_of(
    periscope: Periscope, caplog: pytest.LogCaptureFixture
) -> None:
    await make_eligible(periscope, "t")
    (keys,) = periscope.keyspace.partitions
    client = periscope.functions.connections.client
    record = await client.get(keys.record(b"t"))
    assert record is not None
    await client.delete(keys.record(b"t"))
    assert (await PromotionWorker(periscope).run_once()).failed == 1
    assert "1 threats cannot be promoted" in caplog.text
    await client.set(keys.record(b"t"), record)


async def test_waking(periscope: Periscope, clock: SteadyClock) -> None:
    await add(periscope, "t", "u")
    await periscope.snooze("t", "ann", timedelta(hours=1))
    await periscope.snooze("u", "ann", None)
    worker = SnoozeWorker(periscope)
    assert (await worker.run_once()).woken == 0
    clock.pass_by(HOUR_MS)
    stats = await worker.run_once()
    assert (stats.woken, stats.failed, stats.woken_ids) == (1, 0, ["t"])
    assert [t.threat_id for t in await periscope.get_top_threats()] == ["t"]


async def test_a_threat_that_cannot_be_woken_is_told_of(
    periscope: Periscope, clock: SteadyClock, caplog: pytest.LogCaptureFixture
) -> None:
    await add(periscope, "t")
    await periscope.snooze("t", "ann", timedelta(hours=1))
    (keys,) = periscope.keyspace.partitions
    client = periscope.functions.connections.client
    record = await client.get(keys.record(b"t"))
    assert record is not None
    await client.delete(keys.record(b"t"))
    clock.pass_by(HOUR_MS)
    assert (await SnoozeWorker(periscope).run_once()).failed == 1
    assert "1 threats cannot be woken" in caplog.text
    await client.set(keys.record(b"t"), record)


async def test_any_number_at_once_wake_each_threat_once(open_here: OpenHere) -> None:
    """Four workers of two programs, while analysts snooze: each once, in the events and in sum."""
    async with open_here(partitions=3) as one, open_here(partitions=3) as other:
        await one.functions.connections.client.flushall()
        await one.refresh()
        ids = [f"t{number}" for number in range(300)]
        await add(one, *ids)
        follow = one.events()
        following = asyncio.create_task(wakes(follow, len(ids)))
        await asyncio.sleep(0)
        workers = [SnoozeWorker(p, QUICK) for p in (one, other, one, other)]
        woken: list[str] = []
        for worker in workers:
            noted(worker, woken)
        async with Supervisor(*workers):
            for threat_id in ids:
                await one.snooze(threat_id, "ann", timedelta(milliseconds=5))
            await wait_until(lambda: len(woken) >= len(ids), "all have woken")
            assert sorted(await following) == sorted(ids)
        assert sorted(woken) == sorted(ids)
        assert (await one.get_by_status("open")).total == len(ids)
        assert (await one.get_ledger(deep=True)).balanced
        await one.functions.connections.client.flushall()


def noted(worker: SnoozeWorker, woken: list[str]) -> None:
    """Keep what each run of a worker wakes."""
    work = worker._work

    async def noting() -> WakeStats:
        stats = await work()
        woken.extend(stats.woken_ids)
        return stats

    worker._work = noting  # type: ignore[method-assign]


async def wakes(follow: AsyncIterator[Event], count: int) -> list[str]:
    found: list[str] = []
    async for event in follow:
        if event.kind == "wake":
            found.append(event.threat_id)
        if len(found) == count:
            break
    return found


async def test_expiry(periscope: Periscope, archive: Archive, clock: SteadyClock) -> None:
    await add(periscope, "a", "b", "c")
    await add(periscope, "keep", severity="HIGH")
    worker = ExpiryWorker(periscope, archive)
    clock.pass_by(23 * HOUR_MS)
    stats = await worker.run_once()
    assert stats is not None
    assert stats.expired == 0
    clock.pass_by(2 * HOUR_MS)
    stats = await worker.run_once()
    assert stats is not None
    assert stats.expired_unseen == 3
    assert sorted(d.threat_id for _, d in await archive.history()) == ["a", "b", "c"]
    ledger = await periscope.get_ledger()
    assert (ledger.level_1, ledger.archived_unseen) == (1, 3)


async def test_no_sweep_and_no_purge_while_the_clock_is_in_doubt(
    open_here: OpenHere,
    periscope: Periscope,
    archive: Archive,
    clock: SteadyClock,
    caplog: pytest.LogCaptureFixture,
) -> None:
    await add(periscope, "t")
    await archive.prepare("old", 0, [departure("gone", departed_at_ms=START_MS)])
    await archive.confirm("old", [True])
    async with open_here(archive_keep_days=30) as p:
        clock.show_to(p)
        expiry, writer = ExpiryWorker(periscope, archive), ArchiveWriter(p, archive)
        for worker in (expiry, writer):
            await worker.run_once()
        clock.jump(365 * DAY_MS)
        for tick in (1, 2):
            assert await expiry.run_once() is None
            assert expiry.status().state == State.PAUSED
            assert (await writer.run_once()).purged == 0
            assert caplog.text.count("sweeps are paused: the server's clock said 2027") == tick
            assert caplog.text.count("purges nothing: the server's clock said 2027") == tick
        assert await periscope.get_threat("t") is not None
        assert len(await archive.history()) == 1
        clock.jump(-365 * DAY_MS)
        assert await expiry.run_once() is not None
        assert expiry.status().state == State.WAITING


async def test_another_archive_is_refused_at_the_start(
    periscope: Periscope, archive: Archive, tmp_path: Path
) -> None:
    await periscope.adopt_archive(archive)
    other = await open_archive(tmp_path / "other.db")
    for worker in (ExpiryWorker(periscope, other), ArchiveWriter(periscope, other)):
        with pytest.raises(ArchiveMismatch, match=r"other\.db is not the archive"):
            await worker.start()
        assert worker.task is None
    await other.close()


@pytest.mark.parametrize("kind", [ExpiryWorker, ArchiveWriter])
async def test_what_a_crashed_worker_left_is_settled(
    periscope: Periscope,
    archive: Archive,
    kind: type[ExpiryWorker] | type[ArchiveWriter],
) -> None:
    await add(periscope, "t")
    await archive.prepare("left", 0, [departure("t")])
    await kind(periscope, archive).run_once()
    assert await archive.pending() == []
    assert await archive.history() == []
    assert await periscope.get_threat("t") is not None


async def test_the_audit_trail_moves_into_the_archive(
    periscope: Periscope, archive: Archive
) -> None:
    await make_eligible(periscope, "t")
    writer = ArchiveWriter(periscope, archive)
    assert await writer.run_once() == ArchiveStats(moved=2)
    assert await writer.run_once() == ArchiveStats()
    assert [entry.analyst_id for _, entry in await archive.audit()] == ["bob", "ann"]
    assert await periscope.get_recent_audit() == []


async def test_what_is_older_than_it_should_be_is_purged(
    open_here: OpenHere, periscope: Periscope, archive: Archive, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("periscope.workers.archiving.PURGE_ROWS", 2)
    ages_days = [0, 29, 31, 40, 50, 60, 70]
    rows = [departure(f"t{d}", departed_at_ms=START_MS - d * DAY_MS) for d in ages_days]
    await archive.prepare("b", 0, rows)
    await archive.confirm("b", [True] * len(rows))
    async with open_here(archive_keep_days=30) as p:
        p.functions.now_ms = START_MS
        assert (await ArchiveWriter(p, archive).run_once()).purged == 5
    assert sorted(d.threat_id for _, d in await archive.history()) == ["t0", "t29"]
    assert (await ArchiveWriter(periscope, archive).run_once()).purged == 0, "for ever"


async def test_all_of_them_together(
    periscope: Periscope, archive: Archive, clock: SteadyClock
) -> None:
    await make_eligible(periscope, "t")
    await add(periscope, "u")
    workers: tuple[Worker[Any], ...] = (
        PromotionWorker(periscope, interval=QUICK),
        SnoozeWorker(periscope, interval=QUICK),
        ExpiryWorker(periscope, archive, interval=QUICK),
        ArchiveWriter(periscope, archive, interval=QUICK),
    )
    for _ in range(2):
        runs = [worker.status().runs for worker in workers]
        async with Supervisor(*workers) as supervisor:
            await wait_until(
                lambda before=runs: all(  # type: ignore[misc]
                    worker.status().runs > count + 1
                    for worker, count in zip(workers, before, strict=True)
                ),
                "two runs of each",
            )
            assert [status.failures for status in supervisor.status()] == [0, 0, 0, 0]
        clock.pass_by(25 * HOUR_MS)
    ledger = await periscope.get_ledger(deep=True)
    assert (ledger.level_1, ledger.level_2, ledger.archived_unseen) == (0, 1, 1)
    assert len(await archive.audit()) == 2
