"""Recall: what brings a level 2 or 3 threat back to work, and how it settles home."""

from __future__ import annotations

import pytest

from periscope import Decision, Level, Periscope, Policy, Status, ThreatUnknown
from periscope.archive import Archive
from tests.rules.scene import (
    DAY_MS,
    HOUR_MS,
    MINUTE_MS,
    acts,
    add,
    consolidate,
    ids_of,
    latch,
    look,
    pass_time,
    promote,
    say,
    span,
    to_long_term,
    to_short_term,
)


async def make(p: Periscope, level: int) -> Level:
    """Threat `t` in that level, a while ago."""
    threat = await (to_short_term if level == 2 else to_long_term)(p, "t")
    pass_time(p, 2 * HOUR_MS)
    return threat.level


@pytest.mark.parametrize("level", [2, 3])
async def test_a_recall_keeps_history_and_remembers_home(p: Periscope, level: int) -> None:
    home = await make(p, level)
    before = await look(p, "t")
    threat, was = await p.recall("t", "ann")
    assert (was, threat.level, threat.home) == (home, Level.WORKING, home)
    assert (threat.status, threat.latched) == (Status.OPEN, False)
    for name in ("interactions", "escalations", "analysts", "consolidations", "views"):
        assert getattr(threat, name) == getattr(before, name)
    assert threat.last_activity_ms == before.last_activity_ms
    assert threat.entry_confidence == before.entry_confidence


@pytest.mark.parametrize("level", [2, 3])
@pytest.mark.parametrize("action", ["view", "monitor", "investigate", "escalate", "dismiss"])
async def test_every_interaction_recalls(p: Periscope, level: int, action: str) -> None:
    home = await make(p, level)
    before = await look(p, "t")
    threat = await acts(p, "t", f"carl {action}")
    assert (threat.level, threat.home, threat.status) == (Level.WORKING, home, Status.OPEN)
    assert (threat.interactions, threat.analysts) == (before.interactions + 1, 3)
    assert threat.last_activity_ms == p.functions.now_ms
    assert ids_of(await p.get_active_paginated()) == ["t"]
    assert ids_of(await p.get_short_term()) == ids_of(await p.get_long_term()) == []


@pytest.mark.parametrize("level", [2, 3])
async def test_a_sighting_recalls_and_a_duplicate_does_not(p: Periscope, level: int) -> None:
    home = await make(p, level)
    assert await say(p, "t", "CRITICAL") == "duplicate"
    assert (await look(p, "t")).level is home
    assert await say(p, "t", "HIGH", content="news") == "sighting"
    threat = await look(p, "t")
    assert (threat.level, threat.home, threat.content) == (Level.WORKING, home, "news")
    assert (threat.status, threat.last_activity_ms) == (Status.OPEN, p.functions.now_ms)


async def test_a_threat_of_level_1_stays_as_it_is(p: Periscope) -> None:
    await add(p, "t")
    before = await acts(p, "t", "ann dismiss")
    threat, was = await p.recall("t", "bob")
    assert (was, threat.home, threat.level) == (Level.WORKING, None, Level.WORKING)
    assert (threat.status, threat.last_activity_ms) == (before.status, before.last_activity_ms)


async def test_an_unknown_threat_cannot_be_recalled(p: Periscope) -> None:
    with pytest.raises(ThreatUnknown):
        await p.recall("nobody", "ann")


@pytest.mark.parametrize("way", ["recall", "sighting", "view"])
async def test_recall_alone_never_latches(p: Periscope, way: str) -> None:
    await make(p, 2)
    if way == "recall":
        await p.recall("t", "ann")
    elif way == "sighting":
        await say(p, "t", content="news")
    threat = await acts(p, "t", "ann view x9", "bob investigate")
    assert (threat.score >= 0.7, threat.latched) == (True, False)
    assert (await acts(p, "t", "bob escalate")).latched


async def test_the_escalation_that_recalls_counts(p: Periscope) -> None:
    await make(p, 2)
    assert (await acts(p, "t", "ann escalate")).latched


async def test_after_an_escalation_any_interaction_may_latch(p: Periscope) -> None:
    await make(p, 2)
    await acts(p, "t", "ann escalate")
    assert not (await acts(p, "t", "carl dismiss")).latched
    assert (await acts(p, "t", "carl view")).latched


async def test_an_escalation_counts_for_its_own_recall_only(p: Periscope, archive: Archive) -> None:
    await make(p, 2)
    await consolidate(p, "t")
    assert not (await acts(p, "t", "ann view")).latched
    pass_time(p, HOUR_MS)
    await p.sweep(archive)
    assert not (await acts(p, "t", "ann view")).latched


@pytest.mark.parametrize("level", [2, 3])
async def test_it_settles_home_after_an_hour_without_activity(
    p: Periscope, archive: Archive, level: int
) -> None:
    home = await make(p, level)
    before = await look(p, "t")
    await acts(p, "t", "ann view")
    pass_time(p, HOUR_MS - 1)
    assert (await p.sweep(archive)).settled == 0
    assert (await look(p, "t")).level is Level.WORKING
    now_ms = pass_time(p, 1)
    stats = await p.sweep(archive)
    assert (stats.settled, stats.expired) == (1, 0)
    threat = await look(p, "t")
    assert (threat.level, threat.home, threat.entered_ms) == (home, None, now_ms)
    assert threat.consolidations == before.consolidations
    assert threat.confidence == before.confidence


