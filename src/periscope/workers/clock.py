"""The server's clock against our own steady one: nothing expires because somebody set a clock.

Time is the server's, so a clock that jumps ahead would expire everything at once. A guard looks at
both clocks from time to time; when they disagree it leaves a note in the database that pauses the
sweeps of every process, also of those that start later and have nothing to compare with.
"""

from __future__ import annotations

import logging
import time
from typing import Annotated, NamedTuple

import msgspec

from periscope.errors import PartitionsMissing
from periscope.models import to_datetime
from periscope.periscope import Periscope
from periscope.workers.status import wall_ms

log = logging.getLogger(__name__)

PAUSE_NOTE = "clock"
ACCEPTED_NOTE = "clock_accepted"
LIMIT_MS = 10 * 60 * 1000
# It goes on while the machine sleeps, as the server's does: a laptop that wakes is no jump.
STEADY_CLOCK = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)

Moment = Annotated[int, msgspec.Meta(ge=0, lt=2**42)]


class ClockPause(msgspec.Struct, frozen=True):
    """Why sweeps are paused, as the database holds it.

    `found_ms` is what the server's clock said, `expected_ms` what it should have; `paused_at_ms`
    is by the clock of the worker that noticed.
    """

    paused_at_ms: Moment
    expected_ms: Moment
    found_ms: Moment

    def is_over(self, now_ms: int) -> bool:
        """Is the server's clock right again, for all that one can say who did not see it jump?

        It must not be before the time expected at the jump; and after a jump ahead, it must have
        come back from there. What jumped back and has since passed that time expires nothing early.
        """
        if now_ms < self.expected_ms - LIMIT_MS:
            return False
        return self.found_ms < self.expected_ms or now_ms < self.found_ms - LIMIT_MS

    def explain(self) -> str:
        """One line that an operator can act upon."""
        what = "the database's note on its clock cannot be read"
        if self != UNREADABLE:
            found, expected = (
                to_datetime(ms).isoformat(" ", "seconds")
                for ms in (self.found_ms, self.expected_ms)
            )
            what = f"the server's clock said {found} when {expected} was expected"
        return f"{what}; set it right, or if it is right now, run `periscope worker --accept-clock`"


UNREADABLE = ClockPause(0, 0, 0)


class _Reading(NamedTuple):
    server_ms: int
    steady_ms: int


class ClockGuard:
    """Compares the two clocks; of one worker, and asked once a run.

    `now_ms` is the server's time of the last check.
    """

    def __init__(self, periscope: Periscope) -> None:
        self._periscope = periscope
        self._trusted: _Reading | None = None  # the last time that both clocks agreed
        self._saw_jump = False
        self._was_paused = False
        self.now_ms = 0

    async def check(self) -> ClockPause | None:
        """Say whether the server's time may be acted upon: None, or why not."""
        now = await self._read()
        said = await self._periscope.note(PAUSE_NOTE, "", "")
        pause = await (self._review(said, now) if said else self._compare(now))
        if pause is None:
            self._trusted, self._saw_jump = now, False
        self._was_paused = pause is not None
        return pause

    async def _read(self) -> _Reading:
        self.now_ms = await _server_ms(self._periscope)
        return _Reading(self.now_ms, steady_ms())

    async def _compare(self, now: _Reading) -> ClockPause | None:
        """Nobody has paused: pause if the clock jumped, unless the new time was accepted."""
        expected_ms = self._expected_ms(now)
        if not _differ(now.server_ms, expected_ms):
            return None
        if self._was_paused or await self._accepted(now):
            log.warning("the server's clock is accepted as it is now")
            return None
        self._saw_jump = True
        pause = ClockPause(wall_ms(), expected_ms, now.server_ms)
        said = await self._periscope.note(PAUSE_NOTE, "", msgspec.json.encode(pause).decode())
        return _decode(said)

    async def _review(self, said: str, now: _Reading) -> ClockPause | None:
        """Somebody, we maybe, has paused: go on if the clock is right again."""
        pause = _decode(said)
        if not self._is_right_again(pause, now):
            return pause
        left = await self._periscope.note(PAUSE_NOTE, said, "")
        if left:
            return _decode(left)
        log.warning("the server's clock is right again: sweeps go on")
        return None

    def _is_right_again(self, pause: ClockPause, now: _Reading) -> bool:
        if self._trusted is None:
            return pause.is_over(now.server_ms)
        if _differ(now.server_ms, self._expected_ms(now)):
            self._saw_jump = True
            return False
        if self._saw_jump or pause.is_over(now.server_ms):
            return True
        # We began after the jump, before it was noticed: what we took for right was not.
        self._trusted = None
        return False

    def _expected_ms(self, now: _Reading) -> int:
        trusted = self._trusted or now
        return trusted.server_ms + now.steady_ms - trusted.steady_ms

    async def _accepted(self, now: _Reading) -> bool:
        """Did an operator accept the new time since the clocks last agreed, unseen by us?"""
        said = await self._periscope.note(ACCEPTED_NOTE, "", "")
        if not said.isdecimal() or self._trusted is None:
            return False
        since_ms = now.server_ms - int(said)
        return -LIMIT_MS <= since_ms <= now.steady_ms - self._trusted.steady_ms + LIMIT_MS


async def read_pause(periscope: Periscope) -> ClockPause | None:
    """Why sweeps are paused, None if they are not. Safe to call at any time."""
    said = await periscope.note(PAUSE_NOTE, "", "")
    return _decode(said) if said else None


async def accept_clock(periscope: Periscope) -> ClockPause | None:
    """Declare that the server's clock is right as it is: sweeps go on everywhere.

    Returns the pause that this ended, None if there was none. Safe to repeat.
    """
    now_ms = await _server_ms(periscope)
    before = await periscope.note(ACCEPTED_NOTE, "", "")
    while before != str(now_ms):
        before = await periscope.note(ACCEPTED_NOTE, before, str(now_ms))
    ended = None
    said = await periscope.note(PAUSE_NOTE, "", "")
    while said:
        ended = _decode(said)
        said = await periscope.note(PAUSE_NOTE, said, "")
    return ended


async def _server_ms(periscope: Periscope) -> int:
    """The server's time; of a cluster, that of the first partition that is there."""
    try:
        return (await periscope.get_stats()).as_of_ms
    except PartitionsMissing as exc:
        if exc.partial is None:
            raise
        return int(exc.partial.as_of_ms)


def steady_ms() -> int:
    """Milliseconds of a clock that nobody can set."""
    return time.clock_gettime_ns(STEADY_CLOCK) // 1_000_000


def _differ(found_ms: int, expected_ms: int) -> bool:
    return abs(found_ms - expected_ms) > LIMIT_MS


def _decode(said: str) -> ClockPause:
    try:
        return msgspec.json.decode(said, type=ClockPause)
    except (msgspec.DecodeError, UnicodeEncodeError) as exc:
        log.error("the database's note %r cannot be read: %s", PAUSE_NOTE, exc)
        return UNREADABLE
