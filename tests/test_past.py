"""The audit trail out of two places: whole, in order, and nothing twice."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from periscope import Periscope, past
from periscope.archive import Archive, AuditEntry, open_archive
from periscope.cli.trail import describe
from periscope.past import Wanted, place_of, read_back_to, read_trail
from tests.conftest import OpenHere

THREATS = [f"t{number}" for number in range(12)]


def entry(partition: int, at_ms: int, *, detail: str = "", erased: bool = False) -> AuditEntry:
    return AuditEntry(partition, f"{at_ms}-0", 0, at_ms, "view", "t", "ana", "r", detail, erased)


async def work(p: Periscope, analyst: str) -> None:
    for threat_id in THREATS:
        await p.record_interaction(threat_id, analyst, "view")


def names(entries: list[AuditEntry]) -> list[tuple[str, str]]:
    return [(one.threat_id, one.analyst_id) for one in entries]


async def fill(p: Periscope) -> None:
    await p.add_threats_batch(
        {"threat_id": one, "content": "x", "severity": "LOW"} for one in THREATS
    )


@pytest.fixture
async def archive(tmp_path: Path) -> AsyncIterator[Archive]:
    opened = await open_archive(tmp_path / "archive.db")
    yield opened
    await opened.close()


@pytest.fixture(autouse=True)
def _in_small_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(past, "READ_FIRST", 1)
    monkeypatch.setattr(past, "READ_MORE", 2)


async def test_the_trail_is_whole_while_it_moves(periscope: Periscope, archive: Archive) -> None:
    p = periscope
    await fill(p)
    await work(p, "ana")
    await p.archive_audit(archive)
    await work(p, "ben")
    everything = await read_trail(p, archive, Wanted(), 1000)
    assert names(everything) == [(one, who) for who in ("ana", "ben") for one in THREATS]
    await check_parts(p, archive, everything)
    await move_without_trimming(p, archive)
    assert await read_trail(p, archive, Wanted(), 1000) == everything
    await check_parts(p, archive, everything)


async def test_the_newest_of_several_partitions(open_here: OpenHere, archive: Archive) -> None:
    async with open_here(partitions=3, namespace="trail") as p:
        await fill(p)
        await work(p, "ana")
        await work(p, "ben")
        everything = await read_trail(p, archive, Wanted(), 1000)
        assert sorted(names(everything)) == sorted(
            (one, who) for who in ("ana", "ben") for one in THREATS
        )
        await check_parts(p, archive, everything)
        await p.functions.connections.client.flushall()


async def check_parts(p: Periscope, archive: Archive, everything: list[AuditEntry]) -> None:
    """However few are asked for, they are the newest that match."""
    for count in (1, 2, 5, 13, 24, 30):
        assert await read_trail(p, archive, Wanted(), count) == everything[-count:]
    bens = [one for one in everything if one.analyst_id == "ben"]
    for count in (3, 1000):
        assert await read_trail(p, archive, Wanted(analyst_id="ben"), count) == bens[-count:]
    one_threat = [one for one in everything if one.threat_id == "t0"]
    assert await read_trail(p, archive, Wanted(threat_id="t0"), 2) == one_threat
    since_ms = bens[3].at_ms
    late = [one for one in everything if one.at_ms >= since_ms]
    assert await read_trail(p, archive, Wanted(since_ms=since_ms), 1000) == late
    early = [one for one in everything if one.at_ms <= since_ms]
    assert await read_trail(p, archive, Wanted(until_ms=since_ms), 1000) == early
    assert await read_trail(p, archive, Wanted(action="undo"), 1000) == []
    for count in (1, 5, 24):
        assert await walk(p, archive, count) == everything[::-1]


async def walk(p: Periscope, archive: Archive, count: int) -> list[AuditEntry]:
    """All pages of the trail, newest first."""
    found: list[AuditEntry] = []
    while True:
        older_than = place_of(found[-1]) if found else None
        part = await read_trail(p, archive, Wanted(older_than=older_than), count)
        found += part[::-1]
        if len(part) < count:
            return found


async def move_without_trimming(p: Periscope, archive: Archive) -> None:
    """What a worker that dies between its two steps leaves."""
    assert await archive.write_audit(await p.get_recent_audit(1000)) == len(THREATS)


def test_how_far_back_the_newest_calls_reach() -> None:
    entries = [entry(0, 10), entry(0, 20), entry(1, 15)]
    assert read_back_to(entries, 3) == -1
    assert read_back_to(entries, 2) == 10
    assert read_back_to(entries, 1) == 15
    assert read_back_to([], 1) == -1


def test_what_an_entry_says() -> None:
    assert describe(entry(0, 1)) == ""
    assert describe(entry(0, 1, detail='{"outcome":"duplicate","note":""}')) == "outcome: duplicate"
    assert describe(entry(0, 1, detail="no json")) == "no json"
    assert describe(entry(0, 1, detail="", erased=True)) == "(erased)"
