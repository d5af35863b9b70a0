"""Other caps, another decay: the boards and ranks are those of a database that always had them."""

from __future__ import annotations

from itertools import product
from typing import ClassVar

import pytest
from hypothesis import given, settings
from msgspec.structs import replace

from periscope import Periscope, Policy, SettingInvalid, UsageError
from periscope.functions import RankQuery
from periscope.models import SEVERITIES
from periscope.moving import rebuild
from periscope.scoring import score
from tests.engine.test_ranking import boards, brute_force, names, walk
from tests.moving.conftest import Scene, furnish
from tests.rules.scene import DAY_MS, START_MS, acts, add, pass_time
from tests.support.boards import Placed, lay_out

NOW = START_MS
AGES = (0, 1, 1_800_000, 86_400_000)


class Capped(Placed):
    """As `Placed`, under a policy with these caps."""

    interactions_cap: ClassVar[int] = 4
    escalations_cap: ClassVar[int] = 2


CAPPED = Policy(interactions_cap=4, escalations_cap=2)


def capped(threat: Placed) -> Capped:
    return Capped(*(getattr(threat, name) for name in Placed.__dataclass_fields__))


@settings(max_examples=8)
@given(board=boards())
async def test_ranks_equal_brute_force(scene: Scene, board: list[Placed]) -> None:
    if not scene.keys:  # an empty database with its archive, for all examples
        async with Periscope(scene.settings(partitions=2)) as p:
            await p.adopt_archive(scene.archive)
        await scene.remember()
    await scene.set_back()
    async with Periscope(scene.settings()) as p:
        p.functions.now_ms = NOW
        await lay_out(p, board)
    await rebuild(scene.settings(), scene.archive, lambda _: CAPPED)
    expected = names(brute_force([capped(threat) for threat in board], NOW))
    async with Periscope(scene.settings()) as p:
        p.functions.now_ms = NOW
        assert await walk(p, "get_active_paginated", count=7) == expected
        assert [t.threat_id for t in await p.get_top_threats(20)] == expected[:20]
        assert (await p.get_ledger(deep=True)).balanced


async def test_scores_agree_bit_for_bit_under_other_caps(scene: Scene) -> None:
    """The shared vectors, and threats that change afterwards: both ways a board is written."""
    board = [
        Placed(f"{s}-{e}-{i}-{age}", s, NOW - age, i, e)
        for (s, e, i), age in product(product(range(4), range(4), range(11)), AGES)
    ]
    async with Periscope(scene.settings()) as p:
        p.functions.now_ms = NOW
        await lay_out(p, board)
    await rebuild(scene.settings(), scene.archive, lambda _: CAPPED)
    async with Periscope(scene.settings()) as p:
        p.functions.now_ms = NOW
        rules, (keys,) = p.functions.rules, p.keyspace.partitions
        assert (rules.policy, rules.revision) == (CAPPED, 2)
        ranked = await p.functions.rank(
            keys, rules, RankQuery(), len(board), records=0, as_of_ms=NOW
        )
        told = {threat_id.decode(): value for threat_id, _, value in ranked.places}
        for t in board:
            age = NOW - t.last_activity
            expected = score(CAPPED, SEVERITIES[t.severity], t.interactions, t.escalations, age)
            assert told[t.threat_id] == expected == capped(t).score(NOW), t
        shown = await p.get_threats(told)
        assert {t.threat_id: t.score for t in shown} == told


async def test_what_changes_under_other_caps_is_placed_by_them(scene: Scene) -> None:
    async with Periscope(scene.settings(partitions=2)) as p:
        await add(p, *(f"t{number}" for number in range(6)))
    await rebuild(scene.settings(), scene.archive, lambda _: CAPPED)
    async with Periscope(scene.settings()) as p:
        p.functions.now_ms = NOW
        await acts(p, "t1", "ann view x3")
        await acts(p, "t2", "ann view x7")
        await acts(p, "t3", "ann escalate x3", "ann dismiss")
        await add(p, "u1", "u2")
        pass_time(p, 1000)
        for threat_id in ("t2", "t3", "t4"):  # sightings: the short way, and the long one
            await p.add_threat(threat_id, "says more", "MEDIUM")
        await p.add_threat("t2", "says more", "LOW", source="another")
        assert (await p.get_ledger(deep=True)).balanced
        found = await p.get_active_paginated(count=100)
        expected = sorted(found, key=lambda t: (t.score, t.last_activity_ms, t.threat_id.encode()))
        assert [t.threat_id for t in found] == [t.threat_id for t in reversed(expected)]
        assert {t.threat_id for t in await p.get_hot_threats(4)} == {"t2", "t3"}
        with pytest.raises(UsageError, match="from 1 to 4"):
            await p.get_hot_threats(5)
        terms = {t.name: t for t in (await p.get_threats(["t2"]))[0].explain().terms}
        assert terms["interactions"].input == "7 of 4"
        assert terms["interactions"].factor == 1


async def test_nothing_else_changes(scene: Scene) -> None:
    async with Periscope(scene.settings(partitions=3)) as p:
        p.functions.now_ms = scene.now_ms
        await furnish(p, scene.archive)
        scene.now_ms = p.functions.now_ms
        policy = await p.get_policy()
    seen = await scene.portrait()
    moved = await rebuild(scene.settings(), scene.archive, lambda p: replace(p, escalations_cap=2))
    assert moved.policy == replace(policy, escalations_cap=2)
    await rebuild(scene.settings(), scene.archive, lambda p: replace(p, escalations_cap=3))
    assert await scene.portrait() == seen


async def test_another_decay_orders_what_decays_anew(scene: Scene) -> None:
    """Which `set_policy` refuses while something decays; of two, the one that entered later."""
    policy = Policy(long_term_confidence=0.0, long_term_consolidations=1, validated_escalations=0)
    async with Periscope(scene.settings()) as p:
        p.functions.now_ms = NOW
        await p.set_policy(policy)
        for threat_id, weight in (("earlier", "CRITICAL"), ("later", "HIGH")):
            await add(p, threat_id, severity=weight)
            await acts(p, threat_id, "ann escalate x2", "bob escalate", "bob view x4")
            await p.promote_eligible_threats()
            await p.decide(threat_id, "bob", "benign_expected")
            pass_time(p, 20 * DAY_MS)
        faster = replace(policy, decay_per_day=0.97)
        with pytest.raises(UsageError, match="periscope rebuild"):
            await p.set_policy(faster)
        before = [t.threat_id for t in await p.get_long_term()]
        scene.now_ms = p.functions.now_ms
    await rebuild(scene.settings(), scene.archive, lambda _: faster)
    p = await scene.opened()
    found = await p.get_long_term()
    assert before == ["earlier", "later"]
    assert [t.threat_id for t in found] == ["later", "earlier"]
    assert [t.confidence for t in found] == sorted((t.confidence for t in found), reverse=True)
    assert (await p.get_ledger(deep=True)).balanced
    await p.close()


async def test_caps_change_by_a_rebuild_only(scene: Scene) -> None:
    async with Periscope(scene.settings()) as p:
        for policy in (Policy(interactions_cap=5), Policy(escalations_cap=1)):
            with pytest.raises(UsageError, match="periscope rebuild"):
                await p.set_policy(policy)
    with pytest.raises(UsageError, match="nothing to rebuild"):
        await rebuild(scene.settings(), scene.archive, lambda p: p)
    for caps in ({"interactions_cap": 11}, {"escalations_cap": 4}, {"escalations_cap": 0}):
        with pytest.raises(SettingInvalid, match="whole number from 1 to"):
            replace(Policy(), **caps)
