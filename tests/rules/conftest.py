"""Databases with the clock in the test's hand, and archives for what departs."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from redis.asyncio import Redis

from periscope import Periscope
from periscope.archive import Archive, open_archive
from tests.conftest import OpenHere, assert_only_known_keys
from tests.rules.scene import START_MS


@pytest.fixture
async def p(periscope: Periscope) -> Periscope:
    """An empty database of one partition at `START_MS`; balanced afterwards."""
    periscope.functions.now_ms = START_MS
    return periscope


@pytest.fixture(params=[1, 3], ids=["1-partition", "3-partitions"])
async def spread(request: pytest.FixtureRequest, open_here: OpenHere) -> AsyncIterator[Periscope]:
    """As `p`, over one and over three partitions."""
    async with Redis.from_url(open_here.url) as client:
        await client.flushall()
        async with open_here(partitions=request.param) as opened:
            opened.functions.now_ms = START_MS
            yield opened
            ledger = await opened.get_ledger(deep=True)
            assert ledger.balanced, ledger
            await assert_only_known_keys(opened)
        await client.flushall()


@pytest.fixture
async def archive(tmp_path: Path) -> AsyncIterator[Archive]:
    opened = await open_archive(tmp_path / "archive.db")
    yield opened
    await opened.close()
