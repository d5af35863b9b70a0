"""A connection among others: its name, its user and rights, and how it is found dead."""

from __future__ import annotations

import asyncio
import re
import socket
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from redis.asyncio import Redis

from periscope import Periscope, Settings
from periscope.archive import open_archive
from periscope.errors import SettingInvalid, StoreError
from tests.conftest import OpenHere
from tests.support.servers import ServerProcess, free_port

PAGE = Path(__file__).parents[2] / "docs" / "how-to" / "own-server.md"
IDLE_S: int = getattr(socket, "TCP_KEEPIDLE", 0x10)  # as macOS calls TCP_KEEPALIVE
WORDS = re.compile(r"`([A-Z][A-Z_ ]+)`")


def rights() -> list[str]:
    """The commands that the page lists, as ACL rules; sub-commands as `+config|get`."""
    text = PAGE.read_text()
    listed = text[text.index("The user needs ") : text.index("`periscope repartition` and")]
    return [f"+{found.lower().replace(' ', '|')}" for found in WORDS.findall(listed)]


@pytest.fixture
async def guarded() -> AsyncIterator[tuple[ServerProcess, Redis]]:
    process = ServerProcess(port=free_port()).start()
    async with Redis.from_url(process.url) as admin:
        rules = ["on", ">pass", "~{periscope:*", *rights()]
        await admin.execute_command("ACL", "SETUSER", "triage", *rules)
        yield process, admin
    process.stop()


def as_user(process: ServerProcess, password: str = "pass") -> str:
    return f"redis://triage:{password}@127.0.0.1:{process.port}"


async def test_the_rights_of_the_page_are_enough_for_everything(
    guarded: tuple[ServerProcess, Redis], tmp_path: Path
) -> None:
    process, _ = guarded
    archive = await open_archive(tmp_path / "archive.db")
    async with Periscope.open(as_user(process)) as p:
        for number in range(30):
            await p.add_threat(f"t{number}", "x", "CRITICAL", {"industry": "bank"})
        batch = [{"threat_id": "t1", "content": "y", "severity": "HIGH", "source": "s"}]
        assert (await p.add_threats_batch(batch)).sightings == 1
        for analyst in ("ann", "bob"):
            for _ in range(2):
                await p.record_interaction("t1", analyst, "escalate")
        claim = await p.claim_next("ann")
        assert claim is not None
        await p.release(claim)
        await p.decide("t2", "ann", "benign_expected")
        await p.comment("t3", "ann", "seen before")
        assert (await p.promote_eligible_threats()).promoted == 1
        await p.remove(archive, "t4", "ann")
        assert [t async for t in p.get_all_active()]
        assert await p.threat_exists("t1")
        assert not await p.threat_exists("never")
        assert len(await p.seen(["t1", "never"])) == 1
        await p.sweep(archive)
        assert (await p.get_ledger(deep=True)).balanced
        assert (await p.get_stats()).queue > 0
    await archive.close()


async def test_what_is_wrong_with_a_user_is_said_in_one_line(
    guarded: tuple[ServerProcess, Redis],
) -> None:
    process, admin = guarded
    with pytest.raises(StoreError, match=r"credentials|password") as caught:
        async with Periscope.open(as_user(process, "wrong")):
            pass
    assert "wrong" not in str(caught.value).replace("WRONGPASS", "")
    async with Periscope.open(as_user(process)) as p:
        await p.add_threat("t", "x", "LOW")
        await admin.execute_command("ACL", "SETUSER", "triage", "-zadd")
        before = await p.get_ledger()
        for change in (p.add_threat("u", "x", "LOW"), p.record_interaction("t", "ann", "view")):
            with pytest.raises(StoreError) as caught:
                await change
            assert "\n" not in str(caught.value)
        assert await p.get_ledger() == before


async def test_connections_bear_a_name(server: ServerProcess, open_here: OpenHere) -> None:
    async with open_here(client_name="soc-7") as p:
        await asyncio.gather(*(p.get_threat(f"t{i}") for i in range(20)))
        client = p.functions.connections.client
        assert {one["name"] for one in await client.client_list() if one["lib-name"]} == {"soc-7"}


@pytest.mark.parametrize("name", ["", "two words", "\x1b[31m", "x" * 65])
def test_a_name_that_is_none(name: str) -> None:
    with pytest.raises(SettingInvalid, match="client_name"):
        Settings.load({}, client_name=name)


async def cut_all(url: str) -> None:
    async with Redis.from_url(url) as admin:
        await admin.execute_command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")


async def test_a_connection_that_died_while_idle_is_replaced_unnoticed() -> None:
    """Killed by the server while nobody looked: neither reads, acts, reports nor batches notice."""
    process = ServerProcess("--appendonly", "yes", "--appendfsync", "always").start()
    calls: list[Any] = []
    try:
        async with Periscope.open(process.url, retry_s=5) as p:
            await p.add_threat("t", "x", "LOW")
            for turn in range(12):
                calls = [
                    lambda: p.get_threat("t"),
                    lambda turn=turn: p.add_threat(f"t{turn}", "x", "LOW"),
                    lambda: p.record_interaction("t", "ann", "view"),
                    lambda: p.get_top_threats(5),
                    lambda turn=turn: p.add_threats_batch(
                        [{"threat_id": f"b{turn}", "content": "x", "severity": "LOW"}]
                    ),
                    lambda: p.get_ledger(),
                ]
                if turn % 3 == 2:
                    process.kill()
                    process.start()
                else:
                    await cut_all(process.url)
                await calls[turn % len(calls)]()
            assert (await p.get_ledger(deep=True)).balanced
    finally:
        process.stop()


async def test_a_peer_that_is_dead_is_found_out_within_a_minute() -> None:
    """The system's own patience with a silent line is two hours."""
    process = ServerProcess(port=free_port()).start()
    try:
        async with Periscope.open(process.url) as p:
            connection = await p.functions.connections.client.connection_pool.get_connection()
            line = connection._writer.get_extra_info("socket")
            assert line.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
            idle_s, pause_s, tries = (
                line.getsockopt(socket.IPPROTO_TCP, option)
                for option in (IDLE_S, socket.TCP_KEEPINTVL, socket.TCP_KEEPCNT)
            )
            assert idle_s + pause_s * tries <= 60
            await p.functions.connections.client.connection_pool.release(connection)
    finally:
        process.stop()


async def test_an_idle_connection_is_tried_before_it_is_used() -> None:
    """A line that is dead and does not say so: what is sent first is a question, not a change."""
    process = ServerProcess().start()
    try:
        async with Periscope.open(process.url, health_check_s=0.05, connections=1) as p:
            await p.add_threat("t", "x", "LOW")
            client = p.functions.connections.client
            before = (await client.info("commandstats"))["cmdstat_ping"]["calls"]

            async def pinged() -> bool:
                await p.record_interaction("t", "ann", "view")
                stats = await client.info("commandstats")
                return bool(stats["cmdstat_ping"]["calls"] > before)

            async with asyncio.timeout(10):
                while not await pinged():
                    await asyncio.sleep(0.1)
    finally:
        process.stop()
