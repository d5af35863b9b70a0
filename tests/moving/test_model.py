"""The engine against the pure model, moved between the steps: nobody can tell that it was."""

from __future__ import annotations

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import rule, run_state_machine_as_test
from redis.asyncio import Redis

from periscope import Periscope
from periscope.archive import Archive
from periscope.moving import repartition
from tests.lua.test_model import Engine
from tests.support.servers import ServerProcess


class Moving(Engine):
    """Beside all that `Engine` does: other partitions, whenever."""

    partitions = 3

    async def _open(self) -> Archive:
        async with Redis.from_url(self.url) as client:
            await client.flushall()  # the last one may have been left with other partitions
        return await super()._open()

    @rule(partitions=st.sampled_from([1, 2, 3, 5]))
    def move(self, partitions: int) -> None:
        if partitions != len(self.periscope.keyspace.partitions):
            self.run(self._move(partitions))

    async def _move(self, partitions: int) -> None:
        namespace = self.periscope.settings.namespace
        await self.periscope.close()
        self.periscope = Periscope.open(self.url, namespace=namespace, retry_s=0.0)
        await repartition(self.periscope.settings, self.archive, partitions)
        await self.periscope.start()
        self.periscope.functions.now_ms = self.now
        self.model.audited = 0  # the whole trail is in the archive


def test_a_moved_engine_equals_the_model(server: ServerProcess) -> None:
    machine = type("Moving", (Moving,), {"url": server.url})
    run_state_machine_as_test(machine, settings=settings(max_examples=15, stateful_step_count=20))
