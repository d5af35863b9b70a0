"""The same calls on a cluster, exact over 64 partitions on three servers."""

from __future__ import annotations

from collections import Counter
from datetime import timedelta
from pathlib import Path

import pytest

from periscope import Level, Periscope, Policy, StoreUnsuitable
from periscope.archive import open_archive
from periscope.keys import slot_of_key
from periscope.models import SEVERITIES
from tests.support.clusters import Cluster
from tests.support.history import check_ranking

NOW = 1_790_000_000_000
HOUR = 3_600_000
EAGER = Policy(promote_score=0.1, promote_escalations=1)


def reports(number: int) -> list[dict[str, str]]:
    return [
        {"threat_id": f"t{i}", "content": f"c{i}", "severity": SEVERITIES[i % 4].value}
        for i in range(number)
    ]


async def test_partitions_lie_evenly_and_the_library_is_everywhere(
    p: Periscope, shared: Cluster
) -> None:
    assert len(p.keyspace.partitions) == 64
    slots = [slot_of_key(keys.meta) for keys in p.keyspace.partitions]
    owners = Counter([(await shared.owner(slot)).port for slot in slots])
    assert sorted(owners.values()) == [21, 21, 22]
    for node in await shared.primaries():
        assert "periscope" in str(await node.ask("FUNCTION", "LIST", "LIBRARYNAME", "periscope"))


async def test_ranking_and_pages_are_exact(p: Periscope) -> None:
    result = await p.add_threats_batch(reports(3000))
    assert (result.added, result.rejected) == (3000, [])
    again = await p.add_threats_batch(reports(3000))
    assert (again.added, again.duplicates) == (0, 3000)
    acts = [
        {"threat_id": f"t{i}", "analyst_id": f"a{i % 3}", "action": "escalate"}
        for i in range(0, 3000, 7)
    ]
    assert (await p.record_interactions_batch(acts)).recorded == len(acts)
    await check_ranking(p, 1000)
    p.functions.now_ms = NOW + HOUR * 24 * 365
    top = [threat.threat_id for threat in await p.get_top_threats(700)]
    walked: list[str] = []
    page = await p.get_active_paginated(count=300)
    assert page.total == 3000
    while True:
        walked += [threat.threat_id for threat in page.items]
        if page.next_cursor is None:
            break
        page = await p.get_active_paginated(page.next_cursor, count=300)
    assert walked[:700] == top
    assert sorted(walked) == sorted(report["threat_id"] for report in reports(3000))
    critical = await p.get_by_severity("CRITICAL", count=1000)
    assert (critical.total, len(critical.items)) == (750, 750)


async def test_what_was_snoozed_wakes_wherever_it_is(p: Periscope) -> None:
    await p.add_threats_batch(reports(200))
    p.functions.now_ms = NOW
    ids = {f"t{i}" for i in range(0, 200, 4)}
    for threat_id in ids:
        await p.snooze(threat_id, "ann", timedelta(hours=1))
    assert (await p.get_by_status("snoozed")).total == len(ids)
    p.functions.now_ms = NOW + HOUR - 1
    assert (await p.wake_snoozed_threats()).woken == 0
    p.functions.now_ms = NOW + HOUR
    stats = await p.wake_snoozed_threats()
    assert (set(stats.woken_ids), stats.woken, stats.failed) == (ids, len(ids), 0)
    assert (await p.get_by_status("open")).total == 200


async def test_analysts_work_and_the_queue_is_one(p: Periscope) -> None:
    await p.add_threats_batch(reports(200))
    (first,) = await p.get_top_threats(1)
    claims = [await p.claim_next(f"analyst{i}") for i in range(20)]
    taken = [claim.threat_id for claim in claims if claim is not None]
    assert taken[0] == first.threat_id
    assert len(set(taken)) == 20
    assert claims[3] is not None
    await p.release(claims[3])
    threat = await p.record_interaction("t5", "ann", "dismiss", "mine")
    assert threat.dismissals == 1
    assert (await p.undo("mine")).dismissals == 0
    assert not await p.threat_exists("nobody", exact=True)


async def test_promotion_expiry_and_recall(p: Periscope, tmp_path: Path) -> None:
    p.functions.now_ms = NOW
    await p.set_policy(EAGER)
    await p.add_threats_batch(reports(400))
    for analyst in ("ann", "bob"):
        for number in range(50):
            await p.record_interaction(f"t{number}", analyst, "escalate")
    stats = await p.promote_eligible_threats()
    assert (stats.promoted, stats.failed) == (50, 0)
    assert (await p.get_short_term(count=100)).total == 50
    _, level = await p.recall("t7", "ann")
    assert level is Level.SHORT_TERM
    p.functions.now_ms = NOW + 30 * HOUR
    archive = await open_archive(tmp_path / "archive.db")
    swept = await p.sweep(archive)
    counts = await archive.counts()
    await archive.close()
    assert swept.expired == sum(counts.values()) > 0
    assert (await p.get_ledger(deep=True)).balanced


async def test_events_of_all_partitions_are_one_stream(p: Periscope) -> None:
    events = p.events(since=",".join(["0-0"] * 64))
    await p.add_threats_batch(reports(100))
    named: set[str] = set()
    async for event in events:
        named.update(event.threat_ids)
        if len(named) == 100:
            break


async def test_a_policy_of_one_process_holds_for_the_other(p: Periscope, shared: Cluster) -> None:
    async with Periscope.open(shared.url, namespace=p.settings.namespace) as other:
        await other.add_threat("t", "x", "LOW")
        await p.set_policy(Policy(severity_weight=0.9, recency_weight=0.0))
        threat = await other.get_threat("t")
        assert threat is not None
        assert threat.score == pytest.approx(0.09)
        assert (await other.get_policy()).severity_weight == 0.9


async def test_one_node_of_the_url_is_enough_and_the_first_may_be_away(shared: Cluster) -> None:
    last = shared.nodes[-1].address
    for url in (f"valkey://{last}", f"redis://127.0.0.1:1,{last}"):
        async with Periscope.open(url, namespace="contact") as p:
            assert p.server.primaries == 3
    with pytest.raises(StoreUnsuitable, match="no such database number"):
        await Periscope.open(f"valkey://{last}/1").start()
