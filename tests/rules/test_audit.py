"""The audit trail: every act of an analyst, once, durable, never trimmed unarchived."""

from __future__ import annotations

import asyncio
import json

import pytest

from periscope import AuditFull, BatchInterrupted, Claimed, Periscope, Policy
from periscope.archive import Archive, AuditEntry
from tests.rules.scene import START_MS, acts, add, look, pass_time, report, to_short_term


def told(entries: list[AuditEntry]) -> list[tuple[str, str, str]]:
    return [(one.action, one.threat_id, one.analyst_id) for one in entries]


async def archived(archive: Archive) -> list[AuditEntry]:
    """All that the archive has, oldest first."""
    return [entry for _, entry in await archive.audit(limit=10_000)][::-1]


async def do_everything(p: Periscope, archive: Archive) -> list[tuple[str, str, str]]:
    """One of each act on `t`; the trail that it must leave."""
    await add(p, "t")
    await acts(p, "t", *(f"ann {one}" for one in ("view", "escalate", "dismiss", "monitor")))
    act = await acts(p, "t", "ann investigate")
    assert act.interaction_id is not None
    await p.undo(act.interaction_id)
    await p.comment("t", "bob", "a word")
    await p.claim("t", "bob")
    claim = await p.claim("t", "carl", take_over=True)
    await p.release(claim)
    await p.decide("t", "ann", "true_positive_impact", "a note")
    await p.recall("t", "ann")
    await p.reopen("t", "bob")
    await p.remove(archive, "t", "zoe", "spam")
    await p.allow("t", "zoe")
    verbs = ["view", "escalate", "dismiss", "monitor", "investigate", "undo"]
    return [
        *[(verb, "t", "ann") for verb in verbs],
        *[("comment", "t", "bob"), ("claim", "t", "bob"), ("takeover", "t", "carl")],
        *[("release", "t", "carl"), ("decide", "t", "ann"), ("recall", "t", "ann")],
        *[("reopen", "t", "bob"), ("remove", "t", "zoe"), ("allow", "t", "zoe")],
    ]


async def test_every_act_is_on_record(spread: Periscope, archive: Archive) -> None:
    p = spread
    expected = await do_everything(p, archive)
    await p.archive_audit(archive)
    assert told(await archived(archive)) == expected


async def test_entries_tell_when_and_under_which_id(p: Periscope) -> None:
    await add(p, "t")
    pass_time(p, 1234)
    await p.record_interaction("t", "ann", "view", "my-id")
    await p.decide("t", "ann", "inconclusive", "the note", request_id="other")
    first, second = await p.get_recent_audit()
    assert (first.at_ms, first.request_id) == (START_MS + 1234, "my-id")
    assert (second.at_ms, second.request_id) == (START_MS + 1234, "other")
    assert "the note" in json.dumps(json.loads(second.detail))
    assert "inconclusive" in second.detail


async def test_what_is_done_twice_or_refused_is_recorded_once_or_not(p: Periscope) -> None:
    await add(p, "t")
    for _ in range(3):
        await p.record_interaction("t", "ann", "view", "once")
    await p.claim("t", "ann")
    with pytest.raises(Claimed):
        await p.record_interaction("t", "bob", "dismiss")
    assert [one.action for one in await p.get_recent_audit()] == ["view", "claim"]


async def test_workers_and_reports_leave_no_acts(p: Periscope, archive: Archive) -> None:
    await to_short_term(p, "t")
    await p.add_threat("t", "news", "LOW")
    await p.sweep(archive)
    assert {one.action for one in await p.get_recent_audit()} == {"escalate"}


async def test_it_is_moved_into_the_archive_once(spread: Periscope, archive: Archive) -> None:
    p = spread
    ids = [f"t{number}" for number in range(20)]
    await p.add_threats_batch(report(one) for one in ids)
    await p.record_interactions_batch(
        {"threat_id": one, "analyst_id": f"analyst {number}", "action": "view"}
        for number in range(60)
        for one in ids
    )
    assert await p.archive_audit(archive) == 1200
    assert await p.archive_audit(archive) == 0
    assert await p.get_recent_audit() == []
    assert (await p.get_holdings())["audit_bytes"] == 0
    entries = await archived(archive)
    assert len(entries) == len({(one.partition, one.stream_id, one.position) for one in entries})
    assert sorted(told(entries)) == sorted(
        ("view", one, f"analyst {number}") for number in range(60) for one in ids
    )


