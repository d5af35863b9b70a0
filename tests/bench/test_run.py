"""A small run of every row: it completes, says what it should, and leaves nothing behind."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from periscope.bench import ROWS, run
from periscope.bench.figures import Figure
from periscope.bench.machine import Machine
from periscope.bench.plan import Plan
from periscope.bench.stand import DIRECTORY_PREFIX, stand
from periscope.errors import UsageError

SCALE = 2000
# What docs/how-to/measure.md promises of the document.
DOCUMENT = {"format", "ran_on", "scales", "runs", "figures"}
# Functions of analysts' and workers' calls: `stop` times each of them by its name.
STOPPING = {
    *("act", "promote", "promotable", "overtaken", "depart", "settle", "trim", "next"),
    *("seen", "members", "follow", "events", "levels", "overdue"),
}
SPREAD = {"median", "lowest", "highest", "p50", "p99", "p999"}


async def test_every_row_at_a_small_scale(
    temporary: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = temporary / "figures.json"
    code = await run([SCALE], None, file, 1)
    document = json.loads(file.read_bytes())
    assert set(document) == DOCUMENT
    assert set(document["ran_on"]) == set(Machine.__struct_fields__)
    assert {one["row"] for one in document["figures"]} == set(ROWS)
    for one in document["figures"]:
        check_figure(one)
    timed = {one["what"].partition(": ")[2] for one in document["figures"] if one["row"] == "stop"}
    assert timed >= STOPPING
    missed = [one for one in document["figures"] if one["reached"] is False]
    assert code == (1 if missed else 0)
    shown = capsys.readouterr()
    assert "reached" in shown.out
    assert f"ingest, durable: {SCALE:,}, run 1 of 1" in shown.err
    assert_nothing_left(temporary)


def check_figure(one: dict[str, Any]) -> None:
    assert set(one) == set(Figure.__struct_fields__)
    assert set(one["spread"]) == SPREAD
    assert one["samples"]
    counts_faults = (one["target"] or "").endswith("<= 0")
    assert all(sample == 0 if counts_faults else sample > 0 for sample in one["samples"]), one
    assert one["scale"] == SCALE
    assert (one["ratio"] is None) == (not one["ratios"])
    assert (one["target"] is None) == (one["reached"] is None)


@pytest.mark.parametrize(
    ("scales", "rows", "runs"),
    [([], None, 1), ([0], None, 1), ([10], ["nosuch"], 1), ([10], None, 0)],
)
async def test_what_cannot_be_measured_is_refused(
    scales: list[int], rows: list[str] | None, runs: int
) -> None:
    with pytest.raises(UsageError):
        await run(scales, rows, None, runs)


@pytest.mark.parametrize("place", [".", "none/figures.json"])
async def test_a_file_that_cannot_be_written_is_told_first(temporary: Path, place: str) -> None:
    with pytest.raises(UsageError, match="cannot write"):
        await run([10**9], ["limit"], temporary / place, 1)


async def test_a_run_that_is_cut_short_keeps_what_it_measured(
    temporary: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = temporary / "figures.json"
    reached = asyncio.Event()

    async def endless(plan: Plan) -> list[Figure]:
        reached.set()
        await asyncio.Event().wait()
        return []

    rows = {"exists": ROWS["exists"], "endless": endless}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("periscope.bench.choose", lambda _: rows)
        task = asyncio.create_task(run([SCALE], None, file, 1))
        async with asyncio.timeout(60):
            await reached.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    assert {one["row"] for one in json.loads(file.read_bytes())["figures"]} == {"exists"}
    shown = capsys.readouterr()
    assert "exists" in shown.out
    assert shown.err.endswith("Cut short. What was measured until then:\n")
    assert_nothing_left(temporary)


async def test_a_cancelled_run_leaves_nothing(temporary: Path) -> None:
    task = asyncio.create_task(run([200_000], ["limit"], None, 1))
    async with asyncio.timeout(30):
        while not list(temporary.glob(f"{DIRECTORY_PREFIX}*/data/appendonlydir")):
            await asyncio.sleep(0.01)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert_nothing_left(temporary)


async def test_a_failing_row_leaves_nothing(temporary: Path) -> None:
    with pytest.raises(ZeroDivisionError):
        async with stand():
            raise ZeroDivisionError
    assert_nothing_left(temporary)


def assert_nothing_left(temporary: Path) -> None:
    assert not list(temporary.glob(f"{DIRECTORY_PREFIX}*"))
    assert not list((temporary / "run").rglob("*.sock"))
