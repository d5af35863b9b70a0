"""What is taken in, what is rejected and why; and that a bad item harms no other."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from math import inf, nan
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from periscope import Outcome, Periscope, Report, ReportRejected, Severity
from periscope.header import REPORT_BYTES
from periscope.intake import Intake
from periscope.marks import Packed
from periscope.models import Unreadable

GOOD: dict[str, Any] = {"threat_id": "t", "content": "c", "severity": "LOW"}


def nested(depth: int) -> Any:
    value: Any = 1
    for _ in range(depth):
        value = {"n": value}
    return value


def endless() -> dict[str, Any]:
    value: dict[str, Any] = {}
    value["self"] = value
    return value


class Evil:
    @property
    def threat_id(self) -> str:
        raise ZeroDivisionError


class EvilDict(dict[str, Any]):
    def get(self, *_: Any) -> Any:
        raise ZeroDivisionError


BAD = [
    ({"content": "c", "severity": "LOW"}, "threat_id: missing"),
    (GOOD | {"threat_id": ""}, "threat_id: empty"),
    (GOOD | {"threat_id": 5}, "threat_id: expected `str`, got `int`"),
    (GOOD | {"threat_id": None}, "threat_id: expected `str`, got `null`"),
    (GOOD | {"threat_id": "é" * 257}, "threat_id: 514 bytes, more than 512"),
    (GOOD | {"threat_id": "\ud800"}, "threat_id: not valid UTF-8"),
    (GOOD | {"content": None}, "content: expected `str`"),
    (GOOD | {"content": b"c"}, "content: expected `str`, got `bytes`"),
    (GOOD | {"content": "x" * 65_537}, "content: 65,537 bytes, more than 65,536"),
    (GOOD | {"content": "é" * 32_769}, "content: 65,538 bytes"),
    (GOOD | {"content": "\udfff"}, "content: not valid UTF-8"),
    ({"threat_id": "t", "content": "c"}, "severity: missing"),
    (GOOD | {"severity": "URGENT"}, "severity: unknown 'URGENT'"),
    (GOOD | {"severity": 3}, "severity: "),
    (GOOD | {"severity": None}, "severity: "),
    (GOOD | {"metadata": [1]}, "metadata: expected `object"),
    (GOOD | {"metadata": nested(33)}, "metadata: nested deeper than 32"),
    (GOOD | {"metadata": nested(5000)}, "metadata: nested deeper than 32"),
    (GOOD | {"metadata": endless()}, "metadata: nested deeper than 32"),
    (GOOD | {"metadata": {"n": float("nan")}}, "metadata: NaN"),
    (GOOD | {"metadata": {"n": [1, {"x": float("inf")}]}}, "metadata: NaN"),
    (GOOD | {"metadata": {"n": "\ud800"}}, "metadata: "),
    (GOOD | {"metadata": {"n": object()}}, "metadata: "),
    (GOOD | {"metadata": {"big": "x" * 65_536}}, "metadata: more than 65,536 bytes"),
    (GOOD | {"metadata": {1: 2}}, "metadata: "),
    (GOOD | {"metadata": {"n": {1: 2}}}, "metadata: every key must be text"),
    (GOOD | {"metadata": {"n": datetime.now(UTC)}}, "metadata: datetime is not JSON"),
    (GOOD | {"metadata": {"n": [Decimal(1)]}}, "metadata: Decimal is not JSON"),
    (GOOD | {"metadata": {"n": {"raw": msgspec.Raw(b"garbage")}}}, "metadata: Raw is not JSON"),
    (GOOD | {"metadata": {"n": {1, 2}}}, "metadata: set is not JSON"),
    (GOOD | {"metadata": {"n": b"bytes"}}, "metadata: bytes is not JSON"),
    ({"\ud800": 1}, "not a report: "),
    (Evil(), "not a report: "),
    (EvilDict(), "threat_id: missing"),
    (GOOD | {"source": "x" * 257}, "source: 257 bytes, more than 256"),
    (GOOD | {"observed_at": "2026-01-01T00:00:00"}, "observed_at: expected `datetime` with"),
    (GOOD | {"observed_at": datetime(2026, 1, 1)}, "observed_at: "),  # noqa: DTZ001
    (GOOD | {"observed_at": -1}, "observed_at: not between 1970 and 2109"),
    (GOOD | {"observed_at": 2**63}, "observed_at: not between 1970 and 2109"),
    (GOOD | {"observed_at": 1.5}, "observed_at: expected"),
    (GOOD | {"level": 3}, "level: unknown field"),
    (None, "not a report: expected `object`, got `null`"),
    (5, "not a report: expected `object`, got `int`"),
    ([GOOD], "not a report: expected `object`, got `array`"),
    ("text", "not a report: expected `object`, got `str`"),
    (Report(threat_id=5, content="c", severity=Severity.LOW), "threat_id: expected"),  # type: ignore[arg-type]
    (Unreadable("line 7: broken", "t"), "line 7: broken"),
]


@pytest.mark.parametrize(("item", "reason"), BAD, ids=[reason for _, reason in BAD])
async def test_bad_items_are_rejected_by_index_and_reason(
    periscope: Periscope, item: Any, reason: str
) -> None:
    others = [GOOD | {"threat_id": f"good-{i}"} for i in range(1000)]
    result = await periscope.add_threats_batch([*others[:600], item, *others[600:]])
    assert (result.added, result.rejected_count) == (1000, 1)
    (rejection,) = result.rejected
    assert rejection.index == 600
    assert rejection.reason.startswith(reason)
    assert "\n" not in rejection.reason


async def test_single_reports_raise_and_are_counted(periscope: Periscope) -> None:
    with pytest.raises(ReportRejected, match="severity: unknown") as caught:
        await periscope.add_threat("t", "c", "URGENT")
    assert caught.value.field == "severity"
    ledger = await periscope.get_ledger()
    assert (ledger.received, ledger.rejected) == (1, 1)


BOUNDARIES = [
    GOOD | {"threat_id": "é" * 256},
    GOOD | {"content": "x" * 65_536},
    GOOD | {"content": ""},
    GOOD | {"metadata": nested(32)},
    GOOD | {"metadata": None},
    GOOD | {"metadata": {"none": None, "float": 1e308, "big": 2**70}},
    GOOD | {"source": "x" * 256},
    GOOD | {"observed_at": 2**42 - 1},
    GOOD | {"observed_at": "2026-01-01T02:00:00+02:00"},
    GOOD | {"severity": "critical"},
    Report("t", "c", Severity.LOW),
    *[
        GOOD | {"threat_id": odd}
        for odd in (
            "{x}",
            "}{",
            "*?[a]\\",
            "\r\nSET x 1",
            "\0",
            "\u202eevil",
            "🦠",
            ":",
            " ",
            "x" * 512,
        )
    ],
]


@pytest.mark.parametrize("item", BOUNDARIES)
async def test_what_is_just_allowed_comes_back_byte_exact(periscope: Periscope, item: Any) -> None:
    result = await periscope.add_threats_batch([item])
    assert result.added == 1, result
    fields = item if isinstance(item, dict) else {n: getattr(item, n) for n in GOOD}
    threat = await periscope.get_threat(fields["threat_id"])
    assert threat is not None
    assert threat.threat_id == fields["threat_id"]
    assert threat.content == fields["content"]
    assert threat.metadata == (fields.get("metadata") or {})
    assert await periscope.threat_exists(fields["threat_id"])


async def test_the_moment_observed_is_kept(periscope: Periscope) -> None:
    await periscope.add_threat("t", "c", "LOW", observed_at="2026-01-01T02:00:00.123456+02:00")
    threat = await periscope.get_threat("t")
    assert threat is not None
    assert threat.observed_at == datetime(2026, 1, 1, 0, 0, 0, 123_000, UTC)


SAID = [
    ({}, {}, Outcome.DUPLICATE),
    ({"metadata": {"a": 1, "b": 2}}, {"metadata": {"b": 2, "a": 1}}, Outcome.DUPLICATE),
    ({}, {"content": "d"}, Outcome.SIGHTING),
    ({}, {"severity": "HIGH"}, Outcome.SIGHTING),
    ({}, {"metadata": {"a": 1}}, Outcome.SIGHTING),
    ({}, {"source": "elsewhere"}, Outcome.SIGHTING),
    ({}, {"observed_at": 1000}, Outcome.SIGHTING),
    ({"observed_at": 1000}, {}, Outcome.DUPLICATE),
    ({"observed_at": 1000}, {"observed_at": 1000}, Outcome.DUPLICATE),
    ({"observed_at": 1000}, {"observed_at": 999}, Outcome.DUPLICATE),
    ({"observed_at": 1000}, {"observed_at": 999, "content": "d"}, Outcome.DUPLICATE),
    ({"observed_at": 1000}, {"observed_at": 1001}, Outcome.SIGHTING),
    ({"observed_at": 1000}, {"observed_at": 1000, "content": "d"}, Outcome.SIGHTING),
]


@pytest.mark.parametrize("together", [True, False], ids=["one-chunk", "two-chunks"])
@pytest.mark.parametrize(("first", "second", "outcome"), SAID)
async def test_sightings_and_duplicates(
    periscope: Periscope,
    first: dict[str, Any],
    second: dict[str, Any],
    outcome: Outcome,
    together: bool,
) -> None:
    pair = [GOOD | first, GOOD | second]
    if together:
        result = await periscope.add_threats_batch(pair)
    else:
        await periscope.add_threats_batch(pair[:1])
        result = await periscope.add_threats_batch(pair[1:])
    assert result.sightings == (outcome is Outcome.SIGHTING)
    assert result.duplicates == (outcome is Outcome.DUPLICATE)


async def test_two_feeds_that_disagree_do_not_refresh_it_for_ever(periscope: Periscope) -> None:
    feeds = [GOOD | {"source": "a", "severity": "HIGH"}, GOOD | {"source": "b", "content": "other"}]
    assert (await periscope.add_threats_batch(feeds)).sightings == 1
    for _ in range(5):
        assert (await periscope.add_threats_batch(feeds)).duplicates == 2
    threat = await periscope.get_threat("t")
    assert threat is not None
    assert threat.severity is Severity.HIGH


async def test_reading_an_unchanged_feed_again_changes_only_the_duplicates(
    periscope: Periscope,
) -> None:
    feed = [GOOD | {"threat_id": f"t{i}", "content": str(i)} for i in range(1200)]
    await periscope.add_threats_batch(feed)
    before = [t async for t in periscope.get_all_active()]
    result = await periscope.add_threats_batch(feed)
    assert (result.duplicates, result.committed) == (1200, 1200)
    after = [t async for t in periscope.get_all_active()]
    assert [(t.threat_id, t.last_activity, t.revision) for t in before] == [
        (t.threat_id, t.last_activity, t.revision) for t in after
    ]


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary(max_size=4),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3)
    ),
    max_leaves=8,
)
anything = st.one_of(
    json_values,
    st.fixed_dictionaries(
        {},
        optional={
            "threat_id": st.text(max_size=5) | json_values,
            "content": st.text() | json_values,
            "severity": st.sampled_from(["LOW", "high", "?"]) | json_values,
            "metadata": st.dictionaries(st.text(max_size=3), json_values, max_size=3) | json_values,
            "source": st.text(max_size=5) | json_values,
            "observed_at": st.integers() | st.datetimes() | json_values,
            "surprise": json_values,
        },
    ),
)


@given(items=st.lists(anything, max_size=8))
def test_every_item_is_packed_or_rejected_and_lists_agree_with_single_items(
    items: list[Any],
) -> None:
    intake = Intake(bytes(16))
    packed, rejected = intake.prepare(items, 10)
    alone = [one_or_reason(intake, item) for item in items]
    assert packed == [found for found in alone if not isinstance(found, str)]
    assert [(r.index, r.reason) for r in rejected] == [
        (index, found) for index, found in enumerate(alone, 10) if isinstance(found, str)
    ]


def one_or_reason(intake: Intake, item: Any) -> Packed | str:
    try:
        return intake.one(item)
    except ReportRejected as exc:
        return str(exc)


def test_fingerprints_are_the_databases_own() -> None:
    one, other = (Intake(secret).one(GOOD) for secret in (b"a" * 16, b"b" * 16))
    assert one != other


async def test_sources_beyond_the_bound_are_forgotten_not_gathered(periscope: Periscope) -> None:
    feeds = [GOOD | {"source": f"feed-{i}"} for i in range(200)]
    await periscope.add_threats_batch(feeds)
    (keys,) = periscope.keyspace.partitions
    client = periscope.functions.connections.client
    assert await client.hstrlen(keys.sources, "t") == 32 * REPORT_BYTES


async def test_response_of_old_times_is_exact(periscope: Periscope) -> None:
    moment = datetime(2026, 5, 1, tzinfo=UTC) + timedelta(milliseconds=7)
    periscope.functions.now_ms = round(moment.timestamp() * 1000)
    await periscope.add_threat("t", "c", "LOW")
    threat = await periscope.get_threat("t")
    assert threat is not None
    assert threat.first_seen == threat.last_activity == threat.as_of == moment


NESTED: list[dict[str, Any]] = [
    {},
    {"text": "null and [ and {"},
    {"list": [1, "a", None, 1.5, True, [], {}], "object": {"a": {"b": [{"c": "d"}]}}},
    {"list": [{1, 2}]},
    {"object": {"a": {1: 2}}},
    {"list": [nan]},
    {"object": {"a": inf}},
    {"tuple": ({"a": (1, [2])},)},
    {"word": Severity.HIGH, "inside": [Severity.HIGH]},
    {"bytes": [b"x"]},
    {"surrogate": ["\ud800"]},
]


def deep(levels: int) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for _ in range(levels):
        found = {"a": found}
    return found


@pytest.mark.parametrize("metadata", [*NESTED, *map(deep, (30, 31, 32, 33))])
@pytest.mark.parametrize("as_report", [True, False])
def test_many_at_once_are_judged_as_one_alone(metadata: dict[str, Any], as_report: bool) -> None:
    report = Report("x", "content", Severity.HIGH, metadata, "source", 5)
    item: Any = report if as_report else msgspec.structs.asdict(report)
    good = Report("good", "content", Severity.LOW, {"a": [{"b": 1}]}, "source", 5)
    intake = Intake(bytes(16))
    packed, rejected = intake.prepare([good, item, good], 0)
    if rejected:
        with pytest.raises(ReportRejected) as caught:
            intake.one(item)
        assert [one.reason for one in rejected] == [str(caught.value)]
    alone = [] if rejected else [intake.one(item)]
    assert packed == [intake.one(good), *alone, intake.one(good)]


def test_reports_of_other_types_are_still_taken() -> None:
    moment = datetime(2024, 5, 17, tzinfo=UTC)
    word: Any = "high"
    items = [Report("a", "c", word), Report("b", "c", Severity.HIGH, None, "", moment)]
    packed, rejected = Intake(bytes(16)).prepare(items, 0)
    assert not rejected
    assert packed == [Intake(bytes(16)).one(item) for item in items]
    assert len(Intake(bytes(16)).prepare([Report("a", 5, word)], 0)[1]) == 1  # type: ignore[arg-type]
