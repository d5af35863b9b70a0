"""Recording interactions: counts, ids, batches, rejections, and retries."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import pytest

from periscope import (
    ActInvalid,
    BatchInterrupted,
    Interaction,
    Periscope,
    Policy,
    RequestReused,
    ThreatUnknown,
    UsageError,
)
from tests.rules.scene import (
    DAY_MS,
    HOUR_MS,
    MINUTE_MS,
    SECOND_MS,
    acts,
    add,
    ids_of,
    look,
    pass_time,
    report,
    span,
)

ACTIONS = ("view", "escalate", "dismiss", "monitor", "investigate")


def given(threat_id: str, analyst_id: str = "ann", action: str = "view", **more: Any) -> Any:
    return {"threat_id": threat_id, "analyst_id": analyst_id, "action": action, **more}


@pytest.mark.parametrize("action", ACTIONS)
async def test_each_action_counts_for_what_it_is(p: Periscope, action: str) -> None:
    await add(p, "t")
    now_ms = pass_time(p, MINUTE_MS)
    threat = await acts(p, "t", f"ann {action}")
    assert threat.interactions == threat.analysts == 1
    assert threat.escalations == (action == "escalate")
    assert threat.dismissals == (action == "dismiss")
    assert threat.views == (action == "view")
    assert (threat.last_activity_ms, threat.sightings) == (now_ms, 0)
    assert threat == await look(p, "t")


async def test_analysts_are_counted_once_each(p: Periscope) -> None:
    await add(p, "t")
    for number in range(1, 30):
        threat = await acts(p, "t", f"analyst-{number} view x2")
        assert (threat.analysts, threat.interactions) == (number, 2 * number)


async def test_names_differ_by_every_byte(p: Periscope) -> None:
    await add(p, "t")
    names = ["ann", "Ann", "ånn", "ann b", "!", "t", "x" * 128, "分析", "\u0440\u0430"]
    for number, name in enumerate(names, 1):
        threat = await p.record_interaction("t", name, "view")
        assert threat.analysts == number
    desk = await p.get_desk("t")
    assert sorted(act.analyst_id for act in desk.acts) == sorted(names)


@pytest.mark.parametrize("name", ["!", "0", "claim", ",", "~", "nil"])
async def test_no_name_collides_with_what_the_engine_keeps(p: Periscope, name: str) -> None:
    await add(p, "t")
    await p.record_interaction("t", name, "dismiss")
    await acts(p, "t", "ann dismiss", "bob dismiss")
    await p.record_interaction("t", name, "escalate")
    threat = await p.record_interaction("t", name, "view")
    assert (threat.analysts, threat.interactions, threat.status) == (3, 5, "open")
    assert len((await p.get_desk("t")).acts) == 3


async def test_the_desk_tells_each_analyst_s_last_act(p: Periscope) -> None:
    await add(p, "t")
    await acts(p, "t", "ann view x2", "bob escalate")
    now_ms = pass_time(p, MINUTE_MS)
    threat = await acts(p, "t", "ann monitor")
    first, second = (await p.get_desk("t")).acts
    assert (first.analyst_id, first.action, first.interactions) == ("ann", "monitor", 3)
    assert (first.at_ms, first.interaction_id) == (now_ms, threat.interaction_id)
    assert (second.analyst_id, second.action, second.interactions) == ("bob", "escalate", 1)


async def test_actions_are_read_in_any_case(p: Periscope) -> None:
    await add(p, "t")
    assert (await p.record_interaction("t", "ann", "ESCALATE")).escalations == 1


@pytest.mark.parametrize(
    ("analyst", "action", "field"),
    [
        ("", "view", "analyst_id"),
        ("x" * 129, "view", "analyst_id"),
        ("分" * 43, "view", "analyst_id"),
        ("a\nb", "view", "analyst_id"),
        ("\ud800", "view", "analyst_id"),
        ("ann", "look", "action"),
        ("ann", "", "action"),
        ("ann", "claim", "action"),
        ("ann", "decide", "action"),
        ("ann", "undo", "action"),
        (None, "view", "analyst_id"),
        ("ann", None, "action"),
        (7, "view", "analyst_id"),
    ],
)
async def test_what_is_no_interaction_is_refused_by_name(
    p: Periscope, analyst: Any, action: Any, field: str
) -> None:
    await add(p, "t")
    with pytest.raises(ActInvalid) as caught:
        await p.record_interaction("t", analyst, action)
    assert caught.value.field == field
    assert (await look(p, "t")).interactions == 0


@pytest.mark.parametrize("interaction_id", ["", "x" * 129, "a\x00b", 5])
async def test_an_interaction_id_has_rules_too(p: Periscope, interaction_id: Any) -> None:
    await add(p, "t")
    with pytest.raises(ActInvalid):
        await p.record_interaction("t", "ann", "view", interaction_id)


async def test_an_unknown_threat_is_an_error(p: Periscope) -> None:
    with pytest.raises(ThreatUnknown):
        await p.record_interaction("nobody", "ann", "view")
    assert (await p.get_ledger()).added == 0
    assert (await p.get_holdings())["remembered"] == 0


async def test_a_hot_threat_has_so_many_interactions(spread: Periscope) -> None:
    p = spread
    for number in range(13):
        await add(p, f"t{number:02}")
        if number:
            await acts(p, f"t{number:02}", f"ann view x{number}")
    for least in (1, 3, 9, 10):
        page = await p.get_hot_threats(least)
        assert ids_of(page) == [f"t{number:02}" for number in range(12, least - 1, -1)]
        assert page.total == 13 - least
    assert ids_of(await p.get_hot_threats()) == ids_of(await p.get_hot_threats(3))
    for least in (0, 11):
        with pytest.raises(UsageError):
            await p.get_hot_threats(least)


async def test_the_same_id_again_counts_once_and_answers_as_first(p: Periscope) -> None:
    await add(p, "t")
    first = await p.record_interaction("t", "ann", "escalate", "id-1")
    assert first.interaction_id == "id-1"
    pass_time(p, MINUTE_MS)
    await acts(p, "t", "bob view x3")
    again = await p.record_interaction("t", "ann", "escalate", "id-1")
    assert replace(again, as_of_ms=0) == replace(first, as_of_ms=0)
    assert (await look(p, "t")).interactions == 4


async def test_the_answer_to_a_retry_is_of_the_first_moment(p: Periscope) -> None:
    await add(p, "t")
    first = await p.record_interaction("t", "ann", "view", "id-1")
    pass_time(p, MINUTE_MS)
    again = await p.record_interaction("t", "ann", "view", "id-1")
    assert (again.as_of_ms, again.score) == (first.as_of_ms, first.score)


async def test_a_hundred_retries_at_once_count_once(spread: Periscope) -> None:
    p = spread
    await add(p, "t")
    replies = await asyncio.gather(
        *(p.record_interaction("t", "ann", "escalate", "one") for _ in range(100))
    )
    assert {reply.interactions for reply in replies} == {1}
    assert (await look(p, "t")).escalations == 1


@pytest.mark.parametrize(
    ("threat", "analyst", "action"),
    [("u", "ann", "view"), ("t", "bob", "view"), ("t", "ann", "escalate")],
)
async def test_an_id_belongs_to_one_act(
    p: Periscope, threat: str, analyst: str, action: str
) -> None:
    await add(p, "t", "u")
    await p.record_interaction("t", "ann", "view", "id-1")
    with pytest.raises(RequestReused):
        await p.record_interaction(threat, analyst, action, "id-1")
    assert [(await look(p, one)).interactions for one in ("t", "u")] == [1, 0]


async def is_known(p: Periscope, interaction_id: str) -> bool:
    """Does a view of `t` under this id count no more?"""
    before = (await look(p, "t")).interactions
    await p.record_interaction("t", "ann", "view", interaction_id)
    return (await look(p, "t")).interactions == before


async def test_ids_are_remembered_for_24_hours(p: Periscope) -> None:
    """At least: they are forgotten by generations, so up to a day later."""
    await add(p, "t", "u")
    await p.record_interaction("t", "ann", "view", "early")
    pass_time(p, 20 * HOUR_MS)
    await p.record_interaction("t", "ann", "view", "late")
    pass_time(p, 4 * HOUR_MS - 1)
    assert await is_known(p, "early")
    for _ in range(4):
        pass_time(p, 5 * HOUR_MS)
        await acts(p, "u", "bob view")
    assert await is_known(p, "late")
    for _ in range(3):
        pass_time(p, DAY_MS)
        await acts(p, "u", "bob view")
    assert not await is_known(p, "early")
    assert not await is_known(p, "late")
    assert (await p.get_holdings())["forgotten_early"] == 0


async def test_how_long_is_of_the_policy(p: Periscope) -> None:
    await p.set_policy(Policy(remember_for=span(5 * SECOND_MS)))
    await add(p, "t", "u")
    await p.record_interaction("t", "ann", "view", "id-1")
    pass_time(p, 5 * SECOND_MS - 1)
    assert await is_known(p, "id-1")
    for _ in range(3):
        pass_time(p, 5 * SECOND_MS)
        await acts(p, "u", "bob view")
    assert not await is_known(p, "id-1")


async def test_ids_beyond_the_limit_are_forgotten_and_counted(p: Periscope) -> None:
    await p.set_policy(Policy(remember_limit=10))
    await add(p, "t")
    for number in range(15):
        await p.record_interaction("t", "ann", "view", f"id-{number}")
    holdings = await p.get_holdings()
    assert (holdings["remembered"], holdings["forgotten_early"]) == (10, 5)
    assert (await p.record_interaction("t", "ann", "view", "id-14")).interactions == 15
    assert (await p.record_interaction("t", "ann", "view", "id-0")).interactions == 16


async def test_a_refused_act_leaves_its_id_free(p: Periscope) -> None:
    with pytest.raises(ThreatUnknown):
        await p.record_interaction("t", "ann", "view", "id-1")
    await add(p, "t")
    assert (await p.record_interaction("t", "ann", "view", "id-1")).interactions == 1


async def test_a_batch_counts_exactly(spread: Periscope) -> None:
    p = spread
    ids = [f"t{number}" for number in range(50)]
    await p.add_threats_batch(report(one) for one in ids)
    result = await p.record_interactions_batch(
        given(ids[n % 50], f"analyst {n % 7}", ACTIONS[n % 5]) for n in range(3500)
    )
    assert (result.received, result.recorded, result.rejected_count) == (3500, 3500, 0)
    threats = await p.get_threats(ids)
    assert {(one.interactions, one.analysts) for one in threats} == {(70, 7)}
    assert sum(one.escalations for one in threats) == 700
    assert sum(one.views for one in threats) == 700


async def test_a_batch_is_applied_in_the_order_given(spread: Periscope) -> None:
    p = spread
    await add(p, "a", "b", severity="CRITICAL")
    words = [given("a", "ann", "escalate"), given("a", "bob", "dismiss")]
    await p.record_interactions_batch([*words, given("b", "bob", "dismiss")])
    await p.record_interactions_batch([given("b", "ann", "escalate")])
    assert [(await look(p, one)).status for one in ("a", "b")] == ["open", "open"]
    await p.record_interactions_batch([given("a", "ann", "dismiss"), given("a", "bob", "view")])
    assert (await look(p, "a")).status == "dismissed"


async def test_bad_entries_are_rejected_by_index_and_the_rest_goes_through(
    spread: Periscope,
) -> None:
    p = spread
    await add(p, "t", "u")
    entries: list[Any] = [
        given("t"),
        given("nobody"),
        given("u", action="look"),
        given("u", analyst_id=""),
        "text",
        {"threat_id": "t"},
        given("t", more=1),
        None,
        given(""),
        given("t", interaction_id=""),
        given("\ud800"),
        Interaction("u", "bob", "escalate"),  # type: ignore[arg-type]
    ]
    result = await p.record_interactions_batch(entries)
    assert (result.recorded, result.rejected_count, result.received) == (2, 10, 12)
    assert [one.index for one in result.rejected] == list(range(1, 11))
    assert all(one.reason for one in result.rejected)
    assert result.rejected[0].threat_id == "nobody"
    assert [(await look(p, one)).interactions for one in ("t", "u")] == [1, 1]


async def test_rejections_keep_their_index_in_a_long_batch(spread: Periscope) -> None:
    p = spread
    await add(p, "t")
    entries = [given("t" if n % 3 else "nobody") for n in range(2000)]
    result = await p.record_interactions_batch(entries)
    assert [one.index for one in result.rejected] == list(range(0, 2000, 3))
    assert result.recorded == (await look(p, "t")).interactions == 1333


async def test_what_somebody_else_holds_rejects_a_dismissal(p: Periscope) -> None:
    await add(p, "t")
    await p.claim("t", "ann")
    entries = [given("t", "bob", "dismiss"), given("t", "bob"), given("t", "ann", "dismiss")]
    result = await p.record_interactions_batch(entries)
    assert (result.recorded, [one.index for one in result.rejected]) == (2, [0])
    threat = await look(p, "t")
    assert (threat.interactions, threat.dismissals) == (2, 1)


async def test_an_id_repeated_in_or_between_batches_counts_once(spread: Periscope) -> None:
    p = spread
    await add(p, "t", "u")
    entries = [given("t", interaction_id="a"), given("u", interaction_id="b")]
    first = await p.record_interactions_batch([*entries, *entries])
    again = await p.record_interactions_batch(entries)
    assert (first.recorded, first.repeated) == (2, 2)
    assert (again.recorded, again.repeated) == (0, 2)
    assert [(await look(p, one)).interactions for one in ("t", "u")] == [1, 1]


async def test_an_id_of_another_act_is_rejected(p: Periscope) -> None:
    await add(p, "t")
    entries = [given("t", interaction_id="a"), given("t", action="escalate", interaction_id="a")]
    result = await p.record_interactions_batch(entries)
    assert (result.recorded, result.rejected_count) == (1, 1)
    assert (await look(p, "t")).escalations == 0


async def test_a_batch_may_be_asynchronous_or_empty(p: Periscope) -> None:
    await add(p, "t")

    async def stream() -> AsyncIterator[Any]:
        for _ in range(3):
            yield given("t")

    assert (await p.record_interactions_batch(stream())).recorded == 3
    assert (await p.record_interactions_batch([])).received == 0
    with pytest.raises(UsageError):
        await p.record_interactions_batch("text")
    with pytest.raises(UsageError):
        await p.record_interactions_batch(5)  # type: ignore[arg-type]


async def test_a_batch_whose_input_raises_tells_what_was_recorded(p: Periscope) -> None:
    await add(p, "t")

    def broken() -> Any:
        for _ in range(700):
            yield given("t")
        raise RuntimeError("the input broke")

    with pytest.raises(BatchInterrupted) as caught:
        await p.record_interactions_batch(broken())
    error = caught.value
    recorded = (await look(p, "t")).interactions
    assert recorded == error.result.committed
    assert (error.unknown, error.result.rejected_count) == (0, 0)


async def test_interactions_over_all_levels_latch_and_recall_in_one_batch(p: Periscope) -> None:
    await add(p, "t", severity="CRITICAL")
    entries = [given("t", f"analyst {n % 2}", "escalate") for n in range(4)]
    await p.record_interactions_batch(entries)
    assert (await p.promote_eligible_threats()).promoted_ids == ["t"]
    await p.record_interactions_batch(entries[:1])
    threat = await look(p, "t")
    assert (threat.level, threat.home, threat.latched) == (1, 2, True)
