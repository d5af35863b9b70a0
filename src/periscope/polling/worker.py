"""`FeedWorker`: runs every feed that is due, of those that nobody else runs."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass
from datetime import timedelta
from typing import NamedTuple

from periscope.errors import StoreError
from periscope.periscope import Periscope
from periscope.polling.calls import Book, Held
from periscope.polling.definition import Definition
from periscope.polling.feeds import FILE, STORE, Feeds, shown_fields
from periscope.polling.runner import LEASE_MS, Ended, Runner, is_beyond
from periscope.workers.worker import CANCEL_AGAIN_S, CANCEL_TIMES, GRACE, Worker

log = logging.getLogger(__name__)

EVERY = timedelta(milliseconds=500)
AT_ONCE = 4


class _Due(NamedTuple):
    """A feed that may be run; `early` if what the store says of when is not to be believed."""

    since_ms: int
    definition: Definition
    early: bool


@dataclass(frozen=True, slots=True)
class FeedStats:
    """What was done since the worker began: runs, those that failed, and what they read."""

    runs: int = 0
    failed: int = 0
    read: int = 0
    added: int = 0
    sightings: int = 0
    duplicates: int = 0
    suppressed: int = 0
    rejected: int = 0
    dead_letters: int = 0

    def plus(self, ended: Ended) -> FeedStats:
        """Return the same with one run more."""
        counts = ended.counts
        return FeedStats(
            self.runs + 1,
            self.failed + (ended.error is not None),
            *(
                getattr(self, name) + getattr(counts, name)
                for name in (
                    *("read", "added", "sightings", "duplicates", "suppressed"),
                    *("rejected", "dead_letters"),
                )
            ),
        )


class FeedWorker(Worker[FeedStats]):
    """Looks which feeds are due, and runs up to four of them side by side.

    Any number of workers may do so: each feed is run by one at a time, which holds it by a lease
    of 15 s. Where that one is killed, another takes the feed over when the lease is over; where it
    was only stopped for so long, what it still wants to note is refused. A feed that fails waits
    longer each time, is said once in the log, and holds up no other one.

    Raises:
        SettingInvalid: periscope.toml defines a feed that cannot be.
    """

    name = "feeds"

    def __init__(
        self,
        periscope: Periscope,
        interval: timedelta = EVERY,
        *,
        at_once: int = AT_ONCE,
        lease: timedelta = timedelta(milliseconds=LEASE_MS),
    ) -> None:
        super().__init__(periscope, interval)
        self.feeds = Feeds(periscope)
        self._at_once = at_once
        self._lease_ms = lease // timedelta(milliseconds=1)
        self._halt = asyncio.Event()
        self._running: dict[str, asyncio.Task[None]] = {}
        self._stats = FeedStats()
        self._told: set[str] = set()
        self._untaken: dict[str, str] = {}

    async def start(self) -> FeedWorker:
        """See `Worker.start`."""
        self._halt.clear()
        for name, one in self.feeds.in_file.items():
            log.info("feed %s: %s", name, shown_fields(one))
        return await super().start()

    async def stop(self, grace: timedelta = GRACE) -> None:
        """End: runs end after the slice in hand; after `grace` they are cancelled. Idempotent.

        Either way the positions are right: what was acknowledged is not read again, but for one
        slice of a feed that had to be cancelled.
        """
        self._halt.set()
        await asyncio.gather(super().stop(grace), self._end_runs(grace))

    async def _work(self) -> FeedStats:
        runner = Runner(self.periscope, lease_ms=self._lease_ms, letters=self.feeds.letters)
        if self._started:
            self._begin(runner, self._due(await runner.calls.read()))
            return self._stats
        return await self._all_once(runner)

    async def _all_once(self, runner: Runner) -> FeedStats:
        """Without a loop to come back in: run all that is due to its end."""
        before, self._stats, self._halt = self._stats, FeedStats(), asyncio.Event()
        try:
            due = self._due(await runner.calls.read())
            while due or self._running:
                due = due[self._begin(runner, due) :]
                await asyncio.wait(self._running.values(), return_when=asyncio.FIRST_COMPLETED)
            return self._stats
        except asyncio.CancelledError:
            self._halt.set()
            await self._end_runs(GRACE)
            raise
        finally:
            self._stats = before

    def _due(self, book: Book) -> list[_Due]:
        """The feeds that may be taken now, the longest due first."""
        self._tell_problems(book)
        due = []
        for name, one in self.feeds.known(book).items():
            held = book.states.get(name, Held())
            if one.definition is None or name in self._running or not held.is_free(book.now_ms):
                continue
            early = is_beyond(one.definition, held, book.now_ms)
            if early or held.is_due(book.now_ms):
                due.append(_Due(held.next_ms, one.definition, early))
        return sorted(due, key=lambda one: one.since_ms)

    def _begin(self, runner: Runner, due: list[_Due]) -> int:
        """Start as many as there is room for; how many that were."""
        count = min(len(due), max(0, self._at_once - len(self._running)))
        for one in due[:count]:
            name = one.definition.name
            self._running[name] = task = asyncio.create_task(self._one(runner, one), name=name)
            task.add_done_callback(lambda done: self._running.pop(done.get_name(), None))
        return count

    async def _one(self, runner: Runner, due: _Due) -> None:
        name = due.definition.name
        try:
            ended = await runner.run(due.definition, self._halt, early=due.early)
        except Exception as exc:
            # That the store fails, the next look says as well; nobody else says the rest.
            is_new = not isinstance(exc, StoreError) and self._untaken.get(name) != str(exc)
            log.log(
                logging.ERROR if is_new else logging.DEBUG,
                "feed %s could not be taken: %s",
                *(name, exc),
            )
            self._untaken[name] = str(exc)
            return
        self._untaken.pop(name, None)
        if ended.ran:
            self._stats = self._stats.plus(ended)

    async def _end_runs(self, grace: timedelta) -> None:
        tasks = set(self._running.values())
        if not tasks:
            return
        await asyncio.wait(tasks, timeout=grace.total_seconds())
        for _ in range(CANCEL_TIMES):
            left = {task for task in tasks if not task.done()}
            if not left:
                return
            for task in left:
                task.cancel()
            await asyncio.wait(left, timeout=CANCEL_AGAIN_S)

    def _tell_problems(self, book: Book) -> None:
        """Say once which definitions cannot be used, and which hide another one."""
        lines = set()
        for name, one in self.feeds.known(book).items():
            if one.problem is not None:
                lines.add(f"feed {name} is left out: {one.problem}")
            if one.origin == FILE and name in book.definitions:
                lines.add(
                    f"feed {name} is defined in periscope.toml and in the {STORE}: the file counts"
                )
        for line in sorted(lines - self._told):
            log.warning("%s", line)
        self._told = lines
