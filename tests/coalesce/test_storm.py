"""Everything at once: many callers, cancellations, timeouts, and a line that does what lines do.

Each call is about a threat of its caller's own, so that each reply can be told to be the right one.
The callers go on until there were enough cancellations, and enough faults of each kind.
"""

from __future__ import annotations

import asyncio
import os
import random
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from itertools import count
from typing import Any

import pytest

from periscope import Periscope
from periscope.errors import BugError, StoreError, ThreatUnknown
from tests.support.history import say
from tests.support.nodes import wait_until
from tests.support.proxy import CuttingProxy
from tests.support.servers import ServerProcess

SOAK = "SOAK" in os.environ
CALLERS, ROUNDS, CANCELLED, EACH_FAULT = (1_000, 25, 100_000, 100) if SOAK else (250, 4, 2_000, 3)
WITHIN_S = 3000 if SOAK else 60
CONNECTIONS = 10
FAULTS = ("cut", "half-closed", "garbled", "delayed", "trickled")


class StormyProxy(CuttingProxy):
    """Delays, trickles, cuts, half-closes and garbles replies by chance while it is armed."""

    def __init__(self, server: ServerProcess, chance: random.Random) -> None:
        super().__init__(server.socket, cuts=0, cut_after_bytes=0)
        self._chance = chance
        self.faults: Counter[str] = Counter()

    async def _replies(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(65_536):
            fault = self._fault()
            self.faults[fault] += 1
            match fault:
                case "cut":  # in the middle of a reply
                    writer.write(data[: self._chance.randrange(len(data))])
                    return
                case "half-closed":  # no more from this end; the other one may go on sending
                    writer.write_eof()
                    await asyncio.sleep(0.2)
                    return
                case "garbled":
                    writer.write(b"\x00+nonsense\r\n$-9\r\n")
                    return
                case "delayed":
                    await asyncio.sleep(self._chance.random() / 20)
                case "trickled":
                    for byte in data[:64]:
                        writer.write(bytes([byte]))
                        await asyncio.sleep(0)
                    data = data[64:]
            writer.write(data)
            await writer.drain()

    def fewest_faults(self) -> int:
        """How often the rarest kind was made."""
        return min(self.faults[name] for name in FAULTS)

    def _fault(self) -> str:
        drawn = self._chance.randrange(60)
        return FAULTS[drawn] if self.armed and drawn < len(FAULTS) else ""


@dataclass
class Caller:
    """What one caller was told about its threat."""

    p: Periscope
    name: str
    chance: random.Random
    told: Counter[str] = field(default_factory=Counter)
    is_there: bool = False
    acts_sure: int = 0
    acts_asked: int = 0

    async def call(self, change: Awaitable[Any]) -> Any:
        """The result, or None: cancelled, timed out, or refused with one of our errors."""
        task = asyncio.ensure_future(change)
        match self.chance.randrange(6):
            case 0:
                for _ in range(self.chance.randrange(12)):
                    await asyncio.sleep(0)
                task.cancel()
            case 1:
                await asyncio.wait({task}, timeout=self.chance.random() / 50)
                task.cancel()
        try:
            result = await task
        except asyncio.CancelledError:
            self.told["cancelled"] += 1
        except (StoreError, BugError) as exc:
            self.told[type(exc).__name__] += 1
        else:
            self.told["answered"] += 1
            return result
        return None

    async def run(self, until: Callable[[], bool]) -> None:
        for turn in count():
            if turn >= ROUNDS and until():
                return
            if await self.call(self.p.add_threat(self.name, f"of {self.name}", "HIGH")):
                self.is_there = True
            await self._look()
            await self._act(turn)
            await self._claim()

    async def _look(self) -> None:
        threat = await self.call(self.p.get_threat(self.name))
        if threat is not None:
            assert (threat.threat_id, threat.content) == (self.name, f"of {self.name}")
        exists = await self.call(self.p.threat_exists(self.name, exact=self.chance.random() < 0.3))
        assert exists in ((True, None) if self.is_there else (True, False, None))

    async def _act(self, turn: int) -> None:
        self.acts_asked += 1
        action = self.chance.choice(["view", "monitor"])
        act = self.p.record_interaction(self.name, f"by {self.name}", action, f"{self.name}-{turn}")
        try:
            threat = await self.call(act)
        except ThreatUnknown:
            assert not self.is_there
            return
        if threat is not None:
            self.acts_sure += 1
            assert threat.threat_id == self.name
            assert self.acts_sure <= threat.interactions <= self.acts_asked

    async def _claim(self) -> None:
        try:
            claim = await self.call(self.p.claim(self.name, f"by {self.name}"))
        except ThreatUnknown:
            assert not self.is_there
            return
        if claim is not None:
            assert (claim.threat_id, claim.analyst_id) == (self.name, f"by {self.name}")

    async def check(self, p: Periscope) -> None:
        threat = await p.get_threat(self.name)
        if self.is_there:
            assert threat is not None
        if threat is not None:
            assert self.acts_sure <= threat.interactions <= self.acts_asked


def lent(p: Periscope) -> int:
    return len(p.functions.connections.client.connection_pool._in_use_connections)


def parked(p: Periscope) -> int:
    """Lanes that nobody uses, kept with their connections for the next call."""
    return len(p._engine._coalescer._parking._parked)


async def assert_none_leaked(p: Periscope) -> None:
    """At rest, lent are those of the lanes that are parked; all others can be had at once."""

    async def at_rest() -> bool:
        return lent(p) == parked(p)

    await wait_until(at_rest, f"{lent(p)} connections are lent, {parked(p)} parked")
    pool = p.functions.connections.client.connection_pool
    others = [await pool.get_connection() for _ in range(CONNECTIONS - parked(p))]
    assert len(others) >= CONNECTIONS // 2
    for one in others:
        await pool.release(one)


@pytest.mark.timeout(WITHIN_S + 60)
@pytest.mark.parametrize("seed", range(3))
async def test_no_reply_ever_reaches_the_wrong_caller(seed: int) -> None:
    server, chance = ServerProcess().start(), random.Random(seed)
    try:
        async with (
            StormyProxy(server, chance) as proxy,
            Periscope.open(proxy.url, connections=CONNECTIONS, retry_s=10, call_timeout_s=5) as p,
        ):
            await p.membership_ready()
            callers = [Caller(p, f"c{n}", random.Random(f"{seed}-{n}")) for n in range(CALLERS)]

            def enough() -> bool:
                cancelled = sum(caller.told["cancelled"] for caller in callers)
                return cancelled >= CANCELLED and proxy.fewest_faults() >= EACH_FAULT

            proxy.armed = True
            async with asyncio.timeout(WITHIN_S):
                await asyncio.gather(*(caller.run(enough) for caller in callers))
            proxy.armed = False
            async with asyncio.timeout(20):
                await assert_none_leaked(p)
            async with Periscope.open(server.url) as direct:
                await asyncio.gather(*(caller.check(direct) for caller in callers))
                assert (await direct.get_ledger(deep=True)).balanced
        assert lent(p) == 0
        told = sum((caller.told for caller in callers), Counter[str]())
        faults = {name: proxy.faults[name] for name in FAULTS}
        say(f"storm {seed}: {dict(told.most_common())}; faults {faults}")
        assert told["cancelled"] >= CANCELLED
        assert proxy.fewest_faults() >= EACH_FAULT
        assert told["answered"] > sum(told.values()) / 3
    finally:
        server.stop()
