"""Feeds go where their database goes: backups, and other servers."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from periscope import Moving, Periscope
from periscope.archive import open_archive
from periscope.backup import backup, restore
from periscope.moving import repartition
from periscope.polling import Feeds
from periscope.settings import Settings
from tests.polling.scene import add, done, lines, numbered, run_once
from tests.support.servers import ServerProcess


@pytest.fixture
def other_server() -> Iterator[ServerProcess]:
    process = ServerProcess().start()
    yield process
    process.stop()


async def furnish(p: Periscope, folder: Path) -> dict[str, Any]:
    """A feed that was run, one that is paused; what is shown of them."""
    place = folder / "feed.ndjson"
    place.write_text(lines(numbered(0, 10)))
    feeds = await add(p, "file", place)
    assert done(await run_once(p))["added"] == 10
    await feeds.add_feed("held", kind="file", place="/nowhere")
    await feeds.pause_feed("held")
    return await shown(p)


async def shown(p: Periscope) -> dict[str, Any]:
    found = await Feeds(p).get_feeds()
    return {one.name: (one.definition, one.status, one.paused, one.next_ms) for one in found}


async def test_a_backup_has_the_feeds(
    periscope: Periscope, other_server: ServerProcess, tmp_path: Path
) -> None:
    before = await furnish(periscope, tmp_path)
    one = await open_archive(tmp_path / "one.db")
    two = await open_archive(tmp_path / "two.db")
    await backup(periscope, one, tmp_path / "all.backup")
    there = Settings.load({}, url=other_server.url)
    await restore(there, two, tmp_path / "all.backup")
    async with Periscope(there) as p:
        assert await shown(p) == before
        assert done(await run_once(p)) == {}, "the position came along"
    await one.close()
    await two.close()


async def test_they_stay_where_the_database_is_repartitioned(
    periscope: Periscope, tmp_path: Path
) -> None:
    archive = await open_archive(tmp_path / "archive.db")
    settings = Settings.load({}, url=periscope.settings.url, namespace="moved")
    async with Periscope(settings) as p:
        before = await furnish(p, tmp_path)
    await repartition(settings, archive, 4)
    async with Periscope(settings) as p:
        assert await shown(p) == before
        assert done(await run_once(p)) == {}
    await archive.close()


async def test_they_go_along_to_another_server(
    periscope: Periscope, other_server: ServerProcess, tmp_path: Path
) -> None:
    archive = await open_archive(tmp_path / "archive.db")
    settings = Settings.load({}, url=periscope.settings.url, namespace="moved")
    left = Periscope(settings)
    await left.start()
    before = await furnish(left, tmp_path)
    await repartition(settings, archive, 2, to=other_server.url)
    there = Settings.load({}, url=other_server.url, namespace="moved")
    async with Periscope(there) as p:
        assert await shown(p) == before
        assert done(await run_once(p)) == {}
    with pytest.raises(Moving):
        await run_once(left)
    await left.close()
    await archive.close()
