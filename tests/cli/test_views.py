"""What the reading commands show, with and without `--json`, also of hostile threats."""

from __future__ import annotations

import json
import re
import shlex

import pytest

from tests.cli.conftest import HOSTILE, HOSTILE_ID, Program

STAMP = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")
VIEWS = [
    ["top", "--limit", "200"],
    ["list"],
    ["list", "--max", "0.9", "--all"],
    ["list", "--severity", "critical"],
    ["list", "--score", "0.3.."],
    ["show", HOSTILE_ID],
    ["show", "CVE-2021-44228"],
    ["stats"],
    ["ledger", "--deep"],
    ["settings"],
    ["server", "status"],
]


@pytest.mark.parametrize("arguments", VIEWS, ids=" ".join)
def test_every_view_is_harmless_and_fits(filled: Program, arguments: list[str]) -> None:
    done = filled.with_(COLUMNS="60")(*arguments)
    assert (done.code, done.err) == (0, "")
    assert all(line.isprintable() for line in done.out.splitlines())
    # Paths and the cursor of the next page are to be copied, and are never broken.
    lines = [line for line in done.out.splitlines() if "/" not in line and "--cursor" not in line]
    assert max(map(len, lines)) <= 60


@pytest.mark.parametrize("arguments", VIEWS, ids=" ".join)
def test_every_view_is_json_too(filled: Program, arguments: list[str]) -> None:
    done = filled(*arguments, "--json")
    assert (done.code, done.err) == (0, "")
    assert done.out.isascii()
    assert "\x1b" not in done.out
    documents = [json.loads(line) for line in done.out.splitlines()]
    assert len(documents) == 1 or "--all" in arguments
    check_times(documents)


def check_times(value: object) -> None:
    """Wherever there is an `_ms` there is the same as RFC 3339 text."""
    if isinstance(value, list):
        for item in value:
            check_times(item)
    elif isinstance(value, dict):
        for name in value:
            if name in ("as_of_ms", "first_seen_ms", "last_activity_ms", "observed_at_ms"):
                text = value[name.removesuffix("_ms")]
                assert text is None or STAMP.fullmatch(text)
            check_times(value[name])


def test_top_is_the_head_of_the_list(filled: Program) -> None:
    top = filled("top", "--limit", "7", "--json").document
    page = filled("list", "--count", "7", "--json").document
    assert [one["threat_id"] for one in top["items"]] == [one["threat_id"] for one in page["items"]]
    assert top["total"] == page["total"] > 50
    assert [one["score"] for one in top["items"]] == sorted(
        (one["score"] for one in top["items"]), reverse=True
    )


def test_pages_add_up_to_all(filled: Program) -> None:
    everything = [json.loads(x) for x in filled("list", "--all", "--json").out.splitlines()]
    page = filled("list", "--count", "40", "--json").document
    walked = page["items"]
    while page["next_cursor"]:
        cursor = page["next_cursor"]
        page = filled("list", "--count", "40", "--cursor", cursor, "--json").document
        walked += page["items"]
    assert [one["threat_id"] for one in walked] == [one["threat_id"] for one in everything]


def test_the_next_page_is_told_as_a_command(filled: Program) -> None:
    done = filled("list", "--severity", "HIGH", "--count", "3")
    told = done.out.splitlines()[-1].removeprefix("Next page: ")
    words = shlex.split(told)
    assert words[:4] == ["periscope", "list", "--severity", "HIGH"]
    second = filled(*words[1:], "--json").document
    both = filled("list", "--severity", "HIGH", "--count", "6", "--json").document
    assert second["items"][0]["threat_id"] == both["items"][3]["threat_id"]


def test_show_explains_the_score(filled: Program) -> None:
    told = filled("show", "CVE-2021-44228", "--json").document
    terms = told["explanation"]["terms"]
    assert [term["name"] for term in terms] == [
        *("severity", "interactions", "escalations", "recency")
    ]
    assert told["explanation"]["score"] == told["score"]
    shown = filled("show", "CVE-2021-44228").out
    assert all(term["name"] in shown for term in terms)
    assert "0.3 x 1.000: CRITICAL" in shown
    assert "Log4j" in shown


def test_json_is_exact_where_the_screen_is_safe(filled: Program) -> None:
    told = filled("show", HOSTILE_ID, "--json").document
    assert {name: told[name] for name in HOSTILE} == HOSTILE
    shown = filled("show", HOSTILE_ID).out
    assert "\\u202etxet\\u200b [bold red]markup[/] :smile:\\x9b31m" in shown


def test_an_unknown_threat(filled: Program) -> None:
    done = filled("show", "no\x1bsuch\n")
    assert (done.code, done.out) == (1, "")
    assert done.err == "periscope: no threat 'no\\x1bsuch\\n'\n"
    done = filled("show", "--json", "--", "-odd")
    assert (done.code, done.out) == (1, "")
    assert done.error == {"error": "no threat '-odd'", "type": "NotFound"}


def test_an_empty_database(program: Program) -> None:
    assert program("top").out == "The queue is empty: no open threats.\n"
    assert program("top", "--json").document["items"] == []
    assert program("list").out.startswith("0 of 0 threats, as of ")
    assert program("list", "--all", "--json").out == ""


def test_watch_as_json_is_a_stream(filled: Program) -> None:
    with filled.start("top", "--watch", "--json", "--limit", "2", "--interval", "0.1") as running:
        documents = [json.loads(running.stdout.readline()) for _ in range(3)]
        running.process.terminate()
        done = running.ended()
    assert (done.code, done.err) == (143, "")
    assert all(len(one["items"]) == 2 for one in documents)


def test_a_reader_that_goes_away_is_no_error(program: Program) -> None:
    rows = [{"threat_id": f"t{i}", "content": "x" * 500, "severity": "LOW"} for i in range(2000)]
    assert program("ingest", "-", given="\n".join(map(json.dumps, rows))).code == 0
    with program.start("list", "--all", "--json") as running:
        running.stdout.readline()
        running.stdout.close()
        assert running.stderr.read() == b""
        assert running.process.wait(timeout=30) == 141


def test_colour_is_only_for_those_who_want_it(filled: Program) -> None:
    loud = filled.with_(FORCE_COLOR="1", TERM="xterm-256color")
    assert "\x1b[" in loud("top", "--limit", "1").out
    assert "\x1b[" not in filled("top", "--limit", "1").out
    assert "\x1b[3" not in loud.with_(NO_COLOR="1")("top", "--limit", "1").out


def test_a_terminal_without_unicode(filled: Program) -> None:
    plain = filled.with_(PYTHONIOENCODING="ascii", COLUMNS="140")
    done = plain("top", "--limit", "5")
    assert done.code == 0
    assert done.out.isascii()
    assert "###..." in done.out
