"""Any field of a finding may hold anything: items come out, and the engine takes the reports."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from periscope.feeds.format import Item
from periscope.feeds.registry import by_name
from periscope.feeds.testing import check_format
from periscope.intake import Intake
from periscope.models import Unreadable
from tests.feeds.support import read, reports

NAMES = ("csaf", "defender", "guardduty", "ocsf", "securityhub", "sentinel")
ANYTHING: tuple[Any, ...] = (
    *(None, True, 0, -1, 1e308, 10**18, "", " ", "\x00", "x" * 70_000, "é" * 40_000),
    *("0001-01-01T00:00:00Z", "<x>", "[{", '["a"]', "203.0.113.7", "\u202e\x1b[31m"),
    *([], {}, [[]], [None], {"": ""}, [{"Type": {}}], ["a" * 3000] * 200, [{"name": [{}]}] * 300),
)


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Paths to every value inside."""
    found = enumerate(value) if isinstance(value, list) else ()
    for key, one in value.items() if isinstance(value, dict) else found:
        yield (*path, key)
        yield from places(one, (*path, key))


def changed(value: Any, path: tuple[Any, ...], new: Any) -> Any:
    """A copy with another value at a path."""
    copy = dict(value) if isinstance(value, dict) else list(value)
    copy[path[0]] = new if len(path) == 1 else changed(copy[path[0]], path[1:], new)
    return copy


def refused(items: list[Item]) -> list[str | None]:
    """Why the engine takes reports not, but for times that it does not have."""
    _, rejected = Intake(bytes(16)).prepare(reports(items), 0)
    return [one.reason for one in rejected if not str(one.reason).startswith("observed_at")]


@settings(max_examples=40)
@pytest.mark.parametrize("name", NAMES)
@given(data=st.data())
def test_any_value_anywhere(name: str, data: st.DataObject) -> None:
    record = json.loads(by_name(name).example)
    for _ in range(data.draw(st.integers(1, 4))):
        path = data.draw(st.sampled_from(list(places(record))))
        record = changed(record, path, data.draw(st.sampled_from(ANYTHING)))
    items = read(msgspec.json.encode(record), name)
    assert not refused(items)
    assert all("\n" not in one.reason for one in items if isinstance(one, Unreadable))


@pytest.mark.parametrize("name", NAMES)
def test_each_value_in_turn(name: str) -> None:
    whole = json.loads(by_name(name).example)
    for path in places(whole):
        for new in ANYTHING:
            items = read(msgspec.json.encode(changed(whole, path, new)), name)
            assert not refused(items), path


def test_a_format_that_is_checked_may_be_any_of_them() -> None:
    assert all(check_format(by_name(name)) for name in (*NAMES, "prowler"))
