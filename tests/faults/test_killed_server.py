"""A lone durable server is killed again and again: nothing that was acknowledged is lost.

Killed in ingest, in interactions, while it rewrites its append-only file, and with workers at work;
started again each time from what it had written.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from periscope import Periscope, Policy
from periscope.archive import open_archive
from periscope.server.process import ask
from periscope.workers import ArchiveWriter, ExpiryWorker, PromotionWorker, Supervisor
from tests.support.history import acknowledged, check, load, say
from tests.support.nodes import wait_until
from tests.support.servers import ServerProcess

SOAK = "SOAK" in os.environ
KILLS = 24 if SOAK else 4
RESIDENT = 20_000 if SOAK else 5_000
OFTEN = timedelta(milliseconds=50)
# What one analyst escalates once is promoted, so that there is something to do for the worker.
EAGER = Policy(promote_score=0.1, promote_analysts=1, promote_escalations=1)
# For each key: a rewrite then takes a second, and is met for certain. It is another process, which
# outlives a killed server and keeps its connections open: callers notice when it ends.
SLOW_REWRITE_US = "50"


@pytest.fixture
def durable() -> Iterator[ServerProcess]:
    process = ServerProcess("--appendonly", "yes", "--appendfsync", "always").start()
    yield process
    process.stop()


@pytest.mark.timeout(900 if SOAK else 300)
@pytest.mark.parametrize("retry_s", [20.0, 0.0], ids=["patient", "impatient"])
async def test_a_killed_server_has_all_that_was_acknowledged(
    durable: ServerProcess, tmp_path: Path, retry_s: float
) -> None:
    rewrites = 0
    async with Periscope.open(durable.url, retry_s=retry_s) as p:
        await p.set_policy(EAGER)
        await p.add_threats_batch(reports("resident", RESIDENT))
        async with load(p) as history, batch(p) as made, workers(p, tmp_path):
            for turn in range(KILLS):
                await acknowledged(history, 200)
                rewrites += await kill(durable, in_rewrite=bool(turn % 2))
                await asyncio.to_thread(durable.start)
            await acknowledged(history, 200)
        name = f"server killed {KILLS} times, {rewrites} in a rewrite, retry_s={retry_s:g}"
        verdict = await check(history, name)
        assert not verdict.lost
        assert rewrites == KILLS // 2
        found = {threat.threat_id for threat in await p.get_threats(made)}
        say(f"{name}: {len(made):,} acknowledged in batches, {len(made) - len(found)} lost")
        assert len(made) == len(found) > 0
        assert (await p.get_short_term(count=1)).total > 0, "no worker promoted anything"


def reports(prefix: str, count: int) -> Iterator[dict[str, str]]:
    return (
        {"threat_id": f"{prefix}{n}", "content": "x" * 100, "severity": "LOW"} for n in range(count)
    )


async def kill(server: ServerProcess, *, in_rewrite: bool) -> bool:
    """kill -9; was it rewriting its append-only file at that moment?"""
    if in_rewrite:
        slow = ("CONFIG", "SET", "rdb-key-save-delay", SLOW_REWRITE_US)
        await ask(server.socket, slow, ("BGREWRITEAOF",))
        await wait_until(lambda: is_rewriting(server), "the append-only file is rewritten")
    was = await is_rewriting(server)
    server.kill()
    return was


async def is_rewriting(server: ServerProcess) -> bool:
    (text,) = await ask(server.socket, ("INFO", "persistence"))
    return "aof_rewrite_in_progress:1" in text


@asynccontextmanager
async def batch(p: Periscope) -> AsyncIterator[list[str]]:
    """A batch that is under way until the end; the ids that it was given, all stored then."""
    made: list[str] = []
    ended = asyncio.Event()

    async def source() -> AsyncIterator[dict[str, Any]]:
        while not ended.is_set():
            made.append(f"b{len(made)}")
            yield {"threat_id": made[-1], "content": "x", "severity": "LOW"}
            if len(made) % 50 == 0:
                await asyncio.sleep(0.01)

    task = asyncio.create_task(p.add_threats_batch(source(), wait_s=30))
    try:
        yield made
    finally:
        ended.set()
        result = await task
    assert (result.added, result.received) == (len(made), len(made))


@asynccontextmanager
async def workers(p: Periscope, place: Path) -> AsyncIterator[None]:
    """All workers at work all the time; what fails is tried again."""
    archive = await open_archive(place / "archive.db")
    everyone = (
        PromotionWorker(p, OFTEN),
        ExpiryWorker(p, archive, OFTEN),
        ArchiveWriter(p, archive, OFTEN),
    )
    try:
        async with Supervisor(*everyone):
            yield
    finally:
        await archive.close()
