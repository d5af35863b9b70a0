"""What is remembered of a threat that left by age, and how it comes back."""

from __future__ import annotations

from typing import Any

import pytest

from periscope import Level, Periscope, Policy, Status
from periscope.archive import Archive
from tests.rules.scene import (
    DAY_MS,
    HOUR_MS,
    SECOND_MS,
    acts,
    add,
    is_gone,
    look,
    pass_time,
    say,
    span,
    to_short_term,
)


async def depart(p: Periscope, archive: Archive, *ids: str) -> None:
    """Dismiss these threats, and let them go an hour later."""
    for one in ids:
        await acts(p, one, "ann dismiss")
    pass_time(p, HOUR_MS)
    assert (await p.sweep(archive)).expired == len(ids)


async def holding(p: Periscope, name: str) -> int:
    return (await p.get_holdings())[name]


async def test_an_identical_report_is_a_duplicate(spread: Periscope, archive: Archive) -> None:
    p = spread
    await add(p, "t", metadata={"k": [1, 2]})
    await depart(p, archive, "t")
    assert await holding(p, "stubs") == 1
    assert await say(p, "t", metadata={"k": [1, 2]}) == "duplicate"
    assert await is_gone(p, "t")
    assert await holding(p, "stubs") == 1
    ledger = await p.get_ledger()
    assert (ledger.added, ledger.duplicates, ledger.archived_seen) == (1, 1, 1)


@pytest.mark.parametrize(
    "change",
    [{"content": "news"}, {"metadata": {"k": 1}}, {"severity": "LOW"}, {"observed_at": 5}],
    ids=lambda change: next(iter(change)),
)
async def test_a_changed_one_comes_back_as_added(
    p: Periscope, archive: Archive, change: dict[str, Any]
) -> None:
    await add(p, "t")
    await depart(p, archive, "t")
    assert await say(p, "t", **change) == "added"
    assert not await is_gone(p, "t")
    assert await holding(p, "stubs") == 0
    ledger = await p.get_ledger()
    assert (ledger.added, ledger.level_1, ledger.departed) == (2, 1, 1)


async def test_it_comes_back_with_its_counts_and_begins_anew(
    p: Periscope, archive: Archive
) -> None:
    await add(p, "t", severity="LOW")
    await acts(p, "t", "ann escalate x2", "bob view x3", "bob dismiss x2")
    await say(p, "t", "LOW", content="second")
    before = await p.decide("t", "ann", "false_positive_logic")
    pass_time(p, HOUR_MS)
    assert (await p.sweep(archive)).expired == 1
    now_ms = pass_time(p, DAY_MS)
    assert await say(p, "t", "LOW", content="third") == "added"
    after = await look(p, "t")
    for name in ("interactions", "escalations", "dismissals", "views", "analysts", "sightings"):
        assert getattr(after, name) == getattr(before, name), name
    assert (after.first_seen_ms, after.last_activity_ms) == (now_ms, now_ms)
    assert (after.level, after.home, after.status) == (Level.WORKING, None, Status.OPEN)
    assert (after.outcome, after.latched, after.content) == (None, False, "third")


async def test_knowledge_comes_back_with_its_consolidations(p: Periscope, archive: Archive) -> None:
    before = await to_short_term(p, "t")
    pass_time(p, 7 * DAY_MS)
    assert (await p.sweep(archive)).expired_seen == 1
    assert await say(p, "t", "CRITICAL") == "duplicate"
    assert await say(p, "t", "CRITICAL", content="news") == "added"
    after = await look(p, "t")
    assert (after.level, after.home) == (Level.WORKING, None)
    assert (after.consolidations, after.entry_confidence) == (1, before.confidence)


async def test_with_its_counts_it_is_seen(p: Periscope, archive: Archive) -> None:
    await add(p, "t", severity="LOW")
    await depart(p, archive, "t")
    await say(p, "t", "LOW", content="news")
    assert (await p.get_stats()).unseen["LOW"] == 0
    pass_time(p, HOUR_MS)
    assert (await p.sweep(archive)).expired_seen == 1
    assert [row.reason for _, row in await archive.history(threat_id="t")] == ["expired_seen"] * 2


async def test_an_older_report_is_a_duplicate_too(p: Periscope, archive: Archive) -> None:
    await add(p, "t", observed_at=1000)
    await depart(p, archive, "t")
    assert await say(p, "t", content="before", observed_at=999) == "duplicate"
    assert await say(p, "t", observed_at=1001) == "added"


async def test_it_is_remembered_for_7_days(p: Periscope, archive: Archive) -> None:
    await add(p, "t", "u")
    await depart(p, archive, "t", "u")
    pass_time(p, 7 * DAY_MS - 1)
    assert (await p.sweep(archive)).forgotten_stubs == 0
    assert await say(p, "t") == "duplicate"
    pass_time(p, SECOND_MS)
    assert (await p.sweep(archive)).forgotten_stubs == 2
    assert await holding(p, "stubs") == 0
    assert await say(p, "t") == "added"
    assert (await look(p, "t")).interactions == 0


async def test_a_stub_that_no_sweep_forgot_yet_is_over_as_well(
    p: Periscope, archive: Archive
) -> None:
    await add(p, "t")
    await depart(p, archive, "t")
    pass_time(p, 7 * DAY_MS + 1)
    assert await say(p, "t") == "added"


async def test_how_long_is_of_the_policy(p: Periscope, archive: Archive) -> None:
    await p.set_policy(Policy(stub_ttl=span(10_000)))
    await add(p, "t", "u")
    await depart(p, archive, "t", "u")
    pass_time(p, 9999)
    assert (await p.sweep(archive)).forgotten_stubs == 0
    pass_time(p, 2)
    assert (await p.sweep(archive)).forgotten_stubs == 2


async def test_beyond_the_limit_the_oldest_are_forgotten(p: Periscope, archive: Archive) -> None:
    await p.set_policy(Policy(stub_limit=2))
    ids = ["a", "b", "c", "d"]
    await add(p, *ids)
    for one in ids:
        await depart(p, archive, one)
    await p.sweep(archive)
    assert await holding(p, "stubs") == 2
    assert [await say(p, one) for one in ids] == ["added", "added", "duplicate", "duplicate"]


async def test_every_source_s_last_word_is_remembered(p: Periscope, archive: Archive) -> None:
    await add(p, "t", source="one")
    assert await say(p, "t", source="two", content="other words") == "sighting"
    await depart(p, archive, "t")
    assert await say(p, "t", source="one") == "duplicate"
    assert await say(p, "t", source="two", content="other words") == "duplicate"
    assert await is_gone(p, "t")


async def test_departures_of_one_threat_are_rows_of_their_own(
    p: Periscope, archive: Archive
) -> None:
    await add(p, "t")
    for number in range(3):
        await depart(p, archive, "t")
        await say(p, "t", content=f"version {number}")
    rows = await archive.history(threat_id="t")
    assert [row.interactions for _, row in rows] == [3, 2, 1]
    ledger = await p.get_ledger()
    assert (ledger.added, ledger.departed, ledger.level_1) == (4, 3, 1)


async def test_other_analysts_go_on_counting_after_a_return(p: Periscope, archive: Archive) -> None:
    await add(p, "t")
    await depart(p, archive, "t")
    await say(p, "t", content="news")
    threat = await acts(p, "t", "bob view", "carl view")
    assert (threat.analysts, threat.interactions) == (3, 3)
