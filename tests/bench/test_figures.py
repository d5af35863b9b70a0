"""Percentiles, ratios and targets: the arithmetic that the table stands on."""

from __future__ import annotations

import pytest

from periscope.bench.boards import BOARDS
from periscope.bench.figures import Figure, Spread, figure, pairs
from periscope.bench.row_ingest import INTO_THE_SCALE, RESIDENT, RESIDENT_GROWTH, resident_growth
from periscope.bench.row_lost import WRONG as LOST
from periscope.bench.row_membership import WRONG
from periscope.bench.row_queries import SERVER_TOP, growth
from periscope.bench.rows import ROWS, choose
from periscope.bench.targets import TARGETS
from periscope.bench.threats import blocks, is_known, report, threat_id
from periscope.policy import BUCKETS


def test_percentiles_are_samples_by_nearest_rank() -> None:
    spread = Spread.of([float(n) for n in range(1000, 0, -1)])
    assert (spread.lowest, spread.p50, spread.p99, spread.p999) == (1, 500, 990, 999)
    assert (spread.median, spread.highest) == (500.5, 1000)


def test_of_one_sample_everything_is_that_sample() -> None:
    assert Spread.of([7.0]) == Spread(7, 7, 7, 7, 7, 7)


def test_a_ratio_is_the_median_of_paired_runs() -> None:
    assert pairs([2.0, 9.0], [4.0, 10.0]) == [0.5, 0.9]
    one = figure("ingest", "new", 10, "threats/s", [1, 1, 1], ratios=[0.9, 0.5, 0.55])
    assert one.ratio == 0.55
    assert one.reached is False


def test_growth_is_told_between_neighbouring_scales() -> None:
    tops = [
        figure("queries", SERVER_TOP, scale, "ms", [ms], on="worked")
        for scale, ms in ((10**5, 2.0), (10**4, 1.0), (10**6, 2.0), (10**7, 4.0))
    ]
    told = [(one.scale, one.ratio, one.ratio_to, one.reached) for one in growth(tops)]
    assert told == [
        (10**5, 2.0, "p50 at 10,000", None),
        (10**6, 1.0, "p50 at 100,000", True),
        (10**7, 2.0, "p50 at 1,000,000", False),
    ]


def resident(*rates: tuple[int, float]) -> list[Figure]:
    return [figure(RESIDENT, INTO_THE_SCALE, scale, "threats/s", [rate]) for scale, rate in rates]


def test_ingest_into_the_largest_scale_is_compared_with_batches_as_large() -> None:
    (one,) = resident_growth(resident((10**6, 80.0), (10**4, 200.0), (10**5, 100.0)))
    assert (one.what, one.scale, one.samples) == (RESIDENT_GROWTH, 10**6, [80.0])
    assert (one.ratio, one.ratio_to, one.reached) == (0.8, "median at 100,000", False)
    (one,) = resident_growth(resident((10**5, 100.0), (10**6, 85.0)))
    assert one.reached is True
    assert resident_growth(resident((10**4, 200.0), (10**5, 100.0))) == []
    assert resident_growth([]) == []
    (one,) = resident_growth(resident((10**5, 100.0), (500_000, 50.0)))
    assert one.reached is None, "a million is what was promised"


def test_one_fault_is_too_many() -> None:
    for row, what in (("lost", LOST), ("exists", WRONG)):
        assert figure(row, what, 10, "ids", [0]).reached is True
        assert figure(row, what, 10, "ids", [1]).reached is False


def test_all_are_back_in_five_seconds_at_a_million() -> None:
    told = "killed, until all are back"
    assert figure("restart", told, 10**5, "s", [9.0]).reached is None
    assert figure("restart", told, 10**6, "s", [4.9, 5.1]).reached is False


def test_a_missed_target_is_called_missed() -> None:
    assert figure("stop", "anything", 10, "ms", [1.0, 5.1]).reached is False
    assert figure("stop", "anything", 10, "ms", [1.0, 5.0]).reached is True


def test_memory_is_judged_at_a_million_only() -> None:
    assert figure("memory", "beyond the body", 10_000, "bytes", [400.0]).reached is None
    assert figure("memory", "beyond the body", 10**6, "bytes", [400.0]).reached is False


def test_every_target_is_of_a_row() -> None:
    assert {target.row for target in TARGETS} <= set(ROWS)


def test_the_limit_is_not_measured_twice() -> None:
    assert "limit" not in choose(None)
    assert list(choose(["limit"])) == ["limit"]
    assert list(choose(["stop", "ingest"])) == ["ingest", "stop"]


def test_ids_have_sixteen_bytes_and_contents_sixty_to_a_hundred() -> None:
    reports = [report(number) for number in range(1000)]
    assert {len(threat_id(number)) for number in range(1000)} == {16}
    assert 50 < sum(len(one["content"]) for one in reports) / 1000 < 100
    assert len({one["threat_id"] for one in reports}) == 1000
    assert report(5) != report(5, edition=1)
    assert len(report(5, content_bytes=2000)["content"]) == 2000


@pytest.mark.parametrize("percent", [1, 50, 100])
def test_known_ones_are_spread_evenly(percent: int) -> None:
    for start in (0, 500, 7700):
        known = [is_known(number, percent) for number in range(start, start + 500)]
        assert sum(known) == 5 * percent


def test_blocks_cover_the_numbers_once() -> None:
    numbers = [number for block in blocks(7, 250_000) for number in block]
    assert numbers == list(range(7, 250_007))


def test_the_worst_board_fills_every_bucket() -> None:
    works = [BOARDS["every bucket"](number, 1000) for number in range(BUCKETS)]
    assert len({(one.severity, one.escalations, one.interactions) for one in works}) == BUCKETS


def test_one_in_ten_of_the_worked_board_was_touched() -> None:
    works = [BOARDS["worked"](number, 10_000) for number in range(10_000)]
    touched = [one for one in works if one.interactions]
    assert 800 < len(touched) < 1200
    assert any(one.escalations for one in touched)
    assert all(one.escalations <= one.interactions for one in works)
