"""Several writer processes that tell each other what was acknowledged, and ask the filter for it.

`python -m tests.membership.crowd [PROCESSES [IDS [PARTITIONS]]]` prints what they found, and ends
with 1 if any of them was told a wrong "no", or none was answered locally while others wrote.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import time
from pathlib import Path
from typing import Any

from periscope import Periscope
from tests.membership.writer import Found
from tests.support.servers import ServerProcess

ROOT = Path(__file__).parents[2]
MOST_MAYBE_PER_MILLE = 1.2  # the setting is one
Process = asyncio.subprocess.Process


async def crowd(url: str, processes: int, ids: int) -> list[Found]:
    """Run the writers; what each of them found."""
    names = [f"writer{number}" for number in range(processes)]
    running = [await _start(url, name, ids // processes) for name in names]
    try:
        for process in running:
            assert await _line(process) == "ready"
        for process in running:
            _say(process, "go")
        writing = [asyncio.Event() for _ in names]
        relays = [
            asyncio.create_task(_relay(name, process, running, written))
            for name, process, written in zip(names, running, writing, strict=True)
        ]
        for written in writing:
            await written.wait()
        for process in running:
            _say(process, "end")
        return [Found(**json.loads(await relay)) for relay in relays]
    finally:
        for process in running:
            if process.returncode is None:
                process.kill()
            await process.wait()


async def _relay(
    name: str, process: Process, running: list[Process], written: asyncio.Event
) -> str:
    """Tell all others what one has written; its last line."""
    while True:
        line = await _line(process)
        if line == "W":
            written.set()
        elif line.startswith("A "):
            for other in running:
                if other is not process:
                    _say(other, name + line[1:])
        else:
            written.set()
            return line


async def _start(url: str, name: str, count: int) -> Process:
    return await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.membership.writer", url, name, str(count)),
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": f"{ROOT / 'src'}{os.pathsep}{ROOT}"},
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )


async def _line(process: Process) -> str:
    assert process.stdout is not None
    return (await process.stdout.readline()).decode().rstrip("\n")


def _say(process: Process, line: str) -> None:
    assert process.stdin is not None
    process.stdin.write(f"{line}\n".encode())


def told(found: list[Found], seconds: float) -> str:
    """The figures of a run in one line."""
    asked = sum(one.unknown_asked for one in found)
    maybe = sum(one.unknown_maybe for one in found)
    figures: dict[str, Any] = {
        "processes": len(found),
        "written": sum(one.written for one in found),
        "answers checked": sum(one.checked for one in found),
        "wrong no": sum(one.wrong for one in found),
        "answered locally while others wrote": sum(one.local_amid for one in found),
        "false positives": f"{maybe}/{asked} = {maybe / max(1, asked):.5f}",
        "built": [one.built for one in found],
        "gaps": sum(one.gaps for one in found),
        "seconds": round(seconds, 1),
    }
    return ", ".join(f"{name} {value}" for name, value in figures.items())


def faults_of(found: list[Found]) -> list[str]:
    """What must not be: each in a few words."""
    asked = sum(one.unknown_asked for one in found)
    maybe = sum(one.unknown_maybe for one in found)
    faults = {
        'wrong "no"': any(one.wrong for one in found),
        "nothing was answered locally while others wrote": not all(one.local_amid for one in found),
        "too many false positives": 1000 * maybe > MOST_MAYBE_PER_MILLE * asked,
    }
    return [name for name, is_so in faults.items() if is_so]


async def main(processes: int = 4, ids: int = 1_000_000, partitions: int = 1) -> int:
    server = ServerProcess().start()
    try:
        async with Periscope.open(server.url, partitions=partitions):
            begun = time.monotonic()
            found = await crowd(server.url, processes, ids)
            print(told(found, time.monotonic() - begun))  # noqa: T201
    finally:
        server.stop()
    faults = faults_of(found)
    for fault in faults:
        print(fault, file=sys.stderr)  # noqa: T201
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(asyncio.run(main(*map(int, sys.argv[1:]))))
