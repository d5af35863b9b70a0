"""On a terminal: the progress bar, and `--watch`, which outlives its server."""

from __future__ import annotations

import json
import os
import pty
import select
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.cli.conftest import HOSTILE, ROOT, Program
from tests.support.patience import PATIENCE
from tests.support.servers import ServerProcess

DEADLINE_S = 10 * PATIENCE
LEAVES_SCREEN = "\x1b[?1049l"
SHOWS_CURSOR = "\x1b[?25h"


class Terminal:
    """The program with a terminal of its own, whose output is read as it comes."""

    def __init__(self, process: subprocess.Popen[bytes], side: int) -> None:
        self.process = process
        self.seen = ""
        self._side = side

    def until(self, words: str) -> str:
        """Read up to these words; return what came since the last time."""
        end = time.monotonic() + DEADLINE_S
        while words not in self.seen:
            assert time.monotonic() < end, f"no {words!r} in {self.seen[-2000:]!r}"
            self._read(end - time.monotonic())
        head, _, self.seen = self.seen.partition(words)
        return head + words

    def rest(self) -> str:
        """Read to the end."""
        end = time.monotonic() + DEADLINE_S
        while self._read(end - time.monotonic()):
            pass
        return self.seen

    def _read(self, seconds: float) -> bool:
        if not select.select([self._side], [], [], max(0, seconds))[0]:
            return False
        try:
            chunk = os.read(self._side, 65536)
        except OSError:  # what Linux says when the other side is closed
            return False
        self.seen += chunk.decode(errors="replace")
        return bool(chunk)


@contextmanager
def on_terminal(program: Program, *arguments: str) -> Iterator[Terminal]:
    ours, theirs = pty.openpty()
    variables = {"TERM": "xterm-256color", "COLUMNS": "80", "LINES": "24"}
    with subprocess.Popen(
        [sys.executable, "-m", "periscope", *arguments],
        env={**program.environment, **variables},
        cwd=ROOT,
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        start_new_session=True,
    ) as process:
        os.close(theirs)
        try:
            yield Terminal(process, ours)
        finally:
            process.kill()
            os.close(ours)


def test_the_bar_shows_how_far_it_is(program: Program, tmp_path: Path) -> None:
    file = tmp_path / "many.ndjson"
    with file.open("w") as lines:
        for i in range(50_000):
            lines.write(
                json.dumps({"threat_id": f"t{i}", "content": "x", "severity": "LOW"}) + "\n"
            )
    with on_terminal(program, "ingest", str(file)) as terminal:
        terminal.until(" records, ")
        terminal.until("/s")
        shown = terminal.until("50,000 ")
        shown += terminal.rest()
        assert terminal.process.wait(DEADLINE_S) == 0
    assert "added             50,000" in shown
    assert SHOWS_CURSOR in shown


def test_watch_outlives_its_server_and_leaves_a_clean_terminal(held: Program) -> None:
    server = ServerProcess().start()
    program = held.with_(PERISCOPE_URL=server.url)
    del program.variables["PERISCOPE_DATA_DIR"]
    try:
        assert program("ingest", "-", given=json.dumps(HOSTILE)).code == 0
        with on_terminal(program, "top", "--watch", "--interval", "0.1") as terminal:
            screen = terminal.until("Ctrl-C leaves")
            screen += terminal.until("Ctrl-C leaves")
            assert "evil\\x1b[2Jid" in screen, screen
            assert "\x1b[2Jid" not in screen
            server.kill()
            terminal.until("SERVER LOST, trying again: ")
            server.start()
            terminal.until("The queue is empty")
            terminal.process.send_signal(signal.SIGINT)
            end = terminal.rest()
            assert terminal.process.wait(DEADLINE_S) == 130
    finally:
        server.stop()
    assert LEAVES_SCREEN in end
    assert SHOWS_CURSOR in end
    assert "Traceback" not in end
