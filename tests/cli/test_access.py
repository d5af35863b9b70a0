"""`periscope keys` and `accounts`: what they say, and what they keep to themselves."""

from __future__ import annotations

import os
import pty
import re
import subprocess
import sys

import pytest

from tests.cli.conftest import ROOT, Program

PASSWORD = "correct horse battery"


def test_a_key_from_its_making_to_its_end(program: Program) -> None:
    made = program(
        *("keys", "create", "siem", "--scope", "ingest,read", "--source", "siem", "--tlp", "green"),
        *("--severity", "high,critical", "--rate", "2.5", "--burst", "9", "--expires", "90d"),
        *("--acts-as", "robot", "--analyst", "ann"),
    )
    assert (made.code, made.err) == (0, "")
    said, secret = made.out.splitlines()
    assert said == "Key siem may ingest read. It is shown this once:"
    assert re.fullmatch(r"psk_\w{8}_\w{43}", secret)
    (listed,) = program("keys", "list", "--json").document["items"]
    assert listed["prefix"] == secret[4:12]
    assert (listed["name"], listed["state"], listed["created_by"]) == ("siem", "good", "ann")
    assert listed["limits"] == {
        "sources": ["siem"],
        "severities": ["HIGH", "CRITICAL"],
        "tlp": ["GREEN"],
    }
    assert (listed["rate_per_s"], listed["burst"], listed["analyst"]) == (2.5, 9, "robot")
    assert listed["expires_ms"] - listed["created_ms"] == 90 * 86_400_000
    told = program("keys", "list").out
    assert "good" in told
    assert "HIGH CRITICAL; TLP GREEN; source siem" in told
    assert program("keys", "revoke", "siem", "--analyst", "bob").out == (
        f"Key siem ({listed['prefix']}) is good no more.\n"
    )
    revoked = program("keys", "revoke", listed["prefix"], "--json").document
    assert (revoked["state"], revoked["revoked_by"]) == ("revoked", "bob")
    trail = program("audit", "--json").document["items"]
    assert [(one["action"], one["analyst_id"]) for one in trail[:0:-1]] == [
        ("create_key", "ann"),
        ("revoke_key", "bob"),
    ]
    for done in (program("keys", "list", "--json"), program("audit", "--json")):
        assert secret[13:] not in done.out


def test_a_key_as_json(program: Program) -> None:
    made = program("keys", "create", "a", "--scope", "admin", "--json").document
    assert made["secret"].startswith(f"psk_{made['key']['prefix']}_")
    assert made["key"]["scopes"] == ["admin"]


def test_an_account_from_its_making_to_its_end(program: Program) -> None:
    added = program("accounts", "add", "ann", "--scope", "read", given=f"{PASSWORD}\n")
    assert (added.code, added.err, added.out) == (0, "", "Account ann may read.\n")
    changed = program("accounts", "scopes", "ann", "--scope", "read", "--scope", "act")
    assert changed.out == "Account ann may read act.\n"
    assert program("accounts", "password", "ann", given="another password\r\n").code == 0
    assert program("accounts", "disable", "ann", "--json").document["disabled_ms"] > 0
    assert "disabled" in program("accounts", "list").out
    assert program("accounts", "enable", "ann").out == "Account ann may sign in again.\n"
    (listed,) = program("accounts", "list", "--json").document["items"]
    assert (listed["name"], listed["scopes"], listed["issuer"]) == ("ann", ["read", "act"], None)


@pytest.mark.parametrize(
    ("words", "given", "code", "says"),
    [
        (("keys", "create", "a"), "", 2, "scopes: none given"),
        (("keys", "create", "a", "--scope", "root"), "", 2, "scopes: unknown 'root'"),
        (("keys", "create", "a", "--scope", "read", "--tlp", "x"), "", 2, "tlp: unknown 'x'"),
        (("keys", "create", "a", "--scope", "read", "--expires", "x"), "", 2, "--expires x"),
        (("keys", "create", "a", "--scope", "read", "--rate", "0"), "", 2, "rate_per_s: 0"),
        (("keys", "revoke", "nobody"), "", 1, "no API key"),
        (("accounts", "add", "a", "--scope", "read"), "short\n", 2, "password: must have"),
        (("accounts", "add", "a", "--scope", "read"), "", 2, "no password"),
        (("accounts", "disable", "nobody"), "", 1, "no account 'nobody'"),
    ],
)
def test_mistakes_are_one_line(
    program: Program, words: tuple[str, ...], given: str, code: int, says: str
) -> None:
    done = program(*words, given=given)
    assert (done.code, done.out) == (code, "")
    (line,) = done.err.splitlines()
    assert says in line
    assert not given.strip() or given.strip() not in line


def test_nothing_yet(program: Program) -> None:
    assert program("keys", "list").out == "No API keys yet: periscope keys create.\n"
    assert program("accounts", "list").out == "No accounts yet: periscope accounts add.\n"


def test_hostile_names_reach_no_terminal(program: Program) -> None:
    made = program("keys", "create", "a\u202eb", "--scope", "read")
    assert made.code == 2
    assert "\u202e" not in made.err


@pytest.mark.parametrize(("second", "code"), [(PASSWORD, 0), ("something else", 2)])
def test_a_password_is_asked_for_twice_and_not_shown(
    program: Program, second: str, code: int
) -> None:
    main, end = pty.openpty()
    command = [sys.executable, "-m", "periscope", "accounts", "add", "ann", "--scope", "read"]
    with subprocess.Popen(
        command,
        env=program.environment,
        cwd=ROOT,
        stdin=end,
        stdout=end,
        stderr=end,
        start_new_session=True,
        preexec_fn=lambda: os.close(main),
    ) as running:
        os.close(end)
        shown = b""
        for prompt, answer in ((b"Password: ", PASSWORD), (b"Again: ", second)):
            while not shown.endswith(prompt):
                shown += os.read(main, 1000)
            os.write(main, answer.encode() + b"\n")
        assert running.wait(30) == code
    os.set_blocking(main, False)
    shown += os.read(main, 10_000)
    os.close(main)
    assert PASSWORD.encode() not in shown
    assert second.encode() not in shown
    assert len(program("accounts", "list", "--json").document["items"]) == (code == 0)
