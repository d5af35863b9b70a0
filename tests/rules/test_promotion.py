"""Level 1 to 2, consolidation, and level 2 to 3."""

from __future__ import annotations

import asyncio
from math import nextafter

import pytest

from periscope import Decision, Level, MemoryType, Periscope, Policy, Status
from tests.conftest import OpenHere
from tests.rules.scene import (
    DAY_MS,
    HOUR_MS,
    MINUTE_MS,
    SECOND_MS,
    START_MS,
    acts,
    add,
    consolidate,
    expected_score,
    ids_of,
    latch,
    look,
    pass_time,
    promote,
    report,
    span,
    to_long_term,
    to_short_term,
)


async def test_a_promotion_moves_a_threat_and_nothing_else(p: Periscope) -> None:
    await add(p, "t", severity="CRITICAL", metadata={"k": 1})
    before = await latch(p, "t")
    now_ms = pass_time(p, MINUTE_MS)
    stats = await p.promote_eligible_threats()
    assert (stats.promoted, stats.failed, stats.promoted_ids) == (1, 0, ["t"])
    after = await look(p, "t")
    assert (after.level, after.home, after.latched) == (Level.SHORT_TERM, None, False)
    assert (after.consolidations, after.confidence) == (1, before.score)
    assert (after.entered_ms, after.last_activity_ms) == (now_ms, START_MS)
    assert (after.interactions, after.escalations, after.analysts) == (3, 3, 2)
    assert (after.content, after.metadata) == (before.content, before.metadata)
    assert after.memory_type is MemoryType.VALIDATED


async def test_what_is_promoted_has_left_the_queue(spread: Periscope) -> None:
    p = spread
    await to_short_term(p, "t")
    assert ids_of(await p.get_active_paginated()) == []
    assert await p.get_top_threats() == []
    assert ids_of(await p.get_short_term()) == ["t"]
    assert (await p.promote_eligible_threats()).promoted == 0
    ledger = await p.get_ledger()
    assert (ledger.level_1, ledger.level_2, ledger.level_3) == (0, 1, 0)


async def test_many_workers_promote_each_threat_once(
    spread: Periscope, open_here: OpenHere
) -> None:
    p = spread
    ids = [f"t{number}" for number in range(450)]
    await p.add_threats_batch([report(one, "CRITICAL") for one in ids])
    for analyst in ("ann", "bob"):
        await p.record_interactions_batch(
            {"threat_id": one, "analyst_id": analyst, "action": "escalate"}
            for one in ids
            for _ in range(2)
        )
    assert (await p.get_holdings())["promotable"] == 450
    async with open_here() as other:
        other.functions.now_ms = START_MS
        every = await asyncio.gather(
            *(one.promote_eligible_threats() for one in (p, other) for _ in range(4))
        )
    assert sorted(one for stats in every for one in stats.promoted_ids) == sorted(ids)
    assert sum(stats.promoted for stats in every) == 450
    assert (await p.get_ledger()).level_2 == 450
    assert (await p.get_holdings())["promotable"] == 0


async def test_a_claimed_threat_is_promoted_when_released(p: Periscope) -> None:
    await add(p, "t", severity="CRITICAL")
    await latch(p, "t")
    claim = await p.claim("t", "ann")
    assert (await p.promote_eligible_threats()).promoted == 0
    assert (await look(p, "t")).latched
    await p.release(claim)
    await p.promote_eligible_threats()
    assert (await look(p, "t")).level is Level.SHORT_TERM


async def test_a_claimed_threat_is_promoted_once_the_lease_is_over(p: Periscope) -> None:
    await add(p, "t", severity="CRITICAL")
    await latch(p, "t")
    await p.claim("t", "ann", span(10 * SECOND_MS))
    pass_time(p, 10 * SECOND_MS - 1)
    assert (await p.promote_eligible_threats()).promoted == 0
    pass_time(p, 1)
    assert (await p.promote_eligible_threats()).promoted == 1


async def test_claimed_threats_hold_up_no_others(p: Periscope) -> None:
    ids = [f"t{number:03}" for number in range(450)]
    await p.add_threats_batch([report(one, "CRITICAL") for one in ids])
    for one in ids:
        await latch(p, one)
    for one in ids[:220]:
        await p.claim(one, "ann")
    stats = await p.promote_eligible_threats()
    assert sorted(stats.promoted_ids) == ids[220:]


