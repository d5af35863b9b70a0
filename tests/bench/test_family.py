"""`bench seed`, `bench chart`: small runs of them, and how work is ended."""

from __future__ import annotations

import asyncio
import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from periscope.bench import run_chart, run_seed
from periscope.bench.ending import held, to_the_end
from periscope.bench.naive import Naive
from periscope.bench.stand import DIRECTORY_PREFIX, stand
from periscope.bench.threats import report, threat_id
from tests.cli.conftest import Program


async def test_a_small_seed_table_and_its_chart(
    temporary: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file, chart = temporary / "seed.json", temporary / "growth.svg"
    assert await run_seed([600, 1200], file, 1) == 0
    assert "one redis-py call each" in capsys.readouterr().out
    figures = json.loads(file.read_bytes())["figures"]
    assert {one["on"] for one in figures} == {"periscope", "one call each"}
    assert all(sample > 0 for one in figures for sample in one["samples"])
    found = [one["samples"] for one in figures if one["what"] == "known ids found"]
    assert found == [[100.0]] * 4
    assert run_chart(file, chart) == 0
    assert chart.read_text().startswith("<svg ")


async def test_one_call_each_does_what_it_says(temporary: Path) -> None:
    async with stand() as on:
        naive = Naive(on.client)
        await naive.fill(range(300))
        await naive.add(report(300))
        await naive.act(0, 301)
        top = await naive.top(100)
        assert len(top) == 100
        assert top[0]["severity"] == "CRITICAL"
        assert {one["severity"] for one in await naive.severity_page("HIGH")} == {"HIGH"}
        assert len([one async for one in naive.scan()]) == 301
        assert await naive.get(threat_id(300)) == report(300)
        assert await naive.exists(threat_id(7))
        assert not await naive.exists(threat_id(301))


async def test_work_goes_on_to_its_end_however_often_it_is_cancelled() -> None:
    steps: list[str] = []
    go = asyncio.Event()

    async def work() -> str:
        steps.append("begun")
        await go.wait()
        steps.append("ended")
        return "done"

    task = asyncio.create_task(to_the_end(work()))
    for _ in range(3):
        await asyncio.sleep(0)
        task.cancel()
        await asyncio.sleep(0)
    assert steps == ["begun"]
    go.set()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert steps == ["begun", "ended"]
    assert await to_the_end(work()) == "done"


async def test_what_failed_to_open_is_closed() -> None:
    closed: list[str] = []

    async def enter(stack: object) -> None:
        stack.callback(closed.append, "first")  # type: ignore[attr-defined]
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        async with held(enter):
            raise AssertionError("not reached")
    assert closed == ["first"]


@pytest.mark.parametrize(("rows", "times"), [("durability", 1), ("replicated", 3)])
def test_sigterm_leaves_nothing(temporary: Path, rows: str, times: int) -> None:
    command = [sys.executable, "-m", "periscope", "bench", "--scale", "50k", "--rows", rows]
    environment = Program().environment | {
        "TMPDIR": str(temporary),
        "XDG_RUNTIME_DIR": str(temporary / "run"),
    }
    with subprocess.Popen(command, env=environment, stderr=subprocess.PIPE) as process:
        assert process.stderr is not None
        process.stderr.readline()  # the first run has begun
        for _ in range(times):
            process.send_signal(signal.SIGTERM)
        assert process.wait(60) in (143, -signal.SIGTERM)
    assert not list(temporary.glob(f"{DIRECTORY_PREFIX}*"))
    assert not list((temporary / "run").rglob("*.sock"))
    assert not _servers_in(temporary)


def _servers_in(directory: Path) -> list[str]:
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                if (entry / "cwd").readlink().is_relative_to(directory):
                    found.append(entry.name)
            except OSError:
                continue  # it has ended, or is somebody else's
    return found


def test_the_family_is_called_by_the_command_line(tmp_path: Path) -> None:
    program = Program()
    done = program("bench", "chart", str(tmp_path / "nowhere.json"), "--out", str(tmp_path / "x"))
    assert (done.code, done.out) == (2, "")
    assert "cannot read" in done.err
    done = program("bench", "readme", str(tmp_path / "nowhere.json"), "--into", "README.md")
    assert (done.code, done.out) == (2, "")
