"""A database is moved while primaries die, replicas hear nothing, and slots change servers."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
from redis.asyncio import Redis

from periscope import MoveError, Moving, OutcomeUnknown, Periscope, Settings
from periscope.archive import Archive, open_archive
from periscope.keys import Keyspace, control_key, slot_of_key
from periscope.moving import repartition
from periscope.moving.calls import MoverCalls
from periscope.moving.mover import Mover
from periscope.moving.reading import Reading
from periscope.moving.state import Move
from periscope.queries import Queries
from tests.support.clusters import Cluster
from tests.support.nodes import Node, wait_until
from tests.support.servers import ServerProcess

IDS = [f"t{number}" for number in range(300)]
AGAIN = r"run its command again|Run the same command again"
SOURCE = Keyspace.of("periscope", 3)


@pytest.fixture
async def cluster() -> AsyncIterator[Cluster]:
    made = Cluster(3, 1)
    yield await made.start()
    made.close()


@pytest.fixture
async def archive(tmp_path: Path) -> AsyncIterator[Archive]:
    opened = await open_archive(tmp_path / "archive.db")
    yield opened
    await opened.close()


@pytest.fixture
def other_server() -> Iterator[ServerProcess]:
    process = ServerProcess().start()
    yield process
    process.stop()


async def fill(cluster: Cluster, **options: Any) -> None:
    async with Periscope.open(cluster.url, partitions=3, **options) as p:
        await p.add_threats_batch(
            {"threat_id": one, "content": "x", "severity": "HIGH"} for one in IDS
        )


async def pair_of(cluster: Cluster, key: bytes) -> tuple[Node, Node]:
    """The primary of a key and its replica, which has everything."""
    primary = await cluster.owner(slot_of_key(key))
    (replica,) = await cluster.replicas_of(primary)

    async def level() -> bool:
        told = [await node.ask("INFO", "replication") for node in (primary, replica)]
        at = [_offset(text) for text in told]
        return at[0] == at[1]

    await wait_until(level, "the replica has everything")
    return primary, replica


def _offset(info: str) -> int:
    rows = dict(row.split(":", 1) for row in info.split() if ":" in row)
    return int(rows.get("slave_repl_offset") or rows["master_repl_offset"])


async def deafen(primary: Node, replica: Node) -> None:
    """The replica hears nothing more of its primary, but of the cluster."""
    await replica.ask("CONFIG", "SET", "primaryauth", "cut-off")
    await primary.ask("CLIENT", "KILL", "TYPE", "replica")


async def succeed(cluster: Cluster, primary: Node, replica: Node) -> None:
    """The primary dies, and the replica takes over with what it has."""
    primary.kill()
    await replica.ask("CONFIG", "SET", "primaryauth", "")
    await cluster.until_primary(replica)


@pytest.mark.parametrize("elsewhere", [True, False], ids=["to-a-server", "within"])
async def test_acts_after_a_failover_without_the_fence(
    cluster: Cluster,
    other_server: ServerProcess,
    archive: Archive,
    monkeypatch: pytest.MonkeyPatch,
    elsewhere: bool,
) -> None:
    """The heir of partition 0 never heard of the fence: what it acknowledges comes along."""
    await fill(cluster)
    async with Periscope.open(cluster.url) as p:
        keys = p.keyspace.partitions[0]
        primary, replica = await pair_of(cluster, keys.meta)
        await deafen(primary, replica)
        mine = [one for one in IDS if p.keyspace.partition_of(one.encode()) is keys]
        real = Mover._note

        async def note(mover: Mover, state: Move | None, fields: Any = None) -> None:
            await real(mover, state, fields)
            if state is not None and state.copied == 1 and primary.is_alive:
                await succeed(cluster, primary, replica)
                done = await p.record_interactions_batch(
                    {"threat_id": one, "analyst_id": "ann", "action": "escalate"} for one in mine
                )
                assert done.committed == len(mine)

        monkeypatch.setattr(Mover, "_note", note)
        settings, to = Settings.load({}, url=cluster.url), other_server.url if elsewhere else None
        with pytest.raises((MoveError, Moving), match=AGAIN):
            await repartition(settings, archive, 6, to=to)
        await repartition(settings, archive, 6, to=to)
    async with Periscope.open(to or cluster.url) as p:
        assert sum(t.interactions for t in await p.get_threats(mine)) == len(mine)
        assert (await p.get_ledger(deep=True)).balanced


async def test_a_copy_that_no_replica_has_does_not_become_the_database(
    cluster: Cluster, archive: Archive, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The link of a replica breaks when all is copied: nothing is switched, nothing deleted."""
    await fill(cluster, durability="replicated")
    options = {"durability": "replicated", "replica_timeout_s": 0.5}
    settings = Settings.load({}, url=cluster.url, **options)
    control = await cluster.owner(slot_of_key(control_key("periscope")))
    primary = next(node for node in await cluster.primaries() if node is not control)
    (replica,) = await cluster.replicas_of(primary)
    real = MoverCalls.hold

    async def hold(calls: MoverCalls, keys: Any) -> bool:
        await deafen(primary, replica)
        return await real(calls, keys)

    with monkeypatch.context() as patch:
        patch.setattr(MoverCalls, "hold", hold)
        with pytest.raises(MoveError, match="too few replicas have the copy"):
            await repartition(settings, archive, 6)
    with pytest.raises(OutcomeUnknown):
        await repartition(settings, archive, 6)
    await replica.ask("CONFIG", "SET", "primaryauth", "")
    await wait_until(lambda: _follows(primary), "the replica follows again")
    assert (await repartition(settings, archive, 6)).partitions == 6
    primary.kill()
    await cluster.until_primary(replica)
    async with Periscope.open(cluster.url) as p:
        assert len(await p.get_threats(IDS)) == len(IDS)
        assert (await p.get_ledger(deep=True)).balanced


