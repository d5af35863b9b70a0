"""`periscope find` and `periscope similar` as people and programs call them."""

from __future__ import annotations

import json

import pytest

from tests.cli.conftest import Program

REPORTS = [
    {
        "threat_id": f"t{number}",
        "content": f"Beacon to evil{number % 3}[.]example",
        "severity": ("LOW", "HIGH")[number % 2],
        "source": f"s{number % 4}",
        "metadata": {
            "tags": ["C2"],
            "tlp": "AMBER",
            "indicators": [{"type": "domain-name", "value": f"evil{number % 3}.example"}],
        },
    }
    for number in range(24)
]
HOSTILE = {
    "threat_id": "evil\x1b[2J",
    "content": "\x1b]0;owned\x07beacon \u202etxet",
    "severity": "CRITICAL",
    "source": "\x1b[31ms9",
    "metadata": {
        "indicators": [
            {"type": "\x1b[1m", "value": "evil1.example\x1b[2J"},
            {"type": "x", "value": "\x1b"},
        ]
    },
}


@pytest.fixture
def loaded(program: Program) -> Program:
    given = "\n".join(json.dumps(one) for one in [*REPORTS, HOSTILE])
    assert program("ingest", "-", given=given).code == 0
    return program


def test_one_is_one(loaded: Program) -> None:
    last = loaded("find", "--source", "s1", "--text", "evil1.example", "--count", "1").out
    assert "\n1 threat, as of " in last


def test_all_conditions_hold(loaded: Program) -> None:
    words = ["--text", "evil1.example", "--source", "s1", "--tag", "c2", "--tlp", "amber"]
    document = loaded("find", *words, "--severity", "high", "--json").document
    expected = {f"t{n}" for n in range(24) if n % 3 == 1 and n % 4 == 1 and n % 2 == 1}
    assert {one["threat_id"] for one in document["items"]} == expected
    assert document["total"] is None
    assert document["next_cursor"] is None
    assert document["as_of_ms"] > 0


def test_what_is_left_out(loaded: Program) -> None:
    words = ("--not-source", "s1", "--not-severity", "low", "--not-severity", "MEDIUM")
    document = loaded("find", "--text", "evil1.example", *words, "--json").document
    for one in document["items"]:
        assert (one["source"], one["severity"]) != ("s1", "LOW")
        assert one["source"] != "s1"
        assert one["severity"] in ("HIGH", "CRITICAL")
    assert document["items"]
    first = loaded("find", *words, "--not-tag", "none", "--not-tlp", "", "--count", "1").out
    (line,) = [line for line in first.splitlines() if line.startswith("Next page: ")]
    for flag in ("--not-source=s1", "--not-severity=low", "--not-severity=MEDIUM", "--not-tlp="):
        assert flag in line
    again = loaded(*line.removeprefix("Next page: periscope ").replace("'", "").split())
    assert again.code == 0


def test_pages_lead_on(loaded: Program) -> None:
    first = loaded("find", "--indicator", "evil0[.]example", "--count", "3").out
    assert "3 threats, as of" in first
    (line,) = [line for line in first.splitlines() if line.startswith("Next page: ")]
    assert line.startswith("Next page: periscope find --indicator=evil0[.]example --count 3") or (
        "'--indicator=evil0[.]example' --count 3" in line
    )
    words = ("find", "--indicator", "evil0[.]example", "--all", "--json")
    streamed = [json.loads(text) for text in loaded(*words).out.splitlines()]
    assert {one["threat_id"] for one in streamed} == {f"t{n}" for n in range(0, 24, 3)}


def test_similar_is_the_most_alike_first(loaded: Program) -> None:
    document = loaded("similar", "t1", "--json").document
    assert {one["threat"]["threat_id"] for one in document["items"]} == {
        f"t{n}" for n in range(4, 24, 3)
    }
    assert document["items"][0]["indicators"] == ["domain-name:evil1.example"]
    assert document["items"][0]["same_content"]
    assert "content, domain-name:evil1." in loaded("similar", "t1", "--count", "2").out


def test_hostile_threats_leave_the_terminal_alone(loaded: Program) -> None:
    for words in (("find", "--text", "beacon"), ("similar", HOSTILE["threat_id"])):
        done = loaded(*map(str, words))
        assert done.code == 0
        assert "\x1b" not in done.out
        assert "\u202e" not in done.out


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (("find", "--text", "!!!"), 2),
        (("find", "--text", "x" * 2000), 2),
        (("find", "--indicator", ""), 2),
        (("find", "--cursor", "x"), 2),
        (("find", "--status", "none"), 2),
        (("find", "--not-tag", ""), 2),
        (("find", "--not-severity", "SEVERE"), 2),
        (("similar", "nobody"), 1),
    ],
)
def test_mistakes_are_one_line(loaded: Program, words: tuple[str, ...], code: int) -> None:
    done = loaded(*words)
    assert done.code == code
    assert len(done.err.splitlines()) == 1


def test_nothing_found_is_no_mistake(loaded: Program) -> None:
    done = loaded("find", "--text", "nowhere")
    assert (done.code, done.err) == (0, "")
    assert done.out.startswith("0 threats, as of")
    loaded("ingest", "-", given=json.dumps({"threat_id": "lone", "content": "", "severity": "LOW"}))
    assert "No other threat" in loaded("similar", "lone").out
