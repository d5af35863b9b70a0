"""Numbers, times and bars."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from periscope.cli.figures import age, bar, count, size, span
from periscope.cli.stats import set_aside
from periscope.documents import moment


@pytest.mark.parametrize(
    ("milliseconds", "shown"),
    [
        *((0, "now"), (999, "now"), (1000, "1s"), (59_999, "59s"), (60_000, "1m"), (-5, "now")),
        *((3_600_000, "1h"), (86_399_999, "23h"), (86_400_000, "1d"), (864_000_000, "10d")),
    ],
)
def test_age(milliseconds: int, shown: str) -> None:
    assert age(milliseconds) == shown


@pytest.mark.parametrize(
    ("number", "shown"),
    [
        *((0, "0 B"), (999, "999 B"), (1000, "1.0 kB"), (999_960, "1.0 MB")),
        *((12_345_678, "12.3 MB"), (5 * 10**15, "5000.0 TB")),
    ],
)
def test_size(number: int, shown: str) -> None:
    assert size(number) == shown


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [
        *((0.04, "0.0 s"), (9.94, "9.9 s"), (59.4, "59 s"), (59.6, "1 min 0 s")),
        *((125, "2 min 5 s"), (12_000, "3 h 20 min")),
    ],
)
def test_span(seconds: float, shown: str) -> None:
    assert span(seconds) == shown


def test_moment_and_count() -> None:
    assert moment(1_700_000_000_005) == "2023-11-14T22:13:20.005Z"
    assert (count(1, "threat"), count(2000, "threat")) == ("1 threat", "2,000 threats")


@given(st.floats(-1, 2), st.integers(1, 40), st.booleans())
def test_a_bar_has_its_width(fraction: float, cells: int, plain: bool) -> None:
    shown = bar(fraction, cells, plain=plain)
    assert len(shown) == cells
    assert not plain or shown.isascii()


def test_a_bar_grows() -> None:
    assert (bar(0, 4), bar(0.5, 4), bar(1, 4)) == ("    ", "██  ", "████")
    assert bar(0.5, 4, plain=True) == "##.."


def test_what_is_set_aside_is_told_in_a_line_with_the_first_causes() -> None:
    assert set_aside({"rule:r": 1}) == "Noise     1 id set aside: rule:r 1"
    causes = {f"list:{number}\x1b[31m\n": 2000 - number for number in range(5)}
    told = set_aside(causes)
    assert told.startswith("Noise     9,990 ids set aside: list:0")
    assert told.endswith(", 2 more causes")
    assert "\x1b" not in told
    assert "\n" not in told
