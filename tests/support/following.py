"""One who follows the events of a database, and writes down what is given."""

from __future__ import annotations

import asyncio
from collections import Counter

import pytest

from periscope import Event, Periscope
from tests.support.nodes import wait_until


class Follower:
    """Follows from the beginning, and keeps all that it is given."""

    def __init__(self, p: Periscope) -> None:
        self.events: list[Event] = []
        self.task = asyncio.create_task(self._run(p))

    async def _run(self, p: Periscope) -> None:
        async for event in p.events(",".join(["0-0"] * len(p.keyspace.partitions))):
            self.events.append(event)

    @property
    def added(self) -> Counter[str]:
        return Counter(one for e in self.events if e.kind == "added" for one in e.threat_ids)

    async def until(self, threat_id: str, timeout_s: float) -> None:
        async def told() -> bool:
            return threat_id in self.added

        await wait_until(told, f"{threat_id} is told", timeout_s=timeout_s)

    async def ended(self, kind: type[Exception], match: str) -> None:
        async with asyncio.timeout(5):
            with pytest.raises(kind, match=match):
                await self.task
