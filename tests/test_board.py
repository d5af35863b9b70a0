"""The board's figures are what one counts by hand, to the last bit of a score."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import astuple

import pytest
from redis.asyncio import Redis

from periscope import Periscope, Policy, Status, Threat
from periscope.board import RANGES, Board, read_board
from periscope.metrics.reading import count_overdue
from periscope.models import SEVERITIES
from tests.conftest import OpenHere
from tests.rules.scene import HOUR_MS, MINUTE_MS, START_MS, acts, add, latch, pass_time, say

ACTIONS = ("view", "escalate", "monitor", "investigate", "dismiss")


@pytest.fixture(params=[1, 3], ids=["1-partition", "3-partitions"])
async def p(request: pytest.FixtureRequest, open_here: OpenHere) -> AsyncIterator[Periscope]:
    async with Redis.from_url(open_here.url) as client:
        await client.flushall()
        async with open_here(partitions=request.param) as opened:
            opened.functions.now_ms = START_MS
            yield opened
        await client.flushall()


def in_ranges(threats: list[Threat]) -> list[int]:
    counts = Counter(
        next((n for n in range(RANGES - 1) if one.score < (n + 1) / RANGES), RANGES - 1)
        for one in threats
    )
    return [counts[number] for number in range(RANGES)]


async def by_hand(p: Periscope) -> Board:
    """The same, of every threat one by one."""
    threats = [one async for one in p.get_all_active()]
    unseen = [one for one in threats if not one.interactions]
    overdue = [one async for one in all_overdue(p)]
    first: dict[str, int | None] = {one.value: None for one in SEVERITIES}
    for one in unseen:
        before = first[one.severity.value]
        moment = one.first_seen_ms
        first[one.severity.value] = moment if before is None else min(before, moment)
    return Board(
        p.functions.now_ms or 0,
        first,
        {one.value: sum(t.severity is one for t in unseen) for one in SEVERITIES},
        {one.value: sum(t.severity is one for t in overdue) for one in SEVERITIES},
        in_ranges(threats),
        sum(one.latched for one in threats),
    )


async def all_overdue(p: Periscope) -> AsyncIterator[Threat]:
    cursor = None
    while True:
        page = await p.get_overdue(cursor=cursor)
        for one in page.items:
            yield one
        if (cursor := page.next_cursor) is None:
            return


async def test_of_nothing(p: Periscope) -> None:
    found = await read_board(p)
    none = {one.value: 0 for one in SEVERITIES}
    assert astuple(found) == (START_MS, dict.fromkeys(none), none, none, [0] * 10, 0)


async def test_as_one_counts_by_hand(p: Periscope) -> None:
    chance = random.Random(7)
    for round_number in range(12):
        ids = [f"t{round_number}-{n}" for n in range(12)]
        for one in ids:
            await add(p, one, severity=chance.choice([s.value for s in SEVERITIES]))
        for one in chance.sample(ids, 8):
            steps = [
                f"{chance.choice(('ann', 'bob'))} {chance.choice(ACTIONS)} x{chance.randint(1, 4)}"
                for _ in range(chance.randint(1, 3))
            ]
            await acts(p, one, *steps)
        await say(p, ids[0], "HIGH", content="again")
        pass_time(p, chance.choice([1, 7 * MINUTE_MS, HOUR_MS // 2]))
        assert await read_board(p) == await by_hand(p)
    assert (await p.get_by_status(Status.DISMISSED)).total, "the queue is not all there is"
    assert sum((await read_board(p)).scores) == (await p.get_active_paginated()).total > 50


async def test_what_is_latched_is_promotable(p: Periscope) -> None:
    await add(p, "a", "b", severity="CRITICAL")
    await latch(p, "a")
    assert (await read_board(p)).promotable == 1
    await p.promote_eligible_threats()
    assert (await read_board(p)).promotable == 0


async def test_under_other_weights(p: Periscope) -> None:
    """Buckets that reach over many ranges, or lie on a limit between two."""
    await add(p, *"abcdefgh", severity="LOW")
    for number, one in enumerate("abcdefgh"):
        pass_time(p, number * MINUTE_MS)
        await acts(p, one, f"ann view x{number + 1}")
    for weights in ((0.0, 0.0, 0.0, 1.0), (1.0, 0.0, 0.0, 0.0), (0.1, 0.1, 0.1, 0.7)):
        severity, interactions, escalations, recency = weights
        policy = Policy(
            severity_weight=severity,
            interactions_weight=interactions,
            escalations_weight=escalations,
            recency_weight=recency,
        )
        await p.set_policy(policy)
        for _ in range(5):
            assert (await read_board(p)).scores == (await by_hand(p)).scores, weights
            pass_time(p, 11 * MINUTE_MS)


async def test_two_processes_with_two_policies_never_mix(p: Periscope, open_here: OpenHere) -> None:
    await add(p, "a", "b", severity="LOW")
    async with open_here() as other:
        other.functions.now_ms = p.functions.now_ms
        await other.set_policy(Policy(severity_low=1.0))
        found = await read_board(p)
        assert found.scores == in_ranges([one async for one in other.get_all_active()])


async def test_overdue_is_as_the_metrics_count_it(p: Periscope) -> None:
    await add(p, "a", "b", severity="CRITICAL")
    await say(p, "a", "CRITICAL", content="again")
    pass_time(p, HOUR_MS)
    found = await read_board(p)
    assert found.overdue == await count_overdue(p, found.as_of_ms)
    assert found.overdue["CRITICAL"] == 2
