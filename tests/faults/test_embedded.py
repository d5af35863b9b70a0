"""The embedded server under a user: killed, short of room."""

from __future__ import annotations

import asyncio
import os
import signal
from contextlib import suppress
from pathlib import Path

import pytest

from periscope import BatchInterrupted, Periscope, StoreFull
from periscope.server import server_status


async def kill_server(p: Periscope) -> None:
    info = await p.functions.connections.client.info("server")
    os.kill(int(info["process_id"]), signal.SIGKILL)


async def test_a_killed_server_comes_back_under_its_users(tmp_path: Path) -> None:
    async with Periscope.open(data_dir=tmp_path, min_free_mb=0) as p:
        await p.add_threats_batch(
            {"threat_id": f"t{i}", "content": "x", "severity": "LOW"} for i in range(1_000)
        )
        await kill_server(p)
        assert (await p.get_stats()).queue == 1_000
        await kill_server(p)
        result = await p.add_threats_batch(
            {"threat_id": f"t{i}", "content": "x", "severity": "LOW"} for i in range(2_000)
        )
        assert (result.added, result.duplicates) == (1_000, 1_000)
        assert (await p.get_ledger(deep=True)).balanced


async def test_too_little_room_refuses_new_reports_and_nothing_else(tmp_path: Path) -> None:
    async with Periscope.open(data_dir=tmp_path, min_free_mb=0) as p:
        await p.add_threat("t", "x", "LOW")
    async with Periscope.open(data_dir=tmp_path, min_free_mb=2**40) as p:
        with pytest.raises(StoreFull, match="no new reports until there is room"):
            await p.add_threat("u", "x", "LOW")
        with pytest.raises(BatchInterrupted) as caught:
            await p.add_threats_batch([{"threat_id": "u", "content": "x", "severity": "LOW"}] * 7)
        assert (caught.value.refused, caught.value.unknown) == (7, 0)
        assert [t.threat_id for t in await p.get_top_threats()] == ["t"]


async def test_a_start_that_is_cancelled_leaves_no_server(tmp_path: Path) -> None:
    for pause in (0.0, 0.005, 0.02, 0.05):
        start = asyncio.create_task(Periscope.open(data_dir=tmp_path, min_free_mb=0).start())
        await asyncio.wait([start], timeout=pause)
        start.cancel()
        with suppress(asyncio.CancelledError):
            await (await start).close()
        assert not (await server_status(tmp_path)).running
