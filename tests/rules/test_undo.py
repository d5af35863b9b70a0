"""Taking back: an analyst's own last act, within ten minutes, and what it leaves."""

from __future__ import annotations

import pytest

from periscope import Level, NotLast, Periscope, Policy, Status, Threat, ThreatUnknown, TooLate
from periscope.archive import Archive
from tests.rules.scene import (
    HOUR_MS,
    MINUTE_MS,
    acts,
    add,
    ids_of,
    latch,
    look,
    pass_time,
    promote,
    say,
    span,
)

COUNTS = ("interactions", "escalations", "dismissals", "views", "analysts", "sightings")
ACTIONS = ("view", "escalate", "dismiss", "monitor", "investigate")


def counts(threat: Threat) -> list[int]:
    return [getattr(threat, name) for name in COUNTS]


def act_id(threat: Threat) -> str:
    assert threat.interaction_id is not None
    return threat.interaction_id


@pytest.mark.parametrize("action", ACTIONS)
@pytest.mark.parametrize("earlier", [(), ("ann view", "bob escalate")], ids=["first", "later"])
async def test_everything_is_as_before(
    spread: Periscope, action: str, earlier: tuple[str, ...]
) -> None:
    p = spread
    await add(p, "t")
    before = await acts(p, "t", *earlier) if earlier else await look(p, "t")
    desk = await p.get_desk("t")
    pass_time(p, MINUTE_MS)
    act = await acts(p, "t", f"ann {action}")
    after = await p.undo(act_id(act))
    assert counts(after) == counts(before)
    assert (after.status, after.latched, after.level) == (before.status, False, Level.WORKING)
    assert after.last_activity_ms == before.last_activity_ms
    bob = [act for act in desk.acts if act.analyst_id == "bob"]
    assert [act for act in (await p.get_desk("t")).acts if act.analyst_id == "bob"] == bob
    assert (await p.get_stats()).unseen["HIGH"] == (0 if earlier else 1)


async def test_it_may_be_undone_for_ten_minutes(p: Periscope) -> None:
    await add(p, "t", "u")
    t, u = await acts(p, "t", "ann view"), await acts(p, "u", "ann view")
    pass_time(p, 10 * MINUTE_MS)
    assert (await p.undo(act_id(t))).interactions == 0
    pass_time(p, 1)
    with pytest.raises(TooLate):
        await p.undo(act_id(u))
    assert (await look(p, "u")).interactions == 1


async def test_how_long_is_of_the_policy(p: Periscope) -> None:
    await p.set_policy(Policy(undo_within=span(1000)))
    await add(p, "t", "u")
    t, u = await acts(p, "t", "ann view"), await acts(p, "u", "ann view")
    pass_time(p, 1000)
    await p.undo(act_id(t))
    pass_time(p, 1)
    with pytest.raises(TooLate):
        await p.undo(act_id(u))


async def test_only_the_last_act_of_the_analyst_goes(p: Periscope) -> None:
    await add(p, "t")
    first = await acts(p, "t", "ann escalate")
    second = await acts(p, "t", "ann view")
    with pytest.raises(NotLast):
        await p.undo(act_id(first))
    await p.undo(act_id(second))
    assert counts(await look(p, "t")) == counts(first)


async def test_it_goes_once_and_a_retry_is_answered_as_first(p: Periscope) -> None:
    await add(p, "t")
    await acts(p, "t", "bob view x2")
    act = await acts(p, "t", "ann view")
    first = await p.undo(act_id(act))
    await acts(p, "t", "bob view")
    assert counts(await p.undo(act_id(act))) == counts(first)
    assert (await look(p, "t")).interactions == 3


async def test_an_act_of_somebody_else_stays(p: Periscope) -> None:
    await add(p, "t")
    act = await acts(p, "t", "ann view")
    with pytest.raises(NotLast):
        await p.undo(act_id(act), "bob")
    assert (await p.undo(act_id(act), "ann")).interactions == 0


async def test_an_id_that_nobody_used_is_unknown(p: Periscope) -> None:
    with pytest.raises(ThreatUnknown):
        await p.undo("never")


async def test_what_others_did_since_stays(p: Periscope) -> None:
    await add(p, "t")
    act = await acts(p, "t", "ann escalate")
    now_ms = pass_time(p, MINUTE_MS)
    await acts(p, "t", "bob view", "carl dismiss")
    after = await p.undo(act_id(act))
    assert counts(after) == [2, 0, 1, 1, 2, 0]
    assert after.last_activity_ms == now_ms


