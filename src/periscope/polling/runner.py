"""From a feed that is due to one that is given back: taken, run, noted, whatever happens."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import secrets
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from random import uniform

import msgspec

from periscope.errors import FetchFailed, PeriscopeError
from periscope.periscope import Periscope
from periscope.polling.answers import MAX_RETRY_AFTER_S
from periscope.polling.calls import FeedCalls, Held, Taken, Word
from periscope.polling.checks import read_options
from periscope.polling.deadletters import DeadLetters
from periscope.polling.definition import Definition
from periscope.polling.lease import Lease, LeaseLost
from periscope.polling.run import Halted, Run
from periscope.polling.sources import make_source
from periscope.polling.state import (
    MAX_ERROR_CHARS,
    Counts,
    encode,
    encode_place,
    fit,
    read_place,
    read_status,
)
from periscope.workers.status import one_line

log = logging.getLogger(__name__)

LEASE_MS = 15_000
LONGEST_BACKOFF_S = 3_600.0
MOST_DOUBLINGS = 10
LAST_WORDS_S = 0.3
"""Seconds for giving a feed back where the run was cancelled; else its lease ends by itself."""


@dataclass(frozen=True)
class Ended:
    """How a run ended: what it did, and what was wrong, if anything; `taken` says if it ran."""

    name: str
    taken: Taken
    counts: Counts
    error: str | None = None
    halted: bool = False
    lost: bool = False

    @property
    def ran(self) -> bool:
        """Was the feed ours to run?"""
        return self.taken.word is Word.TAKEN


class Runner:
    """Runs feeds of one database, each while it holds the feed's lease."""

    def __init__(
        self,
        periscope: Periscope,
        *,
        lease_ms: int = LEASE_MS,
        letters: DeadLetters | None = None,
    ) -> None:
        settings = periscope.settings
        self.periscope = periscope
        self.calls = FeedCalls(periscope.functions, settings.namespace)
        self.letters = letters or DeadLetters(settings.dead_letters_path)
        self._lease_ms = lease_ms
        self._me = owner_name()

    async def run(
        self,
        definition: Definition,
        halt: asyncio.Event,
        *,
        early: bool = False,
        told: Callable[[Run], None] | None = None,
    ) -> Ended:
        """Run a feed if it is free and due (`early`: or not); what came of it.

        Whatever goes wrong with the feed is in the answer and in its status, not raised.

        Raises:
            StoreError: the feed could not even be asked for.
        """
        owner = f"{self._me}:{secrets.token_hex(4)}"
        taken = await self.calls.take(definition.name, owner, self._lease_ms, early=early)
        if taken.word is not Word.TAKEN:
            return Ended(definition.name, taken, Counts())
        lease = Lease(self.calls, definition.name, taken, self._lease_ms)
        return await _Turn(self, definition, taken, lease, halt, told).take()


