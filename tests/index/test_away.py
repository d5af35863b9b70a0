"""A primary is away: what the others have is shown, and the index is whole again afterwards."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from periscope import BatchInterrupted, PartitionsMissing, Periscope, StoreUnavailable
from periscope.functions import RankQuery
from periscope.index import IndexState, Where, asked
from periscope.keys import control_key, slot_of_key
from tests.index.support import ids, indexed, report, up_to_now, walk
from tests.support.clusters import cluster
from tests.support.nodes import wait_until
from tests.support.servers import ServerProcess

COUNT = 200


@pytest.mark.parametrize("most_of_few", [10_000, 0], ids=["few", "many"])
async def test_what_the_others_have_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, most_of_few: int
) -> None:
    monkeypatch.setattr(asked, "MOST_OF_FEW", most_of_few)
    async with (
        cluster(3, 0, durable=True) as it,
        Periscope.open(it.url, retry_s=0.3, call_timeout_s=1.0, connect_timeout_s=1.0) as p,
    ):
        await p.add_threats_batch(map(report, range(COUNT)))
        keeper = await it.owner(slot_of_key(control_key(p.settings.namespace)))
        victim = next(node for node in it.nodes if node is not keeper)
        gone = {
            keys.number
            for keys in p.keyspace.partitions
            if await it.owner(slot_of_key(keys.meta)) is victim
        }
        async with indexed(p, tmp_path) as index:
            where = Where(tag="all")
            victim.kill()
            begun = time.monotonic()
            with pytest.raises(PartitionsMissing) as caught:
                await index.page(RankQuery(), where, None, 1000)
            assert time.monotonic() - begun < 10
            assert set(caught.value.missing) <= gone
            partial = caught.value.partial
            assert partial.next_cursor is None
            if most_of_few:
                shown = {p.keyspace.partition_of(one.encode()).number for one in ids(partial.items)}
                assert shown
                assert not shown & gone
            assert (await index.facets()).total == COUNT
            assert index.status.state in (IndexState.READY, IndexState.BEHIND)
            victim.start()
            await victim.until_up()
            await it.until_whole()
            await wait_until(lambda: takes(p), "it takes reports again")
            await up_to_now(p, index)
            found, _ = await walk(index, where, count=100)
            assert len(set(ids(found))) == len(found) == COUNT + 50


async def takes(p: Periscope) -> bool:
    try:
        await p.add_threats_batch(map(report, range(COUNT, COUNT + 50)))
    except BatchInterrupted:  # it is not whole yet
        return False
    return True


async def test_without_a_server_it_answers_what_needs_none(tmp_path: Path) -> None:
    process = ServerProcess().start()
    async with Periscope.open(process.url, retry_s=0.1) as p:
        await p.add_threats_batch(map(report, range(50)))
        async with indexed(p, tmp_path) as index:
            process.stop()
            with pytest.raises(StoreUnavailable):
                await index.page()
            assert await index.count(Where(source="s1")) == 10
            assert (await index.facets()).total == 50
