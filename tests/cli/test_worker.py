"""`periscope worker`: once, for ever, and how it ends."""

from __future__ import annotations

import json
import signal
import time

import pytest

from tests.cli.conftest import Program
from tests.cli.test_triage import desk, told

__all__ = ["desk"]


def test_once_says_what_was_done(desk: Program) -> None:
    for name in ("ana", "ben"):
        desk("act", "t1", "escalate", "--analyst", name)
    first = desk("worker", "--once")
    assert (first.code, first.err) == (0, "")
    assert first.out.splitlines() == [
        "promotion: 1 promoted",
        "snooze: nothing to do",
        "expiry: nothing to do",
        "archive: 2 moved",
        "feeds: nothing to do",
    ]
    again = told(desk, "worker", "--once")
    assert again["promotion"] == {"promoted": 0, "failed": 0, "promoted_ids": []}
    assert again["snooze"] == {"woken": 0, "failed": 0, "woken_ids": []}


@pytest.mark.parametrize("ending", [signal.SIGTERM, signal.SIGINT])
def test_it_works_until_told_to_end(desk: Program, ending: signal.Signals) -> None:
    with desk.start("worker", "--promote-every", "100ms", "--archive-every", "0.1s") as running:
        running.until(
            b"working: promotion every 100ms, snooze every 1s, expiry every 1m, archive every 100ms"
        )
        for name in ("ana", "ben"):
            desk("act", "t1", "escalate", "--analyst", name)
        while told(desk, "show", "t1")["level"] != 2:
            assert running.process.poll() is None
        running.process.send_signal(ending)
        begun = time.monotonic()
        done = running.ended()
    assert time.monotonic() - begun < 5
    assert (done.code, done.err) == (0, "")
    assert [line.split(":")[0] for line in done.out.splitlines()] == [
        "promotion",
        "snooze",
        "expiry",
        "archive",
        "feeds",
    ]


def test_as_json_it_says_at_the_end_how_it_went(desk: Program) -> None:
    with desk.start("worker", "--json", "--archive-every", "100ms") as running:
        desk("act", "t1", "view")
        while told(desk, "audit", "--count", "1")["items"] == []:
            assert running.process.poll() is None
        running.process.terminate()
        done = running.ended()
    assert (done.code, done.err) == (0, "")
    workers = json.loads(done.out)["workers"]
    assert {one["name"]: one["state"] for one in workers} == dict.fromkeys(
        ("promotion", "snooze", "expiry", "archive", "feeds"), "stopped"
    )
    assert not any(one["failures"] for one in workers)


def test_the_clock_can_be_accepted(desk: Program) -> None:
    assert told(desk, "worker", "--accept-clock") == {"accepted": True, "was_paused": False}
    assert desk("worker", "--accept-clock").out.endswith("Sweeps were not paused.\n")


@pytest.mark.parametrize(
    ("words", "answer"),
    [
        (["--promote-every", "often"], "--promote-every often: no duration"),
        (["--wake-every", "1ms"], "--wake-every 1ms: less than 100ms"),
        (["--sweep-every", "0s"], "--sweep-every 0s: less than 100ms"),
        (["--once", "--accept-clock"], "cannot be combined"),
    ],
)
def test_a_mistake_is_one_line(held: Program, words: list[str], answer: str) -> None:
    done = held("worker", *words)
    assert (done.code, done.out) == (2, "")
    assert answer in done.err
