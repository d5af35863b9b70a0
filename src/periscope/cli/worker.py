"""`periscope worker`: what must happen without being asked for, until it is told to end."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Group, Parameter

from periscope import documents
from periscope.cli import output
from periscope.cli.archives import archive_of
from periscope.cli.figures import count
from periscope.cli.options import ANY_STORE, FOR_PEOPLE, OutputOptions, StoreOptions
from periscope.cli.text import safe
from periscope.cli.when import duration, short
from periscope.errors import PartitionsMissing, UsageError

if TYPE_CHECKING:
    from periscope.archive import Archive
    from periscope.periscope import Periscope
    from periscope.workers import Worker, WorkerStatus

PACE = Group("How often", sort_key=10)
LEAST = timedelta(milliseconds=100)


@Parameter(name="*")
@dataclass(frozen=True)
class PaceOptions:
    """How often each job is done."""

    promote_every: Annotated[
        str,
        Parameter(
            name="--promote-every",
            group=PACE,
            help="Time between two promotions.",
            metavar="DURATION",
        ),
    ] = "30s"
    wake_every: Annotated[
        str,
        Parameter(
            name="--wake-every",
            group=PACE,
            help="Time between two looks for snoozed threats whose time has come.",
            metavar="DURATION",
        ),
    ] = "1s"
    sweep_every: Annotated[
        str,
        Parameter(
            name="--sweep-every",
            group=PACE,
            help="Time between two sweeps of what is over.",
            metavar="DURATION",
        ),
    ] = "1m"
    archive_every: Annotated[
        str,
        Parameter(
            name="--archive-every",
            group=PACE,
            help="Time between two moves of the audit trail.",
            metavar="DURATION",
        ),
    ] = "10s"

    def jobs(self, periscope: Periscope, archive: Archive) -> list[Worker[Any]]:
        """Return the workers, each at its pace.

        Raises:
            UsageError: a pace that is none.
        """
        from periscope.polling import FeedWorker
        from periscope.workers import ArchiveWriter, ExpiryWorker, PromotionWorker, SnoozeWorker

        return [
            PromotionWorker(periscope, _pace(self.promote_every, "--promote-every")),
            SnoozeWorker(periscope, _pace(self.wake_every, "--wake-every")),
            ExpiryWorker(periscope, archive, _pace(self.sweep_every, "--sweep-every")),
            ArchiveWriter(periscope, archive, _pace(self.archive_every, "--archive-every")),
            FeedWorker(periscope),
        ]


AT_EASE = PaceOptions()


async def worker(
    *,
    pace: PaceOptions = AT_EASE,
    once: Annotated[
        bool, Parameter(help="Do each job once, say what was done, end.", show_default=False)
    ] = False,
    accept_clock: Annotated[
        bool,
        Parameter(
            help="Declare that the server's clock is right as it is: sweeps that paused when it "
            "jumped go on. Does nothing else.",
            show_default=False,
        ),
    ] = False,
    store: StoreOptions = ANY_STORE,
    out: OutputOptions = FOR_PEOPLE,
) -> int:
    """Promote, wake, expire, archive, and read feeds."""
    if once and accept_clock:
        raise UsageError("--once and --accept-clock cannot be combined; give one of them")
    async with store.open() as periscope:
        if accept_clock:
            return await _accept_clock(periscope, out)
        async with archive_of(periscope) as archive:
            jobs = pace.jobs(periscope, archive)
            return await (_do_once(jobs, out) if once else _go_on(jobs, out))


def _pace(text: str, option: str) -> timedelta:
    found = duration(text, option)
    if found < LEAST:
        raise UsageError(f"{option} {text}: less than {short(LEAST)}")
    return found


async def _do_once(jobs: list[Worker[Any]], out: OutputOptions) -> int:
    """Do every job once; 1 if the sweep is paused, a feed failed, or partitions are away."""
    results: dict[str, Any] = {}
    away: PartitionsMissing | None = None
    for job in jobs:
        try:
            results[job.name] = await job.run_once()
        except PartitionsMissing as exc:
            if exc.partial is None:
                raise
            results[job.name], away = exc.partial, exc
    if out.as_json:
        output.show_json({name: _plain(result) for name, result in results.items()})
    else:
        output.write("".join(f"{name}: {_told(result)}\n" for name, result in results.items()))
    if away is not None:
        raise away
    failed = any(getattr(result, "failed", 0) for result in results.values())
    return 1 if failed or None in results.values() else 0


async def _go_on(jobs: list[Worker[Any]], out: OutputOptions) -> int:
    """Work until SIGTERM or Ctrl-C, then say what came of it."""
    from periscope.workers import Supervisor

    if not out.as_json:
        every = ", ".join(f"{job.name} every {short(job.interval)}" for job in jobs)
        output.note(f"working: {every}; Ctrl-C ends")
    supervisor = Supervisor(*jobs)
    await supervisor.run()
    if out.as_json:
        output.show_json({"workers": [_status(one) for one in supervisor.status()]})
    else:
        output.write("".join(f"{_line(one)}\n" for one in supervisor.status()))
    return 0


async def _accept_clock(periscope: Periscope, out: OutputOptions) -> int:
    from periscope.workers import accept_clock

    ended = await accept_clock(periscope)
    if out.as_json:
        output.show_json({"accepted": True, "was_paused": ended is not None})
    else:
        was = "Sweeps go on." if ended is not None else "Sweeps were not paused."
        output.write(f"The server's clock is accepted as it is. {was}\n")
    return 0


def _plain(result: Any) -> documents.Document | None:
    return None if result is None else asdict(result)


def _told(result: Any) -> str:
    """Return what a run did: the counts that are not zero."""
    if result is None:
        return "paused, because of the server's clock: see the log"
    numbers = {name: value for name, value in asdict(result).items() if isinstance(value, int)}
    done = [f"{value:,} {name.replace('_', ' ')}" for name, value in numbers.items() if value]
    return ", ".join(done) or "nothing to do"


def _status(one: WorkerStatus) -> documents.Document:
    return {
        "name": one.name,
        "state": one.state.value,
        "runs": one.runs,
        "failures": one.failures,
        "restarts": one.restarts,
        **documents.times("last_run", one.last_run_ms),
        "last_result": _plain(one.last_result),
        "last_error": one.last_error,
    }


def _line(one: WorkerStatus) -> str:
    failed = f", {one.failures:,} failed (last: {safe(one.last_error or '')})"
    return f"{one.name}: {count(one.runs, 'run')}{failed if one.failures else ''}"
