"""What a mark does to a report: set aside and counted, or back in the queue when it is outdone."""

from __future__ import annotations

from random import Random
from typing import Any

import pytest

from periscope import Level, Periscope, Severity, Status
from periscope.archive import Archive
from periscope.models import Mark
from periscope.suppressed import Suppressed
from tests.rules.scene import (
    DAY_MS,
    HOUR_MS,
    MINUTE_MS,
    SECOND_MS,
    START_MS,
    acts,
    add,
    is_gone,
    latch,
    look,
    pass_time,
    promote,
    report,
    say,
)
from tests.support.marking import add_marked, mark_with

LIST, RULE = Mark("list:known good"), Mark("rule:r1", most=3, window_ms=MINUTE_MS)


async def marked(p: Periscope, threat_id: str, severity: str, mark: Mark, **fields: Any) -> str:
    """The outcome of one report that is marked so."""
    await mark_with(p, lambda _: mark)
    try:
        return await say(p, threat_id, severity, **fields)
    finally:
        await mark_with(p, None)


async def entry(p: Periscope, threat_id: str) -> Suppressed:
    found = await p.get_suppressed_entry(threat_id)
    assert found is not None
    return found


async def test_an_unknown_one_is_set_aside_and_explained(spread: Periscope) -> None:
    p = spread
    assert await marked(p, "t", "LOW", LIST, source="ids", metadata={"title": "ping"}) == (
        "suppressed"
    )
    pass_time(p, SECOND_MS)
    assert await marked(p, "t", "LOW", LIST, source="ids", metadata={"title": "ping"}) == (
        "suppressed"
    )
    assert await is_gone(p, "t")
    assert await entry(p, "t") == Suppressed(
        *("t", Severity.LOW, "list:known good", 2, START_MS, START_MS + SECOND_MS, "ids", "ping"),
        came_back_ms=None,
    )
    ledger = await p.get_ledger(deep=True)
    assert (ledger.received, ledger.suppressed, ledger.added, ledger.in_levels) == (2, 2, 0, 0)


async def test_nobody_is_told_of_it(p: Periscope) -> None:
    await marked(p, "t", "LOW", LIST)
    client, (keys,) = p.functions.connections.client, p.keyspace.partitions
    assert await client.xlen(keys.events) == 0
    await say(p, "t", "LOW")
    assert await client.xlen(keys.events) == 1


async def test_a_higher_severity_brings_it_back_once(p: Periscope) -> None:
    for severity, outcome in (
        *(("MEDIUM", "suppressed"), ("LOW", "suppressed"), ("MEDIUM", "suppressed")),
        *(("HIGH", "added"), ("HIGH", "suppressed"), ("MEDIUM", "suppressed")),
        *(("CRITICAL", "sighting"), ("CRITICAL", "suppressed")),
    ):
        pass_time(p, SECOND_MS)
        assert await marked(p, "t", severity, LIST) == outcome, severity
    threat, kept = await look(p, "t"), await entry(p, "t")
    assert (threat.severity, threat.sightings) == (Severity.CRITICAL, 1)
    assert (kept.severity, kept.count) == (Severity.CRITICAL, 6)
    assert kept.came_back_ms == threat.last_activity_ms == START_MS + 7 * SECOND_MS
    assert kept.came_back == threat.last_activity


async def test_a_rate_that_is_exceeded_brings_it_back_until_it_is_slower(p: Periscope) -> None:
    told = []
    for number in range(6):
        told.append(await marked(p, "t", "LOW", RULE, content=f"number {number}"))
        pass_time(p, 10 * SECOND_MS)
    assert told == ["suppressed"] * 3 + ["added", "sighting", "sighting"]
    assert (await entry(p, "t")).count == 3
    pass_time(p, 30 * SECOND_MS)  # two of them came within the last minute
    again = [await marked(p, "t", "LOW", RULE, content=f"again {n}") for n in range(3)]
    assert again == ["suppressed", "sighting", "sighting"]
    assert (await look(p, "t")).sightings == 4


async def test_a_burst_is_seen_whenever_it_begins(p: Periscope) -> None:
    for _ in range(2):
        assert await marked(p, "t", "LOW", RULE) == "suppressed"
        pass_time(p, 50 * SECOND_MS)
    told = [await marked(p, "t", "LOW", RULE) for _ in range(3)]
    assert told == ["suppressed", "suppressed", "added"]


