"""The clusters that the other tests rely on do what they are told."""

from __future__ import annotations

from tests.support.clusters import Cluster, cluster
from tests.support.nodes import Node
from tests.support.sentinels import sentinels

SLOT_OF_A = 15_495


async def test_slots_move_both_ways_and_an_empty_primary_joins() -> None:
    async with cluster(3) as it:
        source = await it.owner(SLOT_OF_A)
        for number in range(30):
            await source.ask("SET", f"{{a}}{number}", "x")
        target = next(node for node in await it.primaries() if node is not source)
        assert await it.move_by_key(SLOT_OF_A, target) == 30
        assert await it.owner(SLOT_OF_A) is target
        await it.migrate(SLOT_OF_A, SLOT_OF_A, source)
        assert await source.ask("GET", "{a}7") == "x"
        joined = await it.add_primary()
        await it.migrate(SLOT_OF_A, SLOT_OF_A, joined)
        await it.until_whole()
        assert await joined.ask("GET", "{a}29") == "x"


async def test_failovers_by_hand_by_death_and_by_partition() -> None:
    async with cluster(3, 1, node_timeout_ms=2000) as it:
        primary = await it.owner(SLOT_OF_A)
        (replica,) = await it.replicas_of(primary)
        await it.fail_over(replica)
        assert await it.owner(SLOT_OF_A) is replica
        await it.until_whole()
        await it.cut_off(replica)
        await until_owner(it, primary)
        await it.join_again(replica)
        await it.until_whole()
        primary.kill()
        await until_owner(it, replica)


async def until_owner(it: Cluster, node: Node) -> None:
    await it.until_primary(node)
    assert await it.owner(SLOT_OF_A) is node


async def test_sentinels_choose_another_primary() -> None:
    async with sentinels() as it:
        first = await it.primary()
        second = await it.fail_over()
        await it.until_following(second, 1)
        assert second is not first
        second.kill()
        third = await it.until_other_primary(second)
        assert third is not second