async def test_workers_that_move_it_at_once_double_nothing(
    spread: Periscope, archive: Archive
) -> None:
    p = spread
    await add(p, "t")
    for number in range(200):
        await p.record_interaction("t", f"analyst {number}", "view")
    await asyncio.gather(*(p.archive_audit(archive) for _ in range(5)))
    assert len(await archived(archive)) == 200
    assert await p.get_recent_audit() == []


async def test_it_goes_on_after_it_was_archived(p: Periscope, archive: Archive) -> None:
    await add(p, "t")
    for number in range(5):
        await p.record_interaction("t", f"analyst {number}", "view")
        await p.archive_audit(archive)
    assert [one.analyst_id for one in await archived(archive)] == [
        f"analyst {number}" for number in range(5)
    ]


async def test_at_its_limit_acts_are_refused_until_it_is_archived(
    spread: Periscope, archive: Archive
) -> None:
    p = spread
    await p.set_policy(Policy(audit_limit_kb=2))
    await add(p, "t", "u")
    with pytest.raises(AuditFull):
        await acts(p, "t", "ann view x500")
    done = (await look(p, "t")).interactions
    assert 0 < done < 100
    assert len(await p.get_recent_audit()) == done
    for call in (
        p.decide("t", "ann", "inconclusive"),
        p.comment("t", "ann", "hm"),
        p.claim("t", "ann"),
        p.reopen("t", "ann"),
    ):
        with pytest.raises(AuditFull):
            await call
    assert await p.archive_audit(archive) == done
    assert (await acts(p, "t", "ann view")).interactions == done + 1


async def test_reports_reads_and_workers_go_on_at_the_limit(p: Periscope, archive: Archive) -> None:
    await p.set_policy(Policy(audit_limit_kb=0))
    await add(p, "t")
    with pytest.raises(AuditFull):
        await acts(p, "t", "ann view")
    await p.add_threat("t", "news", "LOW")
    assert (await look(p, "t")).sightings == 1
    await p.promote_eligible_threats()
    pass_time(p, 30 * 24 * 60 * 60 * 1000)
    assert (await p.sweep(archive)).expired_unseen == 1


async def test_a_batch_at_the_limit_tells_what_was_recorded(p: Periscope) -> None:
    await p.set_policy(Policy(audit_limit_kb=8))
    await add(p, "t")
    with pytest.raises(BatchInterrupted) as caught:
        await p.record_interactions_batch(
            {"threat_id": "t", "analyst_id": "ann", "action": "view"} for _ in range(20_000)
        )
    error = caught.value
    assert isinstance(error.__cause__, AuditFull)
    assert error.unknown == 0
    assert (await look(p, "t")).interactions == error.result.committed
    assert len(await p.get_recent_audit()) == error.result.committed


async def test_it_is_searched_by_analyst_threat_and_time(p: Periscope, archive: Archive) -> None:
    await add(p, "t", "u")
    await acts(p, "t", "ann view", "bob view")
    later_ms = pass_time(p, 1000)
    await acts(p, "u", "ann view", "bob escalate")
    await p.archive_audit(archive)
    assert len(await archive.audit(analyst_id="ann")) == 2
    assert len(await archive.audit(threat_id="u")) == 2
    assert len(await archive.audit(since_ms=later_ms)) == 2
    assert len(await archive.audit(analyst_id="bob", threat_id="u", since_ms=later_ms)) == 1


async def test_hostile_text_comes_back_as_it_was(p: Periscope, archive: Archive) -> None:
    text = 'quote " back \\ nul \x00 newline \r\n esc \x1b[31m </script> \u202e end'
    await p.add_threat("t\r\n\x00{", "x", "LOW")
    await p.comment("t\r\n\x00{", "a'; DROP--", text)
    await p.archive_audit(archive)
    (entry,) = await archived(archive)
    assert (entry.threat_id, entry.analyst_id) == ("t\r\n\x00{", "a'; DROP--")
    assert text in str(json.loads(entry.detail)) or text in list(_texts(json.loads(entry.detail)))


def _texts(value: object) -> list[object]:
    if isinstance(value, dict):
        return [text for inner in value.values() for text in _texts(inner)]
    if isinstance(value, list):
        return [text for inner in value for text in _texts(inner)]
    return [value]
