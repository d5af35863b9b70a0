"""`periscope repartition` and `rebuild`: what they say, and what they refuse."""

from __future__ import annotations

from pathlib import Path

import pytest
from redis import Redis

from tests.cli.conftest import ROOT, Program
from tests.support.servers import ServerProcess


@pytest.fixture
def filled(place: Path, tmp_path: Path) -> Program:
    """The program with a data directory of its own, and the KEV sample in it."""
    apart = Program({"XDG_RUNTIME_DIR": str(place), "PERISCOPE_DATA_DIR": str(tmp_path / "data")})
    assert apart("ingest", str(ROOT / "samples" / "kev-sample.json")).code == 0
    return apart


def test_partitions_and_caps_change(filled: Program, tmp_path: Path) -> None:
    top = filled("top", "--json").document
    done = filled("repartition", "--partitions", "3")
    assert done.code == 0
    assert done.out.startswith("3 partitions: 58 threats, the ledger balances, ")
    told = filled("repartition", "--partitions", "2", "--json").document
    assert (told["partitions"], told["generation"], told["to"], told["resumed"]) == (
        2,
        2,
        None,
        False,
    )
    assert told["ledger"]["balanced"] is True
    file = tmp_path / "policy.json"
    file.write_text('{"escalations_cap": 2, "working_ttl": "2h"}')
    assert filled("rebuild", "--policy", str(file), "--set", "interactions_cap=5").code == 0
    shown = filled("policy", "--json").document["fields"]
    changed = {field["name"]: field["value"] for field in shown if field["differs"]}
    assert changed == {"escalations_cap": 2, "interactions_cap": 5, "working_ttl": "2h"}
    again = filled("top", "--json").document
    assert [t["threat_id"] for t in again["items"]] == [t["threat_id"] for t in top["items"]]
    assert filled("ledger", "--deep").code == 0


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("repartition", "how many partitions?"),
        ("repartition --partitions 1", "partitions is 1 already"),
        ("repartition --partitions 2 --delete-source", "for a move to another server"),
        ("rebuild", "which policy?"),
        ("rebuild --set interactions_cap", "write it as NAME=VALUE"),
        ("rebuild --set interactions_cap=11", "whole number from 1 to 10"),
        ("rebuild --set interactions_cap=10", "nothing to rebuild"),
        ("rebuild --policy /nowhere", "cannot read /nowhere"),
        ("policy set interactions_cap=5", "periscope rebuild"),
    ],
)
def test_what_makes_no_sense(filled: Program, words: str, said: str) -> None:
    done = filled(*words.split())
    assert (done.code, done.out) == (2, "")
    assert said in done.err


@pytest.mark.parametrize("command", ["repartition", "rebuild"])
def test_there_may_be_nothing_to_give_up(filled: Program, command: str) -> None:
    assert filled(command, "--abort").out == "There is nothing to give up.\n"
    assert filled(command, "--abort", "--json").document == {"given_up": False}


def test_what_is_left_behind_is_deleted_later(filled: Program, server: ServerProcess) -> None:
    """Nothing is said to balance that was not looked at."""
    Redis.from_url(server.url).flushall()
    words = ("repartition", "--partitions", "2", "--to", server.url)
    assert "58 threats, the ledger balances" in filled(*words).out
    done = filled(*words, "--delete-source")
    assert done.code == 0
    assert done.out.startswith(f"2 partitions at {server.url}: compared before, in an earlier run")
    again = filled(*words, "--delete-source")
    assert (again.code, again.out) == (2, "")
    assert "nothing is left here" in again.err
    Redis.from_url(server.url).flushall()