@pytest.mark.parametrize("outcome", ["true_positive_impact", "true_positive_no_impact"])
async def test_a_true_positive_is_promoted_at_once(p: Periscope, outcome: str) -> None:
    await add(p, "t", severity="LOW")
    pass_time(p, 30 * MINUTE_MS)
    threat = await p.decide("t", "ann", outcome)
    assert (threat.level, threat.status) == (Level.SHORT_TERM, Status.CLOSED)
    assert (threat.outcome, threat.consolidations) == (Decision(outcome), 1)
    assert threat.confidence == expected_score("LOW", age_ms=30 * MINUTE_MS)
    assert threat.memory_type is MemoryType.PATTERN


async def test_a_true_positive_is_promoted_though_it_is_claimed_by_the_one_who_says_so(
    p: Periscope,
) -> None:
    await add(p, "t")
    await p.claim("t", "ann")
    assert (await p.decide("t", "ann", "true_positive_impact")).level is Level.SHORT_TERM
    assert (await p.get_desk("t")).claim is None


async def test_consolidations_count_once_in_24_hours(p: Periscope) -> None:
    await to_short_term(p, "early")
    await to_short_term(p, "late")
    pass_time(p, DAY_MS - 1)
    threat = await consolidate(p, "early")
    assert (threat.level, threat.consolidations) == (Level.SHORT_TERM, 1)
    pass_time(p, 1)
    assert (await consolidate(p, "late")).consolidations == 2


async def test_the_24_hours_run_from_the_last_one_that_counted(p: Periscope) -> None:
    await to_short_term(p, "t")
    pass_time(p, 23 * HOUR_MS)
    assert (await consolidate(p, "t")).consolidations == 1
    pass_time(p, HOUR_MS)
    assert (await consolidate(p, "t")).consolidations == 2
    pass_time(p, DAY_MS - 1)
    assert (await consolidate(p, "t")).consolidations == 2


async def test_the_interval_is_of_the_policy(p: Periscope) -> None:
    await p.set_policy(Policy(consolidation_interval=span(0)))
    await to_short_term(p, "t")
    assert (await consolidate(p, "t")).consolidations == 2


async def test_settling_is_no_consolidation(p: Periscope) -> None:
    before = await to_short_term(p, "t")
    pass_time(p, DAY_MS)
    await p.recall("t", "ann")
    after = await look(p, "t")
    assert (after.consolidations, after.confidence) == (1, before.confidence)


async def test_a_consolidation_keeps_the_larger_confidence(p: Periscope) -> None:
    await p.set_policy(Policy(consolidation_interval=span(0)))
    first = await to_short_term(p, "t")
    threat = await consolidate(p, "t")
    assert threat.confidence == expected_score("CRITICAL", 4, 3) > first.confidence
    await p.add_threat("t", "less", "LOW")
    await p.set_policy(Policy(consolidation_interval=span(0), promote_score=0.5))
    threat = await consolidate(p, "t")
    assert expected_score("LOW", 5, 3) < threat.confidence
    assert threat.confidence == expected_score("CRITICAL", 4, 3)


async def test_the_third_consolidation_makes_it_long_term(p: Periscope) -> None:
    await to_short_term(p, "t")
    pass_time(p, DAY_MS)
    second = await consolidate(p, "t")
    assert (second.level, second.consolidations) == (Level.SHORT_TERM, 2)
    now_ms = pass_time(p, DAY_MS)
    third = await consolidate(p, "t")
    assert (third.level, third.consolidations) == (Level.LONG_TERM, 3)
    assert (third.entered_ms, third.protected, third.home) == (now_ms, True, None)
    assert ids_of(await p.get_long_term()) == ["t"]
    assert ids_of(await p.get_short_term()) == []


async def test_a_confidence_of_exactly_the_least_is_enough(p: Periscope) -> None:
    confidence = expected_score("CRITICAL", 3, 3)
    for number, (least, level) in enumerate(
        [(confidence, Level.LONG_TERM), (nextafter(confidence, 1.0), Level.SHORT_TERM)]
    ):
        await p.set_policy(Policy(long_term_consolidations=1, long_term_confidence=least))
        await add(p, f"t{number}", severity="CRITICAL")
        await latch(p, f"t{number}")
        threat = await promote(p, f"t{number}")
        assert (threat.confidence, threat.level) == (confidence, level)