async def test_an_explicit_recall_waits_an_hour_from_itself(p: Periscope, archive: Archive) -> None:
    await make(p, 2)
    await p.recall("t", "ann")
    pass_time(p, HOUR_MS - 1)
    assert (await p.sweep(archive)).settled == 0
    pass_time(p, 1)
    assert (await p.sweep(archive)).settled == 1


@pytest.mark.parametrize("activity", ["ann view", "carl dismiss", "news"])
async def test_activity_puts_the_settling_off(
    p: Periscope, archive: Archive, activity: str
) -> None:
    await make(p, 2)
    await p.recall("t", "ann")
    pass_time(p, 40 * MINUTE_MS)
    if activity == "news":
        await say(p, "t", content="news")
    else:
        await acts(p, "t", activity)
    pass_time(p, HOUR_MS - 1)
    assert (await p.sweep(archive)).settled == 0
    pass_time(p, 1)
    assert (await p.sweep(archive)).settled == 1


async def test_when_it_settles_is_of_the_policy(p: Periscope, archive: Archive) -> None:
    await make(p, 2)
    await p.set_policy(Policy(settle_after=span(1000)))
    await acts(p, "t", "ann view")
    pass_time(p, 999)
    assert (await p.sweep(archive)).settled == 0
    pass_time(p, 1)
    assert (await p.sweep(archive)).settled == 1


async def test_what_is_latched_or_claimed_does_not_settle(p: Periscope, archive: Archive) -> None:
    await to_short_term(p, "latched")
    await to_short_term(p, "claimed")
    await latch(p, "latched")
    await p.recall("claimed", "ann")
    claim = await p.claim("claimed", "ann", span(DAY_MS))
    pass_time(p, 5 * HOUR_MS)
    assert (await p.sweep(archive)).settled == 0
    await p.release(claim)
    assert (await p.sweep(archive)).settled == 1
    assert (await promote(p, "latched")).level is Level.SHORT_TERM


@pytest.mark.parametrize("outcome", ["inconclusive", "benign_expected"])
async def test_what_was_decided_after_the_recall_settles_home_too(
    p: Periscope, archive: Archive, outcome: str
) -> None:
    home = await make(p, 2)
    await p.recall("t", "ann")
    threat = await p.decide("t", "ann", outcome)
    assert (threat.level, threat.status) == (Level.WORKING, Status.CLOSED)
    pass_time(p, HOUR_MS)
    stats = await p.sweep(archive)
    assert (stats.settled, stats.expired) == (1, 0)
    assert (await look(p, "t")).level is home


async def test_what_was_dismissed_after_the_recall_settles_home_too(
    p: Periscope, archive: Archive
) -> None:
    home = await make(p, 2)
    threat = await acts(p, "t", "carl dismiss x4")
    assert threat.status is Status.DISMISSED
    pass_time(p, HOUR_MS)
    assert (await p.sweep(archive)).settled == 1
    assert (await look(p, "t")).level is home


async def test_a_recall_opens_what_a_true_positive_closed(p: Periscope) -> None:
    await add(p, "t", severity="LOW")
    await p.decide("t", "ann", "true_positive_impact")
    assert (await acts(p, "t", "ann view")).status is Status.OPEN


@pytest.mark.parametrize("way", ["ann view", "ann escalate", "news"])
async def test_what_was_withdrawn_stays_closed_when_recalled(p: Periscope, way: str) -> None:
    await make(p, 2)
    await p.decide("t", "ann", "benign_expected")
    if way == "news":
        await say(p, "t", "CRITICAL", content="news")
    else:
        await acts(p, "t", way)
    threat = await look(p, "t")
    assert (threat.level, threat.status) == (Level.WORKING, Status.CLOSED)
    assert (threat.outcome, threat.latched) == (Decision.BENIGN_EXPECTED, False)


async def test_it_opens_when_raised_or_recalled_by_name(p: Periscope) -> None:
    await raised_one(p)
    await make(p, 2)
    await p.decide("t", "ann", "benign_expected")
    threat, _ = await p.recall("t", "bob")
    assert (threat.status, threat.withdrawn) == (Status.OPEN, True)
    await say(p, "raised", "CRITICAL")
    threat = await look(p, "raised")
    assert (threat.status, threat.outcome) == (Status.OPEN, None)


async def raised_one(p: Periscope) -> None:
    """Threat `raised`, HIGH, in level 2 and withdrawn there."""
    await add(p, "raised", severity="HIGH")
    await p.decide("raised", "ann", "true_positive_impact")
    await p.decide("raised", "ann", "benign_expected")


async def test_deciding_and_commenting_recall_nothing(p: Periscope) -> None:
    home = await make(p, 3)
    await p.comment("t", "ann", "a note")
    await p.decide("t", "ann", "inconclusive")
    await p.reopen("t", "ann")
    await p.get_desk("t")
    assert (await look(p, "t")).level is home


async def test_a_recalled_threat_never_expires_from_level_1(p: Periscope, archive: Archive) -> None:
    home = await make(p, 2)
    await p.recall("t", "ann")
    pass_time(p, 30 * DAY_MS)
    stats = await p.sweep(archive)
    assert (stats.settled, stats.expired) == (1, 0)
    assert (await look(p, "t")).level is home
