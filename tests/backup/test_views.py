"""Saved views where the database is backed up, repartitioned or moved; the timeline begins anew."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from redis.asyncio import Redis

from periscope import Moving, Periscope, Policy, Settings
from periscope.archive import Archive, open_archive
from periscope.backup import backup, restore
from periscope.console_keys import console_keys
from periscope.keys import control_key
from periscope.moving import repartition
from periscope.moving.state import Move
from periscope.timeline import Sampler
from periscope.views import View, Views, ViewWord, new_view
from tests.access.support import plain_client
from tests.conftest import OpenHere
from tests.support.servers import ServerProcess

KEYS = console_keys("periscope")


@pytest.fixture
async def other() -> AsyncIterator[ServerProcess]:
    server = ServerProcess().start()
    yield server
    server.stop()


@pytest.fixture
async def archive(tmp_path: Path) -> AsyncIterator[Archive]:
    opened = await open_archive(tmp_path / "archive.db")
    yield opened
    await opened.close()


@pytest.fixture
async def views(open_here: OpenHere) -> AsyncIterator[list[View]]:
    """Two views, and a sample, of a database that nobody has open."""
    async with Redis.from_url(open_here.url) as client:
        await client.flushall()
        async with open_here() as p:
            await p.add_threat("t", "x", "HIGH")
            assert await Sampler(p).sample()
            saved = Views(p)
            for name, shared in (("Mail", True), ("own", False)):
                word, _ = await saved.put(new_view("ann", name, "tag:mail", shared=shared), 0)
                assert word is ViewWord.SET
            found = await saved.all()
        yield found
        await client.flushall()


def settings(url: str) -> Settings:
    return Settings.load({}, url=url, retry_s=0.0)


async def check(url: str, views: list[View]) -> None:
    async with Periscope(settings(url)) as p:
        assert await Views(p).all() == views
        word, _ = await Views(p).put(views[0], views[0].revision - 1)
        assert word is ViewWord.SET, "what it is is no change"
        await Sampler(p).sample()


async def test_a_backup_has_them(
    open_here: OpenHere,
    views: list[View],
    archive: Archive,
    other: ServerProcess,
    tmp_path: Path,
) -> None:
    async with open_here() as p:
        await backup(p, archive, tmp_path / "backup")
    empty = await open_archive(tmp_path / "restored.db")
    await restore(settings(other.url), empty, tmp_path / "backup")
    await empty.close()
    async with Redis.from_url(other.url) as client:
        assert not await client.exists(KEYS.timeline)
    await check(other.url, views)


async def test_repartitioned_they_stay(
    open_here: OpenHere, views: list[View], archive: Archive
) -> None:
    await repartition(settings(open_here.url), archive, 3)
    await check(open_here.url, views)


async def test_to_another_server_they_come_along_and_nothing_is_left(
    open_here: OpenHere, views: list[View], archive: Archive, other: ServerProcess
) -> None:
    await repartition(settings(open_here.url), archive, 2, to=other.url, delete_source=True)
    async with Redis.from_url(open_here.url) as client:
        assert not await client.exists(*KEYS.own)
    await check(other.url, views)


async def test_they_stand_still_while_a_move_carries_them(periscope: Periscope) -> None:
    views, control = Views(periscope), control_key("periscope")
    _, made = await views.put(new_view("ann", "Mail", "", shared=True), 0)
    move = Move(
        *("0" * 20, "me", "repartition", 1, 2, 1, "redis://there", repr(Policy()), 1, 1, 1),
        phase="switching",
    )
    await plain_client(periscope).hset(control, "move", move.note)
    with pytest.raises(Moving, match="belongs to no threat"):
        await views.remove(made)
    with pytest.raises(Moving, match="belongs to no threat"):
        await Sampler(periscope).sample()
    await plain_client(periscope).hdel(control, "move")
    assert await views.remove(made) is ViewWord.SET
