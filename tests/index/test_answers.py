"""What else the index answers: what is alike, which of these, how many of what."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest

from periscope import CursorInvalid, Level, Periscope, UsageError
from periscope.functions import RankQuery
from periscope.index import ReadIndex, Where
from periscope.models import Severity
from tests.index.support import indexed, report, up_to_now
from tests.support.patience import BUSY_S


def with_indicators(threat_id: str, *values: str, content: str = "", **more: Any) -> dict[str, Any]:
    found = [
        {"type": kind, "value": value} for kind, _, value in (v.partition(":") for v in values)
    ]
    metadata = {"indicators": found}
    return {
        "threat_id": threat_id,
        "content": content,
        "severity": "HIGH",
        "metadata": metadata,
    } | more


ALIKE = [
    with_indicators("me", "domain-name:rare.example", "domain-name:common.example", content="same"),
    with_indicators("both", "domain-name:RARE.example", "domain-name:common.example"),
    with_indicators("rare", "domain-name:rare.example", source="s"),
    with_indicators("content", content="same"),
    with_indicators("other type", "url:rare.example"),
    with_indicators("nothing", "domain-name:x.example", content="Same"),
    *(with_indicators(f"common {n}", "domain-name:common.example") for n in range(20)),
]


def liked(index_items: Any) -> list[str]:
    return [one.threat.threat_id for one in index_items]


async def test_alike_is_what_shares_something_the_rarest_first(
    periscope: Periscope, tmp_path: Path
) -> None:
    await periscope.add_threats_batch(ALIKE)
    await periscope.decide("rare", "ann", "benign_expected")  # whatever its status
    async with indexed(periscope, tmp_path) as index:
        found = await index.similar("me")
        assert liked(found.items)[:3] == ["both", "content", "rare"] or liked(found.items)[:3] == [
            "content",
            "both",
            "rare",
        ]
        assert len(found.items) == 20
        assert set(liked(found.items)[3:]) <= {f"common {n}" for n in range(20)}
        both = next(one for one in found.items if one.threat.threat_id == "both")
        assert both.indicators == ("domain-name:common.example", "domain-name:rare.example")
        assert not both.same_content
        assert liked((await index.similar("me", 2)).items) == liked(found.items)[:2]
        assert liked((await index.similar("me", 20, Where(sources=("s",)))).items) == ["rare"]
        assert not (await index.similar("nothing")).items
        assert not (await index.similar("unknown")).items
        for count in (0, 101):
            with pytest.raises(UsageError):
                await index.similar("me", count)


async def test_what_many_share_costs_little(periscope: Periscope, tmp_path: Path) -> None:
    shared = [f"domain-name:x{n}.example" for n in range(100)]
    await periscope.add_threats_batch(with_indicators(f"t{n}", *shared) for n in range(4000))
    async with indexed(periscope, tmp_path) as index:
        begun = time.thread_time(), time.monotonic()
        found = await index.similar("t7", 100)
        assert len(found.items) == 100
        assert time.monotonic() - begun[1] < 1 + BUSY_S


async def test_which_of_these_fit_now(periscope: Periscope, tmp_path: Path) -> None:
    await periscope.add_threats_batch(map(report, range(20)))
    async with indexed(periscope, tmp_path) as index:
        life = index._life
        assert life is not None
        asked = [f"t{number}" for number in range(30)]
        where = Where(source="s1")
        assert await index.matching(asked, where) == {"t1", "t6", "t11", "t16"}
        # What the index has not heard of yet is read.
        await periscope.add_threats_batch([report(21), report(2, source="s1")])
        position = await periscope.get_event_position()
        expected = {"t1", "t2", "t6", "t11", "t16", "t21"}
        assert await index.matching(asked, where, position) == expected
        await up_to_now(periscope, index)
        assert await index.matching(asked, where) == expected
        with pytest.raises(UsageError):
            await index.matching((str(n) for n in range(10_001)), where)


async def test_facets_count_what_fits(periscope: Periscope, tmp_path: Path) -> None:
    await periscope.add_threats_batch(map(report, range(60)))
    await periscope.decide("t5", "ann", "benign_expected")
    async with indexed(periscope, tmp_path) as index:
        everything = await index.facets()
        assert everything.total == 60
        assert everything.status == {"open": 59, "closed": 1}
        assert everything.tag == {"all": 60, "Tag0": 20, "Tag1": 20, "Tag2": 20}
        assert everything.tlp == {"AMBER": 20, "CLEAR": 20, "RED": 20}
        assert everything.overdue == 0
        assert everything.mine is None
        some = await index.facets(
            RankQuery(), Where(text="evil3.example", severities=(Severity.LOW,))
        )
        expected = [n for n in range(60) if n % 7 == 3 and n % 4 == 0]
        assert some.total == len(expected)
        assert some.severity == {"LOW": len(expected)}
        assert sum((some.source or {}).values()) == len(expected)
        assert (await index.facets(RankQuery(severity=0))).severity == {"LOW": 15}
        hidden = await index.facets(None, Where(sources=("none",)))
        assert (hidden.total, hidden.source, hidden.tag) == (0, {}, {})


async def test_levels_2_and_3_are_known_too(periscope: Periscope, tmp_path: Path) -> None:
    await periscope.add_threats_batch(map(report, range(4)))
    for analyst in ("ann", "bob"):
        await periscope.record_interaction("t3", analyst, "escalate")
    assert (await periscope.promote_eligible_threats()).promoted_ids == ["t3"]
    async with indexed(periscope, tmp_path) as index:
        assert (await index.facets()).level == {"1": 3, "2": 1}
        assert await index.matching(["t3"], Where(text="beacon 3 seen")) == {"t3"}
        assert not (await index.page(RankQuery(), Where(text='"beacon 3"'))).items


async def test_pages_of_levels_2_and_3(periscope: Periscope, tmp_path: Path) -> None:
    await periscope.add_threats_batch(map(report, range(3, 80, 4)))  # CRITICAL ones
    for analyst in ("ann", "bob"):
        for number in range(3, 80, 4):
            await periscope.record_interaction(f"t{number}", analyst, "escalate")
    stats = await periscope.promote_eligible_threats()
    assert stats.promoted == 20
    order = [one.threat_id for one in await periscope.get_short_term()]
    where = Where(tag="Tag0")
    async with indexed(periscope, tmp_path) as index:
        found, cursor = list[str](), None
        while True:
            page = await index.level_page(Level.SHORT_TERM, where, cursor, 3)
            found += [one.threat.threat_id for one in page.items]
            assert page.total == 7
            if (cursor := page.next_cursor) is None:
                break
            with pytest.raises(CursorInvalid):
                await index.level_page(Level.SHORT_TERM, Where(tag="Tag1"), cursor, 3)
            with pytest.raises(CursorInvalid):
                await periscope.get_short_term(cursor)
        assert found == [one for one in order if int(one[1:]) % 3 == 0]
        assert not (await index.level_page(Level.LONG_TERM, where)).items
        with pytest.raises(UsageError):
            await index.level_page(Level.WORKING, where)


async def test_an_index_of_records_gives_records(periscope: Periscope, tmp_path: Path) -> None:
    await periscope.add_threats_batch(map(report, range(10)))
    async with indexed(periscope, tmp_path) as index:
        await check_records(periscope, index)


async def check_records(periscope: Periscope, index: ReadIndex) -> None:
    page = await index.page(RankQuery(), Where(source="s2"), as_records=True)
    _, expected = await periscope.get_records([one.threat_id.decode() for one in page.items])
    assert page.items == expected
    assert len(expected) == 2
