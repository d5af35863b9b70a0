"""One primary is away and nobody takes over: everything that is not of its partitions goes on."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from periscope import Periscope, Policy
from periscope.archive import Archive, open_archive
from periscope.errors import (
    BatchInterrupted,
    OutcomeUnknown,
    PartitionsMissing,
    StoreUnavailable,
)
from periscope.keys import control_key, slot_of_key
from periscope.work import PastAct
from periscope.workers import ArchiveWriter, ExpiryWorker, PromotionWorker, State, Supervisor
from tests.cli.conftest import Program
from tests.support.clusters import Cluster, cluster
from tests.support.nodes import Node, wait_until
from tests.support.patience import BUSY_S

QUICK = timedelta(milliseconds=50)
AT_ONCE = timedelta(0)
HASTY = Policy(working_ttl=AT_ONCE, target_low=AT_ONCE, target_medium=AT_ONCE)
OPTIONS: Any = {"retry_s": 0.3, "call_timeout_s": 1.0, "connect_timeout_s": 1.0, "filter": "off"}
SEEDED = 500
_NAMES = count()


@dataclass
class Broken:
    """A cluster of three primaries; `victim` serves neither the control key nor all partitions."""

    it: Cluster
    p: Periscope
    victim: Node
    gone: list[int]

    @property
    def there(self) -> list[int]:
        return [keys.number for keys in self.p.keyspace.partitions if keys.number not in self.gone]

    def ids(self, partitions: list[int], most: int, prefix: str = "n") -> list[str]:
        """New ids of these partitions."""
        name, found = next(_NAMES), list[str]()
        for number in count():
            one = f"{prefix}{name}-{number}"
            if self.p.keyspace.partition_of(one.encode()).number in partitions:
                found.append(one)
                if len(found) == most:
                    break
        return found

    def seeded(self, partitions: list[int]) -> list[str]:
        ids = [f"t{number}" for number in range(SEEDED)]
        return [
            one for one in ids if self.p.keyspace.partition_of(one.encode()).number in partitions
        ]


async def prepared(it: Cluster, p: Periscope) -> Broken:
    """Seed the database and choose whom to lose."""
    await p.add_threats_batch(report(f"t{number}") for number in range(SEEDED))
    acts = [
        {"threat_id": f"t{number}", "analyst_id": "ann", "action": "view"} for number in range(100)
    ]
    await p.record_interactions_batch(acts)
    keeper = await it.owner(slot_of_key(control_key(p.settings.namespace)))
    victim = next(node for node in it.nodes if node is not keeper)
    gone = [
        keys.number
        for keys in p.keyspace.partitions
        if await it.owner(slot_of_key(keys.meta)) is victim
    ]
    return Broken(it, p, victim, gone)


@asynccontextmanager
async def broken_cluster(**options: Any) -> AsyncIterator[Broken]:
    async with (
        cluster(3, 0, durable=True) as it,
        Periscope.open(it.url, **{**OPTIONS, **options}) as p,
    ):
        yield await prepared(it, p)


@pytest.fixture(scope="module")
def lost() -> Iterator[tuple[Cluster, Node, list[int]]]:
    """A seeded cluster whose victim was killed, for tests that do not need it back."""

    async def begin() -> tuple[Cluster, Node, list[int]]:
        it = await Cluster(3, 0).start()
        async with Periscope.open(it.url, **OPTIONS) as p:
            found = await prepared(it, p)
        found.victim.kill()
        return it, found.victim, found.gone

    it, victim, gone = asyncio.run(begin())
    yield it, victim, gone
    it.close()


@pytest.fixture
async def broken(lost: tuple[Cluster, Node, list[int]]) -> AsyncIterator[Broken]:
    it, victim, gone = lost
    async with Periscope.open(it.url, **OPTIONS) as p:
        yield Broken(it, p, victim, gone)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the archive of the lost cluster's database is."""
    return tmp_path_factory.mktemp("away") / "archive.db"


@asynccontextmanager
async def archive_at(place: Path) -> AsyncIterator[Archive]:
    opened = await open_archive(place)
    yield opened
    await opened.close()


def report(threat_id: str, severity: str = "HIGH") -> dict[str, Any]:
    return {"threat_id": threat_id, "content": "x", "severity": severity}


