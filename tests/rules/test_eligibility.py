"""Eligibility for level 2: decided by interactions alone, and latched until one decides anew."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from periscope import Level, Periscope, Policy, Status
from tests.rules.scene import (
    DAY_MS,
    HOUR_MS,
    SEVERITY_VALUES,
    acts,
    add,
    expected_score,
    latch,
    look,
    pass_time,
    promote,
    say,
)


@dataclass(frozen=True)
class Case:
    severity: str
    interactions: int
    escalations: int

    @property
    def eligible(self) -> bool:
        enough = expected_score(self.severity, self.interactions, self.escalations) >= 0.7
        grave = self.severity in ("CRITICAL", "HIGH")
        return enough and (self.escalations >= 2 or grave)


def all_cases() -> list[Case]:
    return [
        Case(severity, interactions, escalations)
        for severity in SEVERITY_VALUES
        for escalations in range(5)
        for interactions in range(max(2, escalations), 12)
    ]


async def test_every_combination_of_counts_is_decided_by_the_rule(spread: Periscope) -> None:
    p = spread
    cases = {f"{c.severity}-{c.interactions}-{c.escalations}": c for c in all_cases()}
    reports = [{"threat_id": i, "content": "", "severity": c.severity} for i, c in cases.items()]
    await p.add_threats_batch(reports)
    for threat_id, case in cases.items():
        words = ["escalate"] * case.escalations
        words += ["view"] * (case.interactions - case.escalations)
        given = [
            {"threat_id": threat_id, "analyst_id": f"analyst {n % 2}", "action": word}
            for n, word in enumerate(words)
        ]
        assert (await p.record_interactions_batch(given)).recorded == case.interactions
    latched = {one.threat_id for one in await p.get_threats(cases) if one.latched}
    assert latched == {threat_id for threat_id, case in cases.items() if case.eligible}
    assert (await p.get_holdings())["promotable"] == len(latched)


async def test_a_score_of_exactly_0_7_is_enough(p: Periscope) -> None:
    await add(p, "t", severity="CRITICAL")
    threat = await acts(p, "t", "ann view x8", "bob view")
    assert (threat.score, threat.latched) == (expected_score("CRITICAL", 9), False)
    threat = await acts(p, "t", "bob view")
    assert (threat.score, threat.latched) == (0.7, True)


async def test_the_least_score_is_of_the_policy_bit_for_bit(p: Periscope) -> None:
    from math import nextafter

    score = expected_score("HIGH", 3, 1)
    for number, (least, latched) in enumerate([(score, True), (nextafter(score, 1.0), False)]):
        await p.set_policy(Policy(promote_score=least))
        threat_id = f"t{number}"
        await add(p, threat_id)
        threat = await acts(p, threat_id, "ann view", "bob view", "ann escalate")
        assert (threat.score, threat.latched) == (score, latched)


async def test_two_analysts_are_needed(p: Periscope) -> None:
    await add(p, "t", severity="CRITICAL")
    threat = await acts(p, "t", "ann escalate x3", "ann view x9")
    assert (threat.analysts, threat.latched) == (1, False)
    threat = await acts(p, "t", "bob view")
    assert (threat.analysts, threat.latched) == (2, True)


@pytest.mark.parametrize("analysts", [1, 3])
async def test_how_many_analysts_is_of_the_policy(p: Periscope, analysts: int) -> None:
    await p.set_policy(Policy(promote_analysts=analysts))
    await add(p, "t", severity="CRITICAL")
    for number in range(1, 4):
        threat = await acts(p, "t", f"analyst{number} escalate x3")
        assert threat.latched is (number >= analysts)


@pytest.mark.parametrize(
    ("severity", "escalations", "latched"),
    [
        ("CRITICAL", 0, True),
        ("HIGH", 0, True),
        ("MEDIUM", 1, False),
        ("MEDIUM", 2, True),
        ("LOW", 1, False),
        ("LOW", 2, True),
    ],
)
async def test_what_is_not_grave_needs_two_escalations(
    p: Periscope, severity: str, escalations: int, latched: bool
) -> None:
    await p.set_policy(Policy(promote_score=0.2))
    await add(p, "t", severity=severity)
    steps = ["ann escalate"] * escalations
    threat = await acts(p, "t", *steps, "ann view", "bob view")
    assert threat.latched is latched


async def test_an_interaction_decides_at_its_own_moment(p: Periscope) -> None:
    await add(p, "t", severity="CRITICAL")
    await acts(p, "t", "ann view x8", "bob view")
    pass_time(p, DAY_MS)
    threat = await acts(p, "t", "bob view")
    assert (threat.score, threat.latched) == (0.7, True)


async def test_the_latch_outlives_the_score(p: Periscope) -> None:
    await add(p, "t", severity="CRITICAL")
    score = (await latch(p, "t")).score
    pass_time(p, 5 * HOUR_MS)
    threat = await look(p, "t")
    assert threat.latched
    assert threat.score < 0.7
    threat = await promote(p, "t")
    assert threat.entry_confidence == score == expected_score("CRITICAL", 3, 3)


async def test_a_later_interaction_decides_anew(p: Periscope) -> None:
    await add(p, "up", "down", severity="CRITICAL")
    await latch(p, "up")
    await latch(p, "down")
    await acts(p, "up", "ann view x2")
    await p.set_policy(Policy(promote_score=0.95))
    assert (await look(p, "down")).latched
    assert not (await acts(p, "down", "ann view")).latched
    threat = await promote(p, "up")
    assert threat.entry_confidence == expected_score("CRITICAL", 5, 3)
    assert (await look(p, "down")).level is Level.WORKING


async def test_a_dismissal_clears_the_latch_even_of_an_open_threat(p: Periscope) -> None:
    await add(p, "t", severity="CRITICAL")
    await latch(p, "t")
    threat = await acts(p, "t", "carl dismiss")
    assert (threat.status, threat.latched) == (Status.OPEN, False)
    assert (await p.promote_eligible_threats()).promoted == 0
    assert (await acts(p, "t", "carl view")).latched


@pytest.mark.parametrize(
    "outcome", ["benign_expected", "false_positive_data", "false_positive_logic", "inconclusive"]
)
async def test_an_outcome_clears_the_latch(p: Periscope, outcome: str) -> None:
    await add(p, "t", severity="CRITICAL")
    await latch(p, "t")
    assert not (await p.decide("t", "ann", outcome)).latched
    assert (await p.promote_eligible_threats()).promoted == 0
    assert not (await p.reopen("t", "ann")).latched
    assert (await acts(p, "t", "ann view")).latched


async def test_a_duplicate_clears_the_latch(p: Periscope) -> None:
    await add(p, "t", "target", severity="CRITICAL")
    await latch(p, "t")
    threat = await p.decide("t", "ann", "duplicate", duplicate_of="target")
    assert (threat.status, threat.latched) == (Status.CLOSED, False)


async def test_only_open_threats_latch(p: Periscope) -> None:
    await add(p, "dismissed", "closed", severity="CRITICAL")
    await acts(p, "dismissed", "ann escalate x2", "bob dismiss x3")
    await p.decide("closed", "ann", "inconclusive")
    assert not (await acts(p, "dismissed", "ann view x9")).latched
    assert not (await acts(p, "closed", "ann escalate x3", "bob view x9")).latched
    threat = await acts(p, "dismissed", "ann escalate")
    assert (threat.status, threat.latched) == (Status.OPEN, True)


async def test_a_sighting_neither_begins_nor_ends_it(p: Periscope) -> None:
    await add(p, "raised", severity="MEDIUM")
    await add(p, "lowered", severity="CRITICAL")
    await acts(p, "raised", "ann view x9", "bob view")
    await latch(p, "lowered")
    await say(p, "raised", "CRITICAL")
    await say(p, "lowered", "LOW")
    raised, lowered = await look(p, "raised"), await look(p, "lowered")
    assert (raised.score, raised.latched) == (0.7, False)
    assert (lowered.score < 0.7, lowered.latched) == (True, True)
    assert (await acts(p, "raised", "bob view")).latched


async def test_views_claims_and_comments_of_others_count_as_the_rules_say(p: Periscope) -> None:
    await add(p, "t", severity="CRITICAL")
    await acts(p, "t", "ann escalate x3")
    await p.comment("t", "bob", "looks bad")
    claim = await p.claim("t", "carl")
    await p.release(claim)
    threat = await look(p, "t")
    assert (threat.interactions, threat.analysts, threat.latched) == (3, 1, False)
