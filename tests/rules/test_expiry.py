"""What leaves level 1 by age, when, and under which name."""

from __future__ import annotations

import pytest

from periscope import Periscope, Policy
from periscope.archive import Archive
from tests.rules.scene import (
    DAY_MS,
    HOUR_MS,
    MINUTE_MS,
    acts,
    add,
    is_gone,
    latch,
    look,
    pass_time,
    report,
    say,
    span,
)

TARGETS = {"MEDIUM": 8 * HOUR_MS, "LOW": 24 * HOUR_MS}


async def expires_after(p: Periscope, archive: Archive, threat_id: str, wait_ms: int) -> str:
    """Assert that a threat stays until `wait_ms` from now and then leaves; return as what."""
    pass_time(p, wait_ms - 1)
    stats = await p.sweep(archive)
    assert stats.expired == 0, f"{threat_id} left early"
    pass_time(p, 1)
    stats = await p.sweep(archive)
    assert stats.expired == 1, f"{threat_id} stayed"
    assert await is_gone(p, threat_id)
    ((_, departure),) = await archive.history(threat_id=threat_id)
    return departure.reason


@pytest.mark.parametrize("severity", ["MEDIUM", "LOW"])
async def test_unseen_it_stays_until_its_response_target(
    p: Periscope, archive: Archive, severity: str
) -> None:
    await add(p, "t", severity=severity)
    assert await expires_after(p, archive, "t", TARGETS[severity]) == "expired_unseen"
    ledger = await p.get_ledger()
    assert (ledger.archived_unseen, ledger.archived_seen, ledger.departed) == (1, 0, 1)


@pytest.mark.parametrize("severity", ["MEDIUM", "LOW"])
async def test_unseen_with_a_late_sighting_it_stays_an_hour_more(
    p: Periscope, archive: Archive, severity: str
) -> None:
    await add(p, "t", severity=severity)
    pass_time(p, TARGETS[severity] - 30 * MINUTE_MS)
    await say(p, "t", severity, content="news")
    assert await expires_after(p, archive, "t", HOUR_MS) == "expired_unseen"


@pytest.mark.parametrize("severity", ["MEDIUM", "LOW"])
async def test_unseen_with_an_early_sighting_it_stays_until_its_target(
    p: Periscope, archive: Archive, severity: str
) -> None:
    await add(p, "t", severity=severity)
    pass_time(p, HOUR_MS)
    await say(p, "t", severity, content="news")
    assert await expires_after(p, archive, "t", TARGETS[severity] - HOUR_MS) == "expired_unseen"


@pytest.mark.parametrize("severity", ["MEDIUM", "LOW"])
@pytest.mark.parametrize("action", ["view", "escalate", "monitor", "investigate", "dismiss"])
async def test_seen_it_leaves_an_hour_after_the_last_activity(
    p: Periscope, archive: Archive, severity: str, action: str
) -> None:
    await add(p, "t", severity=severity)
    pass_time(p, 10 * MINUTE_MS)
    await acts(p, "t", f"ann {action}")
    assert await expires_after(p, archive, "t", HOUR_MS) == "expired_seen"
    ledger = await p.get_ledger()
    assert (ledger.archived_unseen, ledger.archived_seen) == (0, 1)


async def test_a_sighting_of_what_was_seen_is_activity_too(p: Periscope, archive: Archive) -> None:
    await add(p, "t", severity="LOW")
    await acts(p, "t", "ann view")
    pass_time(p, 59 * MINUTE_MS)
    await say(p, "t", "LOW", content="news")
    assert await expires_after(p, archive, "t", HOUR_MS) == "expired_seen"


@pytest.mark.parametrize("severity", ["CRITICAL", "HIGH"])
async def test_what_is_grave_never_leaves_while_it_is_open(
    p: Periscope, archive: Archive, severity: str
) -> None:
    await add(p, "unseen", "seen", severity=severity)
    await acts(p, "seen", "ann view", "bob escalate")
    pass_time(p, 1000 * DAY_MS)
    assert (await p.sweep(archive)).expired == 0
    assert not await is_gone(p, "unseen")
    assert not await is_gone(p, "seen")


@pytest.mark.parametrize("severity", ["CRITICAL", "HIGH"])
async def test_a_dismissal_lets_it_go_even_when_it_stays_open(
    p: Periscope, archive: Archive, severity: str
) -> None:
    await add(p, "t", severity=severity)
    await acts(p, "t", "ann escalate x2", "bob dismiss")
    assert await expires_after(p, archive, "t", HOUR_MS) == "expired_seen"


@pytest.mark.parametrize("severity", ["CRITICAL", "HIGH", "MEDIUM", "LOW"])
async def test_dismissed_it_leaves_an_hour_after_the_last_activity(
    p: Periscope, archive: Archive, severity: str
) -> None:
    await add(p, "t", severity=severity)
    await acts(p, "t", "ann dismiss")
    pass_time(p, 30 * MINUTE_MS)
    await acts(p, "t", "bob view")
    assert await expires_after(p, archive, "t", HOUR_MS) == "expired_seen"


