"""`periscope serve` as who starts it sees it: what it says, where, and how it fails to start."""

from __future__ import annotations

import json
import re
import signal
import socket
from pathlib import Path
from urllib.request import Request, urlopen

import pytest
import trustme

from tests.cli.conftest import Program, Running


def asked(url: str, secret: str) -> None:
    """Ask something, under an id of our own."""
    headers = {"Authorization": f"Bearer {secret}", "X-Request-ID": "ours-1"}
    with urlopen(Request(f"{url}/v1/threats", headers=headers), timeout=10) as answer:
        assert answer.status == 200


def begun(running: Running) -> tuple[str, str]:
    """Where it serves, and the first key."""
    where, key = (running.stdout.readline().decode() for _ in range(2))
    url = re.fullmatch(r"Serving on (http://127\.0\.0\.1:\d+); Ctrl-C ends\.\n", where)
    made = re.fullmatch(r"Key of the administrator of \w+, shown this once: (psk_\w+)\n", key)
    assert url is not None, where
    assert made is not None, key
    return url[1], made[1]


def test_it_says_what_it_does_with_times_and_ids(program: Program) -> None:
    with program.start("serve", "--port", "0") as running:
        url, secret = begun(running)
        asked(url, secret)
        running.process.send_signal(signal.SIGTERM)
        done = running.ended()
    assert (done.code, done.out) == (0, "")
    lines = done.err.splitlines()
    stamp = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z periscope: "
    assert all(re.match(stamp, line) for line in lines), done.err
    namespace = program.variables["PERISCOPE_NAMESPACE"]
    (request,) = [line for line in lines if "/v1/threats" in line]
    told = rf"{stamp}info: GET /v1/threats 200 in [\d.]+ ms, key:first of {namespace}, ours-1"
    assert re.fullmatch(told, request)
    assert sum("'serve_port'" in line for line in lines) == 1, "the settings, once"
    assert any("promotion every 30s, snooze every 1s" in line for line in lines)
    assert secret not in done.err


def test_every_line_of_a_json_log_is_json(program: Program) -> None:
    with program.with_(PERISCOPE_LOG_FORMAT="json").start("serve", "--port", "0") as running:
        asked(*begun(running))
        running.process.send_signal(signal.SIGTERM)
        done = running.ended()
    records = [json.loads(line) for line in done.err.splitlines()]
    (request,) = [one for one in records if one.get("route") == "/v1/threats"]
    namespace = program.variables["PERISCOPE_NAMESPACE"]
    found = (request["request_id"], request["caller"], request["tenant"], request["status"])
    assert found == ("ours-1", "key:first", namespace, 200)
    assert any(one["message"].startswith("ending: ") for one in records)


def test_a_word_that_is_none_is_told_with_those_that_are(program: Program) -> None:
    done = program.with_(PERISCOPE_SERVE_INDEX="maybe")("serve", "--port", "0")
    assert (done.code, done.out) == (2, "")
    assert (
        done.err == "periscope: setting serve_index: Invalid enum value 'maybe'; one of on, off\n"
    )


def test_a_port_that_is_taken_is_told_before_anything_is_opened(program: Program) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        done = program("serve", "--port", str(port))
    words = f"periscope: cannot listen on 127.0.0.1:{port}: Address already in use\n"
    assert (done.code, done.out, done.err) == (2, "", words)


@pytest.mark.parametrize("wrong", ["away", "none", "of another", "locked"])
def test_a_bad_certificate_is_told_in_one_line(
    program: Program, tmp_path: Path, wrong: str
) -> None:
    authority = trustme.CA()
    issued, other = (authority.issue_cert("127.0.0.1") for _ in range(2))
    certificate, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    issued.cert_chain_pems[0].write_to_path(certificate)
    if wrong == "none":
        key.write_text("nonsense")
    elif wrong == "of another":
        other.private_key_pem.write_to_path(key)
    elif wrong == "locked":
        issued.private_key_pem.write_to_path(key)
        head = "-----BEGIN ENCRYPTED PRIVATE KEY-----\n"
        key.write_text(head + "".join(key.read_text().splitlines(keepends=True)[1:]))
    variables = {
        "PERISCOPE_SERVE_CERTIFICATE": str(certificate),
        "PERISCOPE_SERVE_CERTIFICATE_KEY": str(key),
    }
    done = program.with_(**variables)("serve", "--port", "0")
    assert (done.code, done.out, len(done.err.splitlines())) == (2, "", 1), done.err
    if wrong == "away":
        assert f"setting serve_certificate_key: {key}: No such file or directory" in done.err
    else:
        assert "are not a certificate and the key of it" in done.err
