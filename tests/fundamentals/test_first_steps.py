"""What Periscope does, in the order in which one would learn it."""

from __future__ import annotations

from datetime import timedelta
from math import exp, isclose
from pathlib import Path

import pytest

from periscope import Outcome, Periscope, Report, Severity, Status
from periscope.server import server_status


async def test_a_report_becomes_a_threat(periscope: Periscope) -> None:
    outcome = await periscope.add_threat("edr-1", "Credential dumping on web-03", "CRITICAL")
    assert outcome is Outcome.ADDED
    threat = await periscope.get_threat("edr-1")
    assert threat is not None
    assert (threat.severity, threat.status) == (Severity.CRITICAL, Status.OPEN)
    assert threat.first_seen == threat.last_activity <= threat.as_of


async def test_an_unknown_threat_is_none(periscope: Periscope) -> None:
    assert await periscope.get_threat("nobody") is None
    assert not await periscope.threat_exists("nobody")
    assert await periscope.get_threats(["nobody", ""]) == []


async def test_the_queue_is_ranked_by_score(periscope: Periscope) -> None:
    reports = [Report(name, name, name) for name in ("LOW", "CRITICAL", "MEDIUM", "HIGH")]  # type: ignore[arg-type]
    await periscope.add_threats_batch(reports)
    top = await periscope.get_top_threats()
    assert [threat.threat_id for threat in top] == ["CRITICAL", "HIGH", "MEDIUM", "LOW"]


async def test_a_score_falls_with_time_and_is_explained(periscope: Periscope) -> None:
    periscope.functions.now_ms = 1_790_000_000_000
    await periscope.add_threat("t", "x", "HIGH")
    periscope.functions.now_ms += timedelta(minutes=30) // timedelta(milliseconds=1)
    threat = await periscope.get_threat("t")
    assert threat is not None
    assert isclose(threat.score, 0.3 * 0.7 + 0.2 * exp(-1))
    explained = threat.explain()
    assert explained.score == threat.score
    assert [term.name for term in explained.terms] == [
        *("severity", "interactions", "escalations", "recency")
    ]


async def test_saying_the_same_again_changes_nothing(periscope: Periscope) -> None:
    await periscope.add_threat("t", "x", "LOW")
    assert await periscope.add_threat("t", "x", "LOW") is Outcome.DUPLICATE
    assert await periscope.add_threat("t", "something new", "LOW") is Outcome.SIGHTING
    threat = await periscope.get_threat("t")
    assert threat is not None
    assert (threat.content, threat.sightings) == ("something new", 1)


async def test_any_iterable_goes_in_and_bad_reports_come_back(periscope: Periscope) -> None:
    reports = (
        {"threat_id": f"t{i % 3 or ''}", "content": "x", "severity": "LOW"} for i in range(6)
    )
    result = await periscope.add_threats_batch(reports)
    assert (result.added, result.duplicates, result.rejected_count) == (3, 3, 0)
    result = await periscope.add_threats_batch([{"threat_id": "t"}])
    assert result.rejected == [(0, "t", "content: missing")]


async def test_pages_walk_the_whole_queue(periscope: Periscope) -> None:
    await periscope.add_threats_batch(
        {"threat_id": f"t{i}", "content": "x", "severity": "LOW"} for i in range(25)
    )
    page = await periscope.get_active_paginated(count=10)
    assert (len(page), page.total) == (10, 25)
    second = await periscope.get_active_paginated(page.next_cursor, count=10)
    assert second.as_of == page.as_of
    last = await periscope.get_active_paginated(second.next_cursor, count=10)
    assert (len(last), last.next_cursor) == (5, None)


async def test_stats_and_ledger_say_where_everything_is(periscope: Periscope) -> None:
    await periscope.add_threats_batch(
        [{"threat_id": "a", "content": "x", "severity": "LOW"}] * 3 + [None]
    )
    stats = await periscope.get_stats()
    assert (stats.queue, stats.unseen["LOW"], stats.counts["open"]["LOW"]) == (1, 1, 1)
    ledger = await periscope.get_ledger()
    assert ledger.balanced
    assert (ledger.received, ledger.added, ledger.duplicates, ledger.rejected) == (4, 1, 2, 1)


async def test_without_a_url_a_server_starts_and_stops_by_itself(tmp_path: Path) -> None:
    async with Periscope.open(data_dir=tmp_path / "data", min_free_mb=0) as p:
        await p.add_threat("t", "x", "LOW")
        assert p.server.durability == "durable"
        assert (await server_status(tmp_path / "data")).running
    assert not (await server_status(tmp_path / "data")).running
    async with Periscope.open(data_dir=tmp_path / "data", min_free_mb=0) as p:
        assert await p.threat_exists("t")


@pytest.mark.parametrize("partitions", [1, 5])
async def test_partitions_change_nothing_that_is_seen(tmp_path: Path, partitions: int) -> None:
    async with Periscope.open(
        data_dir=tmp_path / "data", min_free_mb=0, partitions=partitions, durability="fast"
    ) as p:
        reports = [
            {"threat_id": f"t{i}", "content": "x", "severity": ("LOW", "HIGH")[i % 2]}
            for i in range(2_000)
        ]
        assert (await p.add_threats_batch(reports)).added == 2_000
        assert (await p.get_by_severity("HIGH")).total == 1_000
        assert len([t async for t in p.get_all_active()]) == 2_000
        assert (await p.get_ledger(deep=True)).balanced
