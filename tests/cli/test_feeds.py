"""`periscope feeds` and `periscope deadletters`, as a person uses them."""

from __future__ import annotations

import json
import signal
import time
from pathlib import Path

import pytest

from tests.cli.conftest import Program

GOOD = '{"threat_id": "t1", "content": "c", "severity": "HIGH"}\n'
EVIL = '{"threat_id": "\\u001b[2J", "content": "\\u001b[2J", "severity": "\\u009b31m"}\n'


@pytest.fixture
def own(program: Program, tmp_path: Path) -> Program:
    """The program with letters of its own."""
    return program.with_(PERISCOPE_DEAD_LETTERS_DIR=str(tmp_path / "letters"))


@pytest.fixture
def given(tmp_path: Path) -> str:
    file = tmp_path / "feed.ndjson"
    file.write_text(GOOD + EVIL)
    return str(file)


def test_a_feed_from_its_beginning_to_its_end(own: Program, given: str) -> None:
    assert own("feeds", "list").out.startswith("No feeds yet")
    added = own("feeds", "add", "f", "file", given, "--settle", "0s", "--interval", "1h")
    assert (added.code, added.err) == (0, "")
    assert "is there already" in own("feeds", "add", "f", "file", "/other").err
    run = own("feeds", "run", "f")
    assert run.code == 3
    assert "f: 2 records of 1 document, 1 added, 1 rejected" in run.out
    assert "deadletters list f" in run.out
    listed = own("feeds", "list").out
    assert all(word in listed for word in ("f", "waiting", "file", "1h"))
    (status,) = own("feeds", "status", "--json").document["feeds"]
    assert status["counts"]["added"] == 1
    assert status["counts"]["read"] == 2
    assert own("feeds", "pause", "f").out == "Feed f is paused.\n"
    assert own("feeds", "pause", "f").out == "Feed f is paused already.\n"
    refused = own("feeds", "run", "f", "--json")
    assert (refused.code, refused.error["type"]) == (1, "FeedBusy")
    assert own("feeds", "resume", "f", "--json").document == {
        "name": "f",
        "done": "resumed",
        "changed": True,
    }
    shown = own("feeds", "show", "f").out
    assert "Last success" in shown
    assert "place = " in shown
    assert own("feeds", "remove", "f").out == "Feed f is removed.\n"
    unknown = own("feeds", "show", "f", "--json")
    assert (unknown.code, unknown.error["type"]) == (1, "FeedUnknown")


def test_status_fails_where_a_feed_does(own: Program) -> None:
    own("feeds", "add", "f", "file", "/nowhere/\x1b[31mred")
    run = own("feeds", "run", "f")
    assert run.code == 1
    assert "no such file" in run.out.lower() + run.err.lower()
    status = own("feeds", "status")
    assert status.code == 1
    for told in (
        run.out,
        run.err,
        status.out,
        own("feeds", "list").out,
        own("feeds", "show", "f").out,
    ):
        assert "\x1b" not in told
    own("feeds", "remove", "f")


def test_letters_are_listed_shown_replayed_and_dropped(own: Program, given: str) -> None:
    own("feeds", "add", "f", "file", given, "--settle", "0s")
    own("feeds", "run", "f")
    assert own("deadletters", "list").out.splitlines()[1].split()[:2] == ["f", "1"]
    (letter,) = own("deadletters", "list", "f", "--json").document["items"]
    assert letter["excerpt"] + "\n" == EVIL
    for words in (("list", "f"), ("show", "f"), ("show", "f", letter["id"])):
        done = own("deadletters", *words)
        assert done.code == 0
        assert "\x1b" not in done.out
    again = own("deadletters", "replay", "f")
    assert again.code == 3
    assert "1 letter failed again" in again.out
    table = Path(given).with_name("severity.toml")
    table.write_text('[words]\n"\\u009b31m" = "LOW"\n')
    fixed = own("deadletters", "replay", "f", "--severity-map", str(table), "--json")
    assert (fixed.code, fixed.document["added"], fixed.document["dropped"]) == (0, 1, 1)
    assert own("deadletters", "list").out == "Nothing is kept: all could be read.\n"
    own("feeds", "remove", "f")


def test_ingest_keeps_what_it_cannot_read(own: Program, given: str) -> None:
    done = own("ingest", given)
    assert done.code == 3
    assert "they are kept: periscope deadletters list ingest" in done.out
    assert own("ingest", given, "--json").document["dead_letters"] == 1
    assert own("ingest", given, "--json", "--dead-letters", "off").document["dead_letters"] == 0
    assert own("deadletters", "list", "--json").document["feeds"][0]["letters"] == 1
    assert own("deadletters", "drop", "ingest").code == 2
    assert own("deadletters", "drop", "ingest", "--all").out == "1 letter dropped.\n"


def test_ingest_goes_on_where_letters_cannot_be_kept(own: Program, given: str) -> None:
    done = own.with_(PERISCOPE_DEAD_LETTERS_DIR="/dev/null/x")("ingest", given)
    assert done.code == 3
    assert done.err.count("what cannot be read is not kept") == 1


