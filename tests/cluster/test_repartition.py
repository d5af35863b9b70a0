"""A database moves from one server to a cluster, within it, and back; it shows what it showed."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from redis.asyncio import Redis

from periscope import Periscope, Settings
from periscope.archive import open_archive
from periscope.moving import repartition
from tests.moving.conftest import Scene, furnish
from tests.support.clusters import Cluster
from tests.support.servers import ServerProcess


@pytest.fixture
async def cluster() -> AsyncIterator[Cluster]:
    made = Cluster(3)
    yield await made.start()
    made.close()


@pytest.fixture
def other_server() -> Iterator[ServerProcess]:
    process = ServerProcess().start()
    yield process
    process.stop()


@pytest.fixture
async def scene(server: ServerProcess, tmp_path: Path) -> AsyncIterator[Scene]:
    archive = await open_archive(tmp_path / "archive.db")
    async with Redis.from_url(server.url) as client:
        await client.flushall()
        yield Scene(server.url, archive)
        await client.flushall()  # whoever comes next would be sent to a cluster that is gone
    await archive.close()


async def test_to_a_cluster_and_back(
    scene: Scene, cluster: Cluster, other_server: ServerProcess
) -> None:
    async with Periscope(scene.settings()) as p:
        p.functions.now_ms = scene.now_ms
        await furnish(p, scene.archive)
        scene.now_ms = p.functions.now_ms
    seen = await scene.portrait()
    await scene.repartition(64, to=cluster.url)
    assert await scene.portrait(cluster.url) == seen
    there = Settings.load({}, url=cluster.url)
    await repartition(there, scene.archive, 6)
    assert await scene.portrait(cluster.url) == seen
    await repartition(there, scene.archive, 1, to=other_server.url, delete_source=True)
    assert await scene.portrait(other_server.url) == seen
