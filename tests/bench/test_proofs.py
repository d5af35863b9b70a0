"""Rows that count faults do count them: what was done wrong on purpose is found."""

from __future__ import annotations

from pathlib import Path

from periscope.bench.boards import fill
from periscope.bench.other_writer import other_writer
from periscope.bench.plan import Plan
from periscope.bench.row_lost import WRONG as LOST
from periscope.bench.row_lost import lost_row, wrong_of_all
from periscope.bench.row_membership import Checks
from periscope.bench.row_restart import restart_row
from periscope.bench.stand import stand
from periscope.bench.threats import threat_id
from periscope.bench.work import FAR, ingest

COUNT = 1500


def plan(scale: int = COUNT) -> Plan:
    return Plan(scale, 1, lambda what: None)


async def test_a_filter_that_was_not_told_is_caught(temporary: Path) -> None:
    async with stand() as on:
        await on.periscope.membership_ready()
        checks = Checks(on)
        await ingest(on, COUNT, COUNT)
        await checks.look_at(range(COUNT, 2 * COUNT))
        assert (checks.tested, checks.wrong) == (COUNT, 0)
        await fill(on, "untouched", COUNT)  # past the functions: no event tells of it
        await checks.look_at(range(COUNT))
        assert checks.tested == 2 * COUNT
        assert checks.wrong == COUNT


async def test_another_process_writes_and_says_what_it_was_told(temporary: Path) -> None:
    async with stand() as on:
        async with other_writer(on.socket_path, FAR, COUNT) as told:
            numbers = [n async for one in told for n in range(one.first, one.last)]
        assert numbers == list(range(FAR, FAR + COUNT))
        assert len(await on.periscope.get_threats(map(threat_id, numbers))) == COUNT


async def test_what_is_lost_doubled_or_miscounted_is_found(temporary: Path) -> None:
    found = {one.what: one.samples for one in await lost_row(plan())}
    assert found == {"acknowledged and compared": [COUNT + 200], LOST: [0]}
    async with stand() as on, on.archive() as archive:
        await on.periscope.adopt_archive(archive)
        await ingest(on, 0, COUNT)
        nobody = range(FAR, FAR)
        assert await wrong_of_all(on, archive, range(COUNT), nobody) == 0
        await on.periscope.record_interaction(threat_id(1), "ann", "view")
        assert await wrong_of_all(on, archive, range(COUNT), nobody) == 1  # never acknowledged
        await on.client.delete(on.keys.record(threat_id(0).encode()))
        # It is gone, and the recount says so too.
        assert await wrong_of_all(on, archive, range(COUNT), nobody) == 3


async def test_a_killed_server_is_back_with_everything(temporary: Path) -> None:
    (one,) = await restart_row(Plan(COUNT, 2, lambda what: None))
    assert (one.unit, len(one.samples)) == ("s", 2)
