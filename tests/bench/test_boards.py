"""Boards that are written directly are boards as the functions would have left them."""

from __future__ import annotations

from pathlib import Path

import pytest

from periscope.bench.acting import MIX, interaction, make_eligible
from periscope.bench.boards import BOARDS, Layout, lasting, lay_out, passing
from periscope.bench.plain import fill_plainly
from periscope.bench.row_sweep import sweep_later
from periscope.bench.stand import Stand, stand
from periscope.bench.threats import threat_id
from periscope.models import Severity

COUNT = 1500


async def assert_balanced(on: Stand, count: int = COUNT) -> None:
    ledger = await on.periscope.get_ledger(deep=True)
    assert ledger.balanced, ledger
    assert (ledger.received, ledger.records) == (count, ledger.in_levels)


@pytest.mark.parametrize(
    "layout", [*BOARDS.values(), lasting, passing], ids=lambda layout: layout.__name__
)
async def test_the_deep_ledger_of_every_board_balances(temporary: Path, layout: Layout) -> None:
    async with stand() as on:
        await lay_out(on, layout, range(COUNT))
        await assert_balanced(on)


async def test_the_plain_way_balances_too(temporary: Path) -> None:
    async with stand() as on:
        await fill_plainly(on, 0, COUNT)
        await assert_balanced(on)


async def test_a_worked_board_holds_sighted_threats(temporary: Path) -> None:
    async with stand() as on:
        await lay_out(on, BOARDS["worked"], range(COUNT))
        threats = [threat async for threat in on.periscope.get_all_active()]
        sighted = [threat for threat in threats if threat.sightings]
        assert COUNT // 3 < len(sighted) < COUNT // 2
        assert all(threat.first_seen_ms < threat.last_activity_ms for threat in sighted)


async def test_eligible_threats_are_promoted_whatever_their_severity_was(temporary: Path) -> None:
    async with stand() as on:
        await lay_out(on, BOARDS["untouched"], range(COUNT))
        await make_eligible(on, range(100, 160))
        stats = await on.periscope.promote_eligible_threats()
        assert set(stats.promoted_ids) == {threat_id(number) for number in range(100, 160)}
        assert (await on.periscope.get_ledger(deep=True)).balanced


async def test_what_passes_is_swept_and_what_lasts_stays(temporary: Path) -> None:
    async with stand() as on, on.archive() as archive:
        await lay_out(on, lasting, range(COUNT))
        await lay_out(on, passing, range(COUNT, COUNT + 500))
        stats = await on.periscope.sweep(archive)
        assert stats.expired == 0
        effort = await sweep_later(on, archive, 500)
        assert effort.done == 500
        await assert_balanced(on, COUNT + 500)
        assert sum((await archive.counts()).values()) == 500
        left = [threat async for threat in on.periscope.get_all_active()]
        assert {threat.severity for threat in left} == {Severity.CRITICAL, Severity.HIGH}


def test_interactions_are_mixed() -> None:
    made = [interaction(number, 1000) for number in range(1000)]
    assert {one["action"] for one in made} == set(MIX)
    assert len(MIX) == 20
    assert len({one["threat_id"] for one in made}) == 1000
