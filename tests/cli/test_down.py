"""`periscope ingest` and a server that is down, or too slow: it waits, or gives up, exactly."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from periscope import Periscope
from tests.cli.conftest import Done, Program
from tests.support.nodes import wait_until
from tests.support.servers import ServerProcess

STREAM = ("ingest", "-", "--format", "ndjson")
SLOW_TO_SEE = {"PERISCOPE_RETRY_S": "0.1", "PERISCOPE_CALL_TIMEOUT_S": "0.5"}


@pytest.fixture
def own() -> Iterator[ServerProcess]:
    """A durable server that is not started yet."""
    process = ServerProcess("--appendonly", "yes", "--appendfsync", "always")
    yield process
    process.stop()


@pytest.fixture
def program(held: Program, own: ServerProcess) -> Program:
    """The program on that server."""
    given = held.with_(PERISCOPE_URL=own.url, **SLOW_TO_SEE)
    del given.variables["PERISCOPE_DATA_DIR"]
    return given


def lines(first: int, count: int) -> str:
    reports = (
        {"threat_id": f"t{number}", "content": "x", "severity": "LOW"}
        for number in range(first, first + count)
    )
    return "".join(json.dumps(report) + "\n" for report in reports)


async def stored(own: ServerProcess) -> int:
    async with Periscope.open(own.url) as p:
        ledger = await p.get_ledger(deep=True)
    assert ledger.balanced
    return ledger.level_1


def add_up(told: dict[str, Any]) -> None:
    """Every record that was read is in one count, of the run and of each file."""
    for one in (told, *told["files"]):
        assert one["read"] == one["received"] + one["skipped"] + one["refused"] + one["unknown"]
        assert one["received"] == one["added"] + one["duplicates"] + one["rejected"]


def test_a_server_that_is_down_at_the_start_is_waited_for(
    own: ServerProcess, program: Program
) -> None:
    with program.start(*STREAM, "--wait", "20", "--json") as running:
        running.until(b"waiting for up to 20 s")
        own.start()
        done = running.ended(lines(0, 3))
    assert (done.code, done.document["added"]) == (0, 3)


def test_a_server_that_does_not_come_is_refused_at_the_limit(program: Program) -> None:
    began = time.monotonic()
    done = program(*STREAM, "--wait", "1.5", given=lines(0, 3))
    assert time.monotonic() - began > 1.5
    assert (done.code, done.out) == (1, "")
    assert "cannot reach the server" in done.err.splitlines()[-1]


async def test_a_server_that_is_killed_and_comes_back_loses_nothing(
    own: ServerProcess, program: Program
) -> None:
    own.start()
    with program.start(*STREAM, "--wait", "30") as running:
        running.give(lines(0, 1_000))
        running.until(b"1,000 records")
        own.kill()
        running.give(lines(1_000, 1_000))
        running.until(b"waiting for up to 30 s")
        own.start()
        done = running.ended(lines(2_000, 1_000))
    assert done.code == 0, done.err
    assert await stored(own) == 3_000
    assert "3,000" in next(line for line in done.out.splitlines() if line.startswith("added"))


@pytest.mark.parametrize("how", ["killed", "frozen"])
async def test_a_server_that_does_not_come_back_leaves_exact_counts(
    own: ServerProcess, program: Program, how: str
) -> None:
    own.start()
    with program.start(*STREAM, "--wait", "0.5", "--json") as running:
        running.give(lines(0, 1_000))

        async def all_stored() -> bool:
            """By the counts alone: a deep recount is for a database at rest."""
            async with Periscope.open(own.url) as p:
                return (await p.get_ledger()).level_1 == 1_000

        await wait_until(all_stored, "the first are stored")
        if how == "killed":
            own.kill()
        else:
            own.freeze()
        done = await asyncio.to_thread(running.ended, lines(1_000, 9_000))
    if how == "killed":
        own.start()
    else:
        own.thaw()
    await gave_up(own, done)
    assert done.document["refused"] > 0


async def gave_up(own: ServerProcess, done: Done) -> None:
    """It ended with counts that add up and fit what is there."""
    told = done.document
    assert done.code == 1
    add_up(told)
    assert told["refused"] + told["unknown"] > 0
    (line,) = [one for one in done.err.splitlines() if '"error"' in one]
    assert "sending the same again is safe" in json.loads(line)["error"]
    assert told["added"] <= await stored(own) <= told["added"] + told["unknown"]


async def test_a_server_that_dies_between_two_files_takes_no_count_along(
    own: ServerProcess, program: Program, tmp_path: Path
) -> None:
    own.start()
    first = tmp_path / "first.ndjson"
    first.write_text(lines(0, 1_000))
    arguments = ("ingest", str(first), "-", "--format", "ndjson", "--wait", "0.2", "--json")
    with program.start(*arguments) as running:

        async def all_stored() -> bool:
            """By the counts alone: a deep recount is for a database at rest."""
            async with Periscope.open(own.url) as p:
                return (await p.get_ledger()).level_1 == 1_000

        await wait_until(all_stored, "the first file is stored")
        own.kill()
        done = await asyncio.to_thread(running.ended, lines(1_000, 700))
    own.start()
    await gave_up(own, done)
    one, two = done.document["files"]
    assert (one["added"], one["failure"], one["refused"]) == (1_000, None, 0)
    assert (two["received"], two["unknown"]) == (0, 0)
    assert two["refused"] == two["read"] > 0
    again = await asyncio.to_thread(program, "ingest", str(first), "-", given=lines(1_000, 700))
    assert again.code == 0
    assert await stored(own) == 1_700


async def test_people_see_what_was_not_stored(own: ServerProcess, program: Program) -> None:
    own.start()
    with program.start(*STREAM, "--wait", "0.2") as running:
        running.give(lines(0, 3))
        running.until(b"3 records")
        own.kill()
        done = await asyncio.to_thread(running.ended, lines(3, 5))
    figures = {line.split()[0]: line.split()[1] for line in done.out.splitlines()}
    assert (done.code, figures["read"], figures["added"]) == (1, "8", "3")
    assert figures.get("unknown", figures.get("refused")) == "5"