@pytest.mark.parametrize("severity", ["CRITICAL", "HIGH", "MEDIUM", "LOW"])
async def test_closed_it_leaves_an_hour_after_the_last_activity(
    p: Periscope, archive: Archive, severity: str
) -> None:
    await add(p, "t", severity=severity)
    await acts(p, "t", "ann view")
    await p.decide("t", "ann", "inconclusive")
    assert await expires_after(p, archive, "t", HOUR_MS) == "expired_seen"


@pytest.mark.parametrize("severity", ["HIGH", "LOW"])
async def test_closed_without_any_interaction_it_was_still_unseen(
    p: Periscope, archive: Archive, severity: str
) -> None:
    await add(p, "t", severity=severity)
    await p.decide("t", "ann", "inconclusive")
    assert await expires_after(p, archive, "t", HOUR_MS) == "expired_unseen"


async def test_reopened_it_never_leaves_again(p: Periscope, archive: Archive) -> None:
    await add(p, "t", severity="CRITICAL")
    await p.decide("t", "ann", "inconclusive")
    pass_time(p, HOUR_MS)
    await p.reopen("t", "bob")
    pass_time(p, 100 * DAY_MS)
    assert (await p.sweep(archive)).expired == 0


async def test_raised_it_never_leaves_again(p: Periscope, archive: Archive) -> None:
    await add(p, "t", severity="MEDIUM")
    await say(p, "t", "HIGH")
    pass_time(p, 100 * DAY_MS)
    assert (await p.sweep(archive)).expired == 0
    await say(p, "t", "LOW")
    assert await expires_after(p, archive, "t", HOUR_MS) == "expired_unseen"


async def test_claimed_it_stays(p: Periscope, archive: Archive) -> None:
    await add(p, "t", severity="LOW")
    await acts(p, "t", "bob view")
    await p.claim("t", "ann", span(DAY_MS))
    assert await expires_after(p, archive, "t", DAY_MS) == "expired_seen"


async def test_latched_it_stays(p: Periscope, archive: Archive) -> None:
    await p.set_policy(Policy(promote_score=0.3))
    await add(p, "t", severity="LOW")
    await latch(p, "t")
    pass_time(p, 100 * DAY_MS)
    assert (await p.sweep(archive)).expired == 0
    assert (await p.promote_eligible_threats()).promoted == 1


async def test_when_it_leaves_is_of_the_policy(p: Periscope, archive: Archive) -> None:
    await p.set_policy(Policy(working_ttl=span(3000), target_low=span(5000)))
    await add(p, "unseen", severity="LOW")
    assert await expires_after(p, archive, "unseen", 5000) == "expired_unseen"
    await add(p, "seen", severity="LOW")
    await acts(p, "seen", "ann view")
    assert await expires_after(p, archive, "seen", 3000) == "expired_seen"


async def test_a_target_shorter_than_the_hour_shortens_nothing(
    p: Periscope, archive: Archive
) -> None:
    await p.set_policy(Policy(target_low=span(1000)))
    await add(p, "t", severity="LOW")
    assert await expires_after(p, archive, "t", HOUR_MS) == "expired_unseen"


async def test_the_archive_has_the_whole_of_it(p: Periscope, archive: Archive) -> None:
    await add(p, "t", severity="LOW", metadata={"k": "v"}, source="feed")
    await acts(p, "t", "ann view x2", "bob escalate")
    await acts(p, "t", "bob dismiss")
    now_ms = pass_time(p, HOUR_MS)
    await p.sweep(archive)
    ((_, row),) = await archive.history(threat_id="t")
    assert (row.reason, row.departed_at_ms, row.level) == ("expired_seen", now_ms, 1)
    assert (row.severity, row.source, row.analysts) == ("LOW", "feed", 2)
    assert (row.interactions, row.views, row.escalations, row.dismissals) == (4, 2, 1, 1)
    assert (row.first_seen_ms, row.last_activity_ms) == (now_ms - HOUR_MS,) * 2
    assert b"as first seen" in row.record
    assert await archive.pending() == []


async def test_thousands_leave_and_the_others_stay(spread: Periscope, archive: Archive) -> None:
    p = spread
    severities = ("CRITICAL", "HIGH", "MEDIUM", "LOW")
    await p.add_threats_batch(report(f"t{n}", severities[n % 4]) for n in range(3000))
    pass_time(p, 8 * HOUR_MS)
    stats = await p.sweep(archive)
    assert (stats.expired_seen, stats.expired_unseen) == (0, 750)
    pass_time(p, 16 * HOUR_MS)
    assert (await p.sweep(archive)).expired_unseen == 750
    assert (await p.sweep(archive)).expired == 0
    assert await archive.counts() == {"expired_unseen": 1500}
    ledger = await p.get_ledger()
    assert (ledger.level_1, ledger.archived_unseen) == (1500, 1500)


async def test_what_was_touched_at_the_last_moment_stays(p: Periscope, archive: Archive) -> None:
    await add(p, "t", "u", severity="LOW")
    await acts(p, "t", "ann view")
    await acts(p, "u", "ann view")
    pass_time(p, HOUR_MS)
    await acts(p, "t", "ann view")
    assert (await p.sweep(archive)).expired == 1
    assert (await look(p, "t")).interactions == 2
