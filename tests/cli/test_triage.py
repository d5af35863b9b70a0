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


def test_a_snooze_says_until_when_wherever_it_is_shown(desk: Program) -> None:
    done = desk("snooze", "t1", "--for", "2h", "--note", "patch tonight")
    assert (done.code, done.err) == (0, "")
    assert done.out.startswith("t1 out of the queue: snoozed until 20")
    assert "; undo: " in done.out
    assert "t1" not in desk("top").out
    assert told(desk, "next")["claim"]["threat_id"] == "t2"
    threat = told(desk, "show", "t1")
    assert (threat["status"], threat["entered"], threat["entered_ms"]) == ("snoozed", None, None)
    assert threat["snoozed_until_ms"] - threat["as_of_ms"] <= 7_200_000
    until = threat["snoozed_until"]
    shown = desk("show", "t1").out
    assert f"  snoozed until {until}, level 1 (working)" in shown
    assert f"Snoozed         until {until} (1h left), or until it gets worse" in shown
    listed = desk("list", "--status", "snoozed").out
    assert listed.splitlines()[0].split()[1:3] == ["WAKES", "IN"]
    assert "  1h  CRITICAL  x" in listed
    assert f"{until[:19]}Z" in listed
    (item,) = told(desk, "list", "--status", "snoozed")["items"]
    assert item["snoozed_until"] == until
    assert f"note: patch tonight; until: {until}" in desk("history", "t1").out
    detail = told(desk, "audit")["items"][-1]["detail"]
    assert (detail["until"], detail["until_ms"]) == (until, threat["snoozed_until_ms"])
    assert desk("undo", "t1").out.startswith("t1 act taken back: open, ")


def test_snoozed_until_it_gets_worse(desk: Program) -> None:
    first, second = desk("snooze", "t2", "t3", "--until-worse", "--json").out.splitlines()
    assert [json.loads(line)["threat_id"] for line in (first, second)] == ["t2", "t3"]
    assert json.loads(first)["threat"]["snoozed_until"] is None
    assert json.loads(first)["act"] == "snooze"
    assert "  snoozed until it gets worse, level 1" in desk("show", "t3").out
    assert "Snoozed         until it gets worse than LOW" in desk("show", "t3").out
    listed = desk("list", "--status", "snoozed").out
    assert "if worse  LOW       x" in listed
    assert desk("ingest", "-", given=report("t3", "MEDIUM")).code == 0
    assert told(desk, "show", "t3")["status"] == "open"


def test_snoozed_until_a_moment_and_woken(desk: Program) -> None:
    assert (
        told(desk, "snooze", "t1", "--until", "2034-01-31T12:00:00+01:00")["threat"][
            "snoozed_until"
        ]
        == "2034-01-31T11:00:00.000Z"
    )
    desk("snooze", "t2", "--for", "1ms")
    assert desk("worker", "--once").out.splitlines()[1] == "snooze: 1 woken"
    assert told(desk, "show", "t2")["status"] == "open"
    assert told(desk, "show", "t1")["status"] == "snoozed"


def test_one_that_is_refused_does_not_keep_the_others_awake(desk: Program) -> None:
    desk("claim", "t2", "--analyst", "ben")
    desk("decide", "t3", "inconclusive")
    done = desk("snooze", "t2", "none", "t1", "t3", "--for", "1h")
    assert done.code == 1
    assert [line.split(" ")[0] for line in done.out.splitlines()] == ["t1"]
    assert done.err.splitlines() == [
        "periscope: t2: 'ben' holds this threat; wait, or take the claim over",
        "periscope: none: no threat 'none'",
        "periscope: t3: this threat is closed; reopen it first",
    ]
    assert refused(desk, "snooze", "t3", "--for", "1h")["type"] == "ThreatClosed"


@pytest.mark.parametrize(
    ("words", "answer"),
    [
        (["t1"], "give one of --for DURATION, --until TIME, --until-worse"),
        (["t1", "--for", "1h", "--until-worse"], "give one of --for"),
        (["--for", "1h"], "which threats?"),
        (["t1", "--for", "soon"], "--for soon: no duration"),
        (["t1", "--until", "2h"], "--until 2h: no time"),
        (["t1", "--until", "12345"], "--until 12345: no time"),
    ],
    ids=" ".join,
)
def test_until_when_is_to_be_said_once(desk: Program, words: list[str], answer: str) -> None:
    done = desk("snooze", *words)
    assert (done.code, done.out) == (2, "")
    assert answer in done.err
    assert done.err.count("\n") == 1


@pytest.mark.parametrize(
    "words", [["--for", "0s"], ["--for", "11y"], ["--until", "2020-01-01T00:00:00Z"]], ids=" ".join
)
def test_an_end_that_cannot_be(desk: Program, words: list[str]) -> None:
    words = [word.replace("11y", "4000d") for word in words]
    assert refused(desk, "snooze", "t1", *words)["type"] == "SnoozeEnd"


@pytest.mark.parametrize(
    "words",
    [
        ["act", "no such", "view"],
        ["claim", "no such"],
        ["decide", "no such", "inconclusive"],
        ["comment", "no such", "text"],
        ["reopen", "no such"],
        ["snooze", "no such", "--until-worse"],
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
        ["snooze", HOSTILE_ID, "--for", "1h", "--note", "\x1b[2J\u202e"],
        ["show", HOSTILE_ID],
        ["list", "--status", "snoozed"],
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
        if words[0] in ("next", "show", "list", "knowledge", "history", "audit"):
            tables = [line for line in done.out.splitlines() if " claimed: " not in line]
            assert max(map(cell_len, tables)) <= 60, words


def test_ids_and_texts_that_begin_with_a_hyphen(desk: Program) -> None:
    desk("ingest", "-", given=report("-odd"))
    assert told(desk, "act", "--json", "--", "-odd", "view")["threat_id"] == "-odd"
    assert desk("comment", "--", "-odd", "--text").out.startswith("-odd commented")
    assert desk("decide", "--note", "--why", "--", "-odd", "inconclusive").code == 0
    assert "note: --why" in desk("history", "--", "-odd").out
