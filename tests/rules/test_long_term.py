"""Level 3: decay in closed form, the floor, protection, industries, rank, pages, 90 days."""

from __future__ import annotations

from functools import partial

import pytest

from periscope import Level, Periscope, Policy
from periscope.archive import Archive
from tests.rules.scene import (
    DAY_MS,
    HOUR_MS,
    MINUTE_MS,
    STRAIGHT_TO_LONG,
    acts,
    add,
    ids_of,
    is_gone,
    latch,
    look,
    pass_time,
    promote,
    ranked,
    report,
    say,
    to_long_term,
    walk,
)

INDUSTRIES = ("Finance", "energy", "")


async def straight(p: Periscope, threat_id: str, severity: str = "HIGH", **fields: object) -> None:
    """A new threat, in level 3 at once; `STRAIGHT_TO_LONG` must be in force."""
    await add(p, threat_id, severity=severity, **fields)
    threat = await p.decide(threat_id, "ann", "true_positive_impact")
    assert threat.level is Level.LONG_TERM


def test_the_decay_is_slow() -> None:
    assert 0.7 < 0.999**356
    assert 0.7 > 0.999**357


async def test_what_is_protected_does_not_decay(p: Periscope) -> None:
    before = await to_long_term(p, "t")
    assert before.protected
    pass_time(p, 1000 * DAY_MS)
    after = await look(p, "t")
    assert after.confidence == before.confidence == before.entry_confidence


@pytest.mark.parametrize("days", [0.0, 0.25, 1.0, 30.5, 89.0])
async def test_decay_is_the_closed_form_of_fractional_days(p: Periscope, days: float) -> None:
    confidence = (await to_long_term(p, "t")).confidence
    pass_time(p, 40 * DAY_MS)
    at_ms = p.functions.now_ms
    threat = await p.decide("t", "ann", "false_positive_logic")
    assert (threat.protected, threat.entered_ms) == (False, at_ms)
    pass_time(p, int(days * DAY_MS))
    after = await look(p, "t")
    assert after.confidence == max(0.3, confidence * 0.999**days)
    assert after.entry_confidence == confidence


async def test_reading_does_not_compound_it(p: Periscope) -> None:
    confidence = (await to_long_term(p, "t")).confidence
    await p.decide("t", "ann", "benign_expected")
    for _ in range(20):
        pass_time(p, DAY_MS)
        await p.get_long_term()
        await p.comment("t", "ann", "still here")
    assert (await look(p, "t")).confidence == max(0.3, confidence * 0.999**20)


async def test_the_floor_is_0_3(p: Periscope) -> None:
    await p.set_policy(STRAIGHT_TO_LONG)
    await straight(p, "t")
    confidence = (await look(p, "t")).confidence
    assert confidence == pytest.approx(0.41)
    await p.decide("t", "ann", "benign_expected")
    pass_time(p, 312 * DAY_MS)
    assert (await look(p, "t")).confidence == confidence * 0.999**312 > 0.3
    pass_time(p, DAY_MS)
    assert (await look(p, "t")).confidence == 0.3 > confidence * 0.999**313
    pass_time(p, 10_000 * DAY_MS)
    assert (await look(p, "t")).confidence == 0.3


async def test_decay_and_floor_are_of_the_policy(p: Periscope) -> None:
    await p.set_policy(Policy(decay_per_day=0.5, decay_floor=0.1))
    confidence = (await to_long_term(p, "t")).confidence
    await p.decide("t", "ann", "benign_expected")
    pass_time(p, 2 * DAY_MS)
    assert (await look(p, "t")).confidence == confidence * 0.25
    pass_time(p, 2 * DAY_MS)
    assert (await look(p, "t")).confidence == 0.1


@pytest.mark.parametrize(
    "outcome", ["benign_expected", "false_positive_data", "false_positive_logic"]
)
async def test_a_withdrawal_ends_the_protection(p: Periscope, outcome: str) -> None:
    await to_long_term(p, "t")
    threat = await p.decide("t", "ann", outcome)
    assert (threat.level, threat.protected, threat.validated) == (Level.LONG_TERM, False, False)


@pytest.mark.parametrize("way", ["reopen", "inconclusive"])
async def test_what_gives_the_validation_back_protects_again(p: Periscope, way: str) -> None:
    before = await to_long_term(p, "t")
    await p.decide("t", "ann", "benign_expected")
    pass_time(p, 30 * DAY_MS)
    if way == "reopen":
        await p.reopen("t", "bob")
    else:
        await p.decide("t", "bob", "inconclusive")
    threat = await look(p, "t")
    assert threat.level is Level.LONG_TERM
    assert (threat.protected, threat.confidence) == (True, before.confidence)


