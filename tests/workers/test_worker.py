"""A worker outlives whatever goes wrong in its job, and ends when it is told to."""

from __future__ import annotations

import asyncio
import logging
import time
from contextlib import suppress
from datetime import timedelta

import pytest

from periscope.errors import (
    ArchiveMismatch,
    BugError,
    StoreError,
    StoreUnavailable,
    UsageError,
)
from periscope.workers import State
from periscope.workers.backoff import backoff_s
from periscope.workers.promotion import PromotionWorker
from tests.workers.support import Job, wait_until

SECOND = timedelta(seconds=1)


async def forever() -> None:
    await asyncio.Event().wait()


async def test_it_works_again_and_again_until_it_is_stopped() -> None:
    job = Job()
    assert job.status().state == State.NEW
    async with job:
        await wait_until(lambda: job.finished >= 3, "three runs")
    status = job.status()
    assert (status.state, status.failures, status.last_error) == (State.STOPPED, 0, None)
    assert status.last_result == status.runs == job.finished
    assert status.last_run_ms is not None
    assert abs(status.last_run_ms - time.time() * 1000) < 20_000


@pytest.mark.usefixtures("no_back_off")
async def test_an_unexpected_error_is_logged_counted_and_outlived(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with Job(ZeroDivisionError("a\nb"), BugError("broken"), 7) as job:
        await wait_until(lambda: job.finished >= 1, "a run that succeeds")
    status = job.status()
    assert (status.failures, status.consecutive_failures) == (2, 0)
    assert status.last_error == "broken"
    first, second = (r for r in caplog.records if r.levelno == logging.ERROR)
    assert first.exc_info is not None
    assert second.exc_info is not None
    assert "worker job failed (1 in a row)" in first.message
    assert "ZeroDivisionError: a b" in first.message


@pytest.mark.usefixtures("no_back_off")
async def test_a_store_that_stays_away_does_not_fill_the_log(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with Job(*[StoreUnavailable("away")] * 20) as job:
        await wait_until(lambda: job.finished >= 1, "a run that succeeds")
    errors = [r for r in caplog.records if r.levelno == logging.ERROR]
    assert [r.args[1] for r in errors if isinstance(r.args, tuple)] == [1, 2, 4, 8, 16]
    assert not any(r.exc_info for r in errors)
    assert job.status().failures == 20


async def test_while_it_waits_after_a_failure_it_says_so() -> None:
    async with Job(StoreError("full")) as job:
        await wait_until(lambda: job.status().state == State.FAILING, "the failure")
        assert job.status().consecutive_failures == 1
        assert job.status().last_error == "full"


@pytest.mark.usefixtures("no_back_off")
async def test_a_cancellation_from_within_the_job_is_a_failure_not_the_end() -> None:
    async with Job(asyncio.CancelledError()) as job:
        await wait_until(lambda: job.finished >= 1, "a run that succeeds")
        assert job.status().failures == 1
        assert job.status().restarts == 0


async def test_a_run_in_hand_is_finished() -> None:
    begun, may_end = asyncio.Event(), asyncio.Event()

    async def act() -> int:
        begun.set()
        await may_end.wait()
        return 5

    job = await Job(act).start()
    await begun.wait()
    stopping = asyncio.create_task(job.stop())
    await asyncio.sleep(0)
    may_end.set()
    await stopping
    assert job.status().last_result == 5
    assert job.status().state == State.STOPPED
    assert job.status().runs == 1


async def test_a_run_that_does_not_end_is_cancelled_within_two_seconds() -> None:
    job = await Job(forever).start()
    await wait_until(lambda: job.status().state == State.RUNNING, "the run")
    async with asyncio.timeout(2):
        await job.stop()
    assert job.status().state == State.STOPPED
    assert job.finished == 0


async def test_a_job_that_drops_a_cancellation_is_cancelled_again() -> None:
    async def deaf_once() -> None:
        with suppress(asyncio.CancelledError):
            await forever()
        await forever()

    job = await Job(deaf_once).start()
    await wait_until(lambda: job.status().state == State.RUNNING, "the run")
    async with asyncio.timeout(2):
        await job.stop(grace=timedelta(0))
    assert job.task is not None
    assert job.task.cancelled()


async def test_a_job_that_nothing_ends_is_left_behind_loudly(
    caplog: pytest.LogCaptureFixture,
) -> None:
    released = asyncio.Event()

    async def deaf() -> None:
        while not released.is_set():
            with suppress(asyncio.CancelledError):
                await released.wait()

    job = await Job(deaf).start()
    await wait_until(lambda: job.status().state == State.RUNNING, "the run")
    async with asyncio.timeout(2):
        await job.stop(grace=timedelta(0))
    assert "does not end although it was cancelled" in caplog.text
    released.set()
    assert job.task is not None
    await asyncio.wait({job.task})


async def test_a_stop_that_is_cancelled_still_ends_the_run() -> None:
    job = await Job(forever).start()
    await wait_until(lambda: job.status().state == State.RUNNING, "the run")
    stopping = asyncio.create_task(job.stop())
    await asyncio.sleep(0)
    stopping.cancel()
    assert job.task is not None
    await asyncio.wait({job.task, stopping})
    await job.stop()


async def test_it_starts_once_and_may_start_again_when_stopped() -> None:
    job = Job()
    await job.stop()
    assert job.status().state == State.NEW
    async with job:
        with pytest.raises(UsageError, match="runs already"):
            await job.start()
        await wait_until(lambda: job.finished >= 1, "a run")
    before = job.finished
    async with job:
        await wait_until(lambda: job.finished > before, "a run after the second start")


@pytest.mark.usefixtures("no_back_off")
async def test_what_time_mends_does_not_fail_a_start() -> None:
    async with Job(prepares=(StoreUnavailable("away"), StoreUnavailable("away"))) as job:
        await wait_until(lambda: job.finished >= 1, "a run")
        assert job.status().failures == 2


@pytest.mark.parametrize("error", [ArchiveMismatch("another"), UsageError("closed")])
async def test_what_time_does_not_mend_fails_the_start(error: Exception) -> None:
    job = Job(prepares=(error,))
    with pytest.raises(type(error)):
        await job.start()
    assert job.task is None
    async with job:  # may be tried again
        await wait_until(lambda: job.finished >= 1, "a run")


async def test_after_a_failed_run_it_gets_ready_anew() -> None:
    job = Job(StoreError("broken"), prepares=(1, 2, 3))
    with pytest.raises(StoreError):
        await job.run_once()
    await job.run_once()
    await job.run_once()
    assert job.prepares == [3]


async def test_one_run_at_a_time() -> None:
    under_way = 0
    most = 0

    async def act() -> None:
        nonlocal under_way, most
        under_way += 1
        most = max(most, under_way)
        await asyncio.sleep(0)
        under_way -= 1

    job = Job(*[act] * 10)
    await asyncio.gather(*(job.run_once() for _ in range(10)))
    assert (most, job.finished) == (1, 10)


async def test_an_end_of_the_task_is_never_silent(caplog: pytest.LogCaptureFixture) -> None:
    async with Job(forever) as job:
        assert job.task is not None
        await wait_until(lambda: job.status().state == State.RUNNING, "the run")
        job.task.cancel()
        await wait_until(lambda: job.status().state == State.ENDED, "the end")
    assert "worker job ended by itself" in caplog.text


def test_back_off_doubles_up_to_a_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("periscope.workers.backoff.uniform", lambda low, high: high)
    other, away = ZeroDivisionError(), StoreUnavailable()
    assert [backoff_s(n, other) for n in range(1, 8)] == [1, 2, 4, 8, 16, 30, 30]
    assert [backoff_s(n, away) for n in (1, 2, 3, 4, 5, 2_000_000)] == [1, 2, 4, 4, 4, 4]


def test_back_off_has_full_jitter() -> None:
    drawn = [backoff_s(100, ZeroDivisionError()) for _ in range(1_000)]
    assert 0 <= min(drawn) < 5
    assert 25 < max(drawn) <= 30


@pytest.mark.parametrize("interval", [timedelta(0), -SECOND])
def test_an_interval_must_be_one(interval: timedelta) -> None:
    with pytest.raises(UsageError, match="interval"):
        PromotionWorker(Job().periscope, interval=interval)
