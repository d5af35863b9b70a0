"""Durability of an engine and of a call: who waits for what, and what is said if it is not met."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace
from redis.asyncio import Redis

from periscope import (
    BatchInterrupted,
    Claim,
    Level,
    OutcomeUnknown,
    Periscope,
    Policy,
    SettingInvalid,
    Settings,
    ThreatUnknown,
    UsageError,
)
from periscope.archive import Archive, open_archive
from periscope.moving import repartition
from periscope.threat import Threat
from tests.support.nodes import wait_until
from tests.support.patience import BUSY_S
from tests.support.servers import ServerProcess, free_port

TIMEOUT_S = 0.4
NOW_MS = 1_790_000_000_000
DAY_MS = 86_400_000


class Pair:
    """A primary and its replica."""

    def __init__(self) -> None:
        port = free_port()
        self.primary = ServerProcess("--repl-diskless-sync-delay", "0", port=port).start()
        self.replica = ServerProcess("--replicaof", "127.0.0.1", str(port)).start()

    def open(self, **options: Any) -> Periscope:
        more = {"durability": "replicated", "replica_timeout_s": TIMEOUT_S, **options}
        return Periscope.open(self.primary.url, **more)

    async def cut_off(self) -> None:
        """The replica hears nothing more of the primary."""
        async with Redis.from_url(self.replica.url) as replica:
            await replica.config_set("masterauth", "cut-off")
        async with Redis.from_url(self.primary.url) as primary:
            await primary.execute_command("CLIENT", "KILL", "TYPE", "replica")

    async def heir(self) -> Periscope:
        """The replica has taken over: a database at it, to be opened."""
        async with Redis.from_url(self.replica.url) as replica:
            await replica.execute_command("REPLICAOF", "NO", "ONE")
        return Periscope.open(self.replica.url)

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


@pytest.fixture
async def archive(tmp_path: Path) -> AsyncIterator[Archive]:
    opened = await open_archive(tmp_path / "archive.db")
    yield opened
    await opened.close()


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
                assert time.monotonic() - began < TIMEOUT_S + 0.5 + BUSY_S
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


async def eligible(p: Periscope, threat_id: str) -> None:
    """A threat that waits for its promotion."""
    await p.add_threat(threat_id, "x", "CRITICAL")
    for analyst in ("ann", "bob"):
        await p.record_interaction(threat_id, analyst, "escalate")
        await p.record_interaction(threat_id, analyst, "escalate")


async def level_of(p: Periscope, threat_id: str) -> Level:
    threat = await p.get_threat(threat_id)
    assert threat is not None
    return threat.level


async def balanced(p: Periscope, archive: Archive) -> bool:
    return (await p.get_ledger(deep=True, archive=archive)).balanced


async def test_a_replica_that_hangs_makes_workers_steps_unknown(
    pair: Pair, archive: Archive
) -> None:
    """None is acknowledged; each that was done stays done, and a repeat of it finds that."""
    async with pair.open() as p, asyncio.timeout(60):
        p.functions.now_ms = NOW_MS
        await p.adopt_archive(archive)
        await eligible(p, "eligible")
        await eligible(p, "home")
        await p.promote_eligible_threats()
        await p.recall("home", "ann")
        await eligible(p, "eligible too")
        for one in ("expired", "removed"):
            await p.add_threat(one, "x", "LOW")
        p.functions.now_ms = NOW_MS + DAY_MS
        await p.add_threat("fresh", "x", "LOW")
        pair.replica.freeze()
        try:
            for step in (
                lambda: p.promote_eligible_threats(),
                lambda: p.remove(archive, "removed", "ann"),
                lambda: p.sweep(archive),  # expires
                lambda: p.sweep(archive),  # settles
                lambda: p.set_policy(Policy(promote_analysts=3)),
                lambda: p.note("name", "", "value"),
            ):
                began = time.monotonic()
                with pytest.raises(OutcomeUnknown, match="too few replicas"):
                    await step()
                assert time.monotonic() - began < 2 * TIMEOUT_S + 0.5 + BUSY_S
            pending = [batch.threat_ids for batch in await archive.pending()]
            assert pending == [("removed",), ("expired",)]
            assert await archive.history() == []
        finally:
            pair.replica.thaw()
        assert await level_of(p, "eligible too") is Level.SHORT_TERM
        assert await level_of(p, "home") is Level.SHORT_TERM
        assert (await p.promote_eligible_threats()).promoted == 0
        await p.remove(archive, "removed", "ann")
        with pytest.raises(ThreatUnknown):
            await p.remove(archive, "removed", "ann")
        assert (await p.sweep(archive)).expired == 0
        assert await p.resolve_departures(archive) == 1
        assert await p.set_policy(Policy(promote_analysts=3)) == Policy(promote_analysts=3)
        assert await p.note("name", "", "value") == "value"
        assert await archive.pending() == []
        assert {row.threat_id for _, row in await archive.history()} == {"expired", "removed"}
        assert await balanced(p, archive)


async def test_a_departure_that_too_few_replicas_have_waits_in_the_archive(
    pair: Pair, archive: Archive
) -> None:
    async with pair.open() as p, asyncio.timeout(30):
        p.functions.now_ms = NOW_MS
        await p.adopt_archive(archive)
        await p.add_threats_batch(reports(100))
        p.functions.now_ms = NOW_MS + DAY_MS
        pair.replica.freeze()
        try:
            for call in (p.sweep, p.resolve_departures):
                with pytest.raises(OutcomeUnknown, match="too few replicas"):
                    await call(archive)
            assert await archive.history() == []
            assert len(await archive.pending()) == 1
        finally:
            pair.replica.thaw()
        await p.sweep(archive)
        assert await p.resolve_departures(archive) == 60
        assert await archive.counts() == {"expired_unseen": 100}
        assert await balanced(p, archive)


async def test_a_departure_that_a_failover_lost_leaves_no_row(pair: Pair, archive: Archive) -> None:
    """The replica that takes over never heard of it: the threats are there, so no row is final."""
    async with pair.open() as p, asyncio.timeout(30):
        p.functions.now_ms = NOW_MS
        await p.adopt_archive(archive)
        await p.add_threats_batch(reports(50))
        await pair.cut_off()
        p.functions.now_ms = NOW_MS + DAY_MS
        with pytest.raises(OutcomeUnknown, match="too few replicas"):
            await p.sweep(archive)
        assert (await p.get_stats()).queue == 0
        with pytest.raises(OutcomeUnknown, match="too few replicas"):
            await p.resolve_departures(archive)
        pair.primary.kill()
    async with await pair.heir() as p, asyncio.timeout(30):
        p.functions.now_ms = NOW_MS + DAY_MS
        assert (await p.get_stats()).queue == 50
        assert len(await archive.pending()) == 1
        assert await p.resolve_departures(archive) == 0
        assert await balanced(p, archive)
        assert (await p.sweep(archive)).expired == 50
        assert await archive.counts() == {"expired_unseen": 50}
        assert await balanced(p, archive)


async def test_a_mark_that_a_failover_lost_is_set_again(pair: Pair, archive: Archive) -> None:
    """A batch is given up only when that will be remembered: else its late call could still act."""
    async with pair.open() as p, asyncio.timeout(30):
        p.functions.now_ms = NOW_MS
        await p.adopt_archive(archive)
        await archive.prepare("batch", 0, [])
        await pair.cut_off()
        with pytest.raises(OutcomeUnknown, match="too few replicas"):
            await p.resolve_departures(archive)
        assert len(await archive.pending()) == 1
        pair.primary.kill()
    async with await pair.heir() as p, asyncio.timeout(30):
        p.functions.now_ms = NOW_MS
        assert await p.resolve_departures(archive) == 0
        assert await archive.pending() == []
        (keys,) = p.keyspace.partitions
        marks: Any = await p.functions.connections.client.hgetall(keys.departures)
        assert [mark.split()[0] for mark in marks.values()] == [b"VOID"]


async def test_a_move_does_not_go_on_without_its_replica(pair: Pair, archive: Archive) -> None:
    settings = Settings.load({}, url=pair.primary.url, durability="replicated")
    settings = replace(settings, replica_timeout_s=TIMEOUT_S)
    async with pair.open() as p:
        await p.add_threats_batch(reports(300))
        await p.adopt_archive(archive)
    async with asyncio.timeout(60):
        pair.replica.freeze()
        try:
            with pytest.raises(OutcomeUnknown, match="too few replicas"):
                await repartition(settings, archive, 3)
        finally:
            pair.replica.thaw()
        assert (await repartition(settings, archive, 3)).partitions == 3
    pair.primary.kill()
    async with await pair.heir() as p, asyncio.timeout(30):
        assert len(p.keyspace.partitions) == 3
        assert await balanced(p, archive)


async def test_durable_asks_nothing_more(everysec: ServerProcess, archive: Archive) -> None:
    """What it costs is what the server does by itself: no command is sent beside the function."""
    async with Periscope.open(everysec.url) as p:
        await eligible(p, "t")
        before = await calls_of(p, "fcall")
        assert (await p.promote_eligible_threats()).promoted == 1
        await p.remove(archive, "t", "ann")
        await p.set_policy(Policy(promote_analysts=3))
        assert await calls_of(p, "fcall") > before
        for command in ("wait", "waitaof"):
            assert await calls_of(p, command) == 0


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


async def to_level_two(p: Periscope) -> None:
    for analyst in ("ann", "bob"):
        await p.record_interaction("known", analyst, "escalate")
    assert (await p.promote_eligible_threats()).promoted_ids == ["known"]


Act = Callable[[Periscope, Any], Awaitable[Any]]
ACTS: dict[str, Act] = {
    "claim": lambda p, level: p.claim("t", "ann", durability=level),
    "claim_next": lambda p, level: p.claim_next("ann", durability=level),
    "release": lambda p, level: p.release(Claim("held", "ann", 1, 0), durability=level),
    "decide": lambda p, level: p.decide("t", "ann", "benign_expected", durability=level),
    "comment": lambda p, level: p.comment("t", "ann", "seen before", durability=level),
    "reopen": lambda p, level: p.reopen("t", "ann", durability=level),
    "undo": lambda p, level: p.undo("viewed", durability=level),
    "recall": lambda p, level: p.recall("known", "ann", durability=level),
    "record_interaction": lambda p, level: p.record_interaction(
        "t", "ann", "view", durability=level
    ),
}


@pytest.mark.parametrize("name", ACTS)
async def test_every_act_takes_the_durability_of_its_call(
    everysec: ServerProcess, name: str
) -> None:
    act = ACTS[name]
    async with Periscope.open(everysec.url, replica_timeout_s=0.2) as p, asyncio.timeout(20):
        for threat_id in ("t", "u", "held", "known"):
            await p.add_threat(threat_id, "x", "CRITICAL")
        await to_level_two(p)
        assert (await p.claim("held", "ann")).token == 1
        await p.record_interaction("t", "ann", "view", "viewed")
        assert await calls_of(p, "waitaof") == await calls_of(p, "wait") == 0
        with pytest.raises(UsageError, match="durability"):
            await act(p, "safe")
        with pytest.raises(OutcomeUnknown, match="too few replicas"):
            await act(p, "replicated")
        assert await calls_of(p, "wait") == 1
        audit = [entry.action for entry in await p.get_recent_audit()]
        assert audit[-1] == {"record_interaction": "view", "claim_next": "next"}.get(name, name)
        assert (await p.get_ledger(deep=True)).balanced


async def test_an_act_asks_the_disk_where_its_call_says_durable(everysec: ServerProcess) -> None:
    async with Periscope.open(everysec.url) as p:
        await p.add_threat("t", "x", "LOW")
        claim = await p.claim("t", "ann", durability="durable")
        assert await calls_of(p, "waitaof") == 1
        await p.release(claim, durability="durable")
        assert await calls_of(p, "waitaof") == 2


@pytest.mark.parametrize("level", ["durable", "fast", "replicated"])
async def test_a_server_that_hides_its_settings_is_unverified(level: str) -> None:
    """Managed ones refuse CONFIG: what an acknowledgement is worth is then not known."""
    process = ServerProcess(port=free_port()).start()
    try:
        async with Redis.from_url(process.url) as admin:
            rules = ["on", ">pass", "~*", "+@all", "-config"]
            await admin.execute_command("ACL", "SETUSER", "tenant", *rules)
        url = process.url.replace("//", "//tenant:pass@")
        async with Periscope.open(url, durability=level, replica_timeout_s=0.1) as p:
            assert p.server.durability == "unverified"
            short = pytest.raises(OutcomeUnknown, match="too few replicas")
            with short if level == "replicated" else nullcontext():
                assert await p.add_threat("t", "x", "LOW") == "added"
            assert await p.threat_exists("t")
    finally:
        process.stop()


async def test_a_level_that_is_none(everysec: ServerProcess, tmp_path: Path) -> None:
    async with Periscope.open(everysec.url) as p:
        with pytest.raises(UsageError, match="durable, replicated or fast, not 'safe'"):
            await p.add_threat("a", "x", "LOW", durability="safe")  # type: ignore[arg-type]
        assert await p.get_threat("a") is None
    with pytest.raises(SettingInvalid, match="no replicas"):
        async with Periscope.open(data_dir=tmp_path, durability="replicated"):
            pass