async def test_a_raise_gives_it_back_and_recalls(p: Periscope, archive: Archive) -> None:
    await p.set_policy(STRAIGHT_TO_LONG)
    await straight(p, "t", "LOW")
    await p.decide("t", "ann", "benign_expected")
    pass_time(p, 30 * DAY_MS)
    await say(p, "t", "CRITICAL")
    threat = await look(p, "t")
    assert (threat.level, threat.status) == (Level.WORKING, "open")
    assert (threat.validated, threat.outcome) == (True, None)
    pass_time(p, HOUR_MS)
    assert (await p.sweep(archive)).settled == 1
    assert (await look(p, "t")).protected


async def test_enough_consolidations_protect_what_is_not_validated(p: Periscope) -> None:
    await to_long_term(p, "t")
    await p.set_policy(Policy(validated_escalations=100))
    threat = await look(p, "t")
    assert (threat.validated, threat.consolidations) == (False, 3)
    pass_time(p, DAY_MS)
    await p.recall("t", "ann")
    threat = await p.decide("t", "ann", "true_positive_impact")
    assert (threat.protected, threat.validated) == (True, False)


@pytest.mark.parametrize("wait_days", [0, 60])
async def test_unprotected_it_ends_90_days_after_its_entry(
    p: Periscope, archive: Archive, wait_days: int
) -> None:
    await to_long_term(p, "t")
    pass_time(p, wait_days * DAY_MS)
    await p.decide("t", "ann", "benign_expected")
    pass_time(p, (90 - wait_days) * DAY_MS - 1)
    assert (await p.sweep(archive)).expired == 0
    pass_time(p, 1)
    assert (await p.sweep(archive)).expired_seen == 1
    assert await is_gone(p, "t")
    assert ids_of(await p.get_long_term()) == []


async def test_protected_it_never_ends(p: Periscope, archive: Archive) -> None:
    await to_long_term(p, "t")
    pass_time(p, 5000 * DAY_MS)
    assert (await p.sweep(archive)).expired == 0
    await p.decide("t", "ann", "benign_expected")
    assert (await p.sweep(archive)).expired == 1


async def test_protected_again_it_stays(p: Periscope, archive: Archive) -> None:
    await to_long_term(p, "t")
    await p.decide("t", "ann", "benign_expected")
    pass_time(p, 89 * DAY_MS)
    await p.reopen("t", "ann")
    pass_time(p, 500 * DAY_MS)
    assert (await p.sweep(archive)).expired == 0
    assert (await look(p, "t")).protected


async def test_settling_begins_the_90_days_anew(p: Periscope, archive: Archive) -> None:
    await to_long_term(p, "t")
    await p.decide("t", "ann", "benign_expected")
    pass_time(p, 80 * DAY_MS)
    await acts(p, "t", "ann view")
    pass_time(p, HOUR_MS)
    assert (await p.sweep(archive)).settled == 1
    pass_time(p, 90 * DAY_MS - 1)
    assert (await p.sweep(archive)).expired == 0
    pass_time(p, 1)
    assert (await p.sweep(archive)).expired == 1


async def make_mixed(p: Periscope, number: int) -> list[str]:
    """Level 3 threats of several confidences, a part of which decays since several moments."""
    await p.set_policy(STRAIGHT_TO_LONG)
    ids = [f"t{one}" for one in range(number)]
    for one, threat_id in enumerate(ids):
        severity = ("LOW", "MEDIUM", "HIGH", "CRITICAL")[one % 4]
        metadata = {"industry": INDUSTRIES[one % 3]}
        await straight(p, threat_id, severity, metadata=metadata)
        if one % 2:
            await p.decide(threat_id, "ann", "benign_expected")
        if one % 5 == 0:
            pass_time(p, 7 * DAY_MS + one * HOUR_MS)
    return ids


async def test_it_is_ranked_by_what_the_confidence_is_worth_now(spread: Periscope) -> None:
    p = spread
    ids = await make_mixed(p, 48)
    threats = [one for one in await p.get_threats(ids) if one.confidence != 0.3]
    assert len({one.confidence for one in threats}) > 15
    found = [one for one in await p.get_long_term() if one.confidence != 0.3]
    assert [one.threat_id for one in found] == ranked(threats)


async def test_time_changes_the_order_as_it_changes_the_confidence(p: Periscope) -> None:
    await p.set_policy(STRAIGHT_TO_LONG)
    await straight(p, "fades", "HIGH")
    pass_time(p, 30 * MINUTE_MS)
    await add(p, "stays", severity="HIGH")
    pass_time(p, MINUTE_MS)
    await p.decide("stays", "ann", "true_positive_impact")
    await p.decide("fades", "ann", "benign_expected")
    assert ids_of(await p.get_long_term()) == ["fades", "stays"]
    pass_time(p, 60 * DAY_MS)
    assert ids_of(await p.get_long_term()) == ["stays", "fades"]


