"""Analysts' work on the command line: what each act says, and what it leaves behind."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from rich.cells import cell_len

from tests.cli.conftest import HOSTILE, HOSTILE_ID, Program

ANALYST = {"PERISCOPE_ANALYST": "ana"}


def report(threat_id: str, severity: str = "CRITICAL", **more: object) -> str:
    return json.dumps({"threat_id": threat_id, "content": "x", "severity": severity, **more})


@pytest.fixture
def desk(program: Program, tmp_path: Path) -> Program:
    """The program as `ana` uses it, with an archive of its own and three threats."""
    own = program.with_(**ANALYST, PERISCOPE_ARCHIVE=str(tmp_path / "archive.db"))
    lines = [report("t1"), report("t2", "HIGH"), report("t3", "LOW")]
    assert own("ingest", "-", given="\n".join(lines)).code == 0
    return own


def told(program: Program, *arguments: str) -> Any:
    done = program(arguments[0], "--json", *(word for word in arguments[1:] if word != "--json"))
    assert (done.code, done.err) == (0, ""), arguments
    return done.document


def refused(program: Program, *arguments: str) -> Any:
    """Return the error of what is refused because of how the threat stands."""
    done = program(*arguments, "--json")
    assert (done.code, done.out) == (1, "")
    return done.error


def test_two_analysts_make_a_threat_eligible(desk: Program) -> None:
    first = desk("act", "t1", "escalate").out
    assert first.startswith("t1 escalated: open, level 1 (working), score 0.6")
    assert "1 interaction, 1 escalation, 0 dismissals by 1 analyst; undo: " in first
    assert first.count("\n") == 1
    second = told(desk, "act", "t1", "ESCALATE", "--analyst", "ben")
    assert second["act"] == "escalate"
    assert (second["analyst_id"], second["threat"]["analysts"]) == ("ben", 2)
    assert second["threat"]["latched"] is True
    assert "eligible: will be promoted" in desk("show", "t1").out
    assert told(desk, "promote")["promoted_ids"] == ["t1"]
    assert told(desk, "show", "t1")["level"] == 2
    assert desk("promote").out == "0 threats promoted\n"


def test_what_show_says_about_the_work(desk: Program) -> None:
    desk("claim", "t1")
    desk("act", "t1", "view", "--analyst", "ben")
    shown = desk("show", "t1").out
    assert "(somebody has looked at it)" in shown
    assert "Held by         ana, until " in shown
    assert "Last acts       ben: view, " in shown
    assert "(due in 59m)" in desk("show", "t2").out
    work = told(desk, "show", "t1")["desk"]
    assert (work["claim"]["analyst_id"], work["acts"][0]["analyst_id"]) == ("ana", "ben")
    desk("policy", "set", "target_high=0s")
    shown = desk("show", "t2").out
    assert "OVERDUE" in shown
    assert "Held by         nobody" in shown


def test_next_gives_each_threat_once_and_then_says_so(desk: Program) -> None:
    first = told(desk, "next", "--lease", "1h")
    assert (first["claim"]["threat_id"], first["threat"]["threat_id"]) == ("t1", "t1")
    assert first["threat"]["desk"]["claim"] == first["claim"]
    low = desk("next", "--severity", "low", "--analyst", "ben").out
    assert low.startswith("t3 claimed: ben has it until ")
    assert "Score" in low
    assert told(desk, "next")["claim"]["threat_id"] == "t2"
    done = desk("next")
    assert (done.code, done.out, done.err) == (1, "", "periscope: nothing is left to claim\n")
    assert refused(desk, "next")["type"] == "NothingLeft"


def test_a_claim_keeps_others_from_deciding(desk: Program) -> None:
    assert desk("claim", "t1").out.startswith("t1 claimed: ana has it until ")
    for words in (("act", "t1", "dismiss"), ("decide", "t1", "inconclusive"), ("claim", "t1")):
        error = refused(desk, *words, "--analyst", "ben")
        assert error["type"] == "Claimed"
        assert "'ana' holds this threat" in error["error"]
    taken = told(desk, "claim", "t1", "--take-over", "--analyst", "ben")
    assert (taken["analyst_id"], taken["threat_id"]) == ("ben", "t1")
    error = refused(desk, "release", "t1")
    assert error == {"error": "'ben' holds threat 't1', not 'ana'", "type": "ClaimLost"}
    assert told(desk, "release", "t1", "--analyst", "ben")["released"] == "t1"
    assert "nobody holds threat 't1'" in desk("release", "t1").err


def test_a_decision_closes_and_reopening_opens(desk: Program) -> None:
    closed = desk("decide", "t2", "benign-expected", "--note", "ours").out
    assert closed.startswith("t2 decided: closed as benign_expected, level 1 (working)")
    page = told(desk, "list", "--status", "closed")
    assert [one["threat_id"] for one in page["items"]] == ["t2"]
    assert page["items"][0]["outcome"] == "benign_expected"
    assert "t2" not in desk("top").out
    assert told(desk, "reopen", "t2", "--note", "no")["threat"]["outcome"] is None
    promoted = told(desk, "decide", "t3", "true_positive_impact")["threat"]
    assert (promoted["status"], promoted["level"]) == ("closed", 2)
    assert "undo" not in desk("decide", "t1", "true_positive_no_impact").out
    again = told(desk, "recall", "t3")
    assert (again["from_level"], again["threat"]["level"], again["threat"]["home"]) == (2, 1, 2)
    assert "in level 1 already" in desk("recall", "t3").out


def test_a_duplicate_names_its_target(desk: Program) -> None:
    for words in (("duplicate",), ("inconclusive", "--duplicate-of", "t2")):
        done = desk("decide", "t1", *words)
        assert (done.code, done.out) == (2, "")
        assert "give both or neither" in done.err
    done = desk("decide", "t1", "duplicate", "--duplicate-of", "t2")
    assert done.out.startswith("t1 decided: closed as duplicate")
    assert "duplicate_of: t2" in desk("history", "t1").out


def test_undo_by_its_id_and_by_that_of_the_threat(desk: Program) -> None:
    act = told(desk, "act", "t1", "escalate")
    undone = told(desk, "undo", act["interaction_id"])
    assert undone["undone"] == act["interaction_id"]
    assert undone["threat"]["interactions"] == 0
    desk("act", "t1", "monitor")
    desk("act", "t1", "view", "--analyst", "ben")
    assert desk("undo", "t1").out.startswith("t1 act taken back: open, level 1")
    work = told(desk, "show", "t1")["desk"]["acts"]
    assert [one["analyst_id"] for one in work] == ["ben"]


def test_what_cannot_be_taken_back(desk: Program) -> None:
    assert refused(desk, "undo", "t1")["type"] == "NotLast"
    assert refused(desk, "undo", "nowhere")["type"] == "ThreatUnknown"
    act = told(desk, "act", "t1", "escalate")
    assert refused(desk, "undo", act["interaction_id"], "--analyst", "ben")["type"] == "NotLast"
    desk("policy", "set", "undo_within=0s")
    assert refused(desk, "undo", "t1")["type"] == "TooLate"


@pytest.mark.parametrize(
    "words",
    [
        ["act", "no such", "view"],
        ["claim", "no such"],
        ["decide", "no such", "inconclusive"],
        ["comment", "no such", "text"],
        ["reopen", "no such"],
        ["recall", "no such"],
        ["remove", "no such"],
    ],
    ids=" ".join,
)
def test_an_unknown_threat_is_refused(desk: Program, words: list[str]) -> None:
    assert refused(desk, *words)["type"] == "ThreatUnknown"


def test_comments_leave_the_threat_as_it_is(desk: Program) -> None:
    before = told(desk, "show", "t1")
    after = told(desk, "comment", "t1", "seen on\nweb-03")["threat"]
    assert (after["revision"], after["interactions"]) == (before["revision"], 0)
    assert "comment: seen on\\nweb-03" in desk("history", "t1").out


def test_who_acts(desk: Program) -> None:
    done = desk("act", "t1", "view", "--analyst", "")
    assert (done.code, done.err) == (2, "periscope: analyst_id: empty\n")
    nameless = {**desk.variables, "LOGNAME": "me"}
    del nameless["PERISCOPE_ANALYST"]
    assert told(Program(nameless), "act", "t1", "view")["analyst_id"] == "me"


def test_hostile_threats_and_analysts_are_shown_as_text(desk: Program) -> None:
    assert desk("ingest", "-", given=json.dumps(HOSTILE)).code == 0
    evil = desk.with_(PERISCOPE_ANALYST="[red]x" + "\u0301" * 20, COLUMNS="60")
    for words in (
        ["act", HOSTILE_ID, "escalate"],
        ["comment", HOSTILE_ID, "\x1b[2J\u202e"],
        ["next"],
        ["claim", HOSTILE_ID],
        ["show", HOSTILE_ID],
        ["undo", HOSTILE_ID],
        ["decide", HOSTILE_ID, "true_positive_impact", "--note", "\x9b31m\r\n"],
        ["knowledge"],
        ["history", HOSTILE_ID],
        ["audit"],
        ["recall", HOSTILE_ID],
        ["remove", HOSTILE_ID],
        ["history"],
        ["allow", HOSTILE_ID],
        ["erase", HOSTILE_ID, "--yes"],
    ):
        done = evil(*words)
        assert (done.code, done.err) == (0, ""), words
        assert all(line.isprintable() for line in done.out.splitlines()), words
        assert "\u202e" not in done.out
        if words[0] in ("next", "show", "knowledge", "history", "audit"):
            tables = [line for line in done.out.splitlines() if " claimed: " not in line]
            assert max(map(cell_len, tables)) <= 60, words


def test_ids_and_texts_that_begin_with_a_hyphen(desk: Program) -> None:
    desk("ingest", "-", given=report("-odd"))
    assert told(desk, "act", "--json", "--", "-odd", "view")["threat_id"] == "-odd"
    assert desk("comment", "--", "-odd", "--text").out.startswith("-odd commented")
    assert desk("decide", "--note", "--why", "--", "-odd", "inconclusive").code == 0
    assert "note: --why" in desk("history", "--", "-odd").out
