"""What says which reports are noise is anybody's code: asked of each, it costs nobody a report."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import msgspec
import pytest

from periscope import Outcome, Periscope, Report, ReportRejected, Severity
from periscope.intake import Intake
from periscope.marks import MarkedReport, Marker, pack_marks
from periscope.models import MAX_SOURCE_BYTES, Mark
from periscope.suppressed import read_entry
from tests.support.marking import mark_with

MARK = Mark("list:one", 3, 60_000, 1_900_000_000_000)
GOOD = {"threat_id": "t", "content": "x", "severity": "LOW"}


def intake_with(marker: Marker) -> Intake:
    intake = Intake(bytes(16))
    intake.marking.marker = marker
    return intake


def marked(intake: Intake, item: Any) -> MarkedReport:
    """The same whether it is taken alone, in a list, or beside a bad one."""
    ((first,), none), one = intake.prepare([item], 0), intake.one(item)
    ((beside,), bad) = intake.prepare([item, {}], 0)
    assert (none, len(bad)) == ([], 1)
    for found in (first, one, beside):
        assert isinstance(found, MarkedReport)
        assert (found.ground, found.said) == (MARK[1:], one.said)  # type: ignore[attr-defined]
    return one  # type: ignore[return-value]


def texts(said: str) -> list[str]:
    """Cause, source and title."""
    entry = read_entry(b"t", bytes((1,)) + bytes(24) + said.encode())
    return [entry.cause, entry.source, entry.title]


@pytest.mark.parametrize(
    "item",
    [
        GOOD,
        GOOD | {"severity": Severity.LOW},
        MappingProxyType(GOOD),
        Report("t", "x", Severity.LOW),
        GOOD | {"severity": "low", "metadata": {"a": {"b": [1]}}, "observed_at": 5},
    ],
    ids=["dict", "enum", "mapping", "Report", "nested"],
)
def test_it_is_given_the_fields_as_they_came(item: Any) -> None:
    seen: list[Mapping[str, Any]] = []

    def marker(fields: Mapping[str, Any]) -> Mark:
        seen.append(fields)
        return MARK

    marked(intake_with(marker), item)
    for fields in seen:
        assert (fields["threat_id"], fields["content"]) == ("t", "x")
        assert Severity(fields["severity"]) is Severity.LOW
        assert fields.get("metadata") in (None, {"a": {"b": [1]}})


def test_what_is_marked_is_packed_as_what_is_not() -> None:
    plain, noise = Intake(bytes(16)), intake_with(lambda _: MARK)
    assert plain.one(GOOD) == noise.one(GOOD)
    assert plain.prepare([GOOD], 0) == noise.prepare([GOOD], 0)


@pytest.mark.parametrize(
    ("fields", "title"),
    [
        ({"metadata": {"title": "a title"}}, "a title"),
        ({"metadata": {"title": "  "}, "content": "first\nsecond"}, "first"),
        ({"metadata": {"title": 7}, "content": "\n \n first \r\nsecond"}, "first"),
        ({"metadata": None, "content": ""}, ""),
        ({"content": "x" * 60_000}, "x" * 120),
        ({"content": "é" * 100}, "é" * 60),
        ({"content": "a" + "é" * 100}, "a" + "é" * 59),
        ({"metadata": {"title": "\u202e\0 hostile"}}, "\u202e\0 hostile"),
    ],
)
def test_the_title_is_a_line_of_bounded_length(fields: dict[str, Any], title: str) -> None:
    assert texts(marked(intake_with(lambda _: MARK), GOOD | fields).said)[2] == title


def raising(_: Mapping[str, Any]) -> Mark:
    raise RuntimeError("secret text of a report")


def exiting(_: Mapping[str, Any]) -> Mark:
    return MARK.missing  # type: ignore[attr-defined, no-any-return]


class Hostile:
    """Raises whatever is done with it."""

    def __eq__(self, other: object) -> bool:
        raise RuntimeError

    __hash__ = None  # type: ignore[assignment]

    def __bool__(self) -> bool:
        raise RuntimeError


WRONG: list[Any] = [
    Hostile(),
    *("list:one", 7, True, [], (), ("list:one",), ["list:one", 1, 2, 3], Mark("")),
    *(("list:one", 1, 2, 3), {"cause": "list:one"}),
    *(Mark("x" * 257), Mark("\ud800"), Mark("a", -1), Mark("a", 1.5), Mark("a", True)),  # type: ignore[arg-type]
    *(Mark("a", 0, 2**48), Mark("a", 0, 0, None), Mark(b"a"), Mark(None)),  # type: ignore[arg-type]
]


@pytest.mark.parametrize("marker", [raising, exiting, *[lambda _, one=one: one for one in WRONG]])
async def test_one_that_fails_marks_nothing_and_says_so_once(
    periscope: Periscope, caplog: pytest.LogCaptureFixture, marker: Marker
) -> None:
    await mark_with(periscope, marker)
    items = [GOOD | {"threat_id": f"t{number}"} for number in range(1200)]
    with caplog.at_level(logging.ERROR):
        result = await periscope.add_threats_batch(items)
        assert await periscope.add_threat("one", "x", "LOW") is Outcome.ADDED
    assert (result.added, result.received) == (1200, 1200)
    (told,) = caplog.records
    assert "go in unmarked" in told.getMessage()
    assert "secret" not in caplog.text


async def test_another_one_is_heard_anew(
    periscope: Periscope, caplog: pytest.LogCaptureFixture
) -> None:
    for _ in range(2):
        await mark_with(periscope, raising)
        await periscope.add_threat("t", "x", "LOW")
    assert len(caplog.records) == 2


async def test_one_that_changes_what_it_is_given_changes_nothing(periscope: Periscope) -> None:
    def marker(fields: Any) -> None:
        fields["content"] = "changed"
        fields["metadata"] = {"a": object()}

    await mark_with(periscope, marker)
    await periscope.add_threats_batch([dict(GOOD)])
    threat = await periscope.get_threat("t")
    assert threat is not None
    assert (threat.content, threat.metadata) == ("x", {})


async def test_single_calls_each_get_their_own_outcome(periscope: Periscope) -> None:
    await mark_with(
        periscope, lambda fields: MARK if int(fields["threat_id"][1:]) % 3 == 0 else None
    )
    calls = [periscope.add_threat(f"t{number}", "x", "LOW") for number in range(300)]
    outcomes = await asyncio.gather(*calls)
    expected = [Outcome.ADDED if number % 3 else Outcome.SUPPRESSED for number in range(300)]
    assert outcomes == expected
    assert (await periscope.get_ledger()).suppressed == 100


async def test_a_bad_report_is_rejected_however_it_would_be_marked(periscope: Periscope) -> None:
    await mark_with(periscope, lambda _: MARK)
    with pytest.raises(ReportRejected):
        await periscope.add_threat("t", "x", "NONE")
    result = await periscope.add_threats_batch([GOOD, {}, GOOD | {"severity": 1}, None])
    assert (result.suppressed, result.rejected_count) == (1, 3)


async def test_marks_end_when_the_marker_does(periscope: Periscope) -> None:
    await mark_with(periscope, lambda _: MARK)
    assert await periscope.add_threat("t", "x", "LOW") is Outcome.SUPPRESSED
    await mark_with(periscope, None)
    assert await periscope.add_threat("t", "x", "LOW") is Outcome.ADDED


async def test_hostile_ids_and_texts_come_back_as_they_were(periscope: Periscope) -> None:
    source = "s" * (MAX_SOURCE_BYTES - 4) + "🙈"
    await mark_with(periscope, lambda _: Mark("rule:" + "é" * 125))
    ids = ["{x}:*?[", "né\r\n\0", "🙈" * 128, "\u202e"]
    for one in ids:
        metadata = {"title": f"\0\r\n{one}"[:100]}
        outcome = await periscope.add_threat(one, "x", "LOW", metadata, source=source)
        assert outcome is Outcome.SUPPRESSED
    page = await periscope.get_suppressed(cause="rule:" + "é" * 125)
    assert sorted(entry.threat_id for entry in page) == sorted(ids)
    assert {entry.source for entry in page} == {source}


def test_a_chunk_without_marks_says_nothing_of_them() -> None:
    reports = [Intake(bytes(16)).one(GOOD)] * 3
    assert pack_marks(reports) == b""
    assert pack_marks([]) == b""


def test_marks_of_the_same_ground_are_told_once() -> None:
    intake = intake_with(lambda _: Mark("list:one", 3, 60_000))
    reports = [Intake(bytes(16)).one(GOOD), intake.one(GOOD), intake.one(GOOD)]
    grounds, whose, said = msgspec.msgpack.decode(pack_marks(reports))
    assert (grounds, whose) == ([[3, 60_000, 0]], [0, 1, 1])
    assert [texts(one) for one in said[1:]] == [["list:one", "", "x"]] * 2
