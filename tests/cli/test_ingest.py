"""`periscope ingest`: counts, exit codes, options, and every way to be stopped."""

from __future__ import annotations

import gzip
import json
import signal
from pathlib import Path

import pytest

from tests.cli.conftest import HOSTILE, Program
from tests.support.servers import ServerProcess

KEV = "samples/kev-sample.json"
STIX = "samples/stix-sample.json"


def report(number: int, severity: str = "LOW") -> str:
    return json.dumps({"threat_id": f"t{number}", "content": "x", "severity": severity}) + "\n"


def figures(out: str) -> dict[str, int]:
    lines = [line.split() for line in out.splitlines() if line[:1].isalpha()]
    return {line[0]: int(line[1].replace(",", "")) for line in lines if line[1][0].isdigit()}


def test_a_file_twice_is_duplicates(program: Program) -> None:
    first, second = program("ingest", KEV), program("ingest", KEV)
    assert (first.code, second.code, first.err, second.err) == (0, 0, "", "")
    assert figures(first.out)["added"] == figures(second.out)["duplicates"] > 20
    assert figures(second.out)["added"] == 0
    assert "(kev)" in first.out


def test_the_document_accounts_for_everything(program: Program) -> None:
    done = program("ingest", KEV, STIX, KEV, "--json")
    told = done.document
    assert (done.code, done.err) == (0, "")
    assert told["read"] == told["received"] + told["skipped"]
    assert told["received"] == told["added"] + told["duplicates"]
    assert sum(told["skipped_by_reason"].values()) == told["skipped"] > 0
    assert [one["format"] for one in told["files"]] == ["kev", "stix", "kev"]
    assert sum(one["read"] for one in told["files"]) == told["read"]


def test_rejections_are_shown_with_place_and_reason(program: Program, tmp_path: Path) -> None:
    file = tmp_path / "mixed.ndjson"
    bad = [json.dumps({"threat_id": f"b{i}", "content": "x", "severity": "NO"}) for i in range(12)]
    file.write_text("\n".join([report(1).strip(), *bad]))
    done = program("ingest", str(file))
    assert done.code == 3
    assert figures(done.out)["rejected"] == 12
    assert "report 2, id b0: " in done.out
    assert "NO" in done.out
    assert done.out.count("report ") == 10
    assert "and 2 more; --rejections" in done.out
    assert program("ingest", str(file), "--rejections", "0").out.count("report ") == 0


def test_rejections_as_json(program: Program) -> None:
    given = report(1) + report(2, "NOPE") + report(3, "NEVER")
    done = program("ingest", "-", "--format", "ndjson", "--json", "--rejections", "1", given=given)
    assert (done.code, done.err) == (3, "")
    assert done.document["rejected"] == 2
    (rejection,) = done.document["rejections"]
    assert (rejection["index"], rejection["threat_id"]) == (1, "t2")
    assert rejection["file"] == "standard input"


def test_a_missing_file_does_not_stop_the_others(program: Program) -> None:
    done = program("ingest", "no\x1b[2Jfile", KEV)
    assert done.code == 1
    assert done.err == "periscope: no\\x1b[2Jfile: cannot be opened: No such file or directory\n"
    assert figures(done.out)["added"] > 20


def test_a_missing_file_as_json(program: Program) -> None:
    done = program("ingest", "nowhere", "--json")
    assert (done.code, done.error["type"]) == (1, "FeedError")
    assert done.document["files"][0]["failure"] == done.error["error"]


def test_standard_input_unpacks_too(program: Program) -> None:
    done = program("ingest", "-", "--json", given=gzip.compress((report(1) + report(2)).encode()))
    assert (done.code, done.document["added"]) == (0, 2)


def test_nothing_at_all_is_fine(program: Program) -> None:
    done = program("ingest", "-", "--json")
    assert (done.code, done.document["read"]) == (0, 0)


def test_options_for_csv(program: Program) -> None:
    done = program(
        *("ingest", "-", "--format", "csv", "--columns", "key,what,lvl", "--delimiter", ";"),
        *("--map", "threat_id=key", "--map", "content=what", "--severity", "high"),
        *("--source", "mine"),
        given="a1;first thing;x\na2;second thing;y\n",
    )
    assert (done.code, figures(done.out)["added"]) == (0, 2)
    shown = program("show", "a2", "--json").document
    assert (shown["content"], shown["severity"]) == ("second thing", "HIGH")
    assert (shown["source"], shown["metadata"]) == ("mine", {"lvl": "y"})


def test_a_severity_map_of_ones_own(program: Program, tmp_path: Path) -> None:
    table = tmp_path / "severity.toml"
    table.write_text('[words]\napocalyptic = "CRITICAL"\n')
    given = report(1, "apocalyptic")
    done = program("ingest", "-", "--severity-map", str(table), given=given)
    assert done.code == 0
    assert program("show", "t1", "--json").document["severity"] == "CRITICAL"


def test_hostile_rejections_are_harmless(program: Program) -> None:
    given = json.dumps({**HOSTILE, "severity": "\x1b[31mNO\u202e"}) + "\n" + report(1)
    done = program("ingest", "-", given=given)
    assert done.code == 3
    assert all(line.isprintable() for line in done.out.splitlines())
    assert "evil\\x1b[2Jid" in done.out


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_stopped_while_waiting_for_more(program: Program, number: signal.Signals) -> None:
    with program.start("ingest", "-", "--format", "ndjson") as running:
        running.give("".join(map(report, range(3))))
        running.until(b"standard input: 3 records")
        running.process.send_signal(number)
        done = running.ended()
    assert done.code == 128 + number
    assert done.err.splitlines()[-1].startswith("periscope: stopped: 3 reports committed")
    assert figures(done.out)["added"] == 3
    assert program("ledger", "--json").document["added"] == 3


def test_stopped_in_the_middle_of_a_file(program: Program, tmp_path: Path) -> None:
    file = tmp_path / "long.ndjson"
    with file.open("w") as lines:
        lines.writelines(map(report, range(400_000)))
    with program.start("ingest", str(file)) as running:
        running.until(b" records, ")
        running.process.send_signal(signal.SIGINT)
        done = running.ended()
    added = figures(done.out)["added"]
    assert done.code == 130
    assert 0 < added < 400_000
    assert f"stopped: {added:,} reports committed" in done.err
    assert program("ledger", "--json").document["added"] == added


def test_a_lost_server_ends_the_run_and_says_what_was_done(held: Program) -> None:
    server = ServerProcess().start()
    program = held.with_(PERISCOPE_URL=server.url, PERISCOPE_RETRY_S="0.2")
    del program.variables["PERISCOPE_DATA_DIR"]
    try:
        with program.start("ingest", "-", "--format", "ndjson", "--wait", "0.2") as running:
            running.give("".join(map(report, range(3))))
            running.until(b"3 records")
            server.kill()
            done = running.ended(report(4))
    finally:
        server.stop()
    assert done.code == 1
    line = done.err.splitlines()[-1]
    assert "sending the same again is safe" in line
    assert f"({figures(done.out)['added']} committed" in line
