"""Memory and records on the command line: knowledge, overdue, history, audit, removal."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path

import pytest

from tests.cli.conftest import Program
from tests.cli.test_triage import desk, refused, report, told

__all__ = ["desk"]

STAMP = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")


def ids(page: dict[str, list[dict[str, str]]]) -> list[str]:
    return [one["threat_id"] for one in page["items"]]


def test_knowledge_is_both_levels_or_one(desk: Program) -> None:
    desk("policy", "set", "long_term_consolidations=1", "long_term_confidence=0")
    desk("ingest", "-", given=report("e1", metadata={"industry": "Energy"}))
    for name in ("ana", "ben"):
        desk("act", "e1", "escalate", "--analyst", name)
        desk("act", "t2", "escalate", "--analyst", name)
    desk("decide", "e1", "true_positive_impact")
    desk("decide", "t3", "true_positive_impact")
    both = told(desk, "knowledge")
    assert (ids(both["short_term"]), ids(both["long_term"])) == (["t3"], ["e1"])
    assert ids(told(desk, "knowledge", "--level", "short")) == ["t3"]
    assert ids(told(desk, "knowledge", "--industry", "energy")) == ["e1"]
    assert ids(told(desk, "knowledge", "--level", "3", "--industry", "mining")) == []
    shown = desk.with_(COLUMNS="100")("knowledge").out
    assert "Level 2, short-term\n" in shown
    assert "(protected: does not decay)" in desk("show", "e1").out
    streamed = desk("knowledge", "--all", "--json").out.splitlines()
    assert [json.loads(line)["threat_id"] for line in streamed] == ["t3", "e1"]


def test_knowledge_page_by_page(program: Program) -> None:
    many = [report(f"k{number}") for number in range(5)]
    program("ingest", "-", given="\n".join(many))
    for number in range(3):
        program("decide", f"k{number}", "true_positive_impact")
    done = program("knowledge", "--count", "2")
    command = done.out.split("Next page: ")[1].splitlines()[0]
    words = shlex.split(command)
    assert words[:4] == ["periscope", "knowledge", "--level", "2"]
    assert len(told(program, *words[1:])["items"]) == 1


@pytest.mark.parametrize(
    ("words", "answer"),
    [
        (["knowledge", "--level", "4"], "--level 4: unknown; one of 2, short, 3, long"),
        (["knowledge", "--level", "2", "--industry", "x"], "--industry is of level 3 only"),
        (["knowledge", "--cursor", "x"], "give --level as well"),
        (["overdue", "--severity", "HGIH"], "--severity HGIH: unknown; did you mean HIGH?"),
        (["list", "--status", "closd"], "--status closd: unknown; did you mean closed?"),
        (["list", "--status", "open", "--min", "0"], "cannot be combined"),
        (["history", "--reason", "expired"], "--reason expired: unknown; did you mean expired_"),
        (["history", "--since", "soon"], "--since soon: no time; write it like 2h"),
        (["history", "x", "--before", "3"], "leave it out with an ID"),
        (["history", "--count", "0"], "Must be >= 1"),
        (["audit", "--since", "7x"], "--since 7x: no time"),
        (["act", "x", "escalte"], "ACTION escalte: unknown; did you mean escalate?"),
        (["act", "x"], "ACTION is missing"),
        (["decide", "x", "bad"], "OUTCOME bad: unknown; one of true_positive_impact"),
        (["claim", "x", "--lease", "soon"], "--lease soon: no duration; write it like 90s"),
        (["claim", "x", "--lease", "500ms"], "lease: must be"),
        (["comment", "x", ""], "text: empty"),
        (["erase", "x"], "erasing 'x' cannot be undone; add --yes"),
    ],
    ids=lambda value: repr(value)[:40],
)
def test_a_mistake_is_one_line(held: Program, words: list[str], answer: str) -> None:
    done = held(*words)
    assert (done.code, done.out) == (2, "")
    (line,) = done.err.splitlines()
    assert answer in line


def test_overdue_is_what_nobody_has_looked_at(desk: Program) -> None:
    assert desk("overdue").out.startswith("0 of 0 overdue threats, as of ")
    desk("policy", "set", "target_critical=0s", "target_high=0s")
    assert set(ids(told(desk, "overdue"))) == {"t1", "t2"}
    assert ids(told(desk, "overdue", "--severity", "high")) == ["t2"]
    assert told(desk, "overdue")["items"][0]["overdue"] is True
    desk("act", "t1", "view")
    shown = desk("overdue").out.splitlines()
    assert "OVERDUE" in shown[0]
    assert shown[-1].startswith("1 of 1 overdue threat, as of ")


def test_what_expired_is_in_the_history(desk: Program) -> None:
    desk("act", "t3", "view")
    desk("policy", "set", "working_ttl=0s", "target_low=0s")
    desk("ingest", "-", given=report("t4", "LOW", source="edr"))
    swept = told(desk, "worker", "--once")
    assert (swept["expiry"]["expired_seen"], swept["expiry"]["expired_unseen"]) == (1, 1)
    items = told(desk, "history")["items"]
    assert {(one["threat_id"], one["reason"]) for one in items} == {
        ("t3", "expired_seen"),
        ("t4", "expired_unseen"),
    }
    assert all(STAMP.fullmatch(one["departed_at"]) for one in items)
    assert ids(told(desk, "history", "--reason", "EXPIRED-SEEN")) == ["t3"]
    assert ids(told(desk, "history", "--source", "edr")) == ["t4"]
    assert ids(told(desk, "history", "--severity", "critical")) == []
    assert ids(told(desk, "history", "--since", "1h")) == ids(told(desk, "history"))
    assert desk("history", "--since", "2099-01-01").out == "Nothing has departed that matches.\n"
    past = told(desk, "history", "t3")["items"]
    assert [(one["kind"], one.get("action")) for one in past] == [
        ("act", "view"),
        ("departure", None),
    ]
    assert told(desk, "ledger")["balanced"] is True


def test_the_history_page_by_page(desk: Program) -> None:
    for one in ("t1", "t2", "t3"):
        desk("remove", one)
    done = desk("history", "--count", "2", "--reason", "removed")
    words = shlex.split(done.out.splitlines()[-1].removeprefix("Next page: "))
    assert words[:4] == ["periscope", "history", "--reason", "removed"]
    assert ids(told(desk, *words[1:])) == ["t1"]
    assert told(desk, "history")["next_before"] is None


def test_the_trail_has_each_act_once_wherever_it_is(desk: Program) -> None:
    desk("act", "t1", "view")
    assert told(desk, "worker", "--once")["archive"]["moved"] == 1
    desk("act", "t1", "escalate", "--analyst", "ben")
    desk("comment", "t2", "so")
    items = told(desk, "audit")["items"]
    assert [one["action"] for one in items] == ["comment", "escalate", "view"]
    assert items[0]["detail"] == {"comment": "so"}
    assert [one["action"] for one in told(desk, "audit", "--count", "2")["items"]] == [
        "comment",
        "escalate",
    ]
    assert ids(told(desk, "audit", "--analyst", "ben")) == ["t1"]
    assert ids(told(desk, "audit", "--threat", "t1")) == ["t1", "t1"]
    assert [one["action"] for one in told(desk, "history", "t1")["items"]] == ["view", "escalate"]
    assert desk("audit", "--analyst", "nobody").out == "Nothing is on record.\n"
    assert desk("history", "nowhere").out == "Nothing is on record about this threat.\n"


def test_removed_allowed_erased(desk: Program) -> None:
    assert desk("remove", "t1", "--note", "not ours").out.startswith("t1 removed: it is in the ")
    assert "note: not ours" in desk("history", "t1").out
    assert refused(desk, "allow", "t2")["type"] == "NotRemoved"
    assert told(desk, "allow", "t1")["allowed"] == "t1"
    erased = told(desk, "erase", "t1", "--yes")
    assert erased["rows_blanked"] >= 2
    left = told(desk, "history", "t1")["items"]
    assert all(one["erased"] for one in left)
    assert "not ours" not in desk("history", "t1").out
    assert "(erased)" in desk("history").out
    assert told(desk, "ledger", "--deep")["balanced"] is True


def test_an_archive_of_another_database_is_refused(desk: Program, tmp_path: Path) -> None:
    desk("remove", "t1")
    other = desk.with_(PERISCOPE_ARCHIVE=str(tmp_path / "other.db"))
    for words in (["history"], ["audit"], ["remove", "t2"], ["worker", "--once"], ["worker"]):
        assert refused(other, *words)["type"] == "ArchiveMismatch"
    broken = tmp_path / "broken.db"
    broken.write_text("not a database, and long enough to be none " * 100)
    done = desk.with_(PERISCOPE_ARCHIVE=str(broken))("history")
    assert (done.code, done.out, done.err.count("\n")) == (1, "", 1)
    assert "broken.db" in done.err
