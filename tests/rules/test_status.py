"""The status of a level 1 threat: who changes it, and what it does to the queue."""

from __future__ import annotations

import pytest

from periscope import Decision, Level, Periscope, Status
from tests.rules.scene import DAY_MS, acts, add, ids_of, look, pass_time, report, say

QUIET = ("view", "monitor", "investigate")
CLOSING = ("benign_expected", "false_positive_logic", "false_positive_data", "inconclusive")


async def test_a_new_threat_is_open_and_unseen(p: Periscope) -> None:
    await add(p, "t")
    threat = await look(p, "t")
    assert (threat.status, threat.level, threat.interactions) == (Status.OPEN, Level.WORKING, 0)
    assert (threat.home, threat.outcome, threat.latched) == (None, None, False)
    assert (await p.get_stats()).unseen["HIGH"] == 1


@pytest.mark.parametrize(
    ("steps", "status"),
    [
        (["ann dismiss"], Status.DISMISSED),
        (["ann escalate", "bob dismiss"], Status.OPEN),
        (["ann escalate", "bob dismiss x2"], Status.DISMISSED),
        (["ann escalate x2", "bob dismiss x2"], Status.OPEN),
        (["ann escalate x2", "bob dismiss x3"], Status.DISMISSED),
    ],
)
async def test_a_dismissal_counts_when_dismissals_exceed_escalations(
    p: Periscope, steps: list[str], status: Status
) -> None:
    await add(p, "t")
    assert (await acts(p, "t", *steps)).status is status


@pytest.mark.parametrize("action", QUIET)
async def test_looking_changes_no_status(p: Periscope, action: str) -> None:
    await add(p, "open", "dismissed", "closed")
    await acts(p, "dismissed", "ann dismiss")
    await p.decide("closed", "ann", "inconclusive")
    for status in ("open", "dismissed", "closed"):
        assert (await acts(p, status, f"bob {action}")).status == status


async def test_an_escalation_opens_what_was_dismissed(p: Periscope) -> None:
    await add(p, "t")
    await acts(p, "t", "ann dismiss x3")
    assert (await acts(p, "t", "bob escalate")).status is Status.OPEN


async def test_a_dismissal_after_that_dismisses_again_while_dismissals_lead(p: Periscope) -> None:
    await add(p, "t")
    await acts(p, "t", "ann dismiss x3", "bob escalate")
    assert (await acts(p, "t", "ann dismiss")).status is Status.DISMISSED


@pytest.mark.parametrize("outcome", CLOSING)
async def test_an_outcome_closes_and_is_no_interaction(p: Periscope, outcome: str) -> None:
    await add(p, "t")
    await acts(p, "t", "ann view")
    threat = await p.decide("t", "bob", outcome)
    assert (threat.status, threat.outcome) == (Status.CLOSED, Decision(outcome))
    assert (threat.interactions, threat.analysts, threat.level) == (1, 1, Level.WORKING)


@pytest.mark.parametrize("action", ["escalate", "dismiss", *QUIET])
async def test_no_interaction_opens_what_is_closed(p: Periscope, action: str) -> None:
    await add(p, "t")
    await p.decide("t", "ann", "inconclusive")
    threat = await acts(p, "t", f"bob {action}")
    assert (threat.status, threat.outcome) == (Status.CLOSED, Decision.INCONCLUSIVE)
    assert threat.interactions == 1


async def test_reopening_opens_what_is_dismissed_or_closed(p: Periscope) -> None:
    await add(p, "dismissed", "closed")
    await acts(p, "dismissed", "ann dismiss")
    await p.decide("closed", "ann", "benign_expected")
    for one in ("dismissed", "closed"):
        threat = await p.reopen(one, "bob")
        assert (threat.status, threat.outcome) == (Status.OPEN, None)


