"""Ranking is exact: top-N and every page equal brute force, whatever the board and the time."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from periscope import CursorInvalid, CursorStale, Page, Periscope, Policy, UsageError
from periscope.models import SEVERITIES
from tests.conftest import OpenHere
from tests.support.boards import Placed, lay_out

NOW = 1_790_000_000_000
HOUR = 3_600_000

# Moments that collide (few values), lie close together, or lie hours back, where the scores of
# different milliseconds become equal doubles; also some from a clock that was ahead.
moments = st.one_of(
    st.integers(NOW - 3, NOW + 3),
    st.integers(NOW - 2 * HOUR, NOW),
    st.integers(NOW - 22 * HOUR - 40, NOW - 22 * HOUR),
    st.integers(NOW - 1000 * HOUR, NOW),
    st.just(0),
)


@st.composite
def boards(draw: st.DrawFn) -> list[Placed]:
    rows = draw(
        st.lists(
            st.tuples(
                st.integers(0, 3), moments, st.integers(0, 12), st.integers(0, 4), st.integers(0, 9)
            ),
            max_size=60,
        )
    )
    names = draw(
        st.lists(
            st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=6),
            min_size=len(rows),
            max_size=len(rows),
            unique=True,
        )
    )
    return [
        Placed(name, severity, moment, max(interactions, escalations), escalations, max(0, s - 6))
        for name, (severity, moment, interactions, escalations, s) in zip(names, rows, strict=True)
    ]


def brute_force(board: list[Placed], now: int) -> list[Placed]:
    queue = [threat for threat in board if threat.status == 0]
    return sorted(queue, key=lambda threat: threat.rank_key(now), reverse=True)


async def walk(p: Periscope, method: str, *args: object, count: int) -> list[str]:
    ids: list[str] = []
    cursor = None
    while True:
        page: Page = await getattr(p, method)(*args, cursor=cursor, count=count)
        ids += [threat.threat_id for threat in page]
        if page.next_cursor is None:
            return ids
        assert len(page) == count
        cursor = page.next_cursor


def names(threats: list[Placed]) -> list[str]:
    return [threat.threat_id for threat in threats]


async def set_up(p: Periscope, board: list[Placed], now: int) -> None:
    await p.functions.connections.client.flushall()
    await p.refresh()
    p.functions.now_ms = now
    await lay_out(p, board)


@pytest.mark.parametrize("partitions", [1, 3])
@given(board=boards(), count=st.integers(1, 25), later=st.sampled_from([0, 1, HOUR, 30 * HOUR]))
async def test_top_and_pages_equal_brute_force(
    open_here: OpenHere, partitions: int, board: list[Placed], count: int, later: int
) -> None:
    now = NOW + later
    async with open_here(partitions=partitions, namespace=f"rank{partitions}") as p:
        await set_up(p, board, now)
        expected = brute_force(board, now)
        top = await p.get_top_threats(count)
        assert [t.threat_id for t in top] == names(expected[:count])
        assert [t.score for t in top] == [t.score(now) for t in expected[:count]]
        assert await walk(p, "get_active_paginated", count=count) == names(expected)
        for rank, severity in enumerate(SEVERITIES):
            chosen = [t for t in expected if t.severity == rank]
            assert await walk(p, "get_by_severity", severity, count=count) == names(chosen)


async def test_one_partition_that_holds_all_of_the_best_gives_all_of_them(
    open_here: OpenHere,
) -> None:
    """Each partition is asked for little more than its share; this one has far more."""
    async with open_here(partitions=8, namespace="skew") as p:
        ids = [f"t{number}" for number in range(400)]
        lucky = [i for i in ids if p.keyspace.partition_of(i.encode()).number == 5]
        board = [Placed(i, 3 if i in lucky else 0, NOW - n) for n, i in enumerate(ids)]
        await set_up(p, board, NOW)
        expected = names(brute_force(board, NOW))
        assert expected[: len(lucky)] == lucky
        for count in (1, 5, 20, len(lucky), len(lucky) + 1, 399, 400):
            assert [t.threat_id for t in await p.get_top_threats(count)] == expected[:count]
            assert await walk(p, "get_active_paginated", count=count) == expected
        calls = await p.functions.connections.client.info("commandstats")
        before = calls["cmdstat_fcall_ro"]["calls"]
        assert len(await p.get_top_threats(20)) == 20
        calls = await p.functions.connections.client.info("commandstats")
        assert calls["cmdstat_fcall_ro"]["calls"] == before + 8 + 1  # only the lucky one again


@given(board=boards(), data=st.data(), count=st.integers(1, 25))
async def test_score_ranges_equal_brute_force(
    open_here: OpenHere, board: list[Placed], data: st.DataObject, count: int
) -> None:
    async with open_here(namespace="ranges") as p:
        await set_up(p, board, NOW)
        expected = brute_force(board, NOW)
        bounds = st.sampled_from([t.score(NOW) for t in expected] + [0.0, 0.23, 0.5, 1.0])
        lowest, highest = sorted((data.draw(bounds), data.draw(bounds)))
        chosen = [t for t in expected if lowest <= t.score(NOW) <= highest]
        page = await p.get_by_score_range(lowest, highest, count=count)
        assert page.total == len(chosen)
        found = await walk(p, "get_by_score_range", lowest, highest, count=count)
        assert found == names(chosen)


@settings(max_examples=20)
@given(
    weights=st.lists(st.sampled_from([0.0, 0.1, 0.2, 0.3, 1.0]), min_size=4, max_size=4),
    board=boards(),
)
async def test_any_weights_rank_exactly(
    open_here: OpenHere, weights: list[float], board: list[Placed]
) -> None:
    async with open_here(namespace="weights") as p:
        await set_up(p, board, NOW)
        policy = Policy(
            severity_weight=weights[0],
            interactions_weight=weights[1],
            escalations_weight=weights[2],
            recency_weight=weights[3],
        )
        await p.set_policy(policy)
        found = [t async for t in p.get_all_active()]
        key = [(t.score, t.last_activity_ms, t.threat_id.encode()) for t in found]
        assert key == sorted(key, reverse=True)
        assert {t.threat_id for t in found} == {t.threat_id for t in board if t.status == 0}


async def test_thousands_in_one_millisecond_page_once_each(periscope: Periscope) -> None:
    board = [Placed(f"tie-{i:05d}", i % 2, NOW) for i in range(4000)]
    await lay_out(periscope, board)
    periscope.functions.now_ms = NOW + 5
    found = await walk(periscope, "get_active_paginated", count=173)
    assert found == names(brute_force(board, NOW + 5))


async def test_unchanged_threats_come_once_while_others_come_and_go(periscope: Periscope) -> None:
    periscope.functions.now_ms = NOW
    steady = [Placed(f"steady-{i}", i % 4, NOW - 1000 * i) for i in range(300)]
    restless = [Placed(f"restless-{i}", i % 4, NOW - 997 * i) for i in range(300)]
    await lay_out(periscope, [*steady, *restless])
    found: list[str] = []
    cursor, step = None, 0
    while True:
        page = await periscope.get_active_paginated(cursor, count=20)
        found += [t.threat_id for t in page if t.threat_id.startswith("steady")]
        # Between two pages: some threats move to the top, and new ones arrive.
        periscope.functions.now_ms = NOW + step * 1000
        moved = [t.threat_id for t in restless[step * 10 : step * 10 + 10]]
        changed = [{"threat_id": i, "content": f"again {step}", "severity": "LOW"} for i in moved]
        fresh = [
            {"threat_id": f"new-{step}-{i}", "content": "", "severity": "HIGH"} for i in range(9)
        ]
        await periscope.add_threats_batch([*changed, *fresh])
        step += 1
        if (cursor := page.next_cursor) is None:
            break
    assert found == names(brute_force(steady, NOW))


async def test_records_beyond_a_reply_are_fetched(periscope: Periscope) -> None:
    reports = [
        {"threat_id": f"big-{i}", "content": "x" * 60_000, "severity": "HIGH"} for i in range(50)
    ]
    await periscope.add_threats_batch(reports)
    page = await periscope.get_active_paginated(count=50)
    assert len(page) == 50
    assert all(len(threat.content) == 60_000 for threat in page)
    assert len(await periscope.get_threats(r["threat_id"] for r in reports)) == 50


async def test_limits_beyond_a_page_are_walked(periscope: Periscope) -> None:
    board = [Placed(f"t{i}", i % 4, NOW - i) for i in range(2500)]
    await lay_out(periscope, board)
    periscope.functions.now_ms = NOW
    top = await periscope.get_top_threats(2300)
    assert [t.threat_id for t in top] == names(brute_force(board, NOW)[:2300])


async def a_cursor(p: Periscope) -> str:
    await lay_out(p, [Placed(f"t{i}", 1, NOW + i) for i in range(4)])
    page = await p.get_active_paginated(count=2)
    assert page.next_cursor is not None
    return page.next_cursor


async def test_altered_cursors_are_refused(periscope: Periscope) -> None:
    cursor = await a_cursor(periscope)
    for position, letter in enumerate(cursor):
        other = "A" if letter != "A" else "B"
        altered = cursor[:position] + other + cursor[position + 1 :]
        if position == len(cursor) - 1:
            continue  # the last character's low bits are padding
        with pytest.raises(CursorInvalid):
            await periscope.get_active_paginated(altered)


@pytest.mark.parametrize(
    "cursor",
    ["", "x", "ü", "A" * 2000, "....", "AAAAAAAAAAAAAAAAAAAAAAAAAAAA", "a b", "\0", "=" * 8],
)
async def test_garbage_cursors_are_refused(periscope: Periscope, cursor: str) -> None:
    with pytest.raises(CursorInvalid, match="not a cursor of this database"):
        await periscope.get_active_paginated(cursor)


async def test_cursors_belong_to_their_query(periscope: Periscope) -> None:
    cursor = await a_cursor(periscope)
    with pytest.raises(CursorInvalid, match="another query"):
        await periscope.get_by_severity("LOW", cursor)


async def test_cursors_of_another_database_are_refused(
    periscope: Periscope, open_here: OpenHere
) -> None:
    cursor = await a_cursor(periscope)
    async with open_here(namespace="other") as other:
        with pytest.raises(CursorInvalid):
            await other.get_active_paginated(cursor)


async def test_a_changed_policy_makes_cursors_stale(periscope: Periscope) -> None:
    cursor = await a_cursor(periscope)
    await periscope.set_policy(Policy(severity_high=0.6))
    with pytest.raises(CursorStale):
        await periscope.get_active_paginated(cursor)


async def test_other_processes_rank_by_a_new_policy_at_once(
    periscope: Periscope, open_here: OpenHere
) -> None:
    await lay_out(periscope, [Placed("low", 0, NOW), Placed("high", 2, NOW)])
    async with open_here() as other:
        upside_down = Policy(severity_low=1.0, severity_high=0.0)
        await other.set_policy(upside_down)
        assert [t.threat_id for t in await periscope.get_top_threats()] == ["low", "high"]
        assert await periscope.get_policy() == upside_down


@pytest.mark.parametrize("count", [0, -1, 2**63, 1001, True, 1.5, "9"])
async def test_counts_out_of_bounds_are_refused(periscope: Periscope, count: object) -> None:
    with pytest.raises(UsageError, match="count must be"):
        await periscope.get_active_paginated(count=count)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("lowest", "highest"), [(1, 0), (float("nan"), 1), (0, float("inf")), ("0", 1), (True, 1)]
)
async def test_impossible_score_ranges_are_refused(
    periscope: Periscope, lowest: float, highest: float
) -> None:
    with pytest.raises(UsageError, match="score"):
        await periscope.get_by_score_range(lowest, highest)


async def test_unknown_severities_are_refused(periscope: Periscope) -> None:
    with pytest.raises(UsageError, match="unknown severity 'URGENT'; use one of LOW"):
        await periscope.get_by_severity("URGENT")