async def test_the_last_activity_stays_when_a_sighting_followed(p: Periscope) -> None:
    await add(p, "t")
    act = await acts(p, "t", "ann view")
    now_ms = pass_time(p, MINUTE_MS)
    await say(p, "t", content="news")
    after = await p.undo(act_id(act))
    assert (after.last_activity_ms, after.interactions, after.sightings) == (now_ms, 0, 1)


async def test_an_undone_dismissal_opens_again(p: Periscope) -> None:
    await add(p, "t")
    act = await acts(p, "t", "ann dismiss")
    assert act.status is Status.DISMISSED
    await acts(p, "t", "bob view")
    assert (await p.undo(act_id(act))).status is Status.OPEN
    assert ids_of(await p.get_active_paginated()) == ["t"]


async def test_an_undone_escalation_dismisses_again(p: Periscope) -> None:
    await add(p, "t")
    await acts(p, "t", "ann dismiss x2")
    act = await acts(p, "t", "ann escalate")
    assert act.status is Status.OPEN
    assert (await p.undo(act_id(act))).status is Status.DISMISSED


@pytest.mark.parametrize("since", ["reopen", "escalate", "raise"])
async def test_a_status_that_was_decided_since_stands(p: Periscope, since: str) -> None:
    await add(p, "t")
    await acts(p, "t", "ann dismiss x2")
    act = await acts(p, "t", "bob dismiss")
    if since == "reopen":
        await p.reopen("t", "carl")
    elif since == "escalate":
        await acts(p, "t", "carl escalate")
    else:
        await say(p, "t", "CRITICAL")
    after = await p.undo(act_id(act))
    assert (after.status, after.dismissals) == (Status.OPEN, 2)


async def test_an_outcome_given_since_stands(p: Periscope) -> None:
    await add(p, "t")
    act = await acts(p, "t", "ann dismiss")
    await p.decide("t", "bob", "inconclusive")
    after = await p.undo(act_id(act))
    assert (after.status, after.outcome, after.dismissals) == (Status.CLOSED, "inconclusive", 0)


async def test_the_latch_is_taken_back(p: Periscope) -> None:
    await add(p, "t", severity="CRITICAL")
    await acts(p, "t", "ann escalate x2")
    act = await acts(p, "t", "bob escalate")
    assert act.latched
    assert not (await p.undo(act_id(act))).latched
    assert (await p.promote_eligible_threats()).promoted == 0


async def test_the_latch_that_a_dismissal_cleared_comes_back(p: Periscope) -> None:
    await add(p, "t", severity="CRITICAL")
    before = await latch(p, "t")
    act = await acts(p, "t", "carl dismiss")
    assert not act.latched
    assert (await p.undo(act_id(act))).latched
    assert (await promote(p, "t")).entry_confidence == before.score


async def test_the_latch_has_its_score_of_before_again(p: Periscope) -> None:
    await add(p, "t", severity="CRITICAL")
    before = await latch(p, "t")
    pass_time(p, 5 * MINUTE_MS)
    act = await acts(p, "t", "ann view")
    assert act.score > before.score
    assert (await p.undo(act_id(act))).latched
    assert (await promote(p, "t")).entry_confidence == before.score


async def test_the_latch_stands_by_the_counts_that_are_left(p: Periscope) -> None:
    await add(p, "stays", "falls", severity="CRITICAL")
    for one, views in (("stays", 2), ("falls", 1)):
        await acts(p, one, f"bob view x{views}")
    for one, latched in (("stays", True), ("falls", False)):
        act = await acts(p, one, "ann view")
        await acts(p, one, "bob escalate x2", "carl view" if latched else "bob view")
        assert (await look(p, one)).latched
        assert (await p.undo(act_id(act))).latched is latched


async def test_after_the_promotion_it_is_too_late(p: Periscope) -> None:
    await add(p, "t", severity="CRITICAL")
    act = await latch(p, "t")
    await promote(p, "t")
    with pytest.raises(TooLate):
        await p.undo(act_id(act))
    assert (await look(p, "t")).interactions == 3


async def test_after_a_promotion_and_a_recall_it_is_too_late(p: Periscope) -> None:
    await add(p, "t", severity="CRITICAL")
    act = await latch(p, "t")
    await promote(p, "t")
    await p.recall("t", "carl")
    with pytest.raises(TooLate):
        await p.undo(act_id(act))


