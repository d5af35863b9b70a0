"""Level 2: its rank, its pages, its seven days."""

from __future__ import annotations

from functools import partial

import pytest

from periscope import CursorInvalid, Level, Periscope, Policy
from periscope.archive import Archive
from tests.rules.scene import (
    DAY_MS,
    HOUR_MS,
    MINUTE_MS,
    acts,
    add,
    consolidate,
    ids_of,
    is_gone,
    latch,
    look,
    pass_time,
    promote,
    ranked,
    report,
    span,
    to_short_term,
    walk,
)


async def make_many(p: Periscope, ids: list[str]) -> None:
    """Threats of level 2, three to a moment, of three severities."""
    for first in range(0, len(ids), 3):
        for one, severity in zip(ids[first : first + 3], ("LOW", "HIGH", "LOW"), strict=False):
            await add(p, one, severity=severity)
            await p.decide(one, "ann", "true_positive_impact")
        pass_time(p, MINUTE_MS)


async def test_it_is_ranked_by_confidence_then_activity_then_id(spread: Periscope) -> None:
    p = spread
    ids = [f"t{number}" for number in range(60)]
    await make_many(p, ids)
    page = await p.get_short_term(count=100)
    assert (page.total, page.next_cursor) == (60, None)
    assert ids_of(page) == ranked(await p.get_threats(ids))
    assert {threat.level for threat in page} == {Level.SHORT_TERM}


@pytest.mark.parametrize("count", [1, 7, 59, 60, 61])
async def test_pages_give_each_threat_once_though_they_tie(spread: Periscope, count: int) -> None:
    p = spread
    ids = [f"t{number}" for number in range(60)]
    await p.add_threats_batch(report(one) for one in ids)
    for one in ids:
        await p.decide(one, "ann", "true_positive_impact")
    assert await walk(p.get_short_term, count) == sorted(ids, reverse=True)


async def test_a_walk_is_longer_than_one_call_may_be(spread: Periscope) -> None:
    p = spread
    ids = [f"t{number:04}" for number in range(600)]
    await p.add_threats_batch(report(one) for one in ids)
    for one in ids:
        await p.decide(one, "ann", "true_positive_impact")
    assert await walk(p.get_short_term, 350) == ids[::-1]
    assert len(await p.get_short_term(count=600)) == 600


async def test_what_changes_during_a_walk_disturbs_no_other(p: Periscope) -> None:
    ids = [f"t{number}" for number in range(20)]
    await make_many(p, ids)
    before = ids_of(await p.get_short_term())
    page = await p.get_short_term(count=10)
    await p.recall(before[3], "ann")
    await p.recall(before[13], "ann")
    rest = await walk(partial(_from, p, page.next_cursor), 3)
    assert ids_of(page) + rest == [one for one in before if one != before[13]]


async def _from(p: Periscope, start: str | None, cursor: str | None, count: int) -> object:
    return await p.get_short_term(cursor or start, count)


async def test_a_cursor_is_of_its_own_list(p: Periscope) -> None:
    await make_many(p, ["a", "b", "c"])
    cursor = (await p.get_short_term(count=1)).next_cursor
    for other in (p.get_long_term(cursor=cursor), p.get_overdue(cursor=cursor)):
        with pytest.raises(CursorInvalid):
            await other
    with pytest.raises(CursorInvalid):
        await p.get_active_paginated(cursor)


async def test_it_ends_after_7_days(p: Periscope, archive: Archive) -> None:
    await to_short_term(p, "t")
    pass_time(p, 7 * DAY_MS - 1)
    assert (await p.sweep(archive)).expired == 0
    assert (await look(p, "t")).level is Level.SHORT_TERM
    pass_time(p, 1)
    stats = await p.sweep(archive)
    assert (stats.expired_seen, stats.expired_unseen) == (1, 0)
    assert await is_gone(p, "t")
    assert ids_of(await p.get_short_term()) == []


async def test_the_7_days_run_from_the_promotion_not_the_activity(
    p: Periscope, archive: Archive
) -> None:
    await add(p, "t", severity="CRITICAL")
    await latch(p, "t")
    pass_time(p, 5 * DAY_MS)
    await promote(p, "t")
    pass_time(p, 7 * DAY_MS - 1)
    assert (await p.sweep(archive)).expired == 0
    pass_time(p, 1)
    assert (await p.sweep(archive)).expired == 1


@pytest.mark.parametrize("way", ["consolidated", "settled"])
async def test_they_begin_anew_with_each_entry(p: Periscope, archive: Archive, way: str) -> None:
    await to_short_term(p, "t")
    pass_time(p, 6 * DAY_MS)
    if way == "consolidated":
        await consolidate(p, "t")
    else:
        await acts(p, "t", "ann view")
        pass_time(p, HOUR_MS)
        assert (await p.sweep(archive)).settled == 1
    pass_time(p, 7 * DAY_MS - 1)
    assert (await p.sweep(archive)).expired == 0
    pass_time(p, 1)
    assert (await p.sweep(archive)).expired == 1


async def test_they_are_of_the_policy(p: Periscope, archive: Archive) -> None:
    await p.set_policy(Policy(short_term_ttl=span(5000)))
    await to_short_term(p, "t")
    pass_time(p, 4999)
    assert (await p.sweep(archive)).expired == 0
    pass_time(p, 1)
    assert (await p.sweep(archive)).expired == 1


async def test_confidence_does_not_decay_in_level_2(p: Periscope) -> None:
    before = await to_short_term(p, "t")
    await p.decide("t", "ann", "benign_expected")
    pass_time(p, 6 * DAY_MS)
    assert (await look(p, "t")).confidence == before.confidence


async def test_commenting_and_deciding_leave_a_threat_in_level_2(p: Periscope) -> None:
    await to_short_term(p, "t")
    await p.comment("t", "ann", "seen again?")
    await p.reopen("t", "ann")
    await p.decide("t", "ann", "inconclusive")
    assert (await look(p, "t")).level is Level.SHORT_TERM
