"""A database with all kinds of state, its archive, and empty places to restore into."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import pytest
from redis.asyncio import Redis

from periscope import Periscope, Policy, Settings
from periscope.archive import Archive, open_archive
from periscope.backup import backup
from periscope.models import Mark
from tests.conftest import OpenHere
from tests.rules.scene import DAY_MS, START_MS, acts, add, latch, pass_time, promote, report
from tests.support.marking import add_marked, mark_with
from tests.support.servers import ServerProcess

SAMPLE_LIST = Path(__file__).parents[2] / "samples" / "warninglist-sample.json"
SNOOZE = timedelta(days=30)


@dataclass
class Home:
    """A server and an archive of a test's own; empty at first."""

    url: str
    archive: Archive

    def settings(self, **options: object) -> Settings:
        return Settings.load({}, url=self.url, **{"retry_s": 0.0, **options})

    def open(self, **options: object) -> Periscope:
        return Periscope(self.settings(**options))


@pytest.fixture
async def archive(tmp_path: Path) -> AsyncIterator[Archive]:
    opened = await open_archive(tmp_path / "archive.db")
    yield opened
    await opened.close()


@pytest.fixture(params=[1, 3], ids=["1-partition", "3-partitions"])
async def lively(
    request: pytest.FixtureRequest, open_here: OpenHere, archive: Archive
) -> AsyncIterator[Periscope]:
    """A database in which everything that can be there is there."""
    async with Redis.from_url(open_here.url) as client:
        await client.flushall()
        await client.set("somebody else's", "key")
        async with open_here(partitions=request.param) as p:
            p.functions.now_ms = START_MS
            await fill(p, archive)
            yield p
        await client.flushall()


async def fill(p: Periscope, archive: Archive) -> None:
    """All levels, departed, removed, snoozed ones, a claim, stubs, audit on both sides, policy."""
    await p.set_policy(Policy(target_high=p.functions.rules.policy.target_high * 2))
    await add(p, *(f"old {number}" for number in range(40)), severity="LOW")
    await add(p, "to remove", "hostile { } * ? \r\n \0 \u202e é 🙈", severity="HIGH")
    pass_time(p, 8 * DAY_MS)
    await add(p, *(f"new {number}" for number in range(450)), severity="MEDIUM")
    await add(p, "short", "long", "claimed", severity="CRITICAL")
    await p.sweep(archive)
    await p.add_threat("old 7", "as first seen", "LOW", source="another")
    await p.remove(archive, "new 449", "ann", "tracked elsewhere")
    for threat_id in ("short", "long"):
        await latch(p, threat_id)
        await promote(p, threat_id)
    await p.decide("new 1", "bob", "benign_expected", note="ours", request_id="r1")
    await p.archive_audit(archive)
    await acts(p, "new 2", "ann view", "ann dismiss")
    await p.claim("claimed", "ann")
    await p.comment("new 3", "ann", "a comment that is not archived yet")
    await p.snooze("new 30", "ann", SNOOZE, "until the patch is there")
    await p.snooze("new 31", "ann", None)
    await suppress(p)
    ended = await p.add_suppression("source=nobody", "never came", "ann")
    await p.end_suppression(ended.id, "bob")
    await p.add_suppression(["source=nobody", "severity<=LOW"], "never comes", "ann")
    await p.load_warninglists(SAMPLE_LIST, analyst="ann")


async def suppress(p: Periscope) -> None:
    """Entries of several causes; one of a threat in a level, one hostile, one that came back."""
    noise = [f"noise {number}" for number in range(150)]
    reports = [report(one, "LOW") for one in (*noise, "new 3", "{ } * ? \r\n \0 é 🙈", "back")]
    marks = [Mark(f"list:{number % 3} é") for number in range(len(reports) - 1)]
    await add_marked(p, reports, [*marks, Mark("rule:back", 5, 60_000)], durability=None)
    await add_marked(p, [report("back", "HIGH")], [Mark("rule:back", 5, 60_000)])
    await mark_with(p, None)


@pytest.fixture
def other_server() -> Iterator[ServerProcess]:
    process = ServerProcess().start()
    yield process
    process.stop()


@pytest.fixture
async def empty(other_server: ServerProcess, tmp_path: Path) -> AsyncIterator[Home]:
    """Another server without a key, and a new archive."""
    opened = await open_archive(tmp_path / "empty.db")
    yield Home(other_server.url, opened)
    await opened.close()


@pytest.fixture
async def small(periscope: Periscope, archive: Archive, tmp_path: Path) -> Path:
    """A backup of a few threats, one of them departed."""
    await add(periscope, "a", "b", "c")
    await periscope.remove(archive, "b", "ann")
    taken = await backup(periscope, archive, tmp_path / "small.backup")
    return taken.path