class _Turn:
    """One feed that was taken, until it is given back."""

    def __init__(
        self,
        runner: Runner,
        definition: Definition,
        taken: Taken,
        lease: Lease,
        halt: asyncio.Event,
        told: Callable[[Run], None] | None,
    ) -> None:
        self._runner = runner
        self._definition = definition
        self._taken = taken
        self._lease = lease
        self._halt = halt
        self._told = told
        self._began = time.monotonic()
        self._status = read_status(taken.status)
        self._status.runs += 1
        self._status.last_run_ms = taken.now_ms
        self._place = read_place(taken.position, definition.identity)
        self._run: Run | None = None

    async def take(self) -> Ended:
        error: BaseException | None = None
        try:
            await self._while_held(self._go())
        except asyncio.CancelledError:
            await asyncio.shield(self._last_words())
            raise
        except LeaseLost:
            log.warning(
                "feed %s: another worker has taken it over, or it was removed",
                self._definition.name,
            )
            return self._ended(None, lost=True)
        except Halted as exc:
            error = exc
        except Exception as exc:
            error = exc
        lost = await self._give_back(error)
        halted = self._halt.is_set() or self._lease.is_asked_to_stop
        said = None if isinstance(error, Halted) else error
        return self._ended(said, halted=halted, lost=lost)

    async def _go(self) -> None:
        definition = self._definition
        self._run = Run(
            self._runner.periscope,
            definition,
            await asyncio.to_thread(read_options, definition),
            await asyncio.to_thread(make_source, definition),
            self._lease,
            self._runner.letters,
            self._status,
            self._place,
            self._halt,
            self._told,
        )
        await self._run.go()

    async def _while_held(self, going: object) -> None:
        """Do it for as long as the feed is ours."""
        run = asyncio.ensure_future(going)  # type: ignore[call-overload]
        held = asyncio.create_task(self._lease.hold())
        try:
            await asyncio.wait({run, held}, return_when=asyncio.FIRST_COMPLETED)
            if not run.done():
                raise LeaseLost
            await run
        finally:
            held.cancel()
            run.cancel()
            await asyncio.wait({run, held})

    async def _give_back(self, error: BaseException | None) -> bool:
        """Note how it went, and when the feed is due again; was it somebody else's already?"""
        wait_s = self._note(error)
        try:
            await self._lease.release(
                round(wait_s * 1000), status=encode(self._status), position=self._position()
            )
        except LeaseLost:
            return True
        except PeriscopeError as exc:
            log.error("feed %s: what it did could not be noted: %s", self._definition.name, exc)
        return False

    def _note(self, error: BaseException | None) -> float:
        """Bring the status up to date; seconds until the next run."""
        status, run = self._status, self._run
        if run is not None:
            status.counts.add(run.counts)
        elapsed_s = time.monotonic() - self._began
        now_ms = self._taken.now_ms + round(elapsed_s * 1000)
        status.seconds = round(elapsed_s, 3)
        if isinstance(error, Halted):
            return 0.0  # neither success nor failure, and the rest need not wait
        if error is None:
            if status.failures:
                log.warning("feed %s is well again", self._definition.name)
            status.failures, status.last_success_ms = 0, now_ms
        else:
            before = status.last_error if status.failures else None
            has_moved = run is not None and run.counts.documents > 0
            status.failures = 1 if has_moved else status.failures + 1
            status.last_error_ms = now_ms
            status.last_error = fit(one_line(error), MAX_ERROR_CHARS)
            self._tell(error, status.last_error != before)
        return self._wait_s(error)

    def _tell(self, error: BaseException, is_new: bool) -> None:
        expected = isinstance(error, PeriscopeError)
        log.log(
            logging.ERROR if is_new or not expected else logging.DEBUG,
            "feed %s failed: %s",
            *(self._definition.name, fit(one_line(error), MAX_ERROR_CHARS)),
            exc_info=None if expected else error,
        )

    def _wait_s(self, error: BaseException | None) -> float:
        """Seconds to wait: the interval; after failures twice as long each time, up to an hour."""
        every_s = self._definition.every.total_seconds()
        spread_s = uniform(0, self._definition.spread.total_seconds())  # noqa: S311 - no secret
        if error is None:
            return every_s + spread_s
        doubled_s: float = every_s * 2 ** min(self._status.failures - 1, MOST_DOUBLINGS)
        asked_s = (isinstance(error, FetchFailed) and error.retry_after_s) or 0.0
        return max(min(doubled_s, max(every_s, LONGEST_BACKOFF_S)), asked_s) + spread_s

    def _position(self) -> bytes:
        return b"" if self._run is None else encode_place(self._run.place)

    async def _last_words(self) -> None:
        """Cancelled: give the feed back if that is quickly done, so that others need not wait."""
        with contextlib.suppress(PeriscopeError, LeaseLost, TimeoutError):
            async with asyncio.timeout(LAST_WORDS_S):
                if self._run is not None:
                    self._status.counts.add(self._run.counts)
                await self._lease.release(0, status=encode(self._status), position=self._position())

    def _ended(
        self, error: BaseException | None, *, halted: bool = False, lost: bool = False
    ) -> Ended:
        counts = Counts() if self._run is None else msgspec.structs.replace(self._run.counts)
        said = None if error is None else fit(one_line(error), MAX_ERROR_CHARS)
        return Ended(self._definition.name, self._taken, counts, said, halted, lost)


def is_beyond(definition: Definition, held: Held, now_ms: int) -> bool:
    """Is the next run later than any run can have put it?

    Then the server's clock was set back since, or the interval was shortened.
    """
    longest = definition.every
    if read_status(held.status).failures:
        longest = max(longest, timedelta(seconds=max(LONGEST_BACKOFF_S, MAX_RETRY_AFTER_S)))
    longest += definition.spread + timedelta(seconds=1)
    return held.next_ms - now_ms > longest / timedelta(milliseconds=1)


def owner_name() -> str:
    """Who this process is, in words that fit the store: its host and number."""
    host = "".join(c if (c.isascii() and c.isalnum()) or c in "-._" else "-" for c in _host())
    return f"{host[:60]}:{os.getpid()}"


def _host() -> str:
    return socket.gethostname() or "host"
