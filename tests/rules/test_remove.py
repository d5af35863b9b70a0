"""Removing, allowing, erasing: what leaves because somebody says so."""

from __future__ import annotations

from typing import Any

import pytest

from periscope import ActInvalid, ArchiveMismatch, NotRemoved, Periscope, ThreatUnknown
from periscope.archive import Archive, open_archive
from tests.rules.scene import (
    DAY_MS,
    HOUR_MS,
    acts,
    add,
    ids_of,
    is_gone,
    look,
    pass_time,
    say,
    to_long_term,
    to_short_term,
)

SECRET = "the words that must go"
READ: dict[Any, tuple[Any, ...]] = {
    b"string": ("GET",),
    b"hash": ("HGETALL",),
    b"zset": ("ZRANGE", 0, -1),
    b"stream": ("XRANGE", "-", "+"),
}


@pytest.mark.parametrize("level", [1, 2, 3])
async def test_a_removed_threat_is_archived_first(
    p: Periscope, archive: Archive, level: int
) -> None:
    if level == 1:
        await add(p, "t", severity="CRITICAL")
    else:
        await (to_short_term if level == 2 else to_long_term)(p, "t")
    before = await look(p, "t")
    now_ms = pass_time(p, HOUR_MS)
    await p.remove(archive, "t", "zoe", "not ours")
    assert await is_gone(p, "t")
    ((_, row),) = await archive.history(threat_id="t")
    assert (row.reason, row.departed_at_ms, row.level) == ("removed", now_ms, level)
    assert (row.actor, row.note, row.interactions) == ("zoe", "not ours", before.interactions)
    ledger = await p.get_ledger()
    assert (ledger.removed, ledger.departed, ledger.in_levels) == (1, 1, 0)
    for page in (await p.get_short_term(), await p.get_long_term(), await p.get_overdue()):
        assert ids_of(page) == []


async def test_its_id_stays_out_until_allowed(spread: Periscope, archive: Archive) -> None:
    p = spread
    await add(p, "t")
    await p.remove(archive, "t", "zoe")
    assert await say(p, "t") == "suppressed"
    assert await say(p, "t", "CRITICAL", content="news", source="other") == "suppressed"
    pass_time(p, 1000 * DAY_MS)
    await p.sweep(archive)
    assert await say(p, "t") == "suppressed"
    assert (await p.get_holdings())["removed_ids"] == 1
    ledger = await p.get_ledger()
    assert (ledger.received, ledger.added, ledger.suppressed) == (4, 1, 3)
    await p.allow("t", "zoe")
    assert (await p.get_holdings())["removed_ids"] == 0
    assert await say(p, "t", content="news") == "added"
    assert not await is_gone(p, "t")


async def test_after_allowing_even_the_same_report_comes_in(p: Periscope, archive: Archive) -> None:
    await add(p, "t")
    await p.remove(archive, "t", "zoe")
    await p.allow("t", "zoe")
    assert await say(p, "t") == "added"


async def test_only_what_was_removed_can_be_allowed(p: Periscope, archive: Archive) -> None:
    await add(p, "t", "u", severity="LOW")
    for one in ("t", "nobody"):
        with pytest.raises(NotRemoved):
            await p.allow(one, "zoe")
    await p.remove(archive, "t", "zoe")
    await p.allow("t", "zoe")
    with pytest.raises(NotRemoved):
        await p.allow("t", "zoe")
    await acts(p, "u", "ann view")
    pass_time(p, HOUR_MS)
    assert (await p.sweep(archive)).expired == 1
    with pytest.raises(NotRemoved):
        await p.allow("u", "zoe")


async def test_only_what_is_here_can_be_removed(p: Periscope, archive: Archive) -> None:
    with pytest.raises(ThreatUnknown):
        await p.remove(archive, "nobody", "zoe")
    await add(p, "t")
    await p.remove(archive, "t", "zoe")
    with pytest.raises(ThreatUnknown):
        await p.remove(archive, "t", "zoe")
    assert len(await archive.history(threat_id="t")) == 1
    assert await archive.pending() == []
    with pytest.raises(ActInvalid):
        await p.remove(archive, "t", "")