async def test_it_is_opened_and_says_what_is_missing(
    broken: Broken, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING, "periscope"):
        async with asyncio.timeout(5), Periscope.open(broken.it.url, **OPTIONS) as p:
            assert p.server.primaries == 3
            assert await p.get_threats(broken.seeded(broken.there)[:20])
    (line,) = [one for one in caplog.messages if "cannot be reached" in one]
    assert f"{len(broken.gone)} of {len(p.keyspace.partitions)} partitions" in line


async def test_single_calls(broken: Broken) -> None:
    p, (here,), (away,) = broken.p, broken.ids(broken.there, 1), broken.ids(broken.gone, 1)
    async with asyncio.timeout(5):
        assert await p.add_threat(here, "x", "LOW") == "added"
        act = await p.record_interaction(here, "ann", "view", f"act-{here}")
        assert (act.interactions, (await p.undo(f"act-{here}")).interactions) == (1, 0)
        for call in (
            p.add_threat(away, "x", "LOW"),
            p.record_interaction(broken.seeded(broken.gone)[0], "ann", "view"),
        ):
            with pytest.raises(StoreUnavailable) as caught:
                await call
            assert not isinstance(caught.value, OutcomeUnknown)
        with pytest.raises(PartitionsMissing):
            await p.undo("of nobody that can be asked")
    found = await p.find_acts([f"act-{here}"])
    assert found == [PastAct("view", "ann", here)]
    with pytest.raises(PartitionsMissing) as some:
        await p.find_acts(["of nobody that can be asked", f"act-{here}"])
    assert some.value.partial == [None, *found]


async def test_a_batch_for_partitions_that_are_there_notices_nothing(broken: Broken) -> None:
    ids = broken.ids(broken.there, 1_200)
    began = time.monotonic()
    result = await broken.p.add_threats_batch(map(report, ids))
    assert (result.added, result.received) == (1_200, 1_200)
    acts = [{"threat_id": one, "analyst_id": "ann", "action": "view"} for one in ids]
    assert (await broken.p.record_interactions_batch(acts)).recorded == 1_200
    assert time.monotonic() - began < 2 + BUSY_S


async def test_a_mixed_batch_stores_what_it_can_and_accounts_for_all(broken: Broken) -> None:
    here, away = broken.ids(broken.there, 300), broken.ids(broken.gone, 150)
    mixed = [one for pair in zip(here, away + away, strict=True) for one in pair][:450]
    with pytest.raises(BatchInterrupted) as caught:
        await broken.p.add_threats_batch(map(report, mixed))
    told, wanted = caught.value, {one for one in mixed if one in here}
    assert isinstance(told.__cause__, StoreUnavailable)
    assert (told.result.added, told.unknown) == (len(wanted), 0)
    assert told.refused == len(mixed) - len(wanted)
    assert len(await broken.p.get_threats(sorted(wanted))) == len(wanted)


async def test_a_mixed_batch_without_end_is_read_no_further_than_is_told(broken: Broken) -> None:
    met = 0
    first, away = broken.ids(broken.there, 3_000), broken.ids(broken.gone, 1) * 600
    ids = [*first, *away, *broken.ids(broken.there, 10_000)]

    def source() -> Iterator[dict[str, Any]]:
        nonlocal met
        for one in ids:
            met += 1
            yield report(one)

    with pytest.raises(BatchInterrupted) as caught:
        await broken.p.add_threats_batch(source())
    told = caught.value
    assert told.result.committed + told.refused + told.unknown == met < len(ids)
    assert (told.refused, told.unknown) == (sum(one in away for one in ids[:met]), 0)
    assert len(await broken.p.get_threats(first)) == 3_000


READS: dict[str, Callable[[Periscope], Awaitable[Any]]] = {
    "top": lambda p: p.get_top_threats(),
    "page": lambda p: p.get_active_paginated(),
    "short": lambda p: p.get_short_term(),
    "long": lambda p: p.get_long_term(),
    "overdue": lambda p: p.get_overdue(),
    "stats": lambda p: p.get_stats(),
    "ledger": lambda p: p.get_ledger(),
    "audit": lambda p: p.get_recent_audit(),
    "threats": lambda p: p.get_threats([f"t{number}" for number in range(SEEDED)]),
    "seen": lambda p: p.seen([f"t{number}" for number in range(SEEDED)], exact=True),
}