async def test_a_source_is_not_deleted_before_replicas_have_the_copy(
    cluster: Cluster, other_server: ServerProcess, archive: Archive
) -> None:
    """The lone server that it was on has none: only the cluster is asked."""
    async with Periscope.open(other_server.url) as p:
        await p.add_threats_batch(
            {"threat_id": one, "content": "x", "severity": "HIGH"} for one in IDS
        )
    await repartition(Settings.load({}, url=other_server.url), archive, 6, to=cluster.url)
    options = {"durability": "replicated", "replica_timeout_s": 0.5}
    settings = Settings.load({}, url=other_server.url, **options)
    primary, *_ = await cluster.primaries()
    (replica,) = await cluster.replicas_of(primary)
    await deafen(primary, replica)
    async with Redis.from_url(other_server.url) as client:
        before = await client.dbsize()
        with pytest.raises(MoveError, match="nothing was deleted"):
            await repartition(settings, archive, 6, to=cluster.url, delete_source=True)
        assert await client.dbsize() == before > len(IDS)
        await replica.ask("CONFIG", "SET", "primaryauth", "")
        await wait_until(lambda: _follows(primary), "the replica follows again")
        await repartition(settings, archive, 6, to=cluster.url, delete_source=True)
        left = [name for name in await client.keys() if b":reply:" not in name]
        assert sorted(left) == [b"{periscope:0}:meta", b"{periscope:control}"]


async def _follows(primary: Node) -> bool:
    return "state=online" in await primary.ask("INFO", "replication")


async def test_request_ids_survive_a_failover_while_they_are_read(
    cluster: Cluster, archive: Archive, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The cursor of a scan means nothing to the replica that takes over."""
    await fill(cluster)

    def acts() -> list[dict[str, str]]:
        return [
            {
                "threat_id": IDS[n % len(IDS)],
                "analyst_id": "ann",
                "action": "view",
                "interaction_id": f"i{n}",
            }
            for n in range(9000)
        ]

    async with Periscope.open(cluster.url) as p:
        assert (await p.record_interactions_batch(acts())).committed == 9000
    key, pages = SOURCE.partitions[0].done, 0
    real = Reading._scan

    async def scan(reading: Reading, one: bytes) -> AsyncIterator[Any]:
        nonlocal pages
        async for pairs in real(reading, one):
            yield pairs
            pages += one == key
            if one == key and pages == 2:
                _, replica = await pair_of(cluster, key)
                await cluster.fail_over(replica)

    monkeypatch.setattr(Reading, "_scan", scan)
    await repartition(Settings.load({}, url=cluster.url), archive, 6)
    assert pages > 2
    async with Periscope.open(cluster.url) as p:
        await p.record_interactions_batch(acts())
        assert sum(t.interactions for t in await p.get_threats(IDS)) == 9000


@pytest.mark.parametrize("word", ["SCAN", "ZSCAN"])
async def test_the_deep_ledger_survives_a_failover_in_its_midst(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch, word: str
) -> None:
    async with Periscope.open(cluster.url, partitions=3) as p:
        await p.add_threats_batch(
            {"threat_id": f"u{n}", "content": "x", "severity": "HIGH"} for n in range(9000)
        )
        keys, real, pages = p.keyspace.partitions[0], Queries.run, 0
        for one in await p.functions.connections.run("ZRANGE", keys.board, 0, 299):
            await p.functions.connections.run("UNLINK", keys.record(one))

        async def run(queries: Queries, *command: Any, key: bytes | None = None) -> Any:
            nonlocal pages
            reply = await real(queries, *command, key=key)
            if command[0] == word and (key == keys.meta or keys.board in command):
                pages += 1
                if pages == 2:
                    _, replica = await pair_of(cluster, keys.meta)
                    await cluster.fail_over(replica)
            return reply

        monkeypatch.setattr(Queries, "run", run)
        ledger = await p.get_ledger(deep=True)
        assert pages > 2
        assert (ledger.records, ledger.faults["NO_RECORD"]) == (8700, 300)
