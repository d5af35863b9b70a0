"""`periscope serve` as a child process: started, asked, stopped, continued, starved, killed."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx

from tests.support.servers import ServerProcess, free_port

STARTS_S = 30.0


class ServiceProcess:
    """A service on a port of loopback, on a store of the test's own."""

    def __init__(self, store: ServerProcess, folder: Path, **settings: Any) -> None:
        self.port = free_port()
        self.secret = ""
        self._log = Path(tempfile.mkstemp(prefix="serve-", suffix=".log", dir=folder)[1])
        usual = {"url": store.url, "data_dir": folder, "archive": folder / "archive.db"}
        given = {**usual, "serve_port": self.port, **settings}
        self._environment = os.environ | {
            f"PERISCOPE_{name.upper()}": str(value) for name, value in given.items()
        }
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    @property
    def log(self) -> str:
        return self._log.read_text(errors="replace")

    @property
    def rss_mib(self) -> float:
        """Memory that it holds now."""
        pages = int(Path(f"/proc/{self.pid}/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGESIZE") / 2**20

    async def start(self) -> ServiceProcess:
        """Start it and wait until it says where it listens; its first start tells the first key."""
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "periscope", "serve", "--json"],
                env=self._environment,
                stdout=subprocess.PIPE,
                stderr=log,
            )
        assert self._process.stdout is not None
        try:
            async with asyncio.timeout(STARTS_S):
                told = b""
                while not told.rstrip().endswith(b"}"):
                    line = await asyncio.to_thread(self._process.stdout.readline)
                    assert line, self.log
                    told += line
        except BaseException:
            self.kill()
            raise
        self.secret = next(iter(json.loads(told)["first_keys"].values()), self.secret)
        return self

    async def run(self, *words: str) -> subprocess.CompletedProcess[bytes]:
        """Run another command with the same settings."""
        command = [sys.executable, "-m", "periscope", *words]
        return await asyncio.to_thread(
            subprocess.run, command, env=self._environment, capture_output=True, timeout=60
        )

    def signal(self, number: signal.Signals) -> None:
        assert self._process is not None
        self._process.send_signal(number)

    def kill(self) -> None:
        """kill -9, if it is there; stopped or not."""
        if self._process is not None and self._process.poll() is None:
            self._process.kill()
            self._process.wait()
        if self._process is not None and self._process.stdout is not None:
            self._process.stdout.close()

    async def ended(self, timeout_s: float) -> int:
        """Wait for its end; return its exit code."""
        assert self._process is not None
        code = await asyncio.to_thread(self._process.wait, timeout_s)
        if self._process.stdout is not None:
            self._process.stdout.close()
        return code

    def keep_to(self, cpus: set[int]) -> None:
        """Let all its threads run on these processors only."""
        for thread in Path(f"/proc/{self.pid}/task").iterdir():
            with suppress(ProcessLookupError):  # it has just ended
                os.sched_setaffinity(int(thread.name), cpus)

    async def status(self, path: str, timeout_s: float = 5.0) -> int:
        """The status of an answer; 0 if none comes."""
        try:
            async with httpx.AsyncClient(base_url=self.url, timeout=timeout_s) as client:
                return (await client.get(path)).status_code
        except httpx.HTTPError:
            return 0