async def test_on_the_floor_the_one_that_decayed_less_comes_first(spread: Periscope) -> None:
    p = spread
    await p.set_policy(STRAIGHT_TO_LONG)
    for number in range(8):
        await straight(p, f"t{number}", ("HIGH", "LOW")[number % 2])
        await p.decide(f"t{number}", "ann", "benign_expected")
        pass_time(p, DAY_MS)
    pass_time(p, 1000 * DAY_MS)
    page = await p.get_long_term()
    assert {one.confidence for one in page} == {0.3}
    assert ids_of(page) == ["t6", "t4", "t2", "t0", "t7", "t5", "t3", "t1"]


@pytest.mark.parametrize("count", [1, 2, 7])
async def test_pages_give_each_threat_once_on_the_floor_too(spread: Periscope, count: int) -> None:
    p = spread
    await p.set_policy(STRAIGHT_TO_LONG)
    ids = [f"t{number:02}" for number in range(30)]
    for number, one in enumerate(ids):
        await straight(p, one, ("HIGH", "LOW")[number % 2])
        await p.decide(one, "ann", "benign_expected")
        pass_time(p, DAY_MS)
    pass_time(p, 1000 * DAY_MS)
    assert sorted(await walk(partial(_pages, p, None), count)) == ids


@pytest.mark.parametrize("count", [1, 5, 48])
async def test_pages_give_each_threat_once(spread: Periscope, count: int) -> None:
    p = spread
    ids = await make_mixed(p, 48)
    whole = ids_of(await p.get_long_term(count=100))
    assert await walk(partial(_pages, p, None), count) == whole
    assert sorted(whole) == sorted(ids)


async def test_the_walk_stands_still_while_time_passes(spread: Periscope) -> None:
    p = spread
    await make_mixed(p, 40)
    whole = await p.get_long_term()
    found: list[str] = []
    cursor = None
    while not found or cursor:
        page = await p.get_long_term(cursor=cursor, count=7)
        assert page.as_of_ms == whole.as_of_ms
        found += ids_of(page)
        cursor = page.next_cursor
        pass_time(p, 20 * DAY_MS)
    assert found == ids_of(whole)


@pytest.mark.parametrize("fades", [False, True], ids=["protected", "fading"])
async def test_ties_page_exactly_once(spread: Periscope, fades: bool) -> None:
    p = spread
    await p.set_policy(STRAIGHT_TO_LONG)
    ids = [f"t{number}" for number in range(45)]
    await p.add_threats_batch(report(one) for one in ids)
    for one in ids:
        await p.decide(one, "ann", "true_positive_impact")
        if fades:
            await p.decide(one, "ann", "benign_expected")
    for count in (1, 4, 45):
        assert await walk(partial(_pages, p, None), count) == sorted(ids, reverse=True)


async def _pages(p: Periscope, industry: str | None, cursor: str | None, count: int) -> object:
    return await p.get_long_term(industry, cursor, count)


async def test_an_industry_is_one_of_the_list_or_the_text(spread: Periscope) -> None:
    p = spread
    await p.set_policy(STRAIGHT_TO_LONG)
    told = {
        "text": {"industry": "Finance"},
        "list": {"industries": ["energy", "FINANCE"]},
        "other": {"industry": "financial"},
        "number": {"industry": 7},
        "none": None,
    }
    for threat_id, metadata in told.items():
        await straight(p, threat_id, metadata=metadata)
    page = await p.get_long_term("finance")
    assert (sorted(ids_of(page)), page.total) == (["list", "text"], 2)
    assert ids_of(await p.get_long_term(" Energy ")) == ["list"]
    assert ids_of(await p.get_long_term("nowhere")) == []
    assert (await p.get_long_term()).total == 5


async def test_an_industry_has_the_rank_and_the_pages_of_the_whole(spread: Periscope) -> None:
    p = spread
    await make_mixed(p, 48)
    for industry in ("finance", "ENERGY"):
        whole = [
            one.threat_id
            for one in await p.get_long_term()
            if one.metadata["industry"].lower() == industry.lower()
        ]
        assert len(whole) == 16
        assert await walk(partial(_pages, p, industry), 5) == whole


async def test_an_industry_follows_the_threat(p: Periscope, archive: Archive) -> None:
    await p.set_policy(STRAIGHT_TO_LONG)
    await straight(p, "t", metadata={"industry": "finance"})
    await say(p, "t", metadata={"industry": "energy"})
    assert ids_of(await p.get_long_term("finance")) == []
    await p.decide("t", "ann", "true_positive_impact")
    assert ids_of(await p.get_long_term("finance")) == []
    assert ids_of(await p.get_long_term("energy")) == ["t"]
    await p.remove(archive, "t", "ann")
    assert ids_of(await p.get_long_term("energy")) == []


async def test_a_level_3_threat_is_in_no_other_list(p: Periscope) -> None:
    await p.set_policy(STRAIGHT_TO_LONG)
    await add(p, "t", severity="CRITICAL")
    await latch(p, "t")
    await promote(p, "t")
    ledger = await p.get_ledger()
    assert (ledger.level_1, ledger.level_2, ledger.level_3) == (0, 0, 1)
    assert ids_of(await p.get_short_term()) == []
    assert await p.get_top_threats() == []
