"""Taking a snooze back, and what ended one."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from periscope import Periscope, Status, Threat, TooLate
from periscope.archive import Archive
from tests.rules.scene import (
    DAY_MS,
    HOUR_MS,
    MINUTE_MS,
    START_MS,
    acts,
    add,
    latch,
    look,
    pass_time,
    promote,
    set_time,
    to_short_term,
)
from tests.rules.test_snooze import HOUR, MS, end_of, wake


async def undo(p: Periscope, threat: Threat) -> Threat:
    assert threat.interaction_id is not None
    return await p.undo(threat.interaction_id)


@pytest.mark.parametrize("steps", [["ann view"], ["ann dismiss"], ["ann escalate"]], ids=str)
async def test_undo_puts_everything_back(spread: Periscope, steps: list[str]) -> None:
    p = spread
    await add(p, "t", "u", severity="LOW")
    await acts(p, "t", *steps)
    before = await look(p, "t")
    pass_time(p, MINUTE_MS)
    after = await undo(p, await p.snooze("t", "bob", HOUR))
    pass_time(p, HOUR_MS)
    assert await wake(p) == []
    assert shown(await look(p, "t")) == shown(after) == shown(before)
    assert [act.analyst_id for act in (await p.get_desk("t")).acts] == ["ann"]


def shown(threat: Threat) -> dict[str, Any]:
    own = ("revision", "as_of_ms", "policy", "interaction_id")
    return {name: value for name, value in vars(threat).items() if name not in own}


async def test_undo_brings_the_latch_back(p: Periscope) -> None:
    await add(p, "t", severity="CRITICAL")
    await latch(p, "t")
    assert (await undo(p, await p.snooze("t", "ann", HOUR))).latched
    await promote(p, "t")


async def test_undo_of_a_second_snooze_brings_the_first_back(p: Periscope) -> None:
    await add(p, "t")
    await p.snooze("t", "ann", HOUR)
    threat = await undo(p, await p.snooze("t", "bob", None))
    assert end_of(threat) == (Status.SNOOZED, START_MS + HOUR_MS)
    pass_time(p, HOUR_MS)
    assert await wake(p) == ["t"]


@pytest.mark.parametrize("ends", [HOUR, 5 * timedelta(minutes=1)], ids=["later", "meanwhile"])
async def test_undo_of_what_ended_it_brings_it_back(p: Periscope, ends: timedelta) -> None:
    await add(p, "a", "b", "c")
    ended = []
    for one in ("a", "b", "c"):
        await p.snooze(one, "ann", ends)
    ended.append(await acts(p, "a", "bob escalate"))
    ended.append(await p.reopen("b", "bob"))
    ended.append(await p.decide("c", "bob", "inconclusive"))
    pass_time(p, 6 * MINUTE_MS)
    for act in ended:
        assert end_of(await undo(p, act)) == (Status.SNOOZED, START_MS + ends // MS)
    set_time(p, START_MS + max(ends // MS, 6 * MINUTE_MS))
    assert await wake(p) == ["a", "b", "c"]


async def test_undo_after_it_woke_takes_back_no_more_than_the_note(p: Periscope) -> None:
    await add(p, "t")
    act = await p.snooze("t", "ann", timedelta(minutes=1))
    pass_time(p, MINUTE_MS)
    assert await wake(p) == ["t"]
    assert (await undo(p, act)).status is Status.OPEN
    assert (await p.get_desk("t")).acts == ()


async def test_undo_of_an_act_before_it_leaves_it_snoozed(p: Periscope) -> None:
    await add(p, "t")
    act = await acts(p, "t", "ann view")
    await p.snooze("t", "bob", HOUR)
    threat = await undo(p, act)
    assert (end_of(threat), threat.interactions) == ((Status.SNOOZED, START_MS + HOUR_MS), 0)


async def test_undo_of_an_act_while_it_is_snoozed_leaves_it_so(p: Periscope) -> None:
    await to_short_term(p, "t")
    await p.snooze("t", "ann", HOUR)
    before = await look(p, "t")
    threat = await undo(p, await acts(p, "t", "bob view"))
    assert (end_of(threat), threat.interactions) == (
        (Status.SNOOZED, START_MS + HOUR_MS),
        before.interactions,
    )


async def test_undo_of_an_act_takes_no_later_snooze_back(p: Periscope) -> None:
    await add(p, "t")
    await p.snooze("t", "bob", HOUR)
    act = await acts(p, "t", "ann view")
    await p.snooze("t", "bob", 2 * HOUR)
    assert end_of(await undo(p, act)) == (Status.SNOOZED, START_MS + 2 * HOUR_MS)


async def test_undo_of_a_snooze_that_recalled_leaves_it_at_work(
    p: Periscope, archive: Archive
) -> None:
    await to_short_term(p, "t")
    pass_time(p, DAY_MS)
    threat = await undo(p, await p.snooze("t", "ann", HOUR))
    assert (threat.level, threat.home, threat.status) == (1, 2, Status.OPEN)
    pass_time(p, HOUR_MS - 1)
    assert (await p.sweep(archive)).settled == 0
    pass_time(p, 1)
    assert (await p.sweep(archive)).settled == 1


async def test_what_was_done_before_a_recalled_one_was_snoozed_stays(p: Periscope) -> None:
    """It cannot be told from one that went home and came back: refused, rather than guessed."""
    await to_short_term(p, "t")
    act = await acts(p, "t", "ann view")
    await p.snooze("t", "bob", HOUR)
    with pytest.raises(TooLate):
        await undo(p, act)


async def test_a_snooze_is_undone_within_ten_minutes(p: Periscope) -> None:
    await add(p, "t")
    act = await p.snooze("t", "ann", HOUR)
    pass_time(p, 10 * MINUTE_MS + 1)
    with pytest.raises(TooLate):
        await undo(p, act)
