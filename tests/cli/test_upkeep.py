"""`periscope server`, `settings`, `bench`: what is not about threats."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.cli.conftest import Program


@pytest.fixture
def apart(place: Path, tmp_path: Path) -> Program:
    """The program with a data directory of its own that nobody holds."""
    return Program({"XDG_RUNTIME_DIR": str(place), "PERISCOPE_DATA_DIR": str(tmp_path / "data")})


def test_a_server_that_runs(held: Program) -> None:
    done = held("server", "status", "--json")
    assert done.code == 0
    told = done.document
    assert (told["running"], told["in_use"], told["ready"]) == (True, True, True)
    assert told["durability"] == "durable"
    assert held("server", "status").out.startswith("Running, in use\n")


def test_a_server_in_use_is_not_stopped(held: Program) -> None:
    done = held("server", "stop", "--json")
    assert (done.code, done.out) == (1, "")
    assert "used by another process" in done.error["error"]


def test_the_last_to_leave_stopped_it(apart: Program) -> None:
    assert apart("server", "status").out.startswith("Not running, not in use\n")
    assert apart("stats").code == 0
    assert apart("server", "status", "--json").document["running"] is False
    assert apart("server", "stop").out == "It was not running.\n"
    assert apart("server", "stop", "--json").document == {"stopped": False}


def test_a_server_is_stopped_by_force(apart: Program) -> None:
    with apart.start("top", "--watch", "--json") as running:
        running.stdout.readline()
        done = apart("server", "stop", "--force")
        assert (done.code, done.out) == (0, "Stopped.\n")
        running.process.terminate()
        running.ended()


def test_repair_of_what_is_sound(apart: Program) -> None:
    done = apart("server", "repair", "--json")
    assert (done.code, done.error["type"]) == (1, "StoreUnsuitable")
    assert apart("stats").code == 0
    assert "nothing to repair" in apart("server", "repair").out
    assert "nothing to repair" in apart("server", "repair", "--json").document["done"]


def test_settings_say_where_they_come_from(held: Program) -> None:
    program = held.with_(PERISCOPE_IN_FLIGHT="3")
    done = program("settings", "--namespace", "soc", "--json")
    rows = {row["name"]: row for row in done.document["settings"]}
    assert (rows["in_flight"]["value"], rows["in_flight"]["origin"]) == (3, "environment")
    assert (rows["namespace"]["value"], rows["namespace"]["origin"]) == ("soc", "option")
    assert rows["connections"]["origin"] == "default"
    shown = program("settings").out
    assert "in_flight = 3  (environment)" in shown
    assert all(f"PERISCOPE_{name.upper()}" in " ".join(shown.split()) for name in rows)


def test_passwords_are_not_shown() -> None:
    for options in ([], ["--json"]):
        done = Program()(
            "settings", "--url", "redis://me:sesame@host:1/0?password=sesame", *options
        )
        assert done.code == 0
        assert "sesame" not in done.out
        assert "***@host:1" in done.out


def test_bench_runs_when_called(tmp_path: Path, place: Path) -> None:
    program = Program({"XDG_RUNTIME_DIR": str(place)})
    file = tmp_path / "figures.json"
    done = program("bench", "--scale", "200", "--rows", "nonsense", "--json", str(file))
    assert (done.code, done.out) == (2, "")
    assert "nonsense" in done.err
    assert not file.exists()


def test_every_error_line_is_one_document(held: Program) -> None:
    done = held("ingest", "nowhere", "nor\x1bhere", "--json")
    assert [json.loads(line)["type"] for line in done.err.splitlines()] == ["FeedError"] * 2