@pytest.mark.parametrize("name", READS)
async def test_reads_say_what_is_missing_and_have_the_rest(broken: Broken, name: str) -> None:
    began = time.monotonic()
    with pytest.raises(PartitionsMissing) as caught:
        await READS[name](broken.p)
    assert time.monotonic() - began < 2 + BUSY_S
    assert sorted(caught.value.missing) == broken.gone
    assert f"{len(broken.gone)} of " in str(caught.value)
    assert caught.value.partial is not None
    if name in ("threats", "seen"):
        assert len(caught.value.partial) == len(broken.seeded(broken.there))
    if name == "stats":
        assert caught.value.partial.queue >= len(broken.seeded(broken.there))


async def test_reads_of_partitions_that_are_there_are_whole(broken: Broken) -> None:
    ids = broken.seeded(broken.there)
    assert len(await broken.p.get_threats(ids)) == len(ids)
    assert len(await broken.p.seen(ids, exact=True)) == len(ids)


async def test_a_policy_is_in_force_although_some_do_not_know_it_yet(
    broken: Broken, caplog: pytest.LogCaptureFixture
) -> None:
    before = await broken.p.get_policy()
    policy = replace(before, severity_low=before.severity_low / 2)
    with caplog.at_level(logging.WARNING, "periscope"):
        assert await broken.p.set_policy(policy) == policy
    assert "learn the policy in force when they come back" in caplog.text
    assert await broken.p.get_policy() == policy
    async with Periscope.open(broken.it.url, **OPTIONS) as other:
        assert await other.get_policy() == policy
        assert await other.add_threat(broken.ids(broken.there, 1)[0], "x", "LOW") == "added"


async def test_the_keepers_go_through_the_others(broken: Broken, place: Path) -> None:
    async with archive_at(place) as archive:
        await keep(broken, archive)


async def keep(broken: Broken, archive: Archive) -> None:
    p = broken.p
    (one,) = broken.ids(broken.there, 1)
    await p.add_threat(one, "x", "CRITICAL")
    for analyst in ("ann", "bob"):
        await p.record_interaction(one, analyst, "escalate")
    with pytest.raises(PartitionsMissing) as caught:
        await p.promote_eligible_threats()
    assert (caught.value.partial.promoted_ids, sorted(caught.value.missing)) == ([one], broken.gone)
    with pytest.raises(PartitionsMissing) as caught:
        await p.archive_audit(archive)
    assert caught.value.partial >= 2
    assert one in {entry.threat_id for _, entry in await archive.audit(limit=10_000)}
    for work in (p.sweep(archive), p.resolve_departures(archive)):
        with pytest.raises(PartitionsMissing) as caught:
            await work
        assert caught.value.partial is not None
    await p.erase(archive, one, "ann")


