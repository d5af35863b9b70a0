"""Without an index the answers are the same, only slower; a walk may change between the two."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from periscope import Periscope, ThreatUnknown
from periscope.functions import RankQuery
from periscope.index import Where, plain
from tests.index.support import ids, indexed, ranked, report
from tests.index.test_answers import ALIKE, liked
from tests.index.test_pages import CASES


async def test_pages_are_those_of_brute_force(periscope: Periscope) -> None:
    await periscope.add_threats_batch(map(report, range(120)))
    await periscope.record_interaction("t3", "ann", "escalate")
    await periscope.claim("t4", "ann", timedelta(minutes=5))
    everything = await periscope.get_threats(f"t{number}" for number in range(120))
    for conditions, fits in CASES:
        found, cursor = [], None
        while True:
            page = await plain.find(periscope, RankQuery(), Where(**conditions), cursor, 7)
            found += ids(page.items)
            if (cursor := page.next_cursor) is None:
                break
            assert len(page.items) == 7
        assert found == ranked(everything, page.as_of_ms, fits), conditions
    held = await plain.find(periscope, RankQuery(), Where(holder="ann"))
    assert ids(held.items) == ["t4"]


async def test_a_walk_goes_on_with_or_without_an_index(
    periscope: Periscope, tmp_path: Path
) -> None:
    await periscope.add_threats_batch(map(report, range(100)))
    where = Where(text="beacon")
    everything = await periscope.get_threats(f"t{number}" for number in range(100))
    async with indexed(periscope, tmp_path) as index:
        found, cursor = list[str](), None
        for turn in range(100):
            if turn % 2:
                page = await index.page(RankQuery(), where, cursor, 9)
            else:
                page = await plain.find(periscope, RankQuery(), where, cursor, 9)
            found += ids(page.items)
            if (cursor := page.next_cursor) is None:
                break
        assert found == ranked(everything, page.as_of_ms, lambda _: True)


async def test_alike_is_the_same(periscope: Periscope, tmp_path: Path) -> None:
    await periscope.add_threats_batch(ALIKE)
    async with indexed(periscope, tmp_path) as index:
        for threat_id in ("me", "both", "common 3", "nothing"):
            mine = (await index.similar(threat_id, 100)).items
            theirs = (await plain.similar(periscope, threat_id, 100)).items
            assert set(liked(mine)) == set(liked(theirs))
            assert {one.threat.threat_id: (one.weight, one.indicators) for one in mine} == {
                one.threat.threat_id: (one.weight, one.indicators) for one in theirs
            }
    with pytest.raises(ThreatUnknown):
        await plain.similar(periscope, "unknown")