async def test_a_removed_threat_takes_claim_and_latch_along(p: Periscope, archive: Archive) -> None:
    await add(p, "t", severity="CRITICAL")
    await acts(p, "t", "ann escalate x2", "bob escalate")
    await p.claim("t", "ann")
    await p.remove(archive, "t", "zoe")
    assert (await p.promote_eligible_threats()).promoted == 0
    holdings = await p.get_holdings()
    assert (holdings["promotable"], holdings["claims"], holdings["departures_open"]) == (0, 0, 0)


@pytest.mark.parametrize("departed", [False, True], ids=["here", "departed"])
async def test_erasing_leaves_no_words_anywhere(
    p: Periscope, archive: Archive, departed: bool
) -> None:
    await add(p, "t", severity="LOW", metadata={"k": SECRET})
    await say(p, "t", "LOW", content=SECRET, source=SECRET)
    await acts(p, "t", "ann view")
    await p.comment("t", "ann", SECRET)
    await p.archive_audit(archive)
    await p.comment("t", "ann", SECRET)
    if departed:
        pass_time(p, HOUR_MS)
        assert (await p.sweep(archive)).expired == 1
    assert await p.erase(archive, "t", "zoe") > 0
    assert await is_gone(p, "t")
    for _, row in await archive.history(threat_id="t"):
        assert row.erased
        assert (row.record, row.extra, row.title, row.source) == (b"", b"", "", "")
        assert row.interactions == 1
    await p.archive_audit(archive)
    trail = [entry for _, entry in await archive.audit(threat_id="t")]
    assert not [entry for entry in trail if SECRET in entry.detail]
    assert "erase" in {entry.action for entry in trail}
    assert await _words_of_the_store(p) == []


async def _words_of_the_store(p: Periscope) -> list[bytes]:
    """Keys of the server whose value holds the secret words."""
    client = p.functions.connections.client
    found = []
    async for key in client.scan_iter():
        command = READ[await client.type(key)]
        value = await client.execute_command(command[0], key, *command[1:])
        if SECRET in repr(value):
            found.append(key)
    return found


async def test_an_erased_id_stays_out_until_allowed(p: Periscope, archive: Archive) -> None:
    await add(p, "t")
    await p.erase(archive, "t", "zoe")
    assert await say(p, "t") == "suppressed"
    await p.allow("t", "zoe")
    assert await say(p, "t") == "added"
    assert (await look(p, "t")).interactions == 0
    ledger = await p.get_ledger()
    assert (ledger.added, ledger.removed, ledger.level_1) == (2, 1, 1)


async def test_erasing_touches_no_other(p: Periscope, archive: Archive) -> None:
    await add(p, "t", "u", severity="LOW")
    await acts(p, "t", "ann view")
    await acts(p, "u", "ann view")
    await p.comment("u", "ann", "keep this")
    pass_time(p, HOUR_MS)
    assert (await p.sweep(archive)).expired == 2
    await p.erase(archive, "t", "zoe")
    ((_, row),) = await archive.history(threat_id="u")
    assert not row.erased
    assert b"as first seen" in row.record
    await p.archive_audit(archive)
    details = [entry.detail for _, entry in await archive.audit(threat_id="u")]
    assert any("keep this" in detail for detail in details)


async def test_erasing_again_blanks_nothing_more(p: Periscope, archive: Archive) -> None:
    await add(p, "t")
    await p.comment("t", "ann", SECRET)
    assert await p.erase(archive, "t", "zoe") > 0
    rows = len(await archive.history(threat_id="t"))
    await p.erase(archive, "t", "zoe")
    assert len(await archive.history(threat_id="t")) == rows
    assert (await p.get_ledger()).removed == 1


async def test_a_database_keeps_to_its_archive(p: Periscope, archive: Archive) -> None:
    await add(p, "t")
    await p.adopt_archive(archive)
    await p.adopt_archive(archive)
    other = await open_archive(str(archive.shown) + ".other")
    try:
        for call in (
            p.adopt_archive(other),
            p.sweep(other),
            p.remove(other, "t", "zoe"),
            p.archive_audit(other),
            p.erase(other, "t", "zoe"),
        ):
            with pytest.raises(ArchiveMismatch):
                await call
        assert await other.history() == []
    finally:
        await other.close()
    assert not await is_gone(p, "t")
