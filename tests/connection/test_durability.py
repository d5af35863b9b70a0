"""Durability of an engine and of a call: who waits for what, and what is said if it is not met."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest

from periscope import (
    BatchInterrupted,
    OutcomeUnknown,
    Periscope,
    SettingInvalid,
    UsageError,
)
from periscope.threat import Threat
from tests.support.nodes import wait_until
from tests.support.servers import ServerProcess, free_port

TIMEOUT_S = 0.4


class Pair:
    """A primary and its replica."""

    def __init__(self) -> None:
        port = free_port()
        self.primary = ServerProcess("--repl-diskless-sync-delay", "0", port=port).start()
        self.replica = ServerProcess("--replicaof", "127.0.0.1", str(port)).start()

    def open(self, **options: Any) -> Periscope:
        more = {"durability": "replicated", "replica_timeout_s": TIMEOUT_S, **options}
        return Periscope.open(self.primary.url, **more)

    def close(self) -> None:
        self.replica.stop()
        self.primary.stop()


@pytest.fixture
async def pair() -> AsyncIterator[Pair]:
    made = Pair()
    async with made.open(durability="durable") as p:
        client = p.functions.connections.client

        async def online() -> bool:
            info = await client.info("replication")
            return bool(info["connected_slaves"] and info["slave0"]["state"] == "online")

        await wait_until(online, "the replica follows")
        await client.set("written", "")
        await client.unlink("written")
        assert await client.wait(1, 10_000) == 1
    yield made
    made.close()


@pytest.fixture
def everysec() -> Iterator[ServerProcess]:
    process = ServerProcess("--appendonly", "yes", "--appendfsync", "everysec").start()
    yield process
    process.stop()


def reports(count: int) -> list[dict[str, Any]]:
    return [{"threat_id": f"t{i}", "content": "x", "severity": "LOW"} for i in range(count)]


async def calls_of(p: Periscope, command: str) -> int:
    found = (await p.functions.connections.client.info("commandstats")).get(f"cmdstat_{command}")
    return int(found["calls"]) if found else 0


async def test_replicated_waits_and_succeeds(pair: Pair) -> None:
    async with pair.open() as p:
        assert await p.add_threat("t", "x", "LOW") == "added"
        assert (await p.record_interaction("t", "ann", "view")).views == 1
        assert (await p.add_threats_batch(reports(600))).added == 600
        claim = await p.claim("t", "ann")
        await p.release(claim)
        assert await calls_of(p, "wait") >= 6


async def test_a_replica_that_hangs_makes_every_change_unknown_and_none_twice(pair: Pair) -> None:
    async with pair.open() as p, asyncio.timeout(30):
        await p.add_threat("t", "x", "LOW")
        await p.add_threat("u", "x", "LOW")
        pair.replica.freeze()
        try:
            for change in (
                lambda: p.add_threat("new", "x", "LOW"),
                lambda: p.record_interaction("t", "ann", "escalate", "once"),
                lambda: p.claim("u", "ann", request_id="held"),
            ):
                began = time.monotonic()
                with pytest.raises(OutcomeUnknown, match="too few replicas"):
                    await change()
                assert time.monotonic() - began < TIMEOUT_S + 1.5
            with pytest.raises(BatchInterrupted) as caught:
                await p.add_threats_batch(reports(700))
            # A short one ends the batch: what was out is unknown, what was not sent is refused.
            told = caught.value
            assert (told.result.committed, told.refused + told.unknown) == (0, 700)
            assert told.unknown > 0
        finally:
            pair.replica.thaw()
        assert await p.add_threat("new", "x", "LOW") == "duplicate"
        assert (await p.record_interaction("t", "ann", "escalate", "once")).escalations == 1
        assert (await p.claim("u", "ann", request_id="held")).threat_id == "u"
        assert (await p.add_threats_batch(reports(700))).received == 700
        assert (await p.get_ledger(deep=True)).balanced


async def test_no_replica_at_all_is_unknown_too(everysec: ServerProcess) -> None:
    async with Periscope.open(
        everysec.url, durability="replicated", replica_timeout_s=TIMEOUT_S
    ) as p:
        with pytest.raises(OutcomeUnknown, match="too few replicas"):
            await p.add_threat("t", "x", "LOW")


async def test_a_call_may_ask_for_more_or_less_than_its_engine(pair: Pair) -> None:
    async with pair.open(durability="durable") as p, asyncio.timeout(20):
        pair.replica.freeze()
        try:
            assert await p.add_threat("a", "x", "LOW") == "added"
            with pytest.raises(OutcomeUnknown):
                await p.add_threat("b", "x", "LOW", durability="replicated")
        finally:
            pair.replica.thaw()
    async with pair.open() as p, asyncio.timeout(20):
        pair.replica.freeze()
        try:
            assert await p.add_threat("c", "x", "LOW", durability="fast") == "added"
            # Those that travel together keep what each of them asked for.
            answers = await asyncio.gather(
                p.add_threat("d", "x", "LOW", durability="fast"),
                p.add_threat("e", "x", "LOW"),
                p.add_threat("f", "x", "LOW", durability="fast"),
                return_exceptions=True,
            )
            assert [answers[0], answers[2]] == ["added", "added"]
            assert isinstance(answers[1], OutcomeUnknown)
        finally:
            pair.replica.thaw()


async def test_durable_on_a_server_that_syncs_every_second_waits_for_its_disk(
    everysec: ServerProcess,
) -> None:
    async with Periscope.open(everysec.url) as p:
        await p.add_threat("a", "x", "LOW")
        await p.add_threat("b", "x", "LOW", durability="fast")
        assert await calls_of(p, "waitaof") == 0
        assert await p.add_threat("c", "x", "LOW", durability="durable") == "added"
        assert await calls_of(p, "waitaof") == 1
        result = await p.add_threats_batch(reports(600), durability="durable")
        assert result.added == 600
        threat: Threat = await p.record_interaction("c", "ann", "view", durability="durable")
        assert threat.views == 1
        assert await calls_of(p, "waitaof") == 4


async def test_a_level_that_is_none(everysec: ServerProcess, tmp_path: Path) -> None:
    async with Periscope.open(everysec.url) as p:
        with pytest.raises(UsageError, match="durable, replicated or fast, not 'safe'"):
            await p.add_threat("a", "x", "LOW", durability="safe")  # type: ignore[arg-type]
        assert await p.get_threat("a") is None
    with pytest.raises(SettingInvalid, match="no replicas"):
        async with Periscope.open(data_dir=tmp_path, durability="replicated"):
            pass
