"""A process of workers, for tests that kill it:  python -m tests.workers.child KINDS URL ARCHIVE

KINDS are names with commas between. Says `ready` when all have run once; told to end, it says as
JSON what its workers did: the ids that they promoted, and how many threats they let go of.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from periscope import Periscope
from periscope.archive import Archive, open_archive
from periscope.work import PromotionStats, SweepStats
from periscope.workers import (
    ArchiveStats,
    ArchiveWriter,
    ExpiryWorker,
    PromotionWorker,
    Supervisor,
    Worker,
)
from tests.workers.support import QUICK

ROOT = Path(__file__).parent.parent.parent
DONE: dict[str, Any] = {"promoted": [], "seen": 0, "unseen": 0, "moved": 0, "errors": []}


class Promotion(PromotionWorker):
    async def _work(self) -> PromotionStats:
        stats = await super()._work()
        DONE["promoted"] += stats.promoted_ids
        return stats


class Expiry(ExpiryWorker):
    async def _work(self) -> SweepStats | None:
        stats = await super()._work()
        assert stats is not None
        DONE["seen"] += stats.expired_seen
        DONE["unseen"] += stats.expired_unseen
        return stats


class Writer(ArchiveWriter):
    async def _work(self) -> ArchiveStats:
        stats = await super()._work()
        DONE["moved"] += stats.moved
        return stats


def make(name: str, periscope: Periscope, archive: Archive) -> Worker[Any]:
    if name == "promotion":
        return Promotion(periscope, QUICK)
    if name == "expiry":
        return Expiry(periscope, archive, QUICK)
    return Writer(periscope, archive, QUICK)


async def main(kinds: str, url: str, place: str) -> None:
    archive = await open_archive(place)
    async with Periscope.open(url) as periscope:
        supervisor = Supervisor(*(make(name, periscope, archive) for name in kinds.split(",")))
        running = asyncio.create_task(supervisor.run())
        while not all(status.runs for status in supervisor.status()):
            await asyncio.sleep(0.001)
        tell("ready")
        await running
        DONE["errors"] = [s.last_error for s in supervisor.status() if s.last_error]
    await archive.close()
    tell(json.dumps(DONE))


def tell(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


class Child:
    """Such a process, from outside."""

    def __init__(self, kinds: str, url: str, place: str | Path) -> None:
        path = os.pathsep.join([str(ROOT), str(ROOT / "src")])
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tests.workers.child", kinds, url, str(place)],
            env=os.environ | {"PYTHONPATH": path},
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def await_ready(self) -> None:
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        assert line == "ready\n", self.process.communicate()[1]

    def kill(self) -> None:
        self.process.kill()
        self.process.communicate()

    def end(self, within_s: float = 20) -> Any:
        """Tell it to end; what its workers did."""
        self.process.terminate()
        out, err = self.process.communicate(timeout=within_s)
        assert self.process.returncode == 0, err
        return json.loads(out)


if __name__ == "__main__":
    logging.basicConfig(level=logging.WARNING)
    asyncio.run(main(*sys.argv[1:]))
