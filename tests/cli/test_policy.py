"""`periscope policy`: shown, changed, refused."""

from __future__ import annotations

import pytest

from tests.cli.conftest import Program
from tests.cli.test_triage import told


def test_the_defaults_differ_in_nothing(program: Program) -> None:
    fields = {one["name"]: one for one in told(program, "policy")["fields"]}
    assert not any(one["differs"] for one in fields.values())
    assert fields["working_ttl"]["value"] == "1h"
    assert fields["working_ttl"]["value_ms"] == 3_600_000
    assert fields["promote_score"]["value"] == 0.7
    shown = program("policy").out
    assert shown.endswith("0 fields differ from the defaults\n")


def test_a_change_holds_for_everybody(program: Program) -> None:
    words = ("set", "working-ttl=90m", "promote_score=0.6", "stub_limit=5")
    tried = program("policy", *words, "--dry-run").out.splitlines()
    assert tried == [
        "promote_score: 0.7 -> 0.6",
        "working_ttl: 1h -> 1h30m",
        "stub_limit: 100000 -> 5",
        "Nothing was changed (--dry-run).",
    ]
    assert program("policy").out.endswith("0 fields differ from the defaults\n")
    document = told(program, "policy", *words)
    assert {one["name"] for one in document["fields"] if one["changed"]} == {
        "working_ttl",
        "promote_score",
        "stub_limit",
    }
    shown = program("policy").out
    assert "1h30m      (default 1h)" in shown
    assert shown.endswith("3 fields differ from the defaults\n")
    assert program("policy", *words).out == "Nothing changes: it is so already.\n"


@pytest.mark.parametrize(
    ("words", "answer"),
    [
        (["promote_score=0.6"], "write periscope policy, or periscope policy set"),
        (["set"], "write periscope policy, or periscope policy set"),
        (["set", "promote_score"], "no change; write it as NAME=VALUE"),
        (["set", "promote_score="], "no change; write it as NAME=VALUE"),
        (["set", "promote_scor=1"], "unknown; did you mean promote_score?"),
        (["set", "promote_score=high"], "promote_score needs a number, not 'high'"),
        (["set", "promote_score=nan"], "must be a number from 0 to 1"),
        (["set", "promote_score=7"], "must be a number from 0 to 1"),
        (["set", "stub_limit=1.5"], "stub_limit needs a whole number, not '1.5'"),
        (["set", "stub_limit=-1"], "must be a whole number from 0"),
        (["set", "working_ttl=soon"], "working_ttl soon: no duration"),
        (["set", "recency_constant=0s"], "at least one second"),
        (["set", "stub_limit=1", "stub-limit=2"], "given twice"),
        (["--dry-run"], "--dry-run is for changes"),
    ],
    ids=lambda value: repr(value)[:40],
)
def test_a_mistake_is_one_line_and_changes_nothing(
    held: Program, words: list[str], answer: str
) -> None:
    done = held("policy", *words)
    assert (done.code, done.out) == (2, "")
    (line,) = done.err.splitlines()
    assert answer in line
