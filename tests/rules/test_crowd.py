"""Twenty processes act on the same hundred threats at once: the counts are exact."""

from __future__ import annotations

import asyncio
import json
import sys
from asyncio.subprocess import PIPE, Process
from collections import Counter

from periscope import Level, Periscope, Threat
from periscope.archive import Archive
from tests.rules.crowd import ACTIONS, THREATS
from tests.rules.scene import report

PROCESSES = 20
IDS = [f"t{number}" for number in range(THREATS)]


async def start(url: str, analyst: str, mode: str) -> Process:
    words = ("-m", "tests.rules.crowd", url, analyst, mode)
    return await asyncio.create_subprocess_exec(sys.executable, *words, stdin=PIPE, stdout=PIPE)


async def is_ready(process: Process) -> bool:
    assert process.stdout is not None
    return await process.stdout.readline() == b"ready\n"


async def crowd(url: str, mode: str) -> Counter[str]:
    """Let all processes loose at once; the sum of what they did."""
    processes = [await start(url, f"analyst {number}", mode) for number in range(PROCESSES)]
    try:
        assert all(await asyncio.gather(*map(is_ready, processes)))
        told: Counter[str] = Counter()
        for output, _ in await asyncio.gather(*(one.communicate(b"go\n") for one in processes)):
            told.update(json.loads(output))
    finally:
        for process in processes:
            if process.returncode is None:
                process.kill()
            await process.wait()
    assert [one.returncode for one in processes] == [0] * PROCESSES
    return told


def counts(threat: Threat) -> tuple[int, ...]:
    return (
        *(threat.interactions, threat.escalations, threat.dismissals),
        *(threat.views, threat.analysts),
    )


async def test_counts_are_exact(spread: Periscope, archive: Archive) -> None:
    p = spread
    p.functions.now_ms = None
    await p.add_threats_batch(report(one) for one in IDS)
    assert p.settings.url is not None
    await crowd(p.settings.url, "interact")
    threats = await p.get_threats(IDS)
    assert {counts(one) for one in threats} == {
        (PROCESSES * len(ACTIONS), PROCESSES, PROCESSES, PROCESSES, PROCESSES)
    }
    desk = await p.get_desk("t0")
    assert sorted((act.analyst_id, act.interactions) for act in desk.acts) == sorted(
        (f"analyst {number}", len(ACTIONS)) for number in range(PROCESSES)
    )
    expected = PROCESSES * len(ACTIONS) * THREATS
    assert await p.archive_audit(archive) == expected
    assert (await p.get_holdings())["remembered"] == expected


async def test_promotions_and_claims_happen_once(spread: Periscope) -> None:
    p = spread
    p.functions.now_ms = None
    await p.add_threats_batch(report(one, "CRITICAL") for one in IDS)
    for analyst in ("ann", "bob"):
        await p.record_interactions_batch(
            {"threat_id": one, "analyst_id": analyst, "action": "escalate"}
            for one in IDS
            for _ in range(2)
        )
    assert p.settings.url is not None
    told = await crowd(p.settings.url, "work")
    told["promoted"] += (await p.promote_eligible_threats()).promoted
    assert (told["promoted"], told["lost"]) == (THREATS, 0)
    threats = await p.get_threats(IDS)
    assert {(one.level, one.consolidations) for one in threats} == {(Level.SHORT_TERM, 1)}
    assert (await p.get_holdings())["claims"] == 0
