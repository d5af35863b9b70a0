"""Feeds on a cluster: reports go to all primaries, lease and position to the control key's one."""

from __future__ import annotations

from pathlib import Path

from periscope import Periscope
from periscope.polling import FeedWorker
from tests.polling.scene import add, done, lines, numbered, run_once, stored


async def test_a_feed_is_read_once_by_whoever_comes(p: Periscope, tmp_path: Path) -> None:
    place = tmp_path / "feed.ndjson"
    place.write_text(lines(numbered(0, 9_000)))
    feeds = await add(p, "file", place)
    assert (await FeedWorker(p).run_once()).added == 9_000
    assert done(await run_once(p)) == {}
    info = await feeds.get_feed("f")
    assert (info.status.counts.added, info.owner) == (9_000, None)
    assert len(await stored(p)) == 9_000
    await feeds.remove_feed("f")
    assert await feeds.get_feeds() == []
