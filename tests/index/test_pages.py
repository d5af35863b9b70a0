"""What fits is exactly what fits, in the order of the board; both plans give the same pages."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from periscope import CursorInvalid, CursorStale, Periscope, Policy, Threat, UsageError
from periscope.archive import Archive, open_archive
from periscope.functions import RankQuery
from periscope.index import Where, asked
from periscope.models import Severity
from tests.conftest import OpenHere
from tests.index.support import ids, indexed, ranked, report, up_to_now, walk

PLANS = pytest.mark.parametrize("most_of_few", [10_000, 0], ids=["few", "many"])
Fits = Callable[[Threat], bool]

CASES: list[tuple[dict[str, Any], Fits]] = [
    ({}, lambda one: True),
    ({"source": "s1"}, lambda one: one.source == "s1"),
    ({"tag": "TAG2"}, lambda one: "Tag2" in one.metadata.get("tags", [])),
    ({"tag": "none such"}, lambda one: False),
    ({"tlp": "clear"}, lambda one: one.metadata.get("tlp") == "TLP:WHITE"),
    ({"tlp": ""}, lambda one: not one.metadata),
    ({"text": "evil3.example"}, lambda one: "evil3[" in one.content),
    ({"text": "beac* SEEN"}, lambda one: one.content.startswith("Beacon")),
    ({"text": '"host 4"'}, lambda one: one.metadata.get("title") == "Alert of host 4"),
    ({"indicator": "hxxp://nothing"}, lambda one: False),
    ({"indicator": "evil3[.]EXAMPLE"}, lambda one: "evil3[" in one.content),
    ({"indicator": "domain-name:evil3.example"}, lambda one: "evil3[" in one.content),
    ({"indicator": "url:evil3.example"}, lambda one: False),
    ({"overdue": True}, lambda one: one.overdue),
    (
        {"source": "s1", "tag": "all", "text": "evil1.example", "indicator": "evil1.example"},
        lambda one: one.source == "s1" and "evil1[" in one.content,
    ),
    (
        {"sources": ("s1", "s2"), "severities": (Severity.HIGH, Severity.LOW)},
        lambda one: one.source in ("s1", "s2") and one.severity.value in ("HIGH", "LOW"),
    ),
    ({"tlps": ("RED", "")}, lambda one: one.metadata.get("tlp") in ("RED", None)),
]


@PLANS
@pytest.mark.parametrize("partitions", [1, 3])
async def test_pages_are_those_of_brute_force(
    open_here: OpenHere,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    periscope: Periscope,
    partitions: int,
    most_of_few: int,
) -> None:
    monkeypatch.setattr(asked, "MOST_OF_FEW", most_of_few)
    async with open_here(namespace=f"p{partitions}", partitions=partitions) as p:
        await p.add_threats_batch(map(report, range(200)))
        await p.add_threat("bare", "Nothing else", "LOW")
        await p.record_interaction("t3", "ann", "escalate")
        await p.record_interaction("t8", "ann", "view")
        await p.decide("t9", "ann", "benign_expected")
        everything = await p.get_threats([*(f"t{number}" for number in range(200)), "bare"])
        async with indexed(p, tmp_path) as index:
            for conditions, fits in CASES:
                where = Where(**conditions)
                found, as_of_ms = await walk(index, where)
                assert ids(found) == ranked(everything, as_of_ms, fits), conditions
                assert await index.count(where) == sum(map(fits, everything)), conditions


@PLANS
async def test_part_of_the_queue_and_a_condition_together(
    periscope: Periscope, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, most_of_few: int
) -> None:
    monkeypatch.setattr(asked, "MOST_OF_FEW", most_of_few)
    await periscope.add_threats_batch(map(report, range(120)))
    for number in range(0, 120, 6):
        await periscope.record_interaction(f"t{number}", "ann", "investigate")
    for number in range(0, 120, 15):
        await periscope.decide(f"t{number}", "ann", "benign_expected")
    everything = await periscope.get_threats(f"t{number}" for number in range(120))
    queries = (
        RankQuery(severity=3),
        RankQuery(status=3),
        RankQuery(lowest=0.3, highest=0.45),
        RankQuery(interactions=1),
    )
    async with indexed(periscope, tmp_path) as index:
        for query in queries:
            found, as_of_ms = await walk(index, Where(tag="all"), query)
            expected = ranked(everything, as_of_ms, lambda _: True, query)
            assert ids(found) == expected
            assert expected


ACTS = st.lists(
    st.tuples(
        st.sampled_from(["add", "change", "act", "claim", "release", "decide", "remove"]),
        st.integers(0, 11),
        st.integers(0, 30),
    ),
    max_size=25,
)


@settings(max_examples=12)
@given(acts=ACTS)
async def test_whatever_happens_the_index_follows(
    open_here: OpenHere, tmp_path_factory: pytest.TempPathFactory, acts: list[tuple[str, int, int]]
) -> None:
    async with open_here(namespace="follow") as p:
        await p.functions.connections.client.flushall()
        await p.refresh()
        folder = tmp_path_factory.mktemp("follow")
        async with archived(folder) as archive, indexed(p, folder) as index:
            await p.adopt_archive(archive)
            for act, number, other in acts:
                await do(p, archive, act, number, other)
            await up_to_now(p, index)
            everything = await p.get_threats(f"t{number}" for number in range(12))
            assert index.status.threats == len(everything)
            for conditions, fits in CASES:
                found, as_of_ms = await walk(index, Where(**conditions), count=3)
                assert ids(found) == ranked(everything, as_of_ms, fits), conditions
            held = {one.threat_id for one in everything if (await p.get_desk(one.threat_id)).claim}
            for status in range(4):
                found, _ = await walk(index, Where(holder="ann"), RankQuery(status=status))
                assert set(ids(found)) == {
                    one.threat_id
                    for one in everything
                    if one.threat_id in held and one.level == 1 and one.status == STATUS[status]
                }
            facets = await index.facets()
            for name, value in (("severity", "severity"), ("source", "source")):
                counted: dict[str, int] = {}
                for one in everything:
                    key = str(getattr(one, value))
                    counted[key] = counted.get(key, 0) + 1
                assert getattr(facets, name) == counted


@asynccontextmanager
async def archived(folder: Path) -> AsyncIterator[Archive]:
    archive = await open_archive(folder / "archive.db")
    try:
        yield archive
    finally:
        await archive.close()


STATUS = ("open", "dismissed", "snoozed", "closed")


async def do(p: Periscope, archive: Archive, act: str, number: int, other: int) -> None:
    threat_id = f"t{number}"
    with_refusals = (UsageError,)
    try:
        match act:
            case "add":
                await p.add_threats_batch([report(number)])
            case "change":
                await p.add_threats_batch([report(other, threat_id=threat_id)])
            case "act":
                await p.record_interaction(threat_id, "ann", ("dismiss", "escalate")[other % 2])
            case "claim":
                await p.claim(threat_id, "ann", timedelta(minutes=5))
            case "release":
                desk = await p.get_desk(threat_id)
                if desk.claim:
                    await p.release(desk.claim)
            case "decide":
                await p.decide(threat_id, "ann", "benign_expected")
            case _:
                await p.remove(archive, threat_id, "ann")
                await p.allow(threat_id, "ann")
    except with_refusals:
        pass  # it does not fit the threat as it stands; nothing was done


@PLANS
async def test_what_does_not_change_is_returned_once_while_all_else_does(
    periscope: Periscope, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, most_of_few: int
) -> None:
    monkeypatch.setattr(asked, "MOST_OF_FEW", most_of_few)
    await periscope.add_threats_batch(map(report, range(300)))
    where, seen, cursor, round_ = Where(tag="all"), list[str](), None, 0
    async with indexed(periscope, tmp_path) as index:
        while True:
            page = await index.page(RankQuery(), where, cursor, 20)
            seen += ids(page.items)
            if (cursor := page.next_cursor) is None:
                break
            for number in range(round_ % 2, 300, 10):  # those that change, all over the ranking
                await periscope.record_interaction(f"t{number}", "ann", "escalate")
            await periscope.add_threats_batch(map(report, range(1000 + round_, 1003 + round_)))
            await up_to_now(periscope, index)
            round_ += 1
    still = [f"t{number}" for number in range(300) if number % 10 > 1]
    assert sorted(one for one in seen if one in set(still)) == sorted(still)
    assert round_ > 10


async def test_a_record_that_no_longer_fits_is_not_shown(
    periscope: Periscope, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await periscope.add_threats_batch(map(report, range(30)))
    async with indexed(periscope, tmp_path) as index:
        life = index._life
        assert life is not None
        # It hears of nothing more: so it lags for ever.
        monkeypatch.setattr(life.feeder.dirty, "note", lambda _: None)
        await periscope.add_threats_batch([report(1, source="another")])
        await periscope.decide("t6", "ann", "benign_expected")
        page = await index.page(RankQuery(), Where(source="s1"))
        assert set(ids(page.items)) == {f"t{number}" for number in range(11, 30, 5)}
        assert not await index.reached(await periscope.get_event_position(), 0.05)


async def test_an_empty_page_may_lead_on(
    periscope: Periscope, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(asked, "MOST_OF_FEW", 0)
    monkeypatch.setattr("periscope.index.finding.MOST_EXAMINED", 20)
    monkeypatch.setattr("periscope.index.finding.STEP", 20)
    await periscope.add_threats_batch(map(report, range(1, 100)))
    await periscope.add_threat("t0", "hidden at the end", "LOW", observed_at=1)
    async with indexed(periscope, tmp_path) as index:
        pages, cursor, found = 0, None, list[str]()
        while True:
            page = await index.page(RankQuery(), Where(text="hidden"), cursor, 10)
            pages, found = pages + 1, found + ids(page.items)
            assert page.total == 1
            if (cursor := page.next_cursor) is None:
                break
        assert found == ["t0"]
        assert pages == 5


async def test_cursors_belong_to_their_question(periscope: Periscope, tmp_path: Path) -> None:
    await periscope.add_threats_batch(map(report, range(40)))
    async with indexed(periscope, tmp_path) as index:
        page = await index.page(RankQuery(), Where(tag="all"), None, 5)
        assert page.next_cursor is not None
        other = (await periscope.get_active_paginated(None, 5)).next_cursor
        for query, where, cursor in (
            (RankQuery(), Where(tag="Tag1"), page.next_cursor),
            (RankQuery(severity=1), Where(tag="all"), page.next_cursor),
            (RankQuery(), Where(tag="all"), other),
            (RankQuery(), Where(tag="all"), "x" + page.next_cursor[1:]),
        ):
            with pytest.raises(CursorInvalid):
                await index.page(query, where, cursor, 5)
        await periscope.set_policy(Policy(recency_weight=0.21))
        with pytest.raises(CursorStale):
            await index.page(RankQuery(), Where(tag="all"), page.next_cursor, 5)


@pytest.mark.parametrize(
    "conditions",
    [
        {"text": '" NEAR( a:b ^ - + {x y} :'},
        {"text": "words MATCH 'x' OR 1=1 --"},
        {"text": 'text:"x" AND NOT y'},
        {"source": "'; DROP TABLE threats; --"},
        {"tag": "%_*?"},
        {"tlp": "TLP:" + "x" * 4000},
        {"indicator": "a\x00b"},
        {"source": "\u202e\x00\n"},
        {"holder": "' OR 1"},
    ],
)
async def test_hostile_conditions_find_nothing(
    periscope: Periscope, tmp_path: Path, conditions: dict[str, Any]
) -> None:
    await periscope.add_threats_batch(map(report, range(20)))
    async with indexed(periscope, tmp_path) as index:
        where = Where(**conditions)
        assert not (await index.page(RankQuery(), where)).items
        assert await index.matching(["t1"], where) == set()
        assert (await index.facets(None, where)).total == 0
        assert await index.count() == 20


@pytest.mark.parametrize(
    "conditions",
    [
        {"text": "\ud800x"},
        {"text": "x" * 65_536},
        {"source": "x" * 65_536},
        {"tag": ""},
        {"indicator": " "},
        {"first_seen_from_ms": -1},
        {"last_activity_until_ms": 2**63},
        {"sources": ("\udfff",)},
        {"text": 7},
    ],
)
async def test_what_cannot_be_asked_is_a_usage_error(
    periscope: Periscope, tmp_path: Path, conditions: dict[str, Any]
) -> None:
    async with indexed(periscope, tmp_path) as index:
        with pytest.raises(UsageError):
            await index.page(RankQuery(), Where(**conditions))


async def test_hostile_reports_are_found_by_what_they_say(
    periscope: Periscope, tmp_path: Path
) -> None:
    texts = ['a"b', "NEAR", "x' OR 1 --", "\u202eevil\u202c", "nul\x00nul", "<script>alert(1)", "*"]
    await periscope.add_threats_batch(
        {
            "threat_id": f"h{number}",
            "content": text,
            "severity": "LOW",
            "source": text,
            "metadata": {
                "tags": [text],
                "tlp": text,
                "indicators": [{"type": text, "value": text}],
            },
        }
        for number, text in enumerate(texts)
    )
    async with indexed(periscope, tmp_path) as index:
        for number, text in enumerate(texts):
            for name in ("source", "tag", "indicator", "tlp"):
                asked: dict[str, Any] = {name: text}
                page = await index.page(RankQuery(), Where(**asked))
                assert ids(page.items) == [f"h{number}"], asked
