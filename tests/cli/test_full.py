"""`periscope ingest` and a full server: it waits, resumes, or gives up with exact counts."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from periscope import Periscope
from tests.cli.conftest import Program
from tests.support.full import LIMITED, MANY, give_room, reports
from tests.support.servers import ServerProcess


@pytest.fixture
def limited() -> Iterator[ServerProcess]:
    process = ServerProcess(*LIMITED).start()
    yield process
    process.stop()


def lines_file(folder: Path) -> Path:
    file = folder / "many.ndjson"
    file.write_text("".join(json.dumps(report) + "\n" for report in reports()))
    return file


async def test_ingest_waits_and_resumes(
    limited: ServerProcess, program: Program, tmp_path: Path
) -> None:
    file = lines_file(tmp_path)

    def run() -> Any:
        return program("ingest", str(file), "--url", limited.url, "--wait", "30", "--json")

    running = asyncio.create_task(asyncio.to_thread(run))
    await give_room(limited)
    done = await running
    assert done.code == 0, done.err
    assert done.document["added"] == MANY
    assert "waiting for up to 30 s" in done.err


async def test_stats_say_why_nothing_more_goes_in(limited: ServerProcess, program: Program) -> None:
    async with Periscope.open(limited.url) as p:
        await p.add_threat("t", "x", "LOW")
        client = p.functions.connections.client
        await client.config_set("maxmemory", (await client.info("memory"))["used_memory"] // 2)
    done = await asyncio.to_thread(program, "stats", "--url", limited.url)
    assert done.code == 0, done.err
    assert re.search(r"Server .*[kM]B of .*[kM]B used", done.out)
    assert "Writable  full: the server at" in done.out
    done = await asyncio.to_thread(program, "stats", "--url", limited.url, "--json")
    told = done.document["server"]
    assert told["writable"] == "full"
    assert told["used_memory_bytes"] > told["max_memory_bytes"] > 0
    assert "out of memory" in told["refusal"]


async def test_ingest_gives_up_with_exact_counts(
    limited: ServerProcess, program: Program, tmp_path: Path
) -> None:
    file = lines_file(tmp_path)
    done = await asyncio.to_thread(
        program, "ingest", str(file), "--url", limited.url, "--wait", "0.5", "--json"
    )
    assert done.code == 1
    told = done.document
    async with Periscope.open(limited.url, program.variables["PERISCOPE_NAMESPACE"]) as p:
        ledger = await p.get_ledger()
    assert ledger.balanced
    assert told["added"] == told["received"] == ledger.level_1
    assert told["read"] == told["received"] + told["refused"] < MANY
    assert (told["unknown"], told["skipped"], told["rejected"]) == (0, 0, 0)
    (one,) = told["files"]
    assert (one["read"], one["refused"]) == (told["read"], told["refused"])
    assert f"{told['refused']:,} refused" in one["failure"]