async def test_workers_go_on_say_so_once_and_take_up_what_comes_back(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with broken_cluster() as broken, archive_at(tmp_path / "archive.db") as archive:
        p = broken.p
        await p.set_policy(HASTY)
        async with Supervisor(
            PromotionWorker(p, QUICK),
            ExpiryWorker(p, archive, QUICK),
            ArchiveWriter(p, archive, QUICK),
        ) as supervisor:

            async def all_have_run() -> bool:
                return all(one.last_result is not None for one in supervisor.status())

            await wait_until(all_have_run, "a run of each")
            broken.victim.kill()

            async def all_miss_it() -> bool:
                return all(one.last_error for one in supervisor.status())

            await wait_until(all_miss_it, "each has noticed")
            ids = broken.ids(broken.there, 60)
            await p.add_threats_batch(report(one, "LOW") for one in ids)
            await p.record_interaction(broken.seeded(broken.there)[0], "bob", "view", "late")

            async def swept() -> bool:
                acts = {entry.request_id for _, entry in await archive.audit(limit=10_000)}
                return not await p.get_threats(ids) and "late" in acts

            await wait_until(swept, "what is there is swept and archived")
            assert {one.state for one in supervisor.status()} <= {State.WAITING, State.RUNNING}
            # A round that was under way at the kill may have told of a part of them before.
            told = f"worker promotion goes on with the others: {len(broken.gone)} of 64"
            assert caplog.text.count(told) == 1
            broken.victim.start()
            await broken.victim.until_up()
            late = broken.ids(broken.gone, 20)

            async def served() -> bool:
                try:
                    await p.add_threats_batch(report(one, "LOW") for one in late)
                except BatchInterrupted:
                    return False
                return True

            await wait_until(served, "it serves again")

            async def swept_too() -> bool:
                return not await p.get_threats(late)

            await wait_until(swept_too, "what came back is swept")
            assert "no partition is away any more" in caplog.text
        assert (await p.get_ledger(deep=True)).balanced


def test_a_worker_that_works_once_tells_what_it_did_and_what_it_could_not(
    lost: tuple[Cluster, Node, list[int]], place: Path
) -> None:
    it, _, gone = lost
    program = Program({"PERISCOPE_RETRY_S": "0.3", "PERISCOPE_ARCHIVE": str(place)})
    done = program("worker", "--once", "--url", it.url)
    assert done.code == 1
    assert [line.split(":")[0] for line in done.out.splitlines()] == [
        *("promotion", "snooze", "expiry", "archive", "feeds"),
    ]
    assert f"periscope: {len(gone)} of 64 partitions" in done.err.splitlines()[-1]


async def test_without_the_control_key_open_programs_go_on() -> None:
    async with broken_cluster() as broken:
        p = broken.p
        keeper = await broken.it.owner(slot_of_key(control_key(p.settings.namespace)))
        there = [
            keys.number
            for keys in p.keyspace.partitions
            if await broken.it.owner(slot_of_key(keys.meta)) is not keeper
        ]
        keeper.kill()
        assert (await p.add_threats_batch(map(report, broken.ids(there, 700)))).added == 700
        assert (await p.record_interaction(broken.seeded(there)[0], "ann", "view")).interactions
        with pytest.raises(PartitionsMissing) as caught:
            await p.promote_eligible_threats()
        assert caught.value.partial is not None
        with pytest.raises(StoreUnavailable):
            await p.get_policy()
        with pytest.raises(StoreUnavailable):
            await Periscope.open(broken.it.url, **OPTIONS).start()


async def test_partitions_that_come_back_are_prepared_by_whoever_needs_them() -> None:
    """Opened without them, and with a policy that they have never heard of."""
    async with broken_cluster() as broken:
        broken.victim.kill()
        for file in ("appendonlydir", "nodes.conf"):
            assert (broken.victim.folder / file).exists()
        async with Periscope.open(broken.it.url, **OPTIONS) as p:
            await p.set_policy(HASTY)
            broken.victim.start()
            await broken.victim.until_up()
            (new,) = broken.ids(broken.gone, 1)

            async def added() -> bool:
                try:
                    return await p.add_threat(new, "x", "LOW") == "added"
                except StoreUnavailable:
                    return False

            await wait_until(added, "it takes reports again")
            assert len(await p.get_threats(broken.seeded(broken.gone))) == len(
                broken.seeded(broken.gone)
            )
            assert (await p.get_ledger(deep=True)).balanced
            assert await p.get_top_threats(10)


@pytest.mark.parametrize("connections", [1, 2])
async def test_many_lanes_on_few_connections_never_wait_for_each_other(connections: int) -> None:
    """Batches that go over all servers in every order, among single calls, one server cut off."""
    async with broken_cluster(connections=connections, retry_s=5) as broken, asyncio.timeout(60):
        p = broken.p

        async def batch(number: int) -> int:
            reports = [report(f"b{number}-{one}") for one in range(1_000)]
            return (await p.add_threats_batch(reports)).added

        async def trouble() -> None:
            for node in broken.it.nodes:
                await node.ask("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
                await asyncio.sleep(0.05)

        singles = [p.add_threat(f"s{number}", "x", "LOW") for number in range(500)]
        answers = await asyncio.gather(*map(batch, range(12)), *singles, trouble())
        assert answers[:12] == [1_000] * 12
        assert set(answers[12:-1]) == {"added"}


async def test_a_batch_that_waits_keeps_no_connection_from_others() -> None:
    async with broken_cluster(connections=1, retry_s=30) as broken, asyncio.timeout(30):
        p = broken.p
        mixed = broken.ids(broken.there, 200) + broken.ids(broken.gone, 200)
        broken.victim.kill()
        batch = asyncio.create_task(p.add_threats_batch(map(report, mixed)))

        async def begun() -> bool:
            return bool(await p.get_threats(mixed[:200]))

        await wait_until(begun, "the batch is under way")
        began = time.monotonic()
        assert (await p.add_threats_batch(map(report, broken.ids(broken.there, 500)))).added == 500
        assert await p.add_threat(broken.ids(broken.there, 1)[0], "x", "LOW") == "added"
        assert time.monotonic() - began < 1 + BUSY_S
        assert not batch.done()
        broken.victim.start()
        assert (await batch).added == 400
