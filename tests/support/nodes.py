"""One server among several, as a child process: started, asked, killed, stopped, continued."""

from __future__ import annotations

import asyncio
import ctypes
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import hiredis

from periscope.server.process import ask
from tests.support.patience import PATIENCE
from tests.support.servers import BINARY

PR_SET_PDEATHSIG = 1


async def wait_until(
    true: Callable[[], Awaitable[Any]],
    what: str,
    timeout_s: float = 5 * PATIENCE,
    pause_s: float = 0.02,
) -> Any:
    """Ask until the answer is true, and return it; who does not answer says no."""
    deadline = time.monotonic() + timeout_s
    while True:
        with suppress(OSError):
            if found := await true():
                return found
        assert time.monotonic() < deadline, f"not within {timeout_s} s: {what}"
        await asyncio.sleep(pause_s)


class Node:
    """A server on a port of loopback, with a UNIX socket for the test's own questions."""

    def __init__(self, port: int, *options: str, sentinel: bool = False) -> None:
        self.port = port
        # Under /tmp: pytest's own directories are often too deep for a socket's path.
        self.folder = Path(tempfile.mkdtemp(prefix=f"psn-{port}-"))
        self.socket_path = self.folder / "s"
        self.options = options
        self.sentinel = sentinel
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    @property
    def is_alive(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def start(self) -> None:
        """Start it; `until_up` waits for it."""
        self.socket_path.unlink(missing_ok=True)
        self._process = subprocess.Popen(
            [*self._program(), *self.options],
            cwd=self.folder,
            stdout=subprocess.DEVNULL,
            preexec_fn=_die_with_parent if sys.platform == "linux" else None,
        )

    def _program(self) -> list[str]:
        common = ["--port", str(self.port), "--bind", "127.0.0.1", "--unixsocket", "s"]
        if self.sentinel:
            (self.folder / "sentinel.conf").touch()
            return [BINARY, "sentinel.conf", "--sentinel", *common, "--logfile", "log"]
        return [BINARY, *common, "--save", "", "--logfile", "log"]

    async def until_up(self) -> None:
        async def loaded() -> bool:
            assert self.is_alive, self.log()[-2000:]
            return bool(await self.ask("PING") == "PONG")

        await wait_until(loaded, f"node {self.port} answers", pause_s=0.005)

    async def ask(self, *command: str) -> Any:
        """Run a command; its error is raised."""
        (reply,) = await ask(self.socket_path, command)
        if isinstance(reply, Exception) and not str(reply).startswith("LOADING"):
            raise reply
        return reply

    async def ask_bytes(self, *command: str | bytes) -> Any:
        """The same with the reply in bytes: keys of Periscope's are not always text."""
        stream, writer = await asyncio.open_unix_connection(str(self.socket_path))
        parser = hiredis.Reader()
        try:
            writer.write(hiredis.pack_command(command))  # type: ignore[arg-type]
            while (reply := parser.gets()) is False:
                parser.feed(await asyncio.wait_for(stream.read(65_536), 10))
        finally:
            writer.close()
        if isinstance(reply, Exception):
            raise reply
        return reply

    def kill(self) -> None:
        """kill -9."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def freeze(self) -> None:
        """SIGSTOP: it neither answers nor breaks its connections."""
        os.kill(self.pid, signal.SIGSTOP)

    def thaw(self) -> None:
        os.kill(self.pid, signal.SIGCONT)

    def log(self) -> str:
        return (self.folder / "log").read_text(errors="replace")

    def close(self) -> None:
        self.kill()
        shutil.rmtree(self.folder, ignore_errors=True)


def _die_with_parent() -> None:
    """However the tests end, no server stays behind."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
