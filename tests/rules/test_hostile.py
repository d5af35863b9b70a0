"""What a hostile or unlucky caller once broke: each of these was a defect, found by review."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

import msgspec
import pytest

from periscope import ArchiveMismatch, AuditFull, Level, Periscope, Policy, UsageError
from periscope.archive import open_archive

HOUR = 3_600_000
NOW = 1_790_000_000_000


async def test_an_industry_of_blanks_does_not_stop_the_server(periscope: Periscope) -> None:
    p = periscope
    await p.set_policy(Policy(long_term_consolidations=1, long_term_confidence=0.1))
    metadata = {"industry": "x" + " " * 60_000 + "x", "industries": [" Rail ", 7, "\x00"]}
    await p.add_threat("t", "x", "CRITICAL", metadata)
    for analyst in ("ann", "bob"):
        await p.record_interaction("t", analyst, "escalate")
    begun = time.monotonic()
    assert (await p.promote_eligible_threats()).promoted == 1
    assert time.monotonic() - begun < 5
    assert [one.threat_id for one in await p.get_long_term("RAIL")] == ["t"]


async def test_a_crowd_of_analysts_departs_and_the_threat_comes_back(
    periscope: Periscope, tmp_path: Path
) -> None:
    p = periscope
    p.functions.now_ms = NOW
    archive = await open_archive(tmp_path / "a.db")
    for threat_id, crowd in (("few", 700), ("many", 4_100)):
        await p.add_threat(threat_id, "x", "LOW")
        result = await p.record_interactions_batch(
            {"threat_id": threat_id, "analyst_id": f"a{i}", "action": "view"} for i in range(crowd)
        )
        assert result.recorded == crowd
    p.functions.now_ms += 2 * HOUR
    assert (await p.sweep(archive)).expired_seen == 2
    for threat_id, crowd in (("few", 700), ("many", 4_100)):
        assert await p.add_threat(threat_id, "changed", "LOW") == "added"
        threat = await p.record_interaction(threat_id, "a0", "view")
        assert threat.analysts >= crowd
    await archive.close()


async def test_undo_may_make_a_threat_rise(periscope: Periscope) -> None:
    p = periscope
    await p.add_threat("t", "x", "CRITICAL", {"industry": "rail"})
    for analyst in ("ann", "bob", "cy"):
        await p.record_interaction("t", analyst, "escalate")
    await p.promote_eligible_threats()
    eased = msgspec.structs.replace(
        await p.get_policy(), long_term_consolidations=1, long_term_confidence=0.5
    )
    await p.set_policy(eased)
    decided = await p.decide("t", "ann", "benign_expected")
    assert decided.interaction_id is not None
    assert (await p.undo(decided.interaction_id)).level is Level.LONG_TERM
    assert [one.threat_id for one in await p.get_long_term("rail")] == ["t"]


async def test_an_act_repeated_after_the_threat_left_gives_the_first_reply(
    periscope: Periscope, tmp_path: Path
) -> None:
    p = periscope
    p.functions.now_ms = NOW
    archive = await open_archive(tmp_path / "a.db")
    await p.add_threat("t", "x", "LOW")
    first = await p.record_interaction("t", "ann", "view", "id-1")
    p.functions.now_ms += 2 * HOUR
    await p.sweep(archive)
    assert await p.get_threat("t") is None
    again = await p.record_interaction("t", "ann", "view", "id-1")
    assert (again.interactions, again.as_of_ms) == (first.interactions, first.as_of_ms)
    await archive.close()


async def test_a_forged_position_is_told(periscope: Periscope) -> None:
    await periscope.add_threat("t", "x", "LOW")
    with pytest.raises(UsageError, match="not a position"):
        await asyncio.wait_for(anext(aiter(periscope.events("0-0+999999"))), 5)


async def test_a_refused_removal_leaves_nothing_pending(
    periscope: Periscope, tmp_path: Path
) -> None:
    p = periscope
    archive = await open_archive(tmp_path / "a.db")
    await p.add_threat("t", "x", "LOW")
    await p.set_policy(Policy(audit_limit_kb=0))
    with pytest.raises(AuditFull) as caught:
        await p.remove(archive, "t", "ann")
    assert "script:" not in str(caught.value)
    assert await archive.pending() == []
    assert await archive.counts() == {}
    await archive.close()


async def test_two_databases_do_not_share_an_archive(periscope: Periscope, tmp_path: Path) -> None:
    archive = await open_archive(tmp_path / "a.db")
    await periscope.adopt_archive(archive)
    url = periscope.settings.url
    async with Periscope.open(url, namespace="other") as other:
        with pytest.raises(ArchiveMismatch, match="of another database"):
            await other.sweep(archive)
    await archive.close()
