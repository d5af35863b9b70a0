"""Conditions as functions: does this report fulfil them? No value can make one raise, or slow."""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Callable, Sequence
from typing import Any

from periscope.noise.condition import Condition, is_of_addresses, number_of
from periscope.noise.fields import Fields, normal_tlp, rank_of, reader_of
from periscope.noise.kinds import CASELESS
from periscope.noise.networks import Networks, span_of

Holds = Callable[[Fields], bool]
Test = Callable[[Any], bool]

_COMPARE: dict[str, Callable[[float, float], bool]] = {
    "<": lambda a, b: a < b,
    "<=": lambda a, b: a <= b,
    ">": lambda a, b: a > b,
    ">=": lambda a, b: a >= b,
    "=": lambda a, b: a == b,
}


def holds(conditions: Sequence[Condition]) -> Holds:
    """Whether all of these hold for a report."""
    tests = [_holds(one) for one in conditions]

    def all_hold(report: Fields) -> bool:
        for test in tests:  # noqa: SIM110 - all() takes twice the time for a few
            if not test(report):
                return False
        return True

    return all_hold


def _holds(one: Condition) -> Holds:
    """Of a field with several values one must fit; for != none may be equal."""
    read = reader_of(one.field)
    assert read is not None  # noqa: S101 - the condition was checked
    if one.op == "!=":
        equal = _test(one.field, "=", one.value)
        return lambda report: not any(map(equal, read(report)))
    test = _test(one.field, one.op, one.value)
    return lambda report: any(map(test, read(report)))


def _test(field: str, op: str, value: str | list[str]) -> Test:
    if isinstance(value, list):
        return _in(field, value)
    if field == "severity":
        rank, compare = rank_of(value), _COMPARE[op]
        return lambda found: (mine := rank_of(found)) >= 0 and compare(mine, rank)
    if op == "~":
        return glob(value)
    if op != "=":
        return _number_test(op, value)
    return _equal(field, value)


def _number_test(op: str, value: str) -> Test:
    compare, limit = _COMPARE[op], number_of(value)
    assert limit is not None  # noqa: S101 - the condition was checked

    def test(found: Any) -> bool:
        number = number_of(found)
        return number is not None and compare(number, limit)

    return test


def _equal(field: str, value: str) -> Test:
    normal = _normal(field)
    wanted, number = normal(value), number_of(value)
    if not field.startswith("metadata."):
        return lambda found: isinstance(found, str) and normal(found) == wanted

    def test(found: Any) -> bool:
        if isinstance(found, str):
            return found == wanted
        if isinstance(found, bool):
            return wanted == ("true" if found else "false")
        return number is not None and number_of(found) == number

    return test


def _normal(field: str) -> Callable[[str], str]:
    if field == "tlp":
        return normal_tlp
    _, _, kind = field.partition(".")
    is_caseless = field == "indicators" or (field.startswith("indicators.") and kind in CASELESS)
    return str.lower if is_caseless else str


def _in(field: str, values: Sequence[str]) -> Test:
    if field == "severity":
        ranks = {rank_of(value) for value in values}
        return lambda found: rank_of(found) in ranks
    tests = [_equal(field, value) for value in values if not field.startswith("metadata.")]
    if tests:
        normal, wanted = _normal(field), frozenset(map(_normal(field), values))
        is_one: Test = lambda found: isinstance(found, str) and normal(found) in wanted  # noqa: E731
    else:
        each = [_equal(field, value) for value in values]
        is_one = lambda found: any(test(found) for test in each)  # noqa: E731
    spans = [span for value in values if is_of_addresses(field) and (span := span_of(value))]
    if not spans:
        return is_one
    networks = Networks((span, "") for span in spans)
    return lambda found: (
        is_one(found) or (isinstance(found, str) and networks.find(found) is not None)
    )


def glob(pattern: str) -> Test:
    """Whether a text is of this form: `*` is anything, `?` one character; capitals do not matter.

    Without `?` in time that is linear in both.
    """
    folded = pattern.casefold()
    if "?" in folded:
        matches = re.compile(fnmatch.translate(folded.replace("[", "[[]"))).match
        return lambda found: isinstance(found, str) and matches(found.casefold()) is not None
    first, *rest = folded.split("*")
    if not rest:
        return lambda found: isinstance(found, str) and found.casefold() == folded
    *middle, last = rest
    middle = [part for part in middle if part]
    shortest = len(first) + len(last)

    def test(found: Any) -> bool:
        if not isinstance(found, str):
            return False
        text = found.casefold()
        if len(text) < shortest or not (text.startswith(first) and text.endswith(last)):
            return False
        at, end = len(first), len(text) - len(last)
        for part in middle:
            at = text.find(part, at, end)
            if at < 0:
                return False
            at += len(part)
        return True

    return test
