"""One cluster of three primaries for what does not break it; each test has its own database."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from itertools import count

import pytest

from periscope import Periscope
from tests.support.clusters import Cluster

NUMBERS = count()


@pytest.fixture(scope="module")
def shared() -> Iterator[Cluster]:
    made = Cluster(3)
    asyncio.run(made.start())
    yield made
    made.close()


@pytest.fixture
async def p(shared: Cluster) -> AsyncIterator[Periscope]:
    """An empty database of 64 partitions; its ledger must balance afterwards."""
    async with Periscope.open(shared.url, namespace=f"test{next(NUMBERS)}") as opened:
        yield opened
        opened.functions.now_ms = None
        ledger = await opened.get_ledger(deep=True)
        assert ledger.balanced, ledger
