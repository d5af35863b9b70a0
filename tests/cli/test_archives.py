"""Databases that share a data directory and a namespace each keep an archive of their own."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.conftest import Program
from tests.support.servers import ServerProcess

LINE = '{"threat_id": "t1", "content": "c", "severity": "LOW"}'


@pytest.fixture
def home() -> Iterator[Path]:
    """A data directory, with a path that is short enough for a socket."""
    directory = Path(tempfile.mkdtemp(prefix="parc-", dir="/tmp"))
    yield directory
    shutil.rmtree(directory, ignore_errors=True)


@pytest.fixture
def embedded(home: Path) -> Program:
    return Program({"XDG_RUNTIME_DIR": str(home), "PERISCOPE_DATA_DIR": str(home / "data")})


@pytest.fixture
def server() -> Iterator[ServerProcess]:
    process = ServerProcess().start()
    yield process
    process.stop()


def removed(program: Program) -> bool:
    """Does the program's archive, written to here, have what was removed?"""
    assert program("ingest", "-", given=LINE).code == 0
    done = program("remove", "t1", "--note", "seen")
    assert done.code == 0, done.err
    return "note: seen" in program("history", "t1").out


def archives(home: Path) -> list[str]:
    return sorted(path.name for path in (home / "data").glob("archive-*.db"))


def test_a_database_at_a_url_leaves_the_archive_of_the_embedded_one_alone(
    home: Path, embedded: Program, server: ServerProcess
) -> None:
    trial = embedded.with_(PERISCOPE_URL=server.url)
    assert removed(trial)
    (own,) = archives(home)
    assert own.startswith("archive-periscope-")
    assert removed(embedded)
    assert archives(home) == sorted([own, "archive-periscope.db"])
    assert embedded("ledger", "--deep").code == trial("ledger", "--deep").code == 0


def test_an_archive_that_is_a_databases_already_stays_so(
    home: Path, embedded: Program, server: ServerProcess
) -> None:
    trial = embedded.with_(PERISCOPE_URL=server.url)
    # As programs before this one did it.
    usual = str(home / "data" / "archive-periscope.db")
    assert removed(trial.with_(PERISCOPE_ARCHIVE=usual))
    assert "note: seen" in trial("history", "t1").out
    assert archives(home) == ["archive-periscope.db"]
    # And the embedded database, which was refused then, has its own now.
    assert removed(embedded)
    assert len(archives(home)) == 2


def test_it_stays_the_same_when_the_database_moves(
    home: Path, embedded: Program, server: ServerProcess
) -> None:
    trial = embedded.with_(PERISCOPE_URL=server.url)
    assert removed(trial)
    assert trial("repartition", "--partitions", "4").code == 0
    assert "note: seen" in trial("history", "t1").out
    second = ServerProcess().start()
    try:
        done = trial("repartition", "--partitions", "2", "--to", second.url)
        assert done.code == 0, done.err
        assert "note: seen" in embedded.with_(PERISCOPE_URL=second.url)("history", "t1").out
        assert len(archives(home)) == 1
    finally:
        second.stop()


def test_settings_say_where_it_is(embedded: Program) -> None:
    assert "/archive-periscope.db" in embedded("settings").out
    there = embedded.with_(PERISCOPE_URL="redis://db.example")
    assert "/archive-periscope-<database>.db" in there("settings").out
