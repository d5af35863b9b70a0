"""What is suppressed is listed in order, whole and by cause, and bounded in number and in time."""

from __future__ import annotations

from struct import pack
from typing import Any

import pytest

from periscope import CursorInvalid, Periscope, Severity, StoreDamaged, UsageError
from periscope.archive import Archive
from periscope.keys import PartitionKeys
from periscope.models import Mark
from periscope.suppressed import Suppressed, read_entry
from tests.rules.scene import DAY_MS, SECOND_MS, START_MS, pass_time, report, walk
from tests.support.marking import add_marked

CAUSES = ("list:one", "list:two", "rule:three")
MOST = 100_000  # of a partition
KEPT_MS = 30 * DAY_MS


async def suppress(p: Periscope, *ids: str, cause: str = "list:one") -> None:
    given = [report(one, "LOW") for one in ids]
    result = await add_marked(p, given, [Mark(cause)] * len(ids))
    assert result.suppressed == len(ids), result


async def test_pages_are_in_order_whatever_their_size(spread: Periscope) -> None:
    p = spread
    expected: list[tuple[int, bytes]] = []
    for turn in range(4):
        ids = [f"{turn}-{number} é" for number in range(25)]
        await suppress(p, *ids, cause=CAUSES[turn % 3])
        expected += [(START_MS + turn * SECOND_MS, one.encode()) for one in ids]
        pass_time(p, SECOND_MS)
    in_order = [one.decode() for _, one in sorted(expected, reverse=True)]
    for count in (1, 7, 50, 1000):
        assert await walk(p.get_suppressed, count) == in_order
    for cause in CAUSES:
        of_it = [one for one in in_order if CAUSES[int(one[0]) % 3] == cause]
        page = await p.get_suppressed(count=5, cause=cause)
        assert page.total == len(of_it)
        assert await walk(lambda c, n, cause=cause: p.get_suppressed(c, n, cause), 3) == of_it
    assert await walk(lambda c, n: p.get_suppressed(c, n, "list:none"), 3) == []


async def test_a_cause_is_found_behind_many_others(p: Periscope) -> None:
    await suppress(p, "first", cause="rule:rare")
    for turn in range(6):
        pass_time(p, SECOND_MS)
        await suppress(p, *(f"{turn}-{number}" for number in range(500)))
    page = await p.get_suppressed(cause="rule:rare")
    assert [one.threat_id for one in page] == ["first"]
    assert (page.total, page.next_cursor) == (1, None)


async def test_a_walk_passes_over_nothing_that_rests(p: Periscope) -> None:
    """Entries that move to the front, and those that are forgotten, leave the others in place."""
    await suppress(p, *(f"t{number:02d}" for number in range(40)))
    first = await p.get_suppressed(count=10)
    pass_time(p, SECOND_MS)
    last = first.items[-1].threat_id
    await suppress(p, last, "t05")
    await p.forget_suppressed("t07")
    seen = [one.threat_id for one in first]
    seen += await walk(lambda c, n: p.get_suppressed(c or first.next_cursor, n), 10)
    resting = [f"t{n:02d}" for n in reversed(range(40)) if n not in (5, 7)]
    assert [one for one in seen if one not in ("t05", "t07")] == resting


async def test_cursors_are_of_their_list(p: Periscope) -> None:
    await suppress(p, *(f"t{number}" for number in range(5)))
    cursor = (await p.get_suppressed(count=2)).next_cursor
    assert cursor is not None
    for attempt in (
        p.get_suppressed(cursor, cause="list:one"),
        p.get_active_paginated(cursor),
        p.get_suppressed(cursor[:-2] + "AA"),
        p.get_suppressed("garbage"),
    ):
        with pytest.raises(CursorInvalid):
            await attempt


@pytest.mark.parametrize("wrong", [{"count": 0}, {"count": 1001}, {"cause": ""}, {"cause": 7}])
async def test_what_cannot_be_asked_is_refused(p: Periscope, wrong: dict[str, Any]) -> None:
    with pytest.raises(UsageError):
        await p.get_suppressed(**wrong)


async def test_what_cannot_be_an_id_has_no_entry(p: Periscope) -> None:
    for threat_id in ("\ud800", "", "x" * 1000):
        assert await p.get_suppressed_entry(threat_id) is None
        assert not await p.forget_suppressed(threat_id)


@pytest.mark.parametrize("past", [-1, 0])
async def test_thirty_days_after_the_last_report_it_is_forgotten(
    spread: Periscope, archive: Archive, past: int
) -> None:
    p = spread
    await suppress(p, "t", "u")
    pass_time(p, DAY_MS)
    await suppress(p, "u", cause="rule:r")
    pass_time(p, KEPT_MS - DAY_MS + past)
    assert (await p.sweep(archive)).forgotten_suppressed == (0 if past else 1)
    left = ["u", "t"] if past else ["u"]
    assert await walk(p.get_suppressed, 10) == left
    assert sum((await p.get_stats()).suppressed.values()) == len(left)