@pytest.mark.parametrize(
    ("words", "answer"),
    [
        (["feeds", "add", "f", "fiel", "/x"], "did you mean file?"),
        (["feeds", "add", "F", "file", "/x"], "feed F"),
        (["feeds", "add", "ingest", "file", "/x"], "could not read"),
        (["feeds", "add", "f", "http", "https://a:b@example.com/"], "holds user information"),
        (["feeds", "add", "f", "http", "https://example.com/", "--header-env", "X"], "HEADER=NAME"),
        (["feeds", "add", "f", "file", "/x", "--timeout", "1s"], "only feeds of kind"),
        (["feeds", "add", "f", "http", "https://example.com/?token=x"], "may be a secret"),
        (["feeds", "run"], "NAME"),
        (["feeds", "rnu"], "did you mean run?"),
        (["deadletters", "show", "nobody"], "no such letter"),
        (["deadletters", "drop", "f"], "give --id for some letters, or --all"),
        (["deadletters", "drop", "f", "--all", "--id", "x"], "give --id for some letters"),
        (["feeds", "list", "--config", "/nowhere.toml"], "there is no file"),
    ],
)
def test_a_mistake_is_one_line(own: Program, words: list[str], answer: str) -> None:
    done = own(*words)
    assert (done.code, done.out) == (2, "")
    (line,) = done.err.splitlines()
    assert answer in line


def test_a_worker_refuses_a_file_with_a_mistake(own: Program, tmp_path: Path) -> None:
    config = tmp_path / "periscope.toml"
    config.write_text('[feeds.f]\nkind = "file"\nplace = "x"\npassword = "sesame"\n')
    done = own("worker", "--once", "--config", str(config))
    assert (done.code, done.out) == (2, "")
    assert "feed f: password: secrets are not written here" in done.err
    assert "sesame" not in done.err


def test_a_worker_runs_the_feeds_of_its_file(own: Program, tmp_path: Path, given: str) -> None:
    config = tmp_path / "periscope.toml"
    config.write_text('[feeds.f]\nkind = "file"\nplace = "feed.ndjson"\nsettle = "0s"\n')
    once = own("worker", "--once", "--config", str(config))
    assert once.code == 0
    assert once.out.splitlines()[-1] == "feeds: 1 runs, 2 read, 1 added, 1 rejected, 1 dead letters"
    config.write_text(
        '[feeds.g]\nkind = "file"\nplace = "log.ndjson"\nfollow = true\nformat = "ndjson"\n'
        'interval = "100ms"\n'
    )
    log = tmp_path / "log.ndjson"
    log.write_text("")
    with own.start("worker", "--config", str(config)) as running:
        running.until(b"feeds every 500ms")
        with log.open("a") as file:
            file.write(json.dumps({"threat_id": "late", "content": "c", "severity": "LOW"}) + "\n")
        while own("exists", "late").code:
            assert running.process.poll() is None
        running.process.send_signal(signal.SIGTERM)
        begun = time.monotonic()
        done = running.ended()
    assert time.monotonic() - begun < 5
    assert done.code == 0


def test_ctrl_c_ends_after_what_is_in_hand(own: Program, tmp_path: Path) -> None:
    big = tmp_path / "big.ndjson"
    big.write_text(
        "".join(
            f'{{"threat_id": "t{n}", "content": "c", "severity": "LOW"}}\n' for n in range(150_000)
        )
    )
    own("feeds", "add", "f", "file", str(big), "--settle", "0s")
    with own.start("feeds", "run", "f") as running:
        while own("stats", "--json").document["ledger"]["received"] == 0:
            assert running.process.poll() is None
        running.process.send_signal(signal.SIGINT)
        done = running.ended()
    assert done.code == 130
    assert "stopped; the next run goes on from there" in done.out
    assert own("feeds", "run", "f", "--quiet").code == 0
    ledger = own("stats", "--json").document["ledger"]
    assert (ledger["received"], ledger["duplicates"]) == (150_000, 0)


def test_a_limit_of_nothing_is_refused(own: Program, given: str) -> None:
    refused = own("feeds", "add", "f", "file", given, "--max-bytes", "0")
    assert refused.code == 2
    assert "max_bytes" in refused.err


def test_a_name_that_is_none_is_told_in_words(own: Program, given: str) -> None:
    refused = own("feeds", "add", "Bad\x1b[31m", "file", given)
    assert refused.code == 2
    assert "small letters" in refused.err
    assert "\x1b" not in refused.err


def test_what_was_run_before_a_mistake_is_told(own: Program, given: str) -> None:
    own("feeds", "add", "f", "file", given, "--settle", "0s")
    mistaken = own("feeds", "run", "f", "nobody")
    assert mistaken.code == 1
    assert "f: 2 records" in mistaken.out
    assert "there is no feed 'nobody'" in mistaken.err
    assert own("feeds", "remove", "f").code == 0


def test_a_worker_that_works_once_says_that_a_feed_failed(own: Program, tmp_path: Path) -> None:
    own("feeds", "add", "f", "file", str(tmp_path / "nowhere"), "--settle", "0s")
    once = own("worker", "--once")
    assert once.code == 1
    assert "1 runs, 1 failed" in once.out
    assert own("feeds", "remove", "f").code == 0
