"""While the process is busy the index takes a small share of a core; it never waits for long."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from periscope import Periscope
from periscope.index import ReadIndex, pace
from periscope.index.pace import LONGEST_REST_S, SHARE_WHEN_BUSY, SHARE_WHEN_IDLE, Pace
from tests.index.support import report, up_to_now


class Clocks:
    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.wall_s = self.process_s = 100.0
        monkeypatch.setattr(pace, "time", self)

    def monotonic(self) -> float:
        return self.wall_s

    def process_time(self) -> float:
        return self.process_s

    def passes(self, wall_s: float, others_s: float, own_s: float) -> None:
        self.wall_s += wall_s
        self.process_s += others_s + own_s


@pytest.mark.parametrize(
    ("others_s", "share"),
    [(0.0, SHARE_WHEN_IDLE), (0.005, SHARE_WHEN_BUSY), (0.01, SHARE_WHEN_BUSY)],
)
def test_it_rests_by_what_the_others_do(
    monkeypatch: pytest.MonkeyPatch, others_s: float, share: float
) -> None:
    clocks = Clocks(monkeypatch)
    measured, own_s, begun = Pace(), 0.0, clocks.wall_s
    for _ in range(100):
        clocks.passes(0.010, others_s, 0.008)
        measured.spent(0.008, 0)
        own_s += 0.008
        rest_s = measured.rest_s()
        clocks.passes(rest_s, rest_s * others_s / 0.010, 0.0)
    assert 0.8 * share < own_s / (clocks.wall_s - begun) < 1.05 * share
    assert measured.spent_s == pytest.approx(own_s)
    assert measured.is_busy is (share == SHARE_WHEN_BUSY)


def test_it_takes_less_where_all_have_too_little(monkeypatch: pytest.MonkeyPatch) -> None:
    clocks, measured, rests = Clocks(monkeypatch), Pace(), list[float]()
    for late_s in (0.0, 0.005, 0.02, 0.05, 10.0):
        measured.rested(late_s)
        clocks.passes(0.010, 0.001, 0.002)
        measured.spent(0.002, 0)
        rests.append(measured.rest_s())
    assert rests[0] == rests[1] < 0.001 < 0.05 < rests[2] < rests[3] < rests[4] < 0.3


def test_a_long_batch_is_not_paid_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    clocks, measured = Clocks(monkeypatch), Pace()
    clocks.passes(10.0, 10.0, 5.0)
    measured.spent(5.0, 0)
    assert measured.rest_s() == LONGEST_REST_S
    assert measured.rest_s() == 0


async def test_taking_in_reports_is_not_slowed_down_by_much(
    periscope: Periscope, tmp_path: Path
) -> None:
    index = ReadIndex(periscope, tmp_path)
    await index.start()
    await up_to_now(periscope, index)
    life = index._life
    assert life is not None
    before, begun = life.feeder.pace.spent_s, time.monotonic()
    reports = (report(number) for number in range(60_000))
    await periscope.add_threats_batch(reports)
    share = (life.feeder.pace.spent_s - before) / (time.monotonic() - begun)
    assert share < 0.2  # the first batch came before anything was known
    assert index.status.lag_events  # so it lags, and says so
    await index.close()