async def test_the_default_least_confidence_is_0_8(p: Periscope) -> None:
    await p.set_policy(Policy(long_term_consolidations=1))
    for views, level in [(2, Level.SHORT_TERM), (3, Level.LONG_TERM)]:
        await add(p, f"t{views}", severity="CRITICAL")
        await acts(p, f"t{views}", f"ann view x{views}", "ann escalate", "bob escalate")
        threat = await promote(p, f"t{views}")
        assert threat.confidence == expected_score("CRITICAL", views + 2, 2)
        assert (threat.level, threat.confidence >= 0.8) == (level, level is Level.LONG_TERM)


@pytest.mark.parametrize(("escalations", "level"), [(1, 2), (2, 3)])
async def test_level_3_takes_what_is_validated(p: Periscope, escalations: int, level: int) -> None:
    await p.set_policy(Policy(long_term_consolidations=1, long_term_confidence=0.7))
    await add(p, "t", severity="CRITICAL")
    await acts(p, "t", f"ann escalate x{escalations}", "bob view x9")
    threat = await promote(p, "t")
    assert (threat.validated, threat.level) == (escalations >= 2, level)


async def test_a_true_positive_consolidates_what_was_recalled(p: Periscope) -> None:
    await to_short_term(p, "t")
    for number in (2, 3):
        pass_time(p, DAY_MS)
        threat, _ = await p.recall("t", "ann")
        assert threat.level is Level.WORKING
        threat = await p.decide("t", "ann", "true_positive_impact")
        assert threat.consolidations == number
    assert (threat.level, threat.home) == (Level.LONG_TERM, None)


async def test_a_promotion_never_lowers_home(p: Periscope) -> None:
    await to_long_term(p, "t")
    await p.set_policy(Policy(long_term_confidence=1.0, long_term_consolidations=100))
    assert (await consolidate(p, "t")).level is Level.LONG_TERM
    await p.recall("t", "ann")
    assert (await p.decide("t", "ann", "true_positive_impact")).level is Level.LONG_TERM


@pytest.mark.parametrize("outcome", ["false_positive_logic", "benign_expected"])
async def test_what_is_withdrawn_waits_in_level_2_for_its_reopening(
    p: Periscope, outcome: str
) -> None:
    await to_short_term(p, "t")
    pass_time(p, DAY_MS)
    await consolidate(p, "t")
    threat = await p.decide("t", "ann", outcome)
    assert (threat.level, threat.withdrawn, threat.validated) == (Level.SHORT_TERM, True, False)
    pass_time(p, DAY_MS)
    await p.recall("t", "ann")
    threat = await consolidate(p, "t")
    assert (threat.level, threat.consolidations) == (Level.SHORT_TERM, 3)
    now_ms = pass_time(p, HOUR_MS)
    threat = await p.reopen("t", "bob")
    assert (threat.validated, threat.level, threat.entered_ms) == (True, Level.LONG_TERM, now_ms)
    assert ids_of(await p.get_long_term()) == ["t"]


async def test_another_outcome_gives_the_validation_back_too(p: Periscope) -> None:
    await to_short_term(p, "t")
    pass_time(p, DAY_MS)
    await consolidate(p, "t")
    await p.decide("t", "ann", "false_positive_data")
    pass_time(p, DAY_MS)
    await p.recall("t", "ann")
    assert (await consolidate(p, "t")).level is Level.SHORT_TERM
    threat = await p.decide("t", "ann", "inconclusive")
    assert (threat.validated, threat.level) == (True, Level.LONG_TERM)


@pytest.mark.parametrize(
    ("steps", "kind"),
    [
        (["ann escalate x2", "bob escalate"], MemoryType.VALIDATED),
        (["ann dismiss", "bob view"], MemoryType.FALSE_POSITIVE),
        (["ann escalate", "bob dismiss"], MemoryType.PATTERN),
        (["ann escalate x2", "bob dismiss x3"], MemoryType.VALIDATED),
    ],
)
async def test_the_memory_type_tells_what_analysts_did(
    p: Periscope, steps: list[str], kind: MemoryType
) -> None:
    await add(p, "t")
    await acts(p, "t", *steps)
    assert (await p.decide("t", "ann", "true_positive_impact")).memory_type is kind
