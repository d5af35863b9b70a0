"""Somebody sets the server's clock: sweeps stop everywhere, and go on when it is right again."""

from __future__ import annotations

import json

import pytest

from periscope import Periscope
from periscope.workers.clock import (
    LIMIT_MS,
    UNREADABLE,
    ClockGuard,
    ClockPause,
    accept_clock,
    read_pause,
    steady_ms,
)

START_MS = 1_790_000_000_000
MINUTE_MS = 60_000
HOUR_MS = 60 * MINUTE_MS
YEAR_MS = 365 * 24 * HOUR_MS


class Clocks:
    """The server's clock and the workers' steady one, in the test's hand."""

    def __init__(self, periscope: Periscope) -> None:
        self.periscope = periscope
        self.steady_ms = 5_000
        self.set_ms(START_MS)

    def set_ms(self, server_ms: int) -> None:
        self.periscope.functions.now_ms = server_ms

    def jump(self, by_ms: int) -> None:
        self.set_ms((self.periscope.functions.now_ms or 0) + by_ms)

    def go_on(self, by_ms: int = MINUTE_MS) -> None:
        self.steady_ms += by_ms
        self.jump(by_ms)


@pytest.fixture
def clocks(periscope: Periscope, monkeypatch: pytest.MonkeyPatch) -> Clocks:
    made = Clocks(periscope)
    monkeypatch.setattr("periscope.workers.clock.steady_ms", lambda: made.steady_ms)
    return made


async def test_clocks_that_agree_are_trusted(clocks: Clocks, periscope: Periscope) -> None:
    guard = ClockGuard(periscope)
    for step_ms in (0, MINUTE_MS, 30 * 24 * HOUR_MS):
        clocks.go_on(step_ms)
        assert await guard.check() is None
        clocks.jump(LIMIT_MS)
        assert await guard.check() is None
        clocks.jump(-LIMIT_MS)
        assert await guard.check() is None
    assert await read_pause(periscope) is None
    assert guard.now_ms == periscope.functions.now_ms


@pytest.mark.parametrize("by_ms", [YEAR_MS, LIMIT_MS + 1, -2 * LIMIT_MS, -HOUR_MS])
async def test_a_jump_pauses_everybody_until_it_is_undone(
    clocks: Clocks, periscope: Periscope, by_ms: int
) -> None:
    first, second = ClockGuard(periscope), ClockGuard(periscope)
    assert await first.check() is None
    assert await second.check() is None
    clocks.go_on()
    clocks.jump(by_ms)
    pause = await first.check()
    assert pause is not None
    assert pause.expected_ms == START_MS + MINUTE_MS
    assert pause.found_ms == pause.expected_ms + by_ms
    for guard in (second, ClockGuard(periscope), first):
        clocks.go_on()
        assert await guard.check() == pause == await read_pause(periscope)
    clocks.jump(-by_ms)
    clocks.go_on(3 * LIMIT_MS)  # longer than the smallest of the jumps
    assert await first.check() is None
    assert await read_pause(periscope) is None
    assert await second.check() is None
    assert await ClockGuard(periscope).check() is None


async def test_what_is_kept_is_plain_json(clocks: Clocks, periscope: Periscope) -> None:
    guard = ClockGuard(periscope)
    await guard.check()
    clocks.jump(YEAR_MS)
    await guard.check()
    kept = json.loads(await periscope.note("clock", "", ""))
    assert kept.keys() == {"paused_at_ms", "expected_ms", "found_ms"}
    assert (kept["expected_ms"], kept["found_ms"]) == (START_MS, START_MS + YEAR_MS)


async def test_processes_that_start_later_stay_paused_and_see_the_clock_come_back(
    clocks: Clocks, periscope: Periscope
) -> None:
    await pause_by(YEAR_MS, clocks, periscope)
    late = ClockGuard(periscope)
    clocks.go_on(HOUR_MS)
    assert await late.check() is not None
    clocks.jump(-2 * YEAR_MS)
    assert await late.check() is not None, "a year too early is no better"
    clocks.jump(YEAR_MS)
    assert await late.check() is None
    assert await read_pause(periscope) is None


async def test_one_that_began_after_the_jump_does_not_take_it_for_right(
    clocks: Clocks, periscope: Periscope
) -> None:
    early = ClockGuard(periscope)
    await early.check()
    clocks.jump(YEAR_MS)
    deceived = ClockGuard(periscope)
    assert await deceived.check() is None, "nobody can know yet"
    clocks.go_on()
    assert await early.check() is not None
    for _ in range(3):
        clocks.go_on()
        assert await deceived.check() is not None
    clocks.jump(-YEAR_MS)
    assert await deceived.check() is None


async def test_an_operator_may_accept_the_new_time(clocks: Clocks, periscope: Periscope) -> None:
    unaware = ClockGuard(periscope)
    await unaware.check()
    aware, pause = await pause_by(YEAR_MS, clocks, periscope)
    assert await accept_clock(periscope) == pause
    assert await accept_clock(periscope) is None
    clocks.go_on()
    for guard in (aware, unaware, ClockGuard(periscope)):
        assert await guard.check() is None
    assert await read_pause(periscope) is None


async def test_what_was_accepted_once_excuses_no_later_jump(
    clocks: Clocks, periscope: Periscope
) -> None:
    guard, _ = await pause_by(HOUR_MS, clocks, periscope)
    await accept_clock(periscope)
    assert await guard.check() is None
    clocks.go_on(24 * HOUR_MS)
    assert await guard.check() is None
    for by_ms in (HOUR_MS, -2 * HOUR_MS):
        clocks.jump(by_ms)
        assert await guard.check() is not None


async def test_the_time_may_be_accepted_before_anybody_noticed(
    clocks: Clocks, periscope: Periscope
) -> None:
    guard = ClockGuard(periscope)
    await guard.check()
    clocks.jump(-HOUR_MS)
    assert await accept_clock(periscope) is None
    clocks.go_on()
    assert await guard.check() is None


@pytest.mark.parametrize("note", ["{", "[]", '{"paused_at_ms":-1}', '{"found_ms":1e400}', "\0"])
async def test_a_note_that_cannot_be_read_pauses_until_it_is_accepted(
    clocks: Clocks, periscope: Periscope, note: str, caplog: pytest.LogCaptureFixture
) -> None:
    await periscope.note("clock", "", note)
    guard = ClockGuard(periscope)
    assert await guard.check() == UNREADABLE
    assert "cannot be read" in caplog.text
    assert "cannot be read" in UNREADABLE.explain()
    assert await accept_clock(periscope) == UNREADABLE
    assert await guard.check() is None


def test_a_pause_says_what_to_do() -> None:
    line = ClockPause(START_MS, START_MS, START_MS + YEAR_MS).explain()
    assert "said 2027-09-21 14:13:20+00:00 when 2026-09-21 14:13:20+00:00 was expected" in line
    assert "periscope worker --accept-clock" in line
    latest = 2**42 - 1
    assert "2109" in ClockPause(latest, latest, latest).explain()


def test_the_steady_clock_goes_on() -> None:
    before = steady_ms()
    assert before <= steady_ms() < before + 60_000


async def pause_by(
    by_ms: int, clocks: Clocks, periscope: Periscope
) -> tuple[ClockGuard, ClockPause]:
    guard = ClockGuard(periscope)
    assert await guard.check() is None
    clocks.jump(by_ms)
    pause = await guard.check()
    assert pause is not None
    return guard, pause
