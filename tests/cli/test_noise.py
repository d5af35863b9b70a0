"""`periscope suppress`, `suppressed` and `warninglists`: what they say, and what they refuse."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.cli.conftest import HOSTILE, HOSTILE_ID, Program

SAMPLES = ("samples/kev-sample.json", "samples/ndjson-sample.ndjson")
LIST = "samples/warninglist-sample.json"
NAME = "Sample of harmless hosts"


def report(number: int, severity: str = "LOW", **more: Any) -> str:
    one = {"threat_id": f"s{number}", "content": "ET SCAN", "severity": severity, "source": "siem"}
    return json.dumps(one | more)


def add(program: Program, *arguments: str) -> Any:
    words = ("suppress", "add", *arguments, "--reason", "our scanner", "--yes", "--json")
    done = program(*words)
    assert (done.code, done.err) == (0, "")
    return done.document


def test_a_rule_from_its_preview_to_its_end(program: Program) -> None:
    assert program("ingest", *SAMPLES).code == 0
    preview = program("suppress", "preview", "title~*ivanti*")
    assert (preview.code, preview.err) == (0, "")
    assert "It would have hidden 1 of 70 threats since" in preview.out
    assert "CVE-2025-22457" in preview.out
    told = add(program, "title~*ivanti*", "--until", "7d", "--rate", "100/1h")
    rule = told["rule"]
    assert (told["preview"]["matched"], told["preview"]["by_severity"]["CRITICAL"]) == (1, 1)
    assert rule["where"] == [{"field": "title", "op": "~", "value": "*ivanti*"}]
    assert (rule["rate"], rule["active"]) == ({"most": 100, "window_ms": 3_600_000}, True)
    assert rule["until_ms"] - rule["created_ms"] == 7 * 86_400_000
    listed = program("suppress", "list", "--json").document
    assert listed == {"items": [rule]}
    assert program("suppress", "list", "--ids").out == f"{rule['id']}\n"
    assert "100/1h" in program("suppress", "list").out
    ended = program("suppress", "end", rule["id"], "--analyst", "max")
    assert f"Rule {rule['id']} ended" in ended.out
    assert ended.out.endswith("by max.\n")
    assert program("suppress", "list").out == "No suppression rule is in force.\n"
    assert len(program("suppress", "list", "--ended", "--json").document["items"]) == 1


def test_what_is_suppressed_is_listed_page_by_page(program: Program) -> None:
    rule = add(program, "source=siem", "severity<=LOW")["rule"]
    given = "\n".join(report(number) for number in range(7))
    assert "suppressed" in program("ingest", "-", given=given).out
    first = program("suppressed", "--count", "4", "--json").document
    rest = program("suppressed", "--json", f"--cursor={first['next_cursor']}").document
    items = [*first["items"], *rest["items"]]
    assert sorted(one["threat_id"] for one in items) == [f"s{number}" for number in range(7)]
    assert {one["cause"] for one in items} == {f"rule:{rule['id']}"}
    assert (first["total"], rest["next_cursor"]) == (7, None)
    table = program("suppressed", "--count", "2")
    assert "2 of 7 suppressed" in table.out
    assert "Next page: periscope suppressed --count 2 --cursor=" in table.out
    assert program("suppressed", "--all", "--json").out.count("\n") == 7
    assert program("suppressed", "--cause", "rule:other", "--json").document["items"] == []
    shown = program("suppress", "show", rule["id"])
    assert "Hides      7" in shown.out
    assert program("suppress", "show", rule["id"], "--json").document["suppressed"] == 7
    assert "starts anew" in program("suppressed", "--forget", "s3").out
    again = program("suppressed", "--forget", "s3", "--json")
    assert (again.code, again.document["was_suppressed"]) == (1, False)


def test_lists_are_loaded_tested_and_dropped(program: Program) -> None:
    loaded = program("warninglists", "load", LIST, "--analyst", "zoe")
    assert loaded.out == "1 warninglist loaded, with 3 values; in force for everybody\n"
    (listed,) = program("warninglists", "list", "--json").document["items"]
    assert (listed["name"], listed["values"], listed["loaded_by"]) == (NAME, 3, "zoe")
    assert NAME in program("warninglists", "list").out
    tested = program("warninglists", "test", "www.example.com", "https://example.org/x")
    assert (tested.code, tested.out.count(NAME)) == (0, 2)
    mixed = program("warninglists", "test", "example.com", "192.0.2.1", "--json")
    assert mixed.code == 1
    assert [one["warninglist"] for one in mixed.document["items"]] == [NAME, None]
    assert program("warninglists", "test", "example.com", "--type", "md5").code == 1
    assert "no longer loaded" in program("warninglists", "drop", NAME).out
    assert program("warninglists", "list").out == "No warninglist is loaded.\n"


PAST = "1999-01-01T00:00:00Z"
MISTAKES: list[tuple[tuple[str, ...], int, str]] = [
    (("suppress", "add", "sevrity=LOW", "--reason", "x", "--yes"), 2, "did you mean severity?"),
    (("suppress", "add", "severity>=LOW", "--reason", "x", "--yes"), 2, "nothing in common"),
    (("suppress", "add", "--reason", "x", "--yes"), 2, "no condition"),
    (("suppress", "add", "source=x", "--reason", "x"), 2, "add --yes"),
    (("suppress", "add", "source=x", "--yes"), 2, "--reason"),
    (("suppress", "add", "source=x", "--reason", " ", "--yes"), 2, "say why"),
    (("suppress", "add", "source=x", "--reason", "x", "--rate", "7", "--yes"), 2, "like 100/1h"),
    (("suppress", "add", "source=x", "--reason", "x", "--until", "soon", "--yes"), 2, "no time"),
    (
        *(("suppress", "add", "source=x", "--reason", "x", "--until", PAST, "--yes"),),
        *(2, "in the future"),
    ),
    (("suppress", "preview", "source=x", "--since", "1999-01-01T00:00:00Z"), 2, "no duration"),
    (("suppress", "end", "none"), 1, "no suppression rule 'none'"),
    (("suppress", "show", "none"), 1, "no suppression rule 'none'"),
    (("warninglists", "load", "nowhere.json"), 2, "nowhere.json: No such file"),
    (("warninglists", "load", "samples/kev-sample.json"), 2, "not a warninglist"),
    (("warninglists", "drop", "none"), 1, "no warninglist 'none'"),
    (("warninglists", "test", "x", "--type", "ip"), 2, "--type ip: unknown"),
    (("suppressed", "--cursor=abc"), 2, "cursor"),
    (("suppressed", "--cause", "x" * 300), 2, "cause"),
]


@pytest.mark.parametrize(("words", "code", "message"), MISTAKES, ids=range(len(MISTAKES)))
def test_a_mistake_is_one_line(
    program: Program, words: tuple[str, ...], code: int, message: str
) -> None:
    done = program(*words)
    assert (done.code, done.err.count("\n"), done.out) == (code, 1, "")
    assert message in done.err


def test_hostile_text_is_shown_as_it_is(program: Program, tmp_path: Path) -> None:
    hostile = {"name": "l\x1b[2J\u202e", "type": "string", "list": ["x"], "version": 1}
    (tmp_path / "list.json").write_text(json.dumps(hostile))
    rule = add(program, f"threat_id={HOSTILE_ID}", "--force")["rule"]
    assert program("ingest", "-", given=json.dumps(HOSTILE)).code == 0
    for words in (
        ("suppressed",),
        ("suppress", "list"),
        ("suppress", "show", rule["id"]),
        ("warninglists", "load", str(tmp_path)),
        ("warninglists", "list"),
        ("suppress", "preview", "content~*\x1b*", "--since", "7d"),
    ):
        done = program(*words)
        assert done.code == 0
        assert "\x1b" not in done.out + done.err
        assert "\u202e" not in done.out + done.err
    assert "evil\\x1b[2Jid" in program("suppressed").out