@pytest.mark.parametrize(
    ("severity", "status"),
    [("LOW", "stays"), ("HIGH", "stays"), ("CRITICAL", "open")],
)
async def test_only_a_raise_opens(p: Periscope, severity: str, status: str) -> None:
    await add(p, "dismissed", "closed", severity="HIGH")
    await acts(p, "dismissed", "ann dismiss")
    await p.decide("closed", "ann", "inconclusive")
    for before in ("dismissed", "closed"):
        assert await say(p, before, severity, content="news") == "sighting"
        threat = await look(p, before)
        assert threat.status == (before if status == "stays" else "open")
        assert threat.severity == severity
    outcome = (await look(p, "closed")).outcome
    assert outcome is (Decision.INCONCLUSIVE if status == "stays" else None)


async def test_a_raise_is_measured_from_the_change_of_status(p: Periscope) -> None:
    await add(p, "t", severity="HIGH")
    await acts(p, "t", "ann dismiss")
    await say(p, "t", "LOW")
    await say(p, "t", "HIGH")
    assert (await look(p, "t")).status is Status.DISMISSED
    await say(p, "t", "CRITICAL")
    assert (await look(p, "t")).status is Status.OPEN


async def test_another_source_raises_as_well(p: Periscope) -> None:
    await add(p, "t", severity="HIGH", source="one")
    await acts(p, "t", "ann dismiss")
    await say(p, "t", "MEDIUM", source="two")
    threat = await look(p, "t")
    assert (threat.status, threat.severity) == (Status.DISMISSED, "HIGH")
    await say(p, "t", "CRITICAL", source="three")
    threat = await look(p, "t")
    assert (threat.status, threat.severity) == (Status.OPEN, "CRITICAL")


async def test_a_duplicate_raises_nothing(p: Periscope) -> None:
    await add(p, "t", severity="HIGH", observed_at=1000)
    await acts(p, "t", "ann dismiss")
    assert await say(p, "t", "CRITICAL", observed_at=999) == "duplicate"
    threat = await look(p, "t")
    assert (threat.status, threat.severity) == (Status.DISMISSED, "HIGH")


async def test_only_open_threats_are_in_the_queue(spread: Periscope) -> None:
    p = spread
    await p.add_threats_batch([report(one, "LOW") for one in ("open", "dismissed", "closed")])
    for one in ("open", "dismissed", "closed"):
        await acts(p, one, "ann view x3")
    await acts(p, "dismissed", "ann dismiss")
    await p.decide("closed", "ann", "inconclusive")
    pages = [
        await p.get_active_paginated(),
        await p.get_by_severity("LOW"),
        await p.get_by_score_range(0.0, 1.0),
        await p.get_hot_threats(3),
        await p.get_by_status("open"),
    ]
    assert [ids_of(page) for page in pages] == [["open"]] * 5
    assert [page.total for page in pages] == [1] * 5
    assert [one.threat_id for one in await p.get_top_threats()] == ["open"]
    assert [one.threat_id async for one in p.get_all_active()] == ["open"]


async def test_the_others_are_listed_and_counted(spread: Periscope) -> None:
    p = spread
    await add(p, "open", "dismissed", "closed")
    await acts(p, "dismissed", "ann dismiss")
    await p.decide("closed", "ann", "inconclusive")
    for status in ("open", "dismissed", "closed"):
        page = await p.get_by_status(status)
        assert (ids_of(page), page.total) == ([status], 1)
        assert (await p.get_stats()).counts[status]["HIGH"] == 1
    assert (await p.get_by_status("snoozed")).total == 0
    assert (await p.get_ledger()).level_1 == 3


async def test_what_is_dismissed_unseen_never_comes_by_claim_next_or_overdue(
    spread: Periscope,
) -> None:
    p = spread
    await add(p, "dismissed", "closed")
    await acts(p, "dismissed", "ann dismiss")
    await p.decide("closed", "ann", "inconclusive")
    pass_time(p, DAY_MS)
    assert ids_of(await p.get_overdue()) == []
    assert await p.claim_next("bob") is None
