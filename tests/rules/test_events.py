"""The events: every change once, in order, resumed exactly, over any number of partitions."""

from __future__ import annotations

import asyncio
from collections import Counter
from contextlib import aclosing

import pytest

from periscope import Event, EventsLost, Level, Periscope, Policy, Status, UsageError
from periscope.archive import Archive
from tests.conftest import OpenHere
from tests.rules.scene import (
    DAY_MS,
    HOUR_MS,
    START_MS,
    acts,
    add,
    consolidate,
    latch,
    pass_time,
    promote,
    report,
    say,
    to_short_term,
)


def beginning(p: Periscope) -> str:
    """The position before anything happened."""
    return ",".join(["0-0"] * len(p.keyspace.partitions))


async def read(p: Periscope, since: str, number: int) -> list[Event]:
    """The next `number` events after a position."""
    found: list[Event] = []
    async with asyncio.timeout(30), aclosing(p.events(since)) as events:  # type: ignore[type-var]
        while len(found) < number:
            found.append(await anext(events))
    return found


async def read_all(p: Periscope, since: str) -> list[Event]:
    """All events so far: up to a mark that is set now."""
    await p.comment((await p.get_top_threats(1))[0].threat_id, "reader", "mark")
    found: list[Event] = []
    async with asyncio.timeout(30), aclosing(p.events(since)) as events:  # type: ignore[type-var]
        async for event in events:
            if event.analyst_id == "reader":
                return found
            found.append(event)
    raise AssertionError("events ended")


async def live_a_little(p: Periscope, archive: Archive) -> list[tuple[str, str]]:
    """One of each kind of thing; what the events must be, in order."""
    await add(p, "t", severity="CRITICAL")
    await latch(p, "t")
    await promote(p, "t")
    pass_time(p, DAY_MS)
    await consolidate(p, "t")
    await acts(p, "t", "bob view")
    pass_time(p, HOUR_MS)
    await p.sweep(archive)
    await say(p, "t", "CRITICAL", content="news")
    claim = await p.claim("t", "ann")
    await p.claim("t", "bob", take_over=True)
    claim = await p.claim("t", "bob")
    await p.release(claim)
    act = await p.decide("t", "ann", "inconclusive", "unsure")
    assert act.interaction_id is not None
    await p.undo(act.interaction_id)
    await p.comment("t", "ann", "hm")
    await p.decide("t", "ann", "true_positive_impact")
    pass_time(p, 7 * DAY_MS)
    await p.sweep(archive)
    return [
        *[("added", ""), ("escalate", "ann"), ("escalate", "ann"), ("escalate", "bob")],
        *[("promotion", ""), ("recall", "ann"), ("escalate", "ann"), ("consolidation", "")],
        *[("recall", "bob"), ("view", "bob"), ("settled", ""), ("sighted", ""), ("recall", "")],
        *[("claim", "ann"), ("takeover", "bob"), ("release", "bob"), ("decide", "ann")],
        *[("undo", "ann"), ("comment", "ann"), ("decide", "ann"), ("consolidation", "ann")],
        ("expired", ""),
    ]


async def test_every_change_is_one_event(spread: Periscope, archive: Archive) -> None:
    p = spread
    expected = await live_a_little(p, archive)
    found = await read(p, beginning(p), len(expected))
    assert [(one.kind, one.analyst_id) for one in found] == expected
    assert {one.threat_ids for one in found} == {("t",)}
    assert [one.at_ms for one in found] == sorted(one.at_ms for one in found)
    assert (found[0].at_ms, found[-1].at_ms) == (START_MS, p.functions.now_ms)


async def test_an_event_tells_level_and_status_afterwards(p: Periscope) -> None:
    await add(p, "t", severity="CRITICAL")
    await acts(p, "t", "ann dismiss", "ann escalate x2", "bob escalate")
    await promote(p, "t")
    await p.decide("t", "ann", "benign_expected")
    found = await read(p, beginning(p), 7)
    assert [(one.level, one.status) for one in found[1:]] == [
        (Level.WORKING, Status.DISMISSED),
        *[(Level.WORKING, Status.OPEN)] * 3,
        (Level.SHORT_TERM, Status.OPEN),
        (Level.SHORT_TERM, Status.CLOSED),
    ]


async def test_it_resumes_exactly_after_every_single_event(
    spread: Periscope, archive: Archive
) -> None:
    p = spread
    await p.add_threats_batch(report(f"t{number}") for number in range(40))
    for analyst in ("ann", "bob"):
        await p.record_interactions_batch(
            {"threat_id": f"t{number % 40}", "analyst_id": analyst, "action": "view"}
            for number in range(60)
        )
    whole = await read_all(p, beginning(p))
    assert len([one for one in whole if one.kind == "view"]) == 120
    position = beginning(p)
    for event in whole:
        (found,) = await read(p, position, 1)
        assert found == event
        position = found.position


