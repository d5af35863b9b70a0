"""`periscope events`: what happened, what happens, and where to go on."""

from __future__ import annotations

import json
import signal

from tests.cli.conftest import HOSTILE, HOSTILE_ID, Program


def test_it_tells_what_is_kept_and_goes_on_where_one_was(program: Program) -> None:
    assert program("ingest", "samples/kev-sample.json").code == 0
    assert program("ingest", "-", given=json.dumps(HOSTILE)).code == 0
    assert program("act", HOSTILE_ID, "escalate", "--analyst", "ann").code == 0
    done = program("events", "--since", "0-0", "--count", "3", "--json")
    assert (done.code, done.err) == (0, "")
    added, hostile, act = [json.loads(line) for line in done.out.splitlines()]
    assert (added["kind"], len(added["threat_ids"])) == ("added", 58)
    assert hostile["threat_ids"] == [HOSTILE_ID]
    assert (act["kind"], act["analyst_id"]) == ("escalate", "ann")
    rest = program("events", "--since", hostile["position"], "--count", "1", "--json")
    assert rest.document == act
    told = program("events", "--since", "0-0", "--count", "3").out
    first, second, third = told.splitlines()
    assert first.endswith("and 55 more")
    assert "\x1b" not in second
    assert third.endswith("by ann (level 1, open)")


def test_it_follows_until_it_is_told_to_end(program: Program) -> None:
    assert program("ingest", "samples/kev-sample.json").code == 0
    with program.start("events", "--since", "0-0", "--json") as running:
        assert json.loads(running.stdout.readline())["kind"] == "added"
        assert program("act", "CVE-2021-44228", "view", "--analyst", "ann").code == 0
        assert json.loads(running.stdout.readline())["kind"] == "view"
        running.process.send_signal(signal.SIGINT)
        done = running.ended()
    assert (done.code, done.out, done.err) == (130, "", "")


def test_a_position_that_is_none_is_a_mistake_of_the_caller(program: Program) -> None:
    done = program("events", "--since", "yesterday")
    assert (done.code, done.out, len(done.err.splitlines())) == (2, "", 1)
