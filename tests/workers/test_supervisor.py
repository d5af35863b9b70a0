"""Several workers as one: what ends is started again, what is told to end does so."""

from __future__ import annotations

import asyncio
import os
import signal

import pytest

from periscope.errors import ArchiveMismatch, UsageError
from periscope.workers import State, Supervisor
from tests.workers.support import Job, wait_until


async def forever() -> None:
    await asyncio.Event().wait()


@pytest.mark.usefixtures("no_back_off")
async def test_a_task_that_ends_by_itself_is_started_again(
    caplog: pytest.LogCaptureFixture,
) -> None:
    steady, doomed = Job(), Job()
    async with Supervisor(steady, doomed) as supervisor:
        for restarts in (1, 2):
            assert doomed.task is not None
            doomed.task.cancel()
            await wait_until(lambda n=restarts: doomed.status().restarts == n, "a restart")  # type: ignore[misc]
            before = doomed.finished
            await wait_until(lambda n=before: doomed.finished > n, "a run after it")  # type: ignore[misc]
        assert [status.restarts for status in supervisor.status()] == [0, 2]
    assert caplog.text.count("ended by itself") == 2
    assert [status.state for status in supervisor.status()] == [State.STOPPED] * 2


async def test_one_that_refuses_to_start_stops_the_others() -> None:
    good, bad = Job(), Job(prepares=(ArchiveMismatch("another one"),))
    supervisor = Supervisor(good, bad)
    with pytest.raises(ArchiveMismatch):
        await supervisor.start()
    assert good.status().state == State.STOPPED
    async with supervisor:
        with pytest.raises(UsageError, match="runs already"):
            await supervisor.start()


def test_it_needs_something_to_supervise() -> None:
    with pytest.raises(UsageError, match="at least one worker"):
        Supervisor()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_signal_ends_it(number: signal.Signals) -> None:
    before = signal.getsignal(number)
    busy, hanging = Job(), Job(forever)
    running = asyncio.create_task(Supervisor(busy, hanging).run())
    await wait_until(lambda: busy.finished > 0, "a run")
    async with asyncio.timeout(2):
        os.kill(os.getpid(), number)
        await running
    assert [job.status().state for job in (busy, hanging)] == [State.STOPPED] * 2
    assert signal.getsignal(number) is before


async def test_a_signal_ends_a_start_that_hangs() -> None:
    quick, hanging = Job(), Job(prepares=(forever,))
    running = asyncio.create_task(Supervisor(quick, hanging).run())
    await wait_until(lambda: quick.finished > 0, "a run")
    async with asyncio.timeout(2):
        os.kill(os.getpid(), signal.SIGTERM)
        await running
    assert quick.status().state == State.STOPPED


async def test_a_run_that_is_cancelled_stops_the_workers() -> None:
    job = Job()
    running = asyncio.create_task(Supervisor(job).run())
    await wait_until(lambda: job.finished > 0, "a run")
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert job.status().state == State.STOPPED


async def test_a_refusal_to_start_ends_the_run() -> None:
    with pytest.raises(ArchiveMismatch):
        await Supervisor(Job(prepares=(ArchiveMismatch("another one"),))).run()
