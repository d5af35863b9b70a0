"""Snoozing a single threat: what ends it, what does not, and where the threat is meanwhile."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from periscope import (
    ActInvalid,
    Claimed,
    Decision,
    Level,
    Periscope,
    RequestReused,
    SnoozeEnd,
    Status,
    Threat,
    ThreatClosed,
    ThreatUnknown,
)
from periscope.archive import Archive
from periscope.calls import Calls
from periscope.models import to_datetime
from tests.rules.scene import (
    DAY_MS,
    HOUR_MS,
    MINUTE_MS,
    START_MS,
    acts,
    add,
    ids_of,
    is_gone,
    latch,
    look,
    pass_time,
    report,
    say,
    to_short_term,
)

HOUR = timedelta(hours=1)
TEN_YEARS = timedelta(days=3653)
MS = timedelta(milliseconds=1)


async def wake(p: Periscope) -> list[str]:
    stats = await p.wake_snoozed_threats()
    assert (stats.woken, stats.failed) == (len(stats.woken_ids), 0)
    return sorted(stats.woken_ids)


def end_of(threat: Threat) -> tuple[Status, int | None]:
    return threat.status, threat.snoozed_until_ms


async def test_it_is_out_of_the_queue_and_listed_apart(spread: Periscope) -> None:
    p = spread
    await add(p, "a", "b", "c")
    threat = await p.snooze("b", "ann", HOUR, "after lunch")
    assert end_of(threat) == (Status.SNOOZED, START_MS + HOUR_MS)
    assert threat.snoozed_until == to_datetime(START_MS + HOUR_MS)
    assert (threat.interactions, threat.analysts, threat.last_activity_ms) == (0, 0, START_MS)
    assert "b" not in [one.threat_id for one in await p.get_top_threats()]
    page = await p.get_by_status("snoozed")
    assert (ids_of(page), page.total) == (["b"], 1)
    assert page.items[0].snoozed_until_ms == START_MS + HOUR_MS
    assert (await p.get_stats()).counts["snoozed"]["HIGH"] == 1
    pass_time(p, 2 * HOUR_MS)
    assert sorted(ids_of(await p.get_overdue())) == ["a", "c"]
    claims = [await p.claim_next("ann") for _ in range(3)]
    assert sorted(claim.threat_id for claim in claims if claim) == ["a", "c"]


async def test_its_time_ends_it_to_the_millisecond(spread: Periscope) -> None:
    p = spread
    await add(p, "a", "b", "c")
    before = await acts(p, "b", "ann view")
    await p.snooze("b", "ann", HOUR)
    await p.snooze("c", "ann", 2 * HOUR)
    pass_time(p, HOUR_MS - 1)
    assert await wake(p) == []
    pass_time(p, 1)
    assert await wake(p) == ["b"]
    assert await wake(p) == []
    after = await look(p, "b")
    assert end_of(after) == (Status.OPEN, None)
    assert after.last_activity_ms == before.last_activity_ms
    assert after.interactions == 1
    order = [one.threat_id for one in await p.get_top_threats()]
    assert order == [one.threat_id for one in sorted([after, await look(p, "a")], key=_rank)]
    pass_time(p, 5 * HOUR_MS)
    assert await wake(p) == ["c"], "however late a worker comes"


def _rank(threat: Threat) -> tuple[float, int]:
    return -threat.score, -threat.last_activity_ms


@pytest.mark.parametrize(
    "until",
    [HOUR, to_datetime(START_MS + HOUR_MS), datetime.fromtimestamp(0, UTC) + START_MS * MS + HOUR],
    ids=["for", "until", "sum"],
)
async def test_the_end_is_a_span_or_a_moment(p: Periscope, until: datetime | timedelta) -> None:
    await add(p, "t")
    assert (await p.snooze("t", "ann", until)).snoozed_until_ms == START_MS + HOUR_MS


async def test_many_wake_in_steps(p: Periscope) -> None:
    ids = [f"t{number:03}" for number in range(150)]
    await add(p, *ids)
    for one in ids:
        await p.snooze(one, "ann", HOUR)
    pass_time(p, HOUR_MS)
    assert await wake(p) == ids


@pytest.mark.parametrize(
    "until",
    [
        timedelta(0),
        -HOUR,
        TEN_YEARS + MS,
        timedelta.max,
        to_datetime(START_MS),
        to_datetime(START_MS) - HOUR,
        to_datetime(START_MS) + TEN_YEARS + MS,
        datetime(1970, 1, 1, tzinfo=UTC),
        datetime.min.replace(tzinfo=UTC),
        datetime.max.replace(tzinfo=UTC),
    ],
    ids=str,
)
async def test_an_end_that_is_past_or_too_far_is_refused(p: Periscope, until: Any) -> None:
    await add(p, "t")
    before = await look(p, "t")
    with pytest.raises(SnoozeEnd) as caught:
        await p.snooze("t", "ann", until)
    assert "\n" not in str(caught.value)
    assert await look(p, "t") == before
    assert await p.get_recent_audit() == []


@pytest.mark.parametrize("until", [MS, TEN_YEARS], ids=str)
async def test_the_nearest_and_the_farthest_end(p: Periscope, until: timedelta) -> None:
    await add(p, "t")
    threat = await p.snooze("t", "ann", until)
    assert threat.snoozed_until == to_datetime(START_MS) + until
    pass_time(p, until // MS)
    assert await wake(p) == ["t"]


@pytest.mark.parametrize("until", [datetime(2030, 1, 1), 5, "2h", True], ids=repr)  # noqa: DTZ001
async def test_what_is_no_end_is_a_mistake(p: Periscope, until: Any) -> None:
    await add(p, "t")
    with pytest.raises(ActInvalid) as caught:
        await p.snooze("t", "ann", until)
    assert caught.value.field == "until"


async def test_until_it_gets_worse_has_no_end(p: Periscope, archive: Archive) -> None:
    await add(p, "t", severity="MEDIUM")
    assert end_of(await p.snooze("t", "ann", None)) == (Status.SNOOZED, None)
    pass_time(p, 3000 * DAY_MS)
    assert await wake(p) == []
    assert (await p.sweep(archive)).expired == 0
    assert end_of(await look(p, "t")) == (Status.SNOOZED, None)


@pytest.mark.parametrize("until", [HOUR, None], ids=["timed", "until worse"])
async def test_only_a_higher_severity_than_at_the_snooze_ends_it(
    p: Periscope, until: timedelta | None
) -> None:
    await add(p, "t", severity="MEDIUM")
    await p.snooze("t", "ann", until)
    for severity, content in (("MEDIUM", "one"), ("LOW", "two"), ("MEDIUM", "three")):
        assert await say(p, "t", severity, content=content) == "sighting"
        assert (await look(p, "t")).status is Status.SNOOZED
    pass_time(p, MINUTE_MS)
    await say(p, "t", "HIGH")
    after = await look(p, "t")
    assert end_of(after) == (Status.OPEN, None)
    assert (after.severity, after.last_activity_ms) == ("HIGH", START_MS + MINUTE_MS)
    pass_time(p, HOUR_MS)
    assert await wake(p) == []


async def test_snoozed_again_it_is_measured_anew(p: Periscope) -> None:
    await add(p, "t", severity="MEDIUM")
    await p.snooze("t", "ann", HOUR)
    await say(p, "t", "LOW")
    threat = await p.snooze("t", "bob", 2 * HOUR)
    assert end_of(threat) == (Status.SNOOZED, START_MS + 2 * HOUR_MS)
    pass_time(p, HOUR_MS)
    assert await wake(p) == []
    await say(p, "t", "MEDIUM")
    assert (await look(p, "t")).status is Status.OPEN


async def test_a_second_snooze_may_have_no_end_and_a_third_one_again(p: Periscope) -> None:
    await add(p, "t")
    for until, ends in ((HOUR, START_MS + HOUR_MS), (None, None), (HOUR, START_MS + HOUR_MS)):
        assert (await p.snooze("t", "ann", until)).snoozed_until_ms == ends
    pass_time(p, HOUR_MS)
    assert await wake(p) == ["t"]


@pytest.mark.parametrize("until", [HOUR, None], ids=["timed", "until worse"])
async def test_an_escalation_and_a_reopening_end_it(p: Periscope, until: timedelta | None) -> None:
    await add(p, "a", "b")
    for one in ("a", "b"):
        await p.snooze(one, "ann", until)
    assert end_of(await acts(p, "a", "bob escalate")) == (Status.OPEN, None)
    assert end_of(await p.reopen("b", "bob")) == (Status.OPEN, None)


@pytest.mark.parametrize("action", ["view", "monitor", "investigate"])
async def test_other_interactions_leave_it_snoozed(p: Periscope, action: str) -> None:
    await add(p, "t")
    await p.snooze("t", "ann", HOUR)
    pass_time(p, MINUTE_MS)
    threat = await acts(p, "t", f"ann {action}", f"bob {action}")
    assert end_of(threat) == (Status.SNOOZED, START_MS + HOUR_MS)
    assert (threat.interactions, threat.last_activity_ms) == (2, START_MS + MINUTE_MS)
    pass_time(p, HOUR_MS)
    assert await wake(p) == ["t"]


async def test_a_dismissal_leaves_it_snoozed_until_dismissals_lead(p: Periscope) -> None:
    """Then it is dismissed, as anything else would be: nobody wants to be woken for it."""
    await add(p, "t")
    await acts(p, "t", "ann escalate")
    await p.snooze("t", "ann", HOUR)
    assert (await acts(p, "t", "bob dismiss")).status is Status.SNOOZED
    assert end_of(await acts(p, "t", "bob dismiss")) == (Status.DISMISSED, None)
    pass_time(p, HOUR_MS)
    assert await wake(p) == []


async def test_an_outcome_closes_it(p: Periscope) -> None:
    await add(p, "t")
    await p.snooze("t", "ann", HOUR)
    assert end_of(await p.decide("t", "bob", "inconclusive")) == (Status.CLOSED, None)
    pass_time(p, HOUR_MS)
    assert await wake(p) == []


async def test_a_true_positive_promotes_it(p: Periscope) -> None:
    await add(p, "t")
    await p.snooze("t", "ann", HOUR)
    threat = await p.decide("t", "bob", "true_positive_impact")
    assert (threat.level, threat.snoozed_until_ms) == (Level.SHORT_TERM, None)
    assert threat.entered_ms == START_MS
    pass_time(p, HOUR_MS)
    assert await wake(p) == []


async def test_what_is_closed_is_refused_and_what_is_dismissed_is_not(p: Periscope) -> None:
    await add(p, "closed", "dismissed")
    await p.decide("closed", "ann", "benign_expected")
    await acts(p, "dismissed", "ann dismiss")
    before = await look(p, "closed")
    with pytest.raises(ThreatClosed):
        await p.snooze("closed", "ann", HOUR)
    assert await look(p, "closed") == before
    assert end_of(await p.snooze("dismissed", "ann", HOUR)) == (
        Status.SNOOZED,
        START_MS + HOUR_MS,
    )
    pass_time(p, HOUR_MS)
    assert await wake(p) == ["dismissed"]
    assert (await look(p, "dismissed")).status is Status.OPEN


async def test_what_others_hold_is_refused_and_ones_own_claim_ends(p: Periscope) -> None:
    await add(p, "t")
    await p.claim("t", "bob")
    with pytest.raises(Claimed):
        await p.snooze("t", "ann", HOUR)
    await p.snooze("t", "bob", HOUR)
    assert (await p.get_desk("t")).claim is None
    assert (await p.get_holdings())["claims"] == 0
    await p.claim("t", "ann")
    with pytest.raises(Claimed):
        await p.snooze("t", "bob", HOUR)
    pass_time(p, HOUR_MS)
    assert await wake(p) == ["t"], "whoever holds it"


async def test_an_unknown_threat_and_a_used_id_are_refused(p: Periscope) -> None:
    await add(p, "t", "u")
    with pytest.raises(ThreatUnknown):
        await p.snooze("none", "ann", HOUR)
    first = await p.snooze("t", "ann", HOUR, None, "id-1")
    pass_time(p, MINUTE_MS)
    again = await p.snooze("t", "ann", HOUR, None, "id-1")
    assert (again.revision, again.snoozed_until_ms) == (first.revision, first.snoozed_until_ms)
    for threat_id, until in (("t", 2 * HOUR), ("t", None), ("u", HOUR)):
        with pytest.raises(RequestReused):
            await p.snooze(threat_id, "ann", until, None, "id-1")


async def test_it_ends_the_eligibility_until_somebody_acts_again(p: Periscope) -> None:
    await add(p, "t", severity="CRITICAL")
    await latch(p, "t")
    assert not (await p.snooze("t", "ann", HOUR)).latched
    assert (await p.promote_eligible_threats()).promoted == 0
    pass_time(p, HOUR_MS)
    assert await wake(p) == ["t"]
    assert (await p.promote_eligible_threats()).promoted == 0
    assert (await acts(p, "t", "ann escalate")).latched


@pytest.mark.parametrize("severity", ["LOW", "MEDIUM"])
async def test_what_wakes_stays_at_work_as_long_as_what_was_touched(
    p: Periscope, archive: Archive, severity: str
) -> None:
    await add(p, "t", severity=severity)
    await acts(p, "t", "ann view")
    await p.snooze("t", "ann", timedelta(days=30))
    pass_time(p, 30 * DAY_MS - 1)
    assert (await p.sweep(archive)).expired == 0
    pass_time(p, 1)
    assert await wake(p) == ["t"]
    pass_time(p, HOUR_MS - 1)
    assert (await p.sweep(archive)).expired == 0
    pass_time(p, 1)
    assert (await p.sweep(archive)).expired_seen == 1


@pytest.mark.parametrize("how", ["reopened", "dismissed", "raised", "closed"])
async def test_what_ends_early_does_not_stay_until_the_end_it_had(
    p: Periscope, archive: Archive, how: str
) -> None:
    await add(p, "t", severity="LOW")
    await acts(p, "t", "ann view")
    await p.snooze("t", "ann", timedelta(days=300))
    pass_time(p, DAY_MS)
    if how == "reopened":
        await p.reopen("t", "ann")
    elif how == "dismissed":
        await acts(p, "t", "ann dismiss")
    elif how == "raised":
        await say(p, "t", "MEDIUM")
    else:
        await p.decide("t", "ann", "inconclusive")
    pass_time(p, HOUR_MS - 1)
    assert (await p.sweep(archive)).expired == 0
    pass_time(p, 1)
    assert (await p.sweep(archive)).expired_seen == 1


async def test_snoozed_after_a_sweep_has_found_it_quiet_it_stays(p: Periscope) -> None:
    """The sweep found it, an analyst was faster: the second call looks again."""
    await to_short_term(p, "t")
    await p.recall("t", "ann")
    pass_time(p, HOUR_MS)
    (keys,), calls, rules = p.keyspace.partitions, Calls(p.functions), p.functions.rules
    await p.snooze("t", "ann", None)
    assert await calls.settle(keys, rules, b"batch", [b"t"]) == ["SKIPPED"]
    assert (await look(p, "t")).status is Status.SNOOZED


async def test_snoozed_again_after_a_worker_has_found_it_it_sleeps_on(p: Periscope) -> None:
    await add(p, "t", "u", "v")
    for one in ("t", "u", "v"):
        await p.snooze(one, "ann", HOUR)
    pass_time(p, HOUR_MS)
    (keys,), calls, rules = p.keyspace.partitions, Calls(p.functions), p.functions.rules
    found = await calls.sleepers(keys, 0, 60)
    await p.snooze("t", "ann", HOUR)
    await p.reopen("u", "ann")
    words = await calls.wake(keys, rules, b"batch", found)
    assert dict(zip(found, words, strict=True)) == {b"t": "SKIPPED", b"u": "SKIPPED", b"v": "DONE"}
    assert await calls.wake(keys, rules, b"batch", found) == words, "the same batch, once"
    pass_time(p, HOUR_MS)
    assert await wake(p) == ["t"]


async def test_unseen_it_is_overdue_when_it_wakes(p: Periscope) -> None:
    await add(p, "t", severity="CRITICAL")
    await p.snooze("t", "ann", HOUR)
    pass_time(p, HOUR_MS)
    assert await wake(p) == ["t"]
    assert (await look(p, "t")).overdue
    page = await p.get_overdue()
    assert (ids_of(page), page.total) == (["t"], 1)


async def test_level_2_is_recalled_and_settles_only_after_it_woke(
    p: Periscope, archive: Archive
) -> None:
    await to_short_term(p, "t")
    threat = await p.snooze("t", "ann", timedelta(days=3))
    assert (threat.level, threat.home) == (Level.WORKING, Level.SHORT_TERM)
    pass_time(p, 3 * DAY_MS - 1)
    assert (await p.sweep(archive)).settled == 0
    assert await wake(p) == []
    pass_time(p, 1)
    assert await wake(p) == ["t"]
    pass_time(p, HOUR_MS - 1)
    assert (await p.sweep(archive)).settled == 0
    pass_time(p, 1)
    assert (await p.sweep(archive)).settled == 1
    assert (await look(p, "t")).level is Level.SHORT_TERM


async def test_recalled_and_snoozed_without_end_it_stays(p: Periscope, archive: Archive) -> None:
    await to_short_term(p, "t")
    await p.recall("t", "ann")
    await p.snooze("t", "ann", None)
    pass_time(p, 100 * DAY_MS)
    assert (await p.sweep(archive)).settled == 0
    await p.reopen("t", "ann")
    pass_time(p, HOUR_MS)
    assert (await p.sweep(archive)).settled == 1


async def test_knowledge_that_was_judged_false_is_refused(p: Periscope) -> None:
    """A recall would leave it closed, and only reopening withdraws an outcome."""
    await to_short_term(p, "t")
    await p.decide("t", "ann", "false_positive_logic")
    before = await look(p, "t")
    with pytest.raises(ThreatClosed):
        await p.snooze("t", "ann", HOUR)
    assert await look(p, "t") == before


async def test_a_raise_takes_no_outcome_from_before_the_snooze(p: Periscope) -> None:
    await add(p, "t", severity="LOW")
    await p.decide("t", "ann", "true_positive_impact")
    await p.snooze("t", "ann", HOUR)
    await say(p, "t", "CRITICAL")
    threat = await look(p, "t")
    assert (threat.status, threat.outcome) == (Status.OPEN, Decision.TRUE_POSITIVE_IMPACT)


async def test_what_is_told_of_it(p: Periscope) -> None:
    await add(p, "t", "u")
    follow = p.events("0-0")
    assert (await anext(follow)).kind == "added"
    await p.snooze("t", "ann", HOUR, "a \x1b[2J /note/")
    await p.snooze("u", "ann", None)
    pass_time(p, HOUR_MS)
    await wake(p)
    told = [await anext(follow) for _ in range(3)]
    assert [(one.kind, one.threat_id, one.analyst_id, one.detail) for one in told] == [
        ("snooze", "t", "ann", START_MS + HOUR_MS),
        ("snooze", "u", "ann", None),
        ("wake", "t", "", None),
    ]
    assert [one.status for one in told] == [Status.SNOOZED, Status.SNOOZED, Status.OPEN]
    trail = await p.get_recent_audit()
    assert [(one.action, one.threat_id) for one in trail] == [("snooze", "t"), ("snooze", "u")]
    details = [json.loads(one.detail) for one in trail]
    assert details == [
        {"note": "a \x1b[2J /note/", "until_ms": START_MS + HOUR_MS},
        {"note": ""},
    ]


async def test_removed_while_it_is_snoozed_it_leaves_nothing_behind(
    p: Periscope, archive: Archive
) -> None:
    await add(p, "t")
    await p.snooze("t", "ann", HOUR)
    await p.remove(archive, "t", "ann")
    assert await is_gone(p, "t")
    pass_time(p, HOUR_MS)
    assert await wake(p) == []
    ((_, row),) = await archive.history()
    assert (row.threat_id, row.reason) == ("t", "removed")


async def test_what_departed_after_it_woke_comes_back_as_any_other(
    p: Periscope, archive: Archive
) -> None:
    await add(p, "t", severity="LOW")
    await acts(p, "t", "ann view")
    await p.snooze("t", "ann", HOUR)
    pass_time(p, HOUR_MS)
    await wake(p)
    pass_time(p, HOUR_MS)
    assert (await p.sweep(archive)).expired == 1
    assert (await p.add_threats_batch([report("t", "LOW")])).duplicates == 1
    assert await say(p, "t", "LOW", content="news") == "added"
    assert end_of(await look(p, "t")) == (Status.OPEN, None)


async def test_what_cannot_be_read_does_not_keep_others_asleep(p: Periscope) -> None:
    await add(p, *[f"t{number:03}" for number in range(130)])
    for number in range(130):
        await p.snooze(f"t{number:03}", "ann", HOUR)
    (keys,) = p.keyspace.partitions
    client = p.functions.connections.client
    lost = [f"t{number:03}" for number in range(70)]
    records: dict[str, Any] = {one: await client.get(keys.record(one.encode())) for one in lost}
    for one in lost:
        await client.delete(keys.record(one.encode()))
    pass_time(p, HOUR_MS)
    stats = await p.wake_snoozed_threats()
    assert (stats.woken, stats.failed) == (60, 70)
    for one, record in records.items():
        await client.set(keys.record(one.encode()), record)
    assert await wake(p) == lost
