"""A mistake is answered with one line that helps, exit code 2, and nothing on standard output."""

from __future__ import annotations

import pytest

from periscope.cli.program import _Ending
from tests.cli.conftest import Program

MISTAKES = [
    (["tpo"], "unknown command 'tpo'; did you mean top?"),
    (["server", "stpo"], "unknown command 'server stpo'; did you mean stop?"),
    (["xyzzy"], "unknown command 'xyzzy'; one of accounts, act, allow"),
    (["--limit", "3", "top"], "unexpected --limit before the command"),
    (["top", "--lmit", "3"], "unknown option --lmit; did you mean --limit?"),
    (["top", "--zzzz"], "unknown option --zzzz; see periscope top --help"),
    (["top", "--limit"], "--limit needs a value"),
    (["top", "--limit", "x"], "--limit needs a whole number, not 'x'"),
    (["top", "--limit", "0"], "Must be >= 1"),
    (["top", "--limit", "1", "--limit", "2"], "--limit is given twice"),
    (["top", "extra"], "unexpected 'extra'"),
    (["top", "--watch"], "--watch needs a terminal"),
    (["ingest"], "PATH is missing; see periscope ingest --help"),
    (["ingest", "-", "--format", "sitx"], "no such format; did you mean stix?"),
    (["ingest", "-", "--map", "id"], "write it as FIELD=COLUMN"),
    (["ingest", "-", "--map", "treat_id=x"], "did you mean threat_id?"),
    (["ingest", "-", "--severity", "BAD"], "no such severity; one of CRITICAL, HIGH"),
    (["ingest", "-", "--delimiter", "ab"], "must be one character"),
    (["ingest", "-", "--severity-map", "nowhere.toml"], "nowhere.toml"),
    (["list", "--score", "high"], "write it as 0.7..1.0"),
    (["list", "--score", "0.9..0.1"], "give the lower bound first"),
    (["list", "--score", "0..1", "--min", "0"], "give one of them"),
    (["list", "--severity", "LOW", "--min", "0"], "cannot be combined"),
    (["list", "--severity", "LWO"], "unknown severity"),
    (["list", "--cursor", "\x1b[2Jx"], "cursor"),
    (["list", "--cursor", "-begins-like-an-option"], "cursor"),
    (["show"], "ID is missing"),
    (["bench", "--scale", "many"], "--scale many is no number of threats"),
    (["top", "--url", "http://x"], "cannot use a URL of scheme 'http'"),
    (["top", "--url", "redis://x", "--data-dir", "y"], "leave one of them out"),
    (["top", "--namespace", "A B"], "namespace"),
    (["x\x1b[31m\nTraceback"], "x\\x1b[31m"),
]


@pytest.mark.parametrize(("arguments", "answer"), MISTAKES, ids=lambda value: repr(value)[:40])
def test_a_mistake_is_one_line(held: Program, arguments: list[str], answer: str) -> None:
    done = held(*arguments)
    assert (done.code, done.out) == (2, "")
    (line,) = done.err.splitlines()
    assert line.startswith("periscope: ")
    assert answer in line
    assert line.isprintable()


@pytest.mark.parametrize(
    ("arguments", "kind"),
    [
        (["top", "--lmit", "3", "--json"], "UsageError"),
        (["list", "--cursor", "x", "--json"], "CursorInvalid"),
        (["top", "--namespace", "A B", "--json"], "SettingInvalid"),
    ],
)
def test_with_json_a_mistake_is_one_document(
    held: Program, arguments: list[str], kind: str
) -> None:
    done = held(*arguments)
    assert (done.code, done.out) == (2, "")
    assert done.error["type"] == kind
    assert set(done.error) == {"error", "type"}


def test_a_misspelt_variable_is_found(held: Program) -> None:
    done = held.with_(PERISCOPE_NAMESPAC="x")("stats")
    assert done.code == 2
    assert "did you mean PERISCOPE_NAMESPACE?" in done.err


def test_a_server_that_is_not_there(held: Program) -> None:
    done = held("stats", "--url", "redis://127.0.0.1:1", "--json")
    assert done.code == 1
    assert done.error["type"] == "StoreUnavailable"


def test_debug_shows_the_traceback_and_only_debug(held: Program) -> None:
    done = held("list", "--cursor", "x", "--debug")
    assert done.code == 2
    assert "Traceback" in done.err
    assert done.err.splitlines()[-1].startswith("periscope: ")


def test_a_bug_says_how_to_report_it(capsys: pytest.CaptureFixture[str]) -> None:
    assert _Ending(debug=False, json_wanted=False).code_of(lambda: 1 // 0) == 70
    line = capsys.readouterr().err
    assert "this is a bug" in line
    assert "--debug" in line
    assert len(line.splitlines()) == 1
