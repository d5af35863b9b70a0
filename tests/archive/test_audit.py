"""Audit entries are stored once, found by whom and what, and say how far they reach."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from periscope.archive import Archive
from periscope.errors import BugError, UsageError
from tests.archive.samples import ACT, NASTY, NOW_MS, act


async def test_an_entry_told_twice_is_stored_once(archive: Archive) -> None:
    entries = [act(n, position=p) for n in range(3) for p in range(2)]
    assert await archive.write_audit(entries[:4]) == 4
    assert await archive.write_audit(entries[2:]) == 2
    assert await archive.write_audit(entries) == 0
    assert await archive.write_audit([]) == 0
    assert [e for _, e in await archive.audit()] == entries[::-1]


async def test_how_far_it_reaches_is_the_highest_id_not_the_last_text(archive: Archive) -> None:
    assert await archive.audit_reached(0) is None
    await archive.write_audit([act(10), act(9), act(2, partition=1)])
    await archive.write_audit([act(3)])
    assert await archive.audit_reached(0) == f"{NOW_MS}-10"
    assert await archive.audit_reached(1) == f"{NOW_MS}-2"


async def test_the_same_place_in_two_partitions_is_two_acts(archive: Archive) -> None:
    assert await archive.write_audit([act(1), act(1, partition=1)]) == 2


async def test_nasty_names_come_back_and_are_found(archive: Archive) -> None:
    odd = act(1, threat_id=NASTY, analyst_id=NASTY, request_id=NASTY, detail=NASTY)
    await archive.write_audit([odd, act(2)])
    assert [e for _, e in await archive.audit(analyst_id=NASTY, threat_id=NASTY)] == [odd]


async def test_filters_and_pages(archive: Archive) -> None:
    await archive.write_audit(
        [act(n, analyst_id=f"a{n % 2}", threat_id=f"t{n % 3}", at_ms=n) for n in range(12)]
    )

    async def times(**wanted: object) -> list[int]:
        return [e.at_ms for _, e in await archive.audit(**wanted)]  # type: ignore[arg-type]

    assert await times(analyst_id="a1", threat_id="t0") == [9, 3]
    assert await times(since_ms=10) == [11, 10]
    first = await archive.audit(limit=5)
    assert await times(before=first[-1][0], limit=3) == [6, 5, 4]
    with pytest.raises(UsageError, match="limit"):
        await archive.audit(limit=0)


async def test_concurrent_writers_store_each_entry_once(archive: Archive) -> None:
    new = await asyncio.gather(
        *(archive.write_audit([act(n) for n in range(start, start + 5)]) for start in range(10))
    )
    assert sum(new) == 14


async def test_what_is_no_entry_is_refused_whole(archive: Archive) -> None:
    for wrong in ("1", "1-", "-1-0", "1-0-0", "１-0", "9" * 30 + "-0", "1-0\n"):
        with pytest.raises(UsageError, match="id of a stream entry"):
            await archive.write_audit([ACT, replace(ACT, stream_id=wrong)])
    with pytest.raises(BugError, match="not a word"):
        await archive.write_audit([ACT, act(1, action="a b")])
    assert await archive.audit() == []
