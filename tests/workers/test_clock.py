"""Somebody sets the server's clock: sweeps stop everywhere, and go on when it is right again."""

from __future__ import annotations

import json

import pytest

from periscope import Claimed, ClaimLost, Periscope
from periscope.archive import Archive
from periscope.workers import ExpiryWorker
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


COUNT = 60


async def furnish(p: Periscope) -> None:
    """Threats that an hour of quiet would expire, all seen; each with work of its own on it."""
    await p.add_threats_batch(
        {"threat_id": f"t{n}", "content": "x", "severity": "LOW" if n % 2 else "MEDIUM"}
        for n in range(COUNT)
    )
    await p.record_interactions_batch(
        {"threat_id": f"t{n}", "analyst_id": "ann", "action": "view" if n % 3 else "escalate"}
        for n in range(COUNT)
    )


async def assert_sensible_ranks(p: Periscope) -> None:
    top = await p.get_top_threats(COUNT)
    places = [(one.score, one.last_activity_ms, one.threat_id.encode()) for one in top]
    assert len(places) == COUNT
    assert places == sorted(places, reverse=True)
    assert all(0 < score <= 1 for score, *_ in places)


@pytest.mark.parametrize("by_ms", [YEAR_MS, -HOUR_MS], ids=["a year ahead", "an hour back"])
async def test_a_jump_expires_nothing_and_ranks_stay_sensible(
    clocks: Clocks, periscope: Periscope, archive: Archive, by_ms: int
) -> None:
    await furnish(periscope)
    worker = ExpiryWorker(periscope, archive)
    await worker._prepare()
    for jump_ms, sweeps in ((0, True), (by_ms, False), (0, False), (-by_ms, True)):
        clocks.jump(jump_ms)
        clocks.go_on()
        stats = await worker._work()
        assert (stats is not None) is sweeps
        assert stats is None or stats.expired == 0
        await assert_sensible_ranks(periscope)
    assert (await periscope.get_ledger()).departed == 0


async def test_a_lease_holds_while_the_clock_is_an_hour_back(
    clocks: Clocks, periscope: Periscope
) -> None:
    await furnish(periscope)
    claim = await periscope.claim("t1", "ann")
    clocks.jump(-HOUR_MS)
    with pytest.raises(Claimed):
        await periscope.claim("t1", "bob")
    await periscope.record_interaction("t1", "ann", "investigate")
    desk = await periscope.get_desk("t1")
    assert desk.claim is not None
    assert (desk.claim.token, desk.claim.until_ms) == (claim.token, claim.until_ms)
    pulled = await periscope.claim_next("bob")
    assert pulled is not None
    assert pulled.threat_id != "t1"
    clocks.jump(HOUR_MS)
    with pytest.raises(Claimed):
        await periscope.claim("t1", "bob")
    await periscope.release(claim)


async def test_a_lease_that_a_jump_ended_has_one_new_holder(
    clocks: Clocks, periscope: Periscope
) -> None:
    """A year ahead it has ended, as every clock says; then there is one holder, there and back."""
    await furnish(periscope)
    first = await periscope.claim("t1", "ann")
    clocks.jump(YEAR_MS)
    second = await periscope.claim("t1", "bob")
    assert second.token > first.token
    for _ in range(2):
        with pytest.raises(ClaimLost):
            await periscope.release(first)
        with pytest.raises(Claimed):
            await periscope.decide("t1", "ann", "benign_expected")
        with pytest.raises(Claimed):
            await periscope.claim("t1", "cy")
        clocks.jump(-YEAR_MS)
    third = await periscope.claim("t1", "cy", take_over=True)
    assert third.token > second.token
    assert third.until_ms < START_MS + HOUR_MS
    with pytest.raises(ClaimLost):
        await periscope.release(second)
    await periscope.release(third)


async def pause_by(
    by_ms: int, clocks: Clocks, periscope: Periscope
) -> tuple[ClockGuard, ClockPause]:
    guard = ClockGuard(periscope)
    assert await guard.check() is None
    clocks.jump(by_ms)
    pause = await guard.check()
    assert pause is not None
    return guard, pause
