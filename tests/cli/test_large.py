"""A long file streams: the program's memory is that of a few chunks, however long it is."""

from __future__ import annotations

import json
import os
import re
import subprocess
from pathlib import Path

import pytest

from tests.cli.conftest import Program

MIB = 1024 * 1024
FILE_BYTES = (1024 if os.environ.get("SOAK") else 100) * MIB
IDS = 5_000
"""Ids that come again and again, so that what grows is the file and not the store."""
MOST_KIB = 200 * 1024


def write_lines(path: Path) -> int:
    """A file of events that say something new each time; returns how many lines it has."""
    lines = 0
    with path.open("w") as file:
        while file.tell() < FILE_BYTES:
            file.writelines(event(number) for number in range(lines, lines + IDS))
            lines += IDS
    return lines


def event(number: int) -> str:
    return (
        json.dumps(
            {
                "threat_id": f"edr-{number % IDS}",
                "content": f"beacon {number} to 203.0.113.7 "
                + "over a channel that it opened " * 10,
                "severity": "MEDIUM",
                "metadata": {"round": number // IDS, "tags": ["c2", "edr"], "user": "somebody"},
                "observed_at": 1_700_000_000_000 + number,
            }
        )
        + "\n"
    )


def most_kib(process: subprocess.Popen[bytes]) -> int:
    """The most memory that a process ever had, asked until it ends."""
    most = 0
    while True:
        try:
            status = Path(f"/proc/{process.pid}/status").read_text()
            found = re.search(r"^VmHWM:\s+(\d+) kB$", status, re.MULTILINE)
            most = max(most, int(found[1]) if found else 0)
            process.wait(0.05)
            return most
        except subprocess.TimeoutExpired:
            continue


@pytest.mark.timeout(900)
def test_a_long_file_takes_little_memory(program: Program, tmp_path: Path) -> None:
    path = tmp_path / "long.ndjson"
    lines = write_lines(path)
    with program.start("ingest", str(path), "--json", "--quiet") as running:
        most = most_kib(running.process)
        done = running.ended()
    assert (done.code, done.err) == (0, "")
    told = done.document
    assert told["received"] == lines
    assert told["added"] + told["sightings"] == lines
    assert 0 < most < MOST_KIB
