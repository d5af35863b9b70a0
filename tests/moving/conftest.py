"""A database in which everything is that can be, what it shows, and ways to set it back."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from redis.asyncio import Redis

from periscope import Periscope, Policy, Settings, UsageError
from periscope.archive import Archive, open_archive
from periscope.metrics import read_watch
from periscope.models import SEVERITIES, STATUSES
from periscope.moving import Moved, repartition
from tests.backup.conftest import SNOOZE, fill
from tests.rules.scene import DAY_MS, START_MS, acts, add, latch, pass_time, promote, walk
from tests.support.servers import ServerProcess

NOT_COMPARED = ("event_bytes", "audit_bytes", "departures_open")


def says(exc: Exception, text: str) -> None:
    """An error that may come, and then must say this."""
    assert text in str(exc)


@dataclass
class Scene:
    """A database on the session's server, its archive, and the moment that its clock shows."""

    url: str
    archive: Archive
    now_ms: int = START_MS
    keys: dict[bytes, tuple[bytes, int]] = field(default_factory=dict)

    def settings(self, **options: object) -> Settings:
        return Settings.load({}, **{"url": self.url, "retry_s": 0.0, **options})

    async def opened(self, url: str | None = None) -> Periscope:
        p = Periscope(self.settings(**({"url": url} if url else {})))
        await p.start()
        p.functions.now_ms = self.now_ms
        return p

    async def repartition(self, partitions: int, **options: Any) -> Moved:
        return await repartition(self.settings(), self.archive, partitions, **options)

    async def repartition_or_done(self, partitions: int, **options: Any) -> Moved:
        """Go on with one; where the switch was the last thing to do, it says that it is done."""
        try:
            return await self.repartition(partitions, **options)
        except UsageError as exc:
            says(exc, "already")
            return Moved(partitions, 1, Policy(), "", resumed=True, ledger=None, seconds=0.0)

    async def remember(self) -> None:
        """Keep all keys, to set the store back to them."""
        async with Redis.from_url(self.url) as client:
            async for name in client.scan_iter(count=1000):
                payload: Any = await client.dump(name)
                self.keys[name] = (payload, max(0, await client.pttl(name)))

    async def set_back(self) -> None:
        async with Redis.from_url(self.url) as client:
            await client.flushall()
            pipeline = client.pipeline(transaction=False)
            for name, (payload, ends_ms) in self.keys.items():
                pipeline.restore(name, ends_ms, payload)
            await pipeline.execute()

    async def names(self, pattern: bytes = b"*") -> list[bytes]:
        """Names of keys; without remembered replies, which end by themselves."""
        async with Redis.from_url(self.url) as client:
            found = [name async for name in client.scan_iter(match=pattern, count=1000)]
        return sorted(name for name in found if b":reply:" not in name)

    async def portrait(self, url: str | None = None) -> dict[str, Any]:
        """Everything that can be seen from outside."""
        p = await self.opened(url)
        try:
            return await portrait_of(p, self.archive)
        finally:
            await p.close()


async def portrait_of(p: Periscope, archive: Archive) -> dict[str, Any]:
    """All lists, every threat with who did what to it, the ledger, what is held beside."""
    lists = {
        "queue": await walk(p.get_active_paginated, 50),
        "hot": await walk(lambda c, n: p.get_hot_threats(1, c, n), 50),
        "range": await walk(lambda c, n: p.get_by_score_range(0.2, 0.5, c, n), 50),
        "overdue": await walk(lambda c, n: p.get_overdue(None, c, n), 50),
        "short": await walk(p.get_short_term, 50),
        "long": await walk(lambda c, n: p.get_long_term(None, c, n), 50),
        "finance": await walk(lambda c, n: p.get_long_term("finance", c, n), 50),
    }
    for severity in SEVERITIES:
        lists[severity] = await walk(lambda c, n, s=severity: p.get_by_severity(s, c, n), 50)
    for status in STATUSES:
        lists[status] = await walk(lambda c, n, s=status: p.get_by_status(s, c, n), 50)
    lists["suppressed"] = await walk(p.get_suppressed, 50)
    entries = [await p.get_suppressed_entry(one) for one in lists["suppressed"]]
    shown = {one for name, ids in lists.items() for one in ids if name != "suppressed"}
    threats = {threat.threat_id: threat for threat in await p.get_threats(sorted(shown))}
    desks = {}
    for one in sorted(shown):
        desk = await p.get_desk(one)
        desks[one] = (desk.claim, frozenset(desk.acts))  # those of one millisecond have no order
    ledger = await p.get_ledger(deep=True, archive=archive)
    assert ledger.balanced, ledger
    holdings = {n: c for n, c in (await p.get_holdings()).items() if n not in NOT_COMPARED}
    return {
        "lists": lists,
        "threats": threats,
        "suppressed": entries,
        "desks": desks,
        "ledger": ledger,
        "holdings": holdings,
        "watch": await read_watch(p),
        "stats": await p.get_stats(),
        "suppressions": await p.get_suppressions(ended=True),
        "warninglists": await p.get_warninglists(),
        "noise": (await p.explain_noise(HARMLESS)).because,
    }


HARMLESS = {
    "threat_id": "harmless",
    "content": "x",
    "severity": "LOW",
    "metadata": {"indicators": [{"type": "domain-name", "value": "www.example.com"}]},
}


async def furnish(p: Periscope, archive: Archive) -> None:
    """Beside what `fill` puts in: a latch, a recalled snooze, level 3 both ways, industries."""
    await fill(p, archive)
    await add(
        p, "latched", "again", "asleep", "fading", "kept", severity="CRITICAL", metadata=FINANCE
    )
    for threat_id in ("fading", "kept"):
        await to_long_term(p, threat_id)
    await p.decide("fading", "bob", "benign_expected")
    await p.add_threat("new 5", "says another", "LOW", source="another")
    await p.remove(archive, "new 6", "ann")
    await p.record_interaction("new 7", "ann", "escalate", interaction_id="mine")
    await latch(p, "again")
    await promote(p, "again")
    await p.add_threat("again", "recalls", "HIGH")
    await latch(p, "asleep")
    await promote(p, "asleep")
    await p.snooze("asleep", "ann", SNOOZE)
    await latch(p, "latched")
    await p.claim("new 9", "ann")


FINANCE = {"industry": "Finance"}


async def to_long_term(p: Periscope, threat_id: str) -> None:
    await latch(p, threat_id)
    await promote(p, threat_id)
    for _ in range(2):
        pass_time(p, DAY_MS)
        await acts(p, threat_id, "ann escalate")
        await promote(p, threat_id)


@pytest.fixture
async def archive(tmp_path: Path) -> AsyncIterator[Archive]:
    opened = await open_archive(tmp_path / "archive.db")
    yield opened
    await opened.close()


@pytest.fixture
async def scene(server: ServerProcess, archive: Archive) -> AsyncIterator[Scene]:
    """The session's server, empty."""
    async with Redis.from_url(server.url) as client:
        await client.flushall()
        yield Scene(server.url, archive)
        await client.flushall()


@pytest.fixture
def other_server() -> Iterator[ServerProcess]:
    process = ServerProcess().start()
    yield process
    process.stop()