@pytest.mark.parametrize("most", [1, 16, 17, 100, 1000])
async def test_a_rate_is_never_exceeded_unseen_and_hardly_seen_too_early(
    p: Periscope, most: int
) -> None:
    """Bursts and lulls at random: too early is only what is within a 16th of the rate."""
    chance, mark = Random(most), Mark("rule:r", most=most, window_ms=MINUTE_MS)
    early = -(-most // 16) - 1
    came: list[int] = []
    for _ in range(30):
        size = chance.randint(1, most)
        result = await add_marked(p, [report("t", "LOW")] * size, [mark] * size)
        now = p.functions.now_ms
        assert now is not None
        came = [*(one for one in came if one > now - MINUTE_MS), *[now] * size]
        suppressed = max(0, min(size, most - (len(came) - size)))
        assert suppressed - early <= result.suppressed <= suppressed
        pass_time(p, chance.choice([1, SECOND_MS, 20 * SECOND_MS, MINUTE_MS - 1, MINUTE_MS]))


async def test_what_else_marks_a_report_does_not_hide_how_often_it_comes(p: Periscope) -> None:
    longer = Mark("rule:r2", most=3, window_ms=HOUR_MS)
    for mark in (RULE, LIST, longer, LIST, RULE, LIST):
        assert await marked(p, "t", "LOW", mark) == "suppressed"
        pass_time(p, SECOND_MS)
    assert await marked(p, "t", "LOW", longer) == "added"


async def test_a_clock_that_was_put_back_hides_no_burst_and_holds_nothing_up(p: Periscope) -> None:
    for _ in range(3):
        assert await marked(p, "t", "LOW", RULE) == "suppressed"
    pass_time(p, -DAY_MS)
    assert await marked(p, "t", "LOW", RULE) == "added"
    pass_time(p, MINUTE_MS)
    assert await marked(p, "t", "LOW", RULE) == "suppressed"


async def test_a_slow_one_never_comes_back(p: Periscope) -> None:
    for _ in range(20):
        assert await marked(p, "t", "LOW", RULE) == "suppressed"
        pass_time(p, MINUTE_MS // 3)
    assert (await entry(p, "t")).came_back is None


async def test_a_window_ends_to_the_millisecond(p: Periscope) -> None:
    once = Mark("rule:r", most=1, window_ms=1000)
    assert await marked(p, "t", "LOW", once) == "suppressed"
    pass_time(p, 1000)
    assert await marked(p, "t", "LOW", once) == "suppressed"
    pass_time(p, 999)
    assert await marked(p, "t", "LOW", once) == "added"


@pytest.mark.parametrize(("past", "outcome"), [(-1, "suppressed"), (0, "added"), (1, "added")])
async def test_a_mark_ends_by_the_servers_clock(p: Periscope, past: int, outcome: str) -> None:
    mark = Mark("rule:r", until_ms=START_MS + HOUR_MS)
    pass_time(p, HOUR_MS + past)
    assert await marked(p, "t", "LOW", mark) == outcome
    assert (await p.get_suppressed_entry("t") is None) is (outcome == "added")


async def test_a_known_one_stays_exactly_as_it_is(p: Periscope) -> None:
    await add(p, "t", severity="MEDIUM")
    await acts(p, "t", "ann dismiss")
    before = await p.functions.connections.client.dump(p.keyspace.partitions[0].record(b"t"))
    pass_time(p, SECOND_MS)
    assert await marked(p, "t", "MEDIUM", LIST, content="news") == "suppressed"
    after = await p.functions.connections.client.dump(p.keyspace.partitions[0].record(b"t"))
    assert before == after
    assert (await look(p, "t")).status is Status.DISMISSED
    pass_time(p, SECOND_MS)
    assert await marked(p, "t", "HIGH", LIST, content="worse") == "sighting"
    assert (await look(p, "t")).status is Status.OPEN


@pytest.mark.parametrize("level", [Level.SHORT_TERM, Level.LONG_TERM])
async def test_knowledge_is_recalled_only_when_it_comes_back(p: Periscope, level: Level) -> None:
    await add(p, "t", severity="HIGH")
    await latch(p, "t")
    await promote(p, "t")
    for _ in range(2 if level is Level.LONG_TERM else 0):
        pass_time(p, DAY_MS)
        await acts(p, "t", "ann escalate")
        await promote(p, "t")
    assert (await look(p, "t")).level is level
    assert await marked(p, "t", "HIGH", RULE, content="news") == "suppressed"
    assert (await look(p, "t")).level is level
    assert await marked(p, "t", "CRITICAL", RULE, content="worse") == "sighting"
    threat = await look(p, "t")
    assert (threat.level, threat.home) == (Level.WORKING, level)


async def test_a_departed_one_comes_back_with_its_counts(p: Periscope, archive: Archive) -> None:
    await add(p, "t", severity="LOW")
    await acts(p, "t", "ann dismiss")
    pass_time(p, HOUR_MS)
    assert (await p.sweep(archive)).expired == 1
    assert await marked(p, "t", "LOW", LIST, content="news") == "suppressed"
    assert await is_gone(p, "t")
    assert await marked(p, "t", "HIGH", LIST, content="worse") == "added"
    assert (await look(p, "t")).dismissals == 1


async def test_a_removed_one_stays_out_without_an_entry(p: Periscope, archive: Archive) -> None:
    await add(p, "t")
    await p.remove(archive, "t", "ann")
    assert await marked(p, "t", "CRITICAL", LIST) == "suppressed"
    assert await p.get_suppressed_entry("t") is None
    assert (await p.get_ledger()).suppressed == 1


async def test_reports_of_a_chunk_are_taken_in_order(p: Periscope) -> None:
    """Marked and unmarked ones of the same threat, mixed."""
    steps: list[tuple[str, str, Mark | None]] = [
        *(("t", "LOW", LIST), ("u", "LOW", None), ("t", "MEDIUM", None), ("t", "MEDIUM", LIST)),
        *(("t", "HIGH", LIST), ("u", "HIGH", LIST), ("v", "LOW", RULE), ("v", "LOW", RULE)),
        *(("v", "LOW", RULE), ("v", "LOW", RULE), ("v", "LOW", None), ("u", "LOW", LIST)),
    ]
    result = await add_marked(
        p,
        [report(one, severity, content=f"{n}") for n, (one, severity, _) in enumerate(steps)],
        [mark for _, _, mark in steps],
    )
    assert (result.added, result.sightings, result.suppressed) == (3, 3, 6)
    threats = {one.threat_id: one for one in await p.get_threats(["t", "u", "v"])}
    assert [threats[one].severity for one in "tuv"] == ["HIGH", "HIGH", "LOW"]
    assert [threats[one].content for one in "tuv"] == ["4", "5", "10"]
    assert [(await entry(p, one)).count for one in "tuv"] == [2, 1, 3]


async def test_what_is_not_marked_goes_its_way_and_leaves_the_entry(p: Periscope) -> None:
    await marked(p, "t", "LOW", LIST)
    before = await entry(p, "t")
    pass_time(p, SECOND_MS)
    assert await say(p, "t", "LOW") == "added"
    assert await entry(p, "t") == before


async def test_the_last_cause_counts(p: Periscope) -> None:
    await marked(p, "t", "LOW", LIST)
    await marked(p, "u", "LOW", LIST)
    assert (await p.get_stats()).suppressed == {"list:known good": 2}
    await marked(p, "t", "LOW", RULE)
    assert (await entry(p, "t")).cause == "rule:r1"
    assert (await p.get_stats()).suppressed == {"list:known good": 1, "rule:r1": 1}
    await marked(p, "u", "LOW", RULE)
    assert (await p.get_stats()).suppressed == {"rule:r1": 2}


async def test_a_forgotten_one_starts_anew(spread: Periscope) -> None:
    p = spread
    for _ in range(3):
        assert await marked(p, "t", "HIGH", RULE) == "suppressed"
    assert await p.forget_suppressed("t")
    assert not await p.forget_suppressed("t")
    assert (await p.get_stats()).suppressed == {}
    assert await marked(p, "t", "CRITICAL", RULE) == "suppressed"
    kept = await entry(p, "t")
    assert (kept.count, kept.severity) == (1, Severity.CRITICAL)
    assert (await p.get_ledger()).suppressed == 4


async def test_a_snoozed_one_sleeps_until_it_gets_worse(p: Periscope) -> None:
    await add(p, "t", severity="MEDIUM")
    await p.snooze("t", "ann", None)
    for number in range(3):
        assert await marked(p, "t", "MEDIUM", RULE, content=f"{number}") == "suppressed"
    assert (await look(p, "t")).status is Status.SNOOZED
    assert await marked(p, "t", "MEDIUM", RULE, content="too often") == "sighting"
    assert (await look(p, "t")).status is Status.SNOOZED
    assert await marked(p, "t", "HIGH", LIST, content="worse") == "sighting"
    assert (await look(p, "t")).status is Status.OPEN


async def test_the_filter_does_not_learn_what_left_no_threat(p: Periscope) -> None:
    await p.membership_ready()
    before = p.membership.ids
    await marked(p, "t", "LOW", LIST)
    await add_marked(p, [report("u", "LOW"), report("v", "LOW")], [LIST, None])
    assert p.membership.ids == before + 1
    assert not await p.threat_exists("t")
    assert await p.threat_exists("v")