async def test_after_the_archiving_it_is_too_late(p: Periscope, archive: Archive) -> None:
    await p.set_policy(Policy(working_ttl=span(MINUTE_MS)))
    await add(p, "t", severity="LOW")
    act = await acts(p, "t", "ann view")
    pass_time(p, MINUTE_MS)
    assert (await p.sweep(archive)).expired == 1
    with pytest.raises(TooLate):
        await p.undo(act_id(act))


async def test_after_a_return_it_is_too_late(p: Periscope, archive: Archive) -> None:
    await p.set_policy(Policy(working_ttl=span(MINUTE_MS)))
    await add(p, "t", severity="LOW")
    act = await acts(p, "t", "ann view")
    pass_time(p, MINUTE_MS)
    await p.sweep(archive)
    await say(p, "t", "LOW", content="news")
    with pytest.raises(TooLate):
        await p.undo(act_id(act))
    assert (await look(p, "t")).interactions == 1


async def test_a_decision_is_undone(p: Periscope) -> None:
    await add(p, "t", severity="CRITICAL")
    before = await latch(p, "t")
    act = await p.decide("t", "ann", "benign_expected")
    after = await p.undo(act_id(act))
    assert (after.status, after.outcome, after.latched) == (Status.OPEN, None, True)
    assert counts(after) == counts(before)
    assert (await promote(p, "t")).validated


async def test_a_decision_over_a_dismissal_is_undone_to_the_dismissal(p: Periscope) -> None:
    await add(p, "t")
    await acts(p, "t", "bob dismiss")
    act = await p.decide("t", "ann", "inconclusive")
    after = await p.undo(act_id(act))
    assert (after.status, after.outcome) == (Status.DISMISSED, None)


async def test_a_decision_over_a_decision_is_undone_to_the_first(p: Periscope) -> None:
    await add(p, "t")
    await p.decide("t", "bob", "benign_expected")
    act = await p.decide("t", "ann", "inconclusive")
    after = await p.undo(act_id(act))
    assert (after.status, after.outcome) == (Status.CLOSED, "benign_expected")


async def test_a_reopening_is_undone(p: Periscope) -> None:
    await add(p, "t")
    await p.decide("t", "bob", "false_positive_logic")
    act = await p.reopen("t", "ann")
    after = await p.undo(act_id(act))
    assert (after.status, after.outcome) == (Status.CLOSED, "false_positive_logic")
    assert after.withdrawn


@pytest.mark.parametrize("outcome", ["true_positive_impact", "true_positive_no_impact"])
async def test_a_true_positive_cannot_be_undone(p: Periscope, outcome: str) -> None:
    await add(p, "t")
    act = await p.decide("t", "ann", outcome)
    with pytest.raises(TooLate):
        await p.undo(act_id(act))
    assert (await look(p, "t")).outcome == outcome


async def test_an_undone_act_counts_no_longer_for_expiry(p: Periscope, archive: Archive) -> None:
    await add(p, "t", severity="LOW")
    act = await acts(p, "t", "ann view")
    await p.undo(act_id(act))
    pass_time(p, HOUR_MS)
    assert (await p.sweep(archive)).expired == 0
    pass_time(p, 23 * HOUR_MS)
    assert (await p.sweep(archive)).expired_unseen == 1


async def test_it_is_itself_in_the_audit_trail(p: Periscope) -> None:
    await add(p, "t")
    act = await acts(p, "t", "ann view")
    await p.undo(act_id(act))
    trail = await p.get_recent_audit()
    assert [(one.action, one.threat_id, one.analyst_id) for one in trail] == [
        ("view", "t", "ann"),
        ("undo", "t", "ann"),
    ]


async def test_an_undone_id_stays_used(p: Periscope) -> None:
    await add(p, "t")
    await p.record_interaction("t", "ann", "view", "id-1")
    await p.undo("id-1")
    await p.record_interaction("t", "ann", "view", "id-1")
    assert (await look(p, "t")).interactions == 0


async def test_every_act_of_a_batch_can_be_undone_by_its_id(p: Periscope) -> None:
    await add(p, "t", "u")
    await p.record_interactions_batch(
        {"threat_id": one, "analyst_id": "ann", "action": "view", "interaction_id": f"of {one}"}
        for one in ("t", "u")
    )
    await p.undo("of u")
    assert [(await look(p, one)).interactions for one in ("t", "u")] == [1, 0]