async def test_after_thirty_days_it_begins_anew_swept_or_not(p: Periscope) -> None:
    await suppress(p, "t")
    pass_time(p, KEPT_MS)
    await suppress(p, "t", cause="rule:r")
    kept = await p.get_suppressed_entry("t")
    assert kept is not None
    assert (kept.count, kept.first_seen_ms) == (1, START_MS + KEPT_MS)
    assert (await p.get_stats()).suppressed == {"rule:r": 1}


def packed(last_ms: int, cause: bytes = b"list:old") -> bytes:
    moment = pack("<IH", last_ms & 0xFFFFFFFF, last_ms >> 32)
    head = pack("<BBI", 1, 0, 1) + 2 * moment + bytes(6) + bytes((1,)) + pack("<I", 1) + moment
    return head + b"".join(bytes((len(text), 0)) + text for text in (cause, b"", b""))


async def fill(p: Periscope, keys: PartitionKeys, count: int) -> None:
    """So many entries, one a millisecond, the oldest first."""
    client = p.functions.connections.client
    for start in range(0, count, 5000):
        ages = {f"old-{n:06d}": START_MS - count + n for n in range(start, start + 5000)}
        await client.zadd(keys.suppressed_ages, ages)
        await client.hset(
            keys.suppressed, mapping={one: packed(moment) for one, moment in ages.items()}
        )
    await client.hset(keys.suppressed_causes, "list:old", str(count))


async def test_the_oldest_leave_where_there_are_too_many(p: Periscope, archive: Archive) -> None:
    (keys,) = p.keyspace.partitions
    client = p.functions.connections.client
    await fill(p, keys, MOST)
    await suppress(p, *(f"new-{number}" for number in range(300)), "old-000001", "old-099999")
    assert await client.zcard(keys.suppressed_ages) == await client.hlen(keys.suppressed) == MOST
    stats = await p.get_stats()
    assert stats.suppressed == {"list:old": MOST - 302, "list:one": 302}
    for gone in ("old-000000", "old-000002", "old-000300"):
        assert await p.get_suppressed_entry(gone) is None
    for kept in ("old-000001", "old-000301", "old-099999", "new-0"):
        assert await p.get_suppressed_entry(kept) is not None
    pass_time(p, KEPT_MS)
    assert (await p.sweep(archive)).forgotten_suppressed == MOST
    assert not await client.exists(*keys.noise)


async def test_one_call_lets_go_of_a_bounded_number(p: Periscope) -> None:
    """A partition that has far too many comes down to the limit step by step."""
    (keys,) = p.keyspace.partitions
    await fill(p, keys, MOST + 5000)
    await suppress(p, "new")
    assert await p.functions.connections.client.hlen(keys.suppressed) == MOST + 5001 - 600
    await p.functions.connections.client.unlink(*keys.noise)


async def test_entries_that_are_damaged_are_told(p: Periscope) -> None:
    await suppress(p, "t", "u")
    (keys,) = p.keyspace.partitions
    client = p.functions.connections.client
    for wrong in (b"\1", b"\2" + packed(START_MS)[1:], packed(START_MS) + b"more"):
        await client.hset(keys.suppressed, "t", wrong)
        for attempt in (p.get_suppressed(), p.get_suppressed_entry("t")):
            with pytest.raises(StoreDamaged):
                await attempt
    await client.hdel(keys.suppressed, "t")
    with pytest.raises(StoreDamaged, match="not there"):
        await p.get_suppressed()
    await client.unlink(*keys.noise)


@pytest.mark.parametrize("lost", ["suppressed", "suppressed_ages", "suppressed_causes"])
async def test_the_deep_ledger_compares_entries_ages_and_causes(p: Periscope, lost: str) -> None:
    await suppress(p, "t", "u")
    assert (await p.get_ledger(deep=True)).balanced
    (keys,) = p.keyspace.partitions
    client = p.functions.connections.client
    await client.unlink(getattr(keys, lost))
    ledger = await p.get_ledger(deep=True)
    assert not ledger.balanced
    assert ledger.faults == {"SUPPRESSED_DIFFER": 4 if lost == "suppressed" else 2}
    await client.unlink(*keys.noise)


def test_both_sides_pack_an_entry_alike() -> None:
    expected = (Severity.LOW, "list:old", 1, START_MS, START_MS, "", "")
    assert read_entry(b"t", packed(START_MS)) == Suppressed("t", *expected)