async def test_a_long_history_comes_whole_and_in_order(spread: Periscope) -> None:
    """In the order of one partition: two may act in one millisecond of the server's."""
    p = spread
    await p.add_threats_batch(report(f"t{number}") for number in range(30))
    for number in range(400):
        pass_time(p, 10)
        await acts(p, f"t{number % 30}", "ann view")
    found = await read_all(p, beginning(p))
    views = [one for one in found if one.kind == "view"]
    assert sorted(one.at_ms for one in views) == [START_MS + 10 * n for n in range(1, 401)]
    for keys in p.keyspace.partitions:
        own = [v.at_ms for v in views if p.keyspace.partition_of(v.threat_id.encode()) == keys]
        assert own == sorted(own)
        assert own


async def test_all_threats_of_a_batch_are_named(spread: Periscope) -> None:
    p = spread
    ids = [f"t{number}" for number in range(1200)]
    await p.add_threats_batch(report(one) for one in ids)
    await p.add_threats_batch(report(one, content="news") for one in ids[:700])
    await p.add_threats_batch(report(one, content="news") for one in ids[:700])
    named: dict[str, Counter[str]] = {"added": Counter(), "sighted": Counter()}
    for event in await read_all(p, beginning(p)):
        named[event.kind].update(event.threat_ids)
    assert named["added"] == Counter(ids)
    assert named["sighted"] == Counter(ids[:700])


async def test_without_a_position_only_what_follows_comes(
    spread: Periscope, open_here: OpenHere
) -> None:
    p = spread
    await add(p, "before")
    async with aclosing(p.events()) as events:  # type: ignore[type-var]
        waiting = asyncio.ensure_future(anext(events))
        for number in range(1000):
            await add(p, f"after-{number}")
            if waiting.done():
                break
            await asyncio.sleep(0)
        event = await waiting
    assert event.threat_ids[0].startswith("after-")


async def test_whoever_waits_is_told(spread: Periscope) -> None:
    p = spread
    await add(p, "t")
    (position,) = {one.position for one in await read(p, beginning(p), 1)}
    async with aclosing(p.events(position)) as events:  # type: ignore[type-var]
        waiting = asyncio.ensure_future(anext(events))
        await acts(p, "t", "ann view")
        event = await asyncio.wait_for(waiting, 10)
    assert (event.kind, event.threat_id, event.analyst_id) == ("view", "t", "ann")


async def test_refused_and_repeated_acts_are_no_events(p: Periscope) -> None:
    await add(p, "t")
    for _ in range(3):
        await p.record_interaction("t", "ann", "view", "once")
    await p.record_interactions_batch(
        [{"threat_id": "nobody", "analyst_id": "ann", "action": "view"}]
    )
    await say(p, "t")
    assert [one.kind for one in await read_all(p, beginning(p))] == ["added", "view"]


async def test_events_name_who_did_it(p: Periscope, archive: Archive) -> None:
    await add(p, "t", "u")
    await p.remove(archive, "t", "zoe")
    await p.allow("t", "zoe")
    found = await read_all(p, beginning(p))
    assert [(one.kind, one.analyst_id) for one in found] == [
        ("added", ""),
        ("removed", "zoe"),
        ("allow", "zoe"),
    ]


async def test_a_position_that_is_no_longer_kept_is_told(spread: Periscope) -> None:
    p = spread
    await p.set_policy(Policy(events_limit_kb=1))
    await add(p, "t")
    (first,) = await read(p, beginning(p), 1)
    for number in range(300):
        await p.record_interaction("t", f"analyst {number}", "view")
    with pytest.raises(EventsLost):
        await read(p, first.position, 1)


async def test_what_is_kept_is_bounded_and_can_be_followed(p: Periscope) -> None:
    await p.set_policy(Policy(events_limit_kb=4))
    await add(p, "t")
    for number in range(500):
        await p.record_interaction("t", f"analyst {number}", "view")
    assert (await p.get_holdings())["event_bytes"] <= 8 * 1024


@pytest.mark.parametrize("since", ["", "x", "0", "0-0,0-0", "1-1+x", "-1-0", "0-0\n", "9" * 70_000])
async def test_what_is_no_position_is_refused(p: Periscope, since: str) -> None:
    with pytest.raises(UsageError):
        await read(p, since, 1)


async def test_a_position_of_other_partitions_is_refused(spread: Periscope) -> None:
    p = spread
    with pytest.raises(UsageError):
        await read(p, ",".join(["0-0"] * (len(p.keyspace.partitions) + 1)), 1)


async def test_two_readers_see_the_same(spread: Periscope) -> None:
    p = spread
    await to_short_term(p, "t")
    await add(p, "u")
    one, two = await asyncio.gather(read(p, beginning(p), 5), read(p, beginning(p), 5))
    assert one == two
