"""The disk of the embedded server is full in the midst of ingest and interactions, until it is not.

A durable server ends rather than lie, and is started again when there is room; a fast one stays,
and refuses. Either way callers are told so, and all that they were told is stored is there.
"""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from periscope import BatchInterrupted, OutcomeUnknown, Periscope, StoreFull, StoreUnavailable
from periscope.server import stop_server
from tests.support.disk import Resize, small_disk
from tests.support.history import History, Told, acknowledged, check, load
from tests.support.nodes import wait_until

CONTENT = "x" * 4000
BATCH = 500
TYPED = (StoreFull, StoreUnavailable, OutcomeUnknown)


@pytest.fixture
def data_dir(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Its path is short: a socket's must be, and pytest's own is not."""
    place = Path(tempfile.mkdtemp(prefix="psd-", dir="/tmp"))
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(place))
    yield place / "data"
    shutil.rmtree(place, ignore_errors=True)


@pytest.fixture
def disk(data_dir: Path) -> Iterator[Resize]:
    with small_disk(data_dir) as resize:
        yield resize
        asyncio.run(stop_server(data_dir, force=True))


@pytest.mark.parametrize("durability", ["durable", "fast"])
async def test_a_full_disk_refuses_loses_nothing_and_is_got_over(
    data_dir: Path, disk: Resize, durability: str
) -> None:
    options: dict[str, Any] = {"data_dir": data_dir, "durability": durability, "min_free_mb": 0}
    async with Periscope.open(**options, retry_s=0.0) as p:
        # A rewrite of the log would make room in the midst of it, and at any moment.
        client = p.functions.connections.client
        await client.config_set("auto-aof-rewrite-percentage", "0")
        async with load(p, 4) as history:
            stored, told = await fill(p)
            await refused(history)
            assert isinstance(told.__cause__, TYPED)
            assert disk("size=400m")
            await acknowledged(history, 100)
            result = await p.add_threats_batch(reports(10**6))
            assert result.added == BATCH
        errors = {type(call.error) for call in history.calls if call.error is not None}
        assert errors <= set(TYPED), errors
        assert not (await check(history, f"disk full, {durability}")).lost
        await check_stored(p, stored)
    async with Periscope.open(**options) as p:  # from the disk
        history.p = p
        assert not (await check(history, f"disk full, {durability}, started again")).lost
        await check_stored(p, stored)


def reports(first: int, count: int = BATCH) -> list[dict[str, str]]:
    return [
        {"threat_id": f"d{n}", "content": CONTENT, "severity": "LOW"}
        for n in range(first, first + count)
    ]


async def fill(p: Periscope) -> tuple[int, BatchInterrupted]:
    """Store batches until the smallest is refused: how many are stored for sure, and why no more.

    Each refusal leaves room for less than one batch, which single calls would take long to fill.
    """
    stored, told = 0, None
    for size in (BATCH, BATCH // 10, 1):
        while True:
            try:
                stored += (await p.add_threats_batch(reports(stored, size))).added
            except BatchInterrupted as exc:
                assert stored > 5_000, "a disk of 80 MiB has room for more"
                stored, told = stored + exc.result.added, exc
                break
    assert told is not None
    return stored, told


async def refused(history: History) -> None:
    """Wait until single calls are refused as well."""
    before = len(history.calls)

    async def some() -> bool:
        return sum(call.told is Told.REJECTED for call in history.calls[before:]) >= 20

    await wait_until(some, "single calls are refused")
    assert any(isinstance(call.error, StoreFull) for call in history.calls[before:])


async def check_stored(p: Periscope, stored: int) -> None:
    found = await p.get_threats(f"d{n}" for n in range(stored))
    assert len(found) == stored
    assert all(threat.content == CONTENT for threat in found)
