"""A worker of feeds, for tests that kill it:  python -m tests.polling.poller URL DIR LEASE_MS

Says `ready` when it has looked once; its log goes to standard error.
"""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import subprocess
import sys
import threading
from datetime import timedelta
from pathlib import Path

from periscope import Periscope
from periscope.polling import FeedWorker
from periscope.workers import Supervisor

ROOT = Path(__file__).parent.parent.parent


async def main(url: str, data_dir: str, lease_ms: str) -> None:
    async with Periscope.open(url, data_dir=data_dir, retry_s=1.0) as periscope:
        worker = FeedWorker(
            periscope,
            timedelta(milliseconds=20),
            lease=timedelta(milliseconds=int(lease_ms)),
        )
        running = asyncio.create_task(Supervisor(worker).run())
        while not worker.status().runs:
            await asyncio.sleep(0.001)
        tell("ready")
        await running


def tell(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


class Poller:
    """Such a process, from outside; its log is read as it comes."""

    def __init__(self, url: str, data_dir: Path, lease_ms: int = 400) -> None:
        path = os.pathsep.join([str(ROOT), str(ROOT / "src")])
        self.process = subprocess.Popen(
            [
                *(sys.executable, "-m", "tests.polling.poller"),
                *(url, str(data_dir), str(lease_ms)),
            ],
            env=os.environ | {"PYTHONPATH": path},
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.log: list[str] = []
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stderr is not None
        self.log.extend(iter(self.process.stderr.readline, ""))

    def await_ready(self) -> Poller:
        assert self.process.stdout is not None
        assert self.process.stdout.readline() == "ready\n", "".join(self.log)
        return self

    def send(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    def kill(self) -> None:
        self.process.kill()
        self._end()

    def end(self) -> int:
        self.process.terminate()
        return self._end()

    def _end(self) -> int:
        code = self.process.wait(20)
        self._reader.join()
        for stream in (self.process.stdout, self.process.stderr):
            assert stream is not None
            stream.close()
        return code


if __name__ == "__main__":
    logging.basicConfig(level=logging.WARNING)
    asyncio.run(main(*sys.argv[1:]))
