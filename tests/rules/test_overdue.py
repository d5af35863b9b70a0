"""Response targets: what nobody has looked at in time is listed, the longest overdue first."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest

from periscope import Periscope, Policy, UsageError
from tests.rules.scene import (
    DAY_MS,
    HOUR_MS,
    MINUTE_MS,
    SECOND_MS,
    acts,
    add,
    ids_of,
    look,
    pass_time,
    report,
    say,
    span,
    to_short_term,
    walk,
)

TARGETS = {
    "CRITICAL": 15 * MINUTE_MS,
    "HIGH": HOUR_MS,
    "MEDIUM": 8 * HOUR_MS,
    "LOW": 24 * HOUR_MS,
}


@pytest.mark.parametrize("severity", TARGETS)
async def test_it_is_overdue_strictly_past_its_target(spread: Periscope, severity: str) -> None:
    p = spread
    await add(p, "t", severity=severity)
    pass_time(p, TARGETS[severity])
    page = await p.get_overdue()
    assert (ids_of(page), page.total, (await look(p, "t")).overdue) == ([], 0, False)
    pass_time(p, 1)
    for page in (await p.get_overdue(), await p.get_overdue(severity)):
        assert (ids_of(page), page.total) == (["t"], 1)
    assert (await look(p, "t")).overdue


@pytest.mark.parametrize("severity", TARGETS)
async def test_the_targets_are_of_the_policy(p: Periscope, severity: str) -> None:
    short: dict[str, Any] = {f"target_{severity.lower()}": span(5 * SECOND_MS)}
    await p.set_policy(Policy(**short))
    await add(p, "t", severity=severity)
    pass_time(p, 5 * SECOND_MS)
    assert (await p.get_overdue()).total == 0
    pass_time(p, 1)
    assert (await p.get_overdue()).total == 1


@pytest.mark.parametrize("action", ["view", "escalate", "dismiss", "monitor", "investigate"])
async def test_any_interaction_meets_the_target(p: Periscope, action: str) -> None:
    await add(p, "t", severity="CRITICAL")
    pass_time(p, DAY_MS)
    await acts(p, "t", f"ann {action}")
    assert (await p.get_overdue()).total == 0


async def test_no_claim_comment_or_sighting_meets_it(p: Periscope) -> None:
    await add(p, "t", severity="CRITICAL")
    pass_time(p, 10 * MINUTE_MS)
    await say(p, "t", "CRITICAL", content="news")
    await p.claim("t", "ann")
    await p.comment("t", "ann", "hm")
    pass_time(p, 5 * MINUTE_MS)
    assert (await p.get_overdue()).total == 0
    pass_time(p, 1)
    assert ids_of(await p.get_overdue()) == ["t"]


async def test_an_outcome_ends_it_and_a_reopening_brings_it_back(p: Periscope) -> None:
    await add(p, "t", severity="CRITICAL")
    pass_time(p, DAY_MS)
    await p.decide("t", "ann", "inconclusive")
    assert (await p.get_overdue()).total == 0
    await p.reopen("t", "ann")
    assert (await p.get_overdue()).total == 1


async def test_an_undone_view_leaves_it_unseen(p: Periscope) -> None:
    await add(p, "t", severity="CRITICAL")
    pass_time(p, HOUR_MS)
    threat = await acts(p, "t", "ann view")
    assert threat.interaction_id is not None
    await p.undo(threat.interaction_id)
    assert ids_of(await p.get_overdue()) == ["t"]


async def test_the_target_follows_the_severity(p: Periscope) -> None:
    await add(p, "t", severity="LOW")
    pass_time(p, HOUR_MS)
    await say(p, "t", "CRITICAL")
    assert ids_of(await p.get_overdue("CRITICAL")) == ["t"]
    await say(p, "t", "MEDIUM")
    assert (await p.get_overdue()).total == 0


async def test_levels_2_and_3_are_never_overdue(p: Periscope) -> None:
    await to_short_term(p, "t")
    await add(p, "tp", severity="CRITICAL")
    await p.decide("tp", "ann", "true_positive_impact")
    pass_time(p, DAY_MS)
    assert (await p.get_overdue()).total == 0
    assert not (await look(p, "tp")).overdue


async def make_many(p: Periscope) -> dict[str, int]:
    """Threats of every severity and many moments; when each is due."""
    due = {}
    for step in range(30):
        now_ms = pass_time(p, 17 * MINUTE_MS)
        for severity, target_ms in TARGETS.items():
            threat_id = f"{severity}-{step}"
            await add(p, threat_id, severity=severity)
            due[threat_id] = now_ms + target_ms
    return due


async def test_the_longest_overdue_comes_first(spread: Periscope) -> None:
    p = spread
    due = await make_many(p)
    now_ms = pass_time(p, 18 * HOUR_MS)
    for page, known in [
        (await p.get_overdue(), due),
        (await p.get_overdue("low"), {i: d for i, d in due.items() if i.startswith("LOW")}),
    ]:
        late = sorted((moment, one) for one, moment in known.items() if moment < now_ms)
        assert 0 < len(late) < len(known) or len(known) > 30
        assert [due[one] for one in ids_of(page)] == [moment for moment, _ in late][:100]
        assert page.total == len(late)


@pytest.mark.parametrize("count", [1, 7, 100])
async def test_pages_give_each_threat_once(spread: Periscope, count: int) -> None:
    p = spread
    due = await make_many(p)
    now_ms = pass_time(p, 18 * HOUR_MS)
    found = await walk(partial(_overdue, p), count)
    assert [due[one] for one in found] == sorted(d for d in due.values() if d < now_ms)
    assert len(set(found)) == len(found)


@pytest.mark.parametrize("count", [1, 7, 40])
async def test_ties_page_exactly_once(spread: Periscope, count: int) -> None:
    p = spread
    ids = [f"t{number}" for number in range(40)]
    await p.add_threats_batch(report(one, "CRITICAL") for one in ids)
    for one in ids[::3]:
        await say(p, one, "CRITICAL", content="news")
    pass_time(p, HOUR_MS)
    found = await walk(partial(_overdue, p), count)
    assert (len(found), sorted(found)) == (40, sorted(ids))


async def test_the_walk_stands_still_while_time_passes(spread: Periscope) -> None:
    p = spread
    await make_many(p)
    pass_time(p, 8 * HOUR_MS)
    whole = await p.get_overdue(count=1000)
    found: list[str] = []
    cursor = None
    while not found or cursor:
        page = await p.get_overdue(cursor=cursor, count=9)
        assert (page.as_of_ms, page.total) == (whole.as_of_ms, whole.total)
        found += ids_of(page)
        cursor = page.next_cursor
        pass_time(p, HOUR_MS)
    assert found == ids_of(whole)


async def _overdue(p: Periscope, cursor: str | None, count: int) -> object:
    return await p.get_overdue(cursor=cursor, count=count)


async def test_a_severity_that_is_none_is_refused(p: Periscope) -> None:
    with pytest.raises(UsageError, match="severity"):
        await p.get_overdue("URGENT")
