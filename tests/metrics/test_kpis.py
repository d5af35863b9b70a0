"""A hand-made shift: its figures were computed by hand, and the product must say the same.

All moments are after the Monday at 00:00 UTC with which it begins.

    old  HIGH, feed-b      first seen Sunday 22:00
                           Sunday 23:00 ann views; Monday 01:00 ann decides inconclusive
    a    CRITICAL, feed-a  first seen 01:00, observed 00:50
                           01:05 ann claims, 01:10 escalates, 02:00 decides true_positive_impact
    b    CRITICAL, feed-a  first seen 01:30, observed 01:10
                           01:50 bob views, 03:30 decides false_positive_logic
    c    HIGH, feed-a      first seen 02:00
                           02:20 ann views, 02:21 undoes it, 05:00 views
    d    HIGH, feed-a      first seen 02:15, observed 02:14
                           02:45 bob decides duplicate
    e    LOW, feed-b       first seen 03:00, observed 02:00; reported again at 04:00
                           04:30 bob decides benign_expected, 04:40 reopens,
                           06:00 decides true_positive_no_impact
    f    LOW, feed-b       first seen 03:10
                           07:00 removed, and nothing else
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from redis.asyncio import Redis

from periscope import Periscope, UsageError
from periscope.archive import Archive, open_archive
from periscope.kpis import Bucket, Kpis, SourceRate, Spread, document, kpis
from periscope.kpis.figures import spread
from tests.conftest import OpenHere

MONDAY = datetime(2026, 9, 21, tzinfo=UTC)
MONDAY_MS = int(MONDAY.timestamp()) * 1000
MINUTE_MS = 60_000
HOUR_MS = 60 * MINUTE_MS
SINCE = timedelta(hours=8)
NOW = MONDAY + SINCE


def at(hours: int, minutes: int = 0) -> int:
    return MONDAY_MS + hours * HOUR_MS + minutes * MINUTE_MS


@pytest.fixture(params=[1, 3], ids=["1-partition", "3-partitions"])
async def p(request: pytest.FixtureRequest, open_here: OpenHere) -> AsyncIterator[Periscope]:
    async with Redis.from_url(open_here.url) as client:
        await client.flushall()
        async with open_here(partitions=request.param) as opened:
            yield opened
        await client.flushall()


@pytest.fixture
async def archive(tmp_path: Path) -> AsyncIterator[Archive]:
    opened = await open_archive(tmp_path / "archive.db")
    yield opened
    await opened.close()


def clock(p: Periscope, hours: int, minutes: int = 0) -> None:
    p.functions.now_ms = at(hours, minutes)


async def first_seen(p: Periscope, *what: Any, observed_ms: int | None = None) -> None:
    threat_id, severity, source, hours, minutes = what
    clock(p, hours, minutes)
    outcome = await p.add_threat(threat_id, "x", severity, source=source, observed_at=observed_ms)
    assert outcome == "added"


async def a_shift(p: Periscope, archive: Archive) -> None:
    """What the table above says, in the order of time; the archive takes over half-way."""
    await first_seen(p, "old", "HIGH", "feed-b", -2, 0)
    clock(p, -1)
    await p.record_interaction("old", "ann", "view")
    await p.archive_audit(archive)
    clock(p, 1)
    await p.decide("old", "ann", "inconclusive")
    await first_seen(p, "a", "CRITICAL", "feed-a", 1, 0, observed_ms=at(0, 50))
    clock(p, 1, 5)
    await p.claim("a", "ann")
    clock(p, 1, 10)
    await p.record_interaction("a", "ann", "escalate")
    await first_seen(p, "b", "CRITICAL", "feed-a", 1, 30, observed_ms=at(1, 10))
    clock(p, 1, 50)
    await p.record_interaction("b", "bob", "view")
    clock(p, 2)
    await p.decide("a", "ann", "true_positive_impact")
    await first_seen(p, "c", "HIGH", "feed-a", 2, 0)
    await first_seen(p, "d", "HIGH", "feed-a", 2, 15, observed_ms=at(2, 14))
    clock(p, 2, 20)
    await p.record_interaction("c", "ann", "view", "by-mistake")
    clock(p, 2, 21)
    await p.undo("by-mistake")
    clock(p, 2, 45)
    await p.decide("d", "bob", "duplicate", duplicate_of="c")
    await p.archive_audit(archive)
    await first_seen(p, "e", "LOW", "feed-b", 3, 0, observed_ms=at(2))
    await first_seen(p, "f", "LOW", "feed-b", 3, 10)
    clock(p, 3, 30)
    await p.decide("b", "bob", "false_positive_logic")
    clock(p, 4)
    await p.add_threat("e", "more", "LOW", source="feed-b", observed_at=at(3, 59))
    clock(p, 4, 30)
    await p.decide("e", "bob", "benign_expected")
    clock(p, 4, 40)
    await p.reopen("e", "bob")
    clock(p, 5)
    await p.record_interaction("c", "ann", "view")
    clock(p, 6)
    await p.decide("e", "bob", "true_positive_no_impact")
    clock(p, 7)
    await p.remove(archive, "f", "root")
    clock(p, 8)


def spread_of(count: int, *minutes: float) -> Spread:
    """Mean, then the percentiles, given in minutes."""
    mean, p50, p90, p95 = (60.0 * one for one in minutes)
    return Spread(count, pytest.approx(mean), p50, p90, p95)  # type: ignore[arg-type]


async def expect_the_shift(found: Kpis) -> None:
    none = Spread()
    # a 10, b 20, d 1; e has had another report since, c and f state nothing.
    assert found.times["detect"] == {
        "ALL": spread_of(3, 31 / 3, 10, 20, 20),
        "CRITICAL": spread_of(2, 15, 10, 20, 20),
        "HIGH": spread_of(1, 1, 1, 1, 1),
        "MEDIUM": none,
        "LOW": none,
    }
    # a 10, b 20, c 180 (the view at 02:20 was taken back); that of old was on Sunday.
    assert found.times["triage"] == {
        "ALL": spread_of(3, 70, 20, 180, 180),
        "CRITICAL": spread_of(2, 15, 10, 20, 20),
        "HIGH": spread_of(1, 180, 180, 180, 180),
        "MEDIUM": none,
        "LOW": none,
    }
    # a 5 (claim), b 20, c 180, d 30, e 90 (decisions). f: nobody but who removed it.
    assert found.times["acknowledge"] == {
        "ALL": spread_of(5, 65, 30, 180, 180),
        "CRITICAL": spread_of(2, 12.5, 5, 20, 20),
        "HIGH": spread_of(2, 105, 30, 180, 180),
        "MEDIUM": none,
        "LOW": spread_of(1, 90, 90, 90, 90),
    }
    # old 180, a 60, b 120, d 30, e 90 (the first decision, though it was reopened).
    assert found.times["decide"] == {
        "ALL": spread_of(5, 96, 90, 180, 180),
        "CRITICAL": spread_of(2, 90, 60, 120, 120),
        "HIGH": spread_of(2, 105, 30, 180, 180),
        "MEDIUM": none,
        "LOW": spread_of(1, 90, 90, 90, 90),
    }
    # feed-a: a true, b false, d a duplicate: 1 of 2. feed-b: e true, old inconclusive: 1 of 1.
    assert found.sources == [
        SourceRate("feed-a", decided=3, true_positives=1, neither=1),
        SourceRate("feed-b", decided=2, true_positives=1, neither=1),
    ]
    assert [one.rate for one in found.sources] == [0.5, 1.0]
    flow = {
        0: (0, 0, 0, 0),
        1: (2, 0, 1, 0),  # a, b; old is decided
        2: (2, 0, 2, 0),  # c, d; a and d are decided
        3: (2, 0, 1, 0),  # e, f; b is decided
        4: (0, 1, 1, 0),  # e is decided, and reopened
        5: (0, 0, 0, 0),
        6: (0, 0, 1, 0),  # e is decided again
        7: (0, 0, 0, 1),  # f leaves without a decision
    }
    assert found.flow == [Bucket(at(hour), *counts) for hour, counts in flow.items()]
    assert found.change == 7 - 7
    assert (found.truncated, found.unknown) == ((), 0)


async def test_the_shift_while_acts_are_in_both_the_store_and_the_archive(
    p: Periscope, archive: Archive
) -> None:
    await a_shift(p, archive)
    await expect_the_shift(await kpis(p, archive, SINCE, NOW))
    # As if a worker had been killed between writing and trimming: each act is met twice.
    await archive.write_audit(await p.get_recent_audit())
    await expect_the_shift(await kpis(p, archive, SINCE, NOW))
    await p.archive_audit(archive)
    await expect_the_shift(await kpis(p, archive, SINCE, NOW))


async def test_a_threat_that_left_counts_as_it_did(p: Periscope, archive: Archive) -> None:
    await a_shift(p, archive)
    clock(p, 8, 30)
    for one in ("a", "b", "c", "d", "e", "old"):
        await p.remove(archive, one, "root")
    found = await kpis(p, archive, SINCE, NOW)
    await expect_the_shift(found)


async def test_without_now_it_is_the_servers_clock(p: Periscope, archive: Archive) -> None:
    await a_shift(p, archive)
    await expect_the_shift(await kpis(p, archive, SINCE))


async def test_a_threat_that_comes_back_has_another_life(p: Periscope, archive: Archive) -> None:
    await first_seen(p, "t", "HIGH", "feed", 0, 0)
    clock(p, 0, 10)
    await p.record_interaction("t", "ann", "view")
    clock(p, 1)
    await p.remove(archive, "t", "root")
    await p.allow("t", "root")
    await first_seen(p, "t", "HIGH", "feed", 2, 0)
    clock(p, 2, 30)
    await p.record_interaction("t", "ann", "view")
    clock(p, 3)
    found = await kpis(p, archive, timedelta(hours=3))
    assert found.times["triage"]["HIGH"] == spread_of(2, 20, 10, 30, 30)
    assert [one.seen for one in found.flow] == [1, 0, 1]
    assert [one.departed for one in found.flow] == [0, 1, 0]


async def test_too_much_is_bounded_and_said(p: Periscope, archive: Archive) -> None:
    await a_shift(p, archive)
    found = await kpis(p, archive, SINCE, NOW, most=3)
    assert found.truncated == ("acts",)  # all six threats are one page: nothing was left out
    reports = [{"threat_id": f"t{n}", "content": "x", "severity": "LOW"} for n in range(1100)]
    await p.add_threats_batch(reports)
    found = await kpis(p, archive, SINCE, NOW, most=1000)
    assert found.truncated == ("threats",)


async def test_what_is_gone_from_the_archive_is_counted_as_unknown(
    p: Periscope, archive: Archive
) -> None:
    await first_seen(p, "t", "HIGH", "feed", 0, 0)
    clock(p, 1)
    await p.record_interaction("t", "ann", "view")
    clock(p, 2)
    await p.remove(archive, "t", "root")
    await archive.retain(at(3))
    clock(p, 4)
    found = await kpis(p, archive, timedelta(hours=4), NOW - timedelta(hours=4))
    assert (found.unknown, found.times["triage"]["ALL"]) == (1, Spread())


def test_percentiles_are_values_at_their_rank() -> None:
    assert spread([]) == Spread()
    assert spread([7000]) == Spread(1, 7, 7, 7, 7)
    # 1 to 20 s: half of 20 is rank 10, 90 % rank 18, 95 % rank 19.
    assert spread([1000 * one for one in range(20, 0, -1)]) == Spread(20, 10.5, 10, 18, 19)
    # 1 to 10 s: ranks 5, 9 and, as 9.5 is none, 10.
    assert spread([1000 * one for one in range(1, 11)]) == Spread(10, 5.5, 5, 9, 10)


async def test_more_than_a_shift_is_told_by_the_day(p: Periscope, archive: Archive) -> None:
    await a_shift(p, archive)
    found = await kpis(p, archive, timedelta(days=8), MONDAY + timedelta(days=1))
    assert found.bucket_ms == 24 * HOUR_MS
    assert [(one.inflow, one.outflow) for one in found.flow][-2:] == [(1, 0), (7, 7)]


@pytest.mark.parametrize(
    ("since", "now"),
    [
        (timedelta(0), None),
        (timedelta(seconds=-1), None),
        (timedelta(days=367), None),
        (timedelta(days=1), datetime(2026, 1, 1)),  # noqa: DTZ001
    ],
)
async def test_a_stretch_that_is_none_is_refused(
    p: Periscope, archive: Archive, since: timedelta, now: datetime | None
) -> None:
    with pytest.raises(UsageError):
        await kpis(p, archive, since, now)


async def test_the_document_says_it_all(p: Periscope, archive: Archive) -> None:
    await a_shift(p, archive)
    told = document(await kpis(p, archive, SINCE, NOW))
    assert told["since"] == "2026-09-21T00:00:00.000Z"
    assert told["until_ms"] == at(8)
    assert told["times"]["decide"]["CRITICAL"]["p90_s"] == 7200
    assert told["sources"][0]["true_positive_rate"] == 0.5
    assert told["flow"][1] == {
        "start": "2026-09-21T01:00:00.000Z",
        "start_ms": at(1),
        "seen": 2,
        "reopened": 0,
        "decided": 1,
        "departed": 0,
        "inflow": 2,
        "outflow": 1,
    }
    assert told["bucket_seconds"] == 3600
