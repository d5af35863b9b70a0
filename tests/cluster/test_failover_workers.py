"""Workers go on while a primary is cut off or dies: with `replicated` what they did stays done.

What the archive has as final is no longer in the store, whoever serves it by then.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import timedelta
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from periscope import Level, Periscope, Policy, PromotionStats
from periscope.archive import Archive, open_archive
from periscope.errors import OutcomeUnknown, PeriscopeError
from periscope.keys import control_key, slot_of_key
from periscope.workers import ExpiryWorker, PromotionWorker
from tests.cluster.test_failover import NODE_TIMEOUT_MS, REPLICATED
from tests.support.clusters import Cluster, cluster
from tests.support.history import say
from tests.support.nodes import wait_until

SOON = timedelta(milliseconds=300)
OFTEN = timedelta(milliseconds=50)
QUICK = Policy(working_ttl=SOON, target_low=SOON)


@pytest.fixture
async def pair() -> AsyncIterator[Cluster]:
    async with cluster(3, 1, durable=True, node_timeout_ms=NODE_TIMEOUT_MS) as made:
        yield made


@pytest.fixture
async def archive(tmp_path: Path) -> AsyncIterator[Archive]:
    opened = await open_archive(tmp_path / "archive.db")
    yield opened
    await opened.close()


class Promoting(PromotionWorker):
    """Remembers what it was told is promoted."""

    def __init__(self, periscope: Periscope) -> None:
        super().__init__(periscope, OFTEN)
        self.told: list[str] = []

    async def _work(self) -> PromotionStats:
        stats = await super()._work()
        self.told += stats.promoted_ids
        return stats


class Shift:
    """Callers that feed a database, and the workers that look after it."""

    def __init__(self, p: Periscope, archive: Archive) -> None:
        self.p, self.archive = p, archive
        self.acknowledged: set[str] = set()
        self.promotions = Promoting(p)
        self.expiry = ExpiryWorker(p, archive, OFTEN)
        self._numbers = count()

    @asynccontextmanager
    async def at_work(self) -> AsyncIterator[None]:
        """All of them work until the end."""
        async with self.promotions, self.expiry, asyncio.TaskGroup() as tasks:
            callers = [tasks.create_task(self._feed()) for _ in range(4)]
            try:
                yield
            finally:
                for caller in callers:
                    caller.cancel()

    async def _feed(self) -> None:
        while True:
            number = next(self._numbers)
            try:
                await (self._low(f"low{number}") if number % 4 else self._high(f"high{number}"))
            except PeriscopeError:
                await asyncio.sleep(0.01)

    async def _low(self, threat_id: str) -> None:
        await self.p.add_threat(threat_id, "x", "LOW")
        self.acknowledged.add(threat_id)

    async def _high(self, threat_id: str) -> None:
        await self.p.add_threat(threat_id, "x", "CRITICAL")
        self.acknowledged.add(threat_id)
        for analyst in ("ann", "bob"):
            await self.p.record_interaction(
                threat_id, analyst, "escalate", f"{threat_id} {analyst}"
            )

    async def gone(self, more: int) -> None:
        """Wait until so many more have departed, for good."""
        before = sum((await self.archive.counts()).values())

        async def departed() -> bool:
            return sum((await self.archive.counts()).values()) >= before + more

        await wait_until(departed, f"{more} more have departed", 60)

    async def check(self, name: str) -> None:
        """After the last one went home: nothing lost, nothing twice, nothing undone."""
        await _until_done(lambda: self.p.resolve_departures(self.archive))
        await _until_done(lambda: self.p.sweep(self.archive))
        ledger = await self.p.get_ledger(deep=True, archive=self.archive)
        left = Counter(row.threat_id for _, row in await self.archive.history(limit=10_000))
        here = {one.threat_id for one in await self.p.get_threats(self.acknowledged)}
        promoted = set(self.promotions.told)
        say(
            f"{name}: {len(self.acknowledged):,} acknowledged, {len(promoted):,} promoted, "
            f"{left.total():,} departed"
        )
        assert ledger.balanced, ledger
        assert not here & set(left), "in the store, and in the archive as departed"
        assert self.acknowledged <= here | set(left)
        assert max(left.values()) == 1
        assert len(promoted) == len(self.promotions.told)
        levels = {one.level for one in await self.p.get_threats(promoted)}
        assert levels == {Level.SHORT_TERM}


async def _until_done(call: Callable[[], Awaitable[Any]]) -> None:
    async def done() -> bool:
        try:
            await call()
        except PeriscopeError:
            return False
        return True

    await wait_until(done, "everybody is in reach again", 30)


async def test_workers_on_the_wrong_side_of_a_partition(pair: Cluster, archive: Archive) -> None:
    """Threats leave a primary that is cut off; the replica that takes over still has them."""
    primary = pair.nodes[0]
    async with Periscope.open(pair.url, **REPLICATED) as p:
        await p.set_policy(QUICK)
        shift = Shift(p, archive)
        async with shift.at_work():
            await shift.gone(200)
            (replica,) = await pair.replicas_of(primary)
            await pair.cut_off(primary)
            await pair.until_primary(replica)
            await pair.join_again(primary)
            await pair.until_whole()
            await shift.gone(200)
        await shift.check("workers, a partition, replicated")


async def test_workers_while_a_primary_is_killed(pair: Cluster, archive: Archive) -> None:
    victim = pair.nodes[1]
    async with Periscope.open(pair.url, **REPLICATED) as p:
        await p.set_policy(QUICK)
        shift = Shift(p, archive)
        async with shift.at_work():
            await shift.gone(200)
            (heir,) = await pair.replicas_of(victim)
            victim.kill()
            await pair.until_primary(heir)
            victim.start()
            await victim.until_up()
            await pair.until_whole()
            await shift.gone(200)
        await shift.check("workers, primary killed, replicated")


async def test_a_change_while_its_slot_is_on_two_servers(pair: Cluster) -> None:
    """What follows it belongs to the new server already: the change itself is not made there."""
    async with Periscope.open(pair.url, operation_timeout_s=0.5, **REPLICATED) as p:
        control = control_key(p.settings.namespace)
        slot = slot_of_key(control)
        source = await pair.owner(slot)
        target = next(node for node in await pair.primaries() if node is not source)
        names = await pair.id_of(source), await pair.id_of(target)
        await target.ask("CLUSTER", "SETSLOT", str(slot), "IMPORTING", names[0])
        await source.ask("CLUSTER", "SETSLOT", str(slot), "MIGRATING", names[1])
        with pytest.raises(OutcomeUnknown, match="moving these threats"):
            await p.set_policy(QUICK)
        assert await target.ask("CLUSTER", "COUNTKEYSINSLOT", str(slot)) == 0
        await pair.move_by_key(slot, target)
        assert await p.set_policy(QUICK) == QUICK
        assert (await p.get_policy(), p.functions.rules.revision) == (QUICK, 2)
