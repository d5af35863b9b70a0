"""Acts, promotion and sweeps under faults: counted once, in one level or in the archive."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from periscope import Periscope, PeriscopeError, Policy
from periscope.archive import Archive, open_archive
from tests.support.proxy import CuttingProxy
from tests.support.servers import ServerProcess

NOW = 1_790_000_000_000
HOUR = 3_600_000
# One escalation by each of two analysts is enough here, so that promotions are cheap to prepare.
EAGER = Policy(promote_score=0.1, promote_escalations=1, short_term_ttl=timedelta(days=7))


@pytest.fixture
def durable() -> Iterator[ServerProcess]:
    process = ServerProcess("--appendonly", "yes", "--appendfsync", "always").start()
    yield process
    process.stop()


@pytest.fixture
async def archive(tmp_path: Path) -> AsyncIterator[Archive]:
    found = await open_archive(tmp_path / "archive.db")
    yield found
    await found.close()


def acts(ids: list[str], analyst: str) -> list[dict[str, str]]:
    return [
        {
            "threat_id": one,
            "analyst_id": analyst,
            "action": "escalate",
            "interaction_id": f"{analyst}-{one}",
        }
        for one in ids
    ]


@pytest.mark.parametrize("after", [0, 1, 60, 400])
async def test_an_act_repeated_after_a_lost_reply_counts_once(
    server: ServerProcess, periscope: Periscope, after: int
) -> None:
    await periscope.add_threat("t", "x", "HIGH")
    async with (
        CuttingProxy(server.socket, cuts=3, cut_after_bytes=after) as proxy,
        Periscope.open(proxy.url, retry_s=10) as p,
    ):
        proxy.armed = True
        threat = await p.record_interaction("t", "ann", "escalate")
        result = await p.record_interactions_batch(acts(["t"], "bob") * 700)
        proxy.armed = False
        assert proxy.done >= 1
    assert (threat.escalations, threat.analysts) == (1, 1)
    assert (result.recorded, result.repeated) == (1, 699)
    now = await periscope.get_threat("t")
    assert now is not None
    assert (now.interactions, now.escalations, now.analysts) == (2, 2, 2)


async def test_cancelled_acts_are_whole_or_absent_and_safe_to_repeat(periscope: Periscope) -> None:
    ids = [f"t{i}" for i in range(20)]
    await periscope.add_threats_batch(
        {"threat_id": one, "content": "x", "severity": "LOW"} for one in ids
    )
    chance = random.Random(7)
    entries = acts(ids, "ann") + acts(ids, "bob") + acts(ids, "cy")

    async def act(entry: dict[str, Any]) -> None:
        await periscope.record_interaction(**entry)

    for _ in range(3):
        tasks = [asyncio.create_task(act(entry)) for entry in entries]
        for task in chance.sample(tasks, len(tasks) // 2):
            await asyncio.sleep(0)
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    for entry in entries:
        await act(entry)
    for threat in await periscope.get_threats(ids):
        assert (threat.interactions, threat.escalations, threat.analysts) == (3, 3, 3)


async def test_a_server_killed_in_promotion_and_sweep_loses_and_doubles_nothing(
    durable: ServerProcess, archive: Archive
) -> None:
    chance = random.Random(11)
    ids = [f"t{i}" for i in range(1200)]
    rising, leaving = ids[:400], ids[400:]
    async with Periscope.open(durable.url, retry_s=0, call_timeout_s=5) as p:
        p.functions.now_ms = NOW
        await p.set_policy(EAGER)
        await p.add_threats_batch({"threat_id": i, "content": i, "severity": "LOW"} for i in ids)
        for analyst in ("ann", "bob"):
            await p.record_interactions_batch(acts(rising, analyst))
        p.functions.now_ms = NOW + 25 * HOUR
        for _ in range(6):
            work = [
                asyncio.create_task(p.promote_eligible_threats()),
                asyncio.create_task(p.sweep(archive)),
            ]
            await asyncio.sleep(chance.uniform(0.002, 0.03))
            durable.kill()
            for ended in await asyncio.gather(*work, return_exceptions=True):
                assert not isinstance(ended, BaseException) or isinstance(ended, PeriscopeError)
            durable.start()
            await _settle_leftovers(p, archive)
            await _check_whole(p, archive, ids)
        await p.promote_eligible_threats()
        await p.sweep(archive)
        await _check_whole(p, archive, ids)
        assert (await p.get_short_term(count=1)).total == len(rising)
        assert await archive.counts() == {"expired_unseen": len(leaving)}


async def _settle_leftovers(p: Periscope, archive: Archive) -> None:
    while True:
        with suppress(PeriscopeError):
            await p.resolve_departures(archive)
            break


async def _check_whole(p: Periscope, archive: Archive, ids: list[str]) -> None:
    """The ledger balances, and each threat is in exactly one level, or once in the archive."""
    ledger = await p.get_ledger(deep=True)
    assert ledger.balanced, ledger
    assert await archive.pending() == []
    departed = [one.threat_id for _, one in await archive.history(limit=5000)]
    assert len(departed) == len(set(departed)) == ledger.departed
    here = {threat.threat_id for threat in await p.get_threats(ids)}
    assert here | set(departed) == set(ids)
    assert not here & set(departed)


async def test_a_killed_workers_late_call_does_nothing(
    periscope: Periscope, archive: Archive
) -> None:
    """The archive was written, then nothing: the batch is given up, and a late call finds that."""
    p = periscope
    p.functions.now_ms = NOW
    await p.add_threat("t", "x", "LOW")
    p.functions.now_ms = NOW + 25 * HOUR
    keeping = p._keeping
    (keys,) = p.keyspace.partitions
    step = await keeping._calls.overtaken(keys, p.functions.rules, 0, 0, 10)
    await p.adopt_archive(archive)
    await archive.prepare("late", 0, keeping._rows(step.candidates, "", ""))
    assert await p.resolve_departures(archive) == 0
    assert await archive.pending() == []
    departing = [(one.threat_id, one.revision) for one in step.candidates]
    assert await keeping._calls.depart(keys, p.functions.rules, "late", departing) == "VOID"
    assert await p.get_threat("t") is not None
    p.functions.now_ms += 11 * 60_000
    await p.resolve_departures(archive)
    assert (await p.get_holdings())["departures_open"] == 0


async def test_a_departure_answered_but_not_confirmed_is_made_final(
    periscope: Periscope, archive: Archive
) -> None:
    p = periscope
    p.functions.now_ms = NOW
    await p.add_threats_batch(
        {"threat_id": f"t{i}", "content": "x", "severity": "LOW"} for i in "ab"
    )
    p.functions.now_ms = NOW + 25 * HOUR
    keeping = p._keeping
    (keys,) = p.keyspace.partitions
    step = await keeping._calls.overtaken(keys, p.functions.rules, 0, 0, 10)
    await p.adopt_archive(archive)
    await archive.prepare("b", 0, keeping._rows(step.candidates, "", ""))
    departing = [(one.threat_id, one.revision) for one in step.candidates]
    await p.record_interaction("ta", "ann", "view")
    words = await keeping._calls.depart(keys, p.functions.rules, "b", departing)
    assert sorted(words) == ["d", "k"]
    assert await p.resolve_departures(archive) == 1
    assert [one.threat_id for _, one in await archive.history()] == ["tb"]
    assert await p.get_threat("ta") is not None
    p.functions.now_ms += 11 * 60_000  # kept so long for a late call of the one who asked
    await p.resolve_departures(archive)
    assert (await p.get_holdings())["departures_open"] == 0
