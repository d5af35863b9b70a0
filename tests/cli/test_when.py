"""Durations and moments: what people type, and that what is shown can be typed again."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from periscope.cli.when import at, duration, short, since
from periscope.errors import UsageError

NOW_MS = 1_790_000_000_000


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("90s", timedelta(seconds=90)),
        ("1h30m", timedelta(minutes=90)),
        ("0.5d", timedelta(hours=12)),
        ("2w", timedelta(days=14)),
        ("250ms", timedelta(milliseconds=250)),
        ("1m1ms", timedelta(minutes=1, milliseconds=1)),
        ("0s", timedelta(0)),
    ],
)
def test_a_duration(text: str, meant: timedelta) -> None:
    assert duration(text, "--lease") == meant


@pytest.mark.parametrize(
    "text", ["", "15", "m", "-5m", "5 m", "5mm", "1h-30m", "1e3s", "٣s", "5M", "nan", "5m ", "5m\n"]
)
def test_no_duration(text: str) -> None:
    with pytest.raises(UsageError, match="no duration; write it like"):
        duration(text, "--lease")


@pytest.mark.parametrize("text", ["36501d", "999999999999d", "999999999999w" * 9])
def test_a_duration_beyond_measure(text: str) -> None:
    with pytest.raises(UsageError, match=r"duration|100 years"):
        duration(text, "--lease")


@given(st.integers(0, 36_500 * 86_400_000))
def test_what_is_shown_can_be_typed(milliseconds: int) -> None:
    span = timedelta(milliseconds=milliseconds)
    assert duration(short(span), "") == span


@pytest.mark.parametrize(
    ("text", "meant_ms"),
    [
        ("2h", NOW_MS - 7_200_000),
        ("0s", NOW_MS),
        ("36500d", 0),
        ("1970-01-01T00:00:01Z", 1_000),
        ("1970-01-02", 86_400_000),
        ("1970-01-01T02:00:00+02:00", 0),
        ("1970-01-01T00:00:00.250Z", 250),
    ],
)
def test_a_moment(text: str, meant_ms: int) -> None:
    assert since(text, NOW_MS) == meant_ms


@pytest.mark.parametrize(
    "text", ["", "yesterday", "1790000000000", "12345678901", "99999d", "2026-13-01", "-2h"]
)
def test_no_moment(text: str) -> None:
    with pytest.raises(UsageError, match="no time; write it like 2h"):
        since(text, NOW_MS)


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("1970-01-01T00:00:01.5Z", datetime(1970, 1, 1, 0, 0, 1, 500_000, tzinfo=UTC)),
        ("2034-01-31T12:00:00+01:00", datetime(2034, 1, 31, 11, tzinfo=UTC)),
        ("2034-01-31", datetime(2034, 1, 31, tzinfo=UTC)),
    ],
)
def test_a_moment_ahead(text: str, meant: datetime) -> None:
    assert at(text, "--until") == meant


@pytest.mark.parametrize(
    "text", ["", "2h", "now", "1790000000", "9999-99-99", "2034-01-31T25:00:00Z", "٢٠٣٤-01-31"]
)
def test_no_moment_ahead(text: str) -> None:
    with pytest.raises(UsageError, match=r"--until .*: no time"):
        at(text, "--until")
