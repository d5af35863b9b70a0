"""`periscope kpis`: the key figures, for people and for programs."""

from __future__ import annotations

import json

import pytest

from tests.cli.conftest import HOSTILE, HOSTILE_ID, Program


def ok(program: Program, *arguments: str) -> str:
    done = program(*arguments)
    assert done.code == 0, done.err
    return done.out


@pytest.fixture
def worked(held: Program) -> Program:
    """Somebody looked at two threats, took one look back, and decided one."""
    program = held.with_(PERISCOPE_NAMESPACE="worked")
    ok(program, "ingest", "samples/kev-sample.json")
    assert program("ingest", "-", given=json.dumps(HOSTILE)).code == 0
    if json.loads(ok(program, "audit", "--json"))["items"]:
        return program  # another test was here before
    ok(program, "keys", "create", "siem", "--scope", "ingest")  # on record, and about no threat
    ok(program, "act", "CVE-2021-44228", "escalate", "--analyst", "ann")
    ok(program, "decide", "CVE-2021-44228", "true_positive_impact", "--analyst", "ann")
    ok(program, "act", HOSTILE_ID, "view", "--analyst", "ann")
    ok(program, "undo", HOSTILE_ID, "--analyst", "ann")
    return program


def test_what_was_done_is_told(worked: Program) -> None:
    told = json.loads(ok(worked, "kpis", "--since", "1h", "--json"))
    assert [told["times"][one]["ALL"]["count"] for one in ("triage", "decide")] == [1, 1]
    assert told["times"]["triage"]["CRITICAL"]["p95_s"] < 60
    assert sum(one["true_positives"] for one in told["sources"]) == 1
    assert [one["true_positive_rate"] for one in told["sources"]] == [1.0]
    assert told["change"] == sum(one["inflow"] - one["outflow"] for one in told["flow"])
    assert (told["truncated"], told["unknown"]) == ([], 0)


def test_people_see_it_with_bars(worked: Program) -> None:
    told = ok(worked, "kpis", "--since", "3h")
    lines = told.splitlines()
    (triage,) = [line for line in lines if line.startswith("triage")]
    assert triage.split()[:3] == ["triage", "ALL", "1"]
    assert any("100 %" in line for line in lines)
    assert any("█" in line for line in lines)
    assert lines[-1].startswith("Waiting for a decision: +")
    assert told.replace("\n", "").isprintable()
    plain = ok(worked.with_(PYTHONIOENCODING="ascii"), "kpis", "--since", "3h")
    assert plain.isascii()
    assert "####" in plain


@pytest.mark.parametrize("since", ["0s", "2000d", "soon", "-1h"])
def test_a_span_that_is_none_is_a_mistake_of_the_caller(filled: Program, since: str) -> None:
    done = filled("kpis", f"--since={since}")
    assert (done.code, done.out) == (2, "")
    assert len(done.err.splitlines()) == 1
