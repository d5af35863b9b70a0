"""`exists` and `seen`: which ids are known."""

from __future__ import annotations

import json
from pathlib import Path

from tests.cli.conftest import HOSTILE_ID, Program


def test_exists(filled: Program) -> None:
    done = filled("exists", "CVE-2021-44228", HOSTILE_ID)
    assert (done.code, done.err) == (0, "")
    assert done.out == "known    CVE-2021-44228\nknown    evil\\x1b[2Jid\n"
    done = filled("exists", "CVE-2021-44228", "nobody", "--json")
    assert done.code == 1
    assert done.document == {"CVE-2021-44228": True, "nobody": False}


def test_exists_of_nothing_is_a_mistake(filled: Program) -> None:
    assert filled("exists").code == 2


def test_seen_of_a_file(filled: Program, tmp_path: Path) -> None:
    ids = tmp_path / "ids"
    lines = [b"CVE-2021-44228", b"", b"nobody", b"\xff not UTF-8", b"x" * 10_000, b"CVE-2020-1472"]
    ids.write_bytes(b"\r\n".join(lines))
    done = filled("seen", str(ids))
    assert (done.code, done.err) == (0, "")
    first, second, last = done.out.splitlines()
    assert first.startswith("level 1  20")
    assert first.endswith("Z  CVE-2021-44228")
    assert second.endswith("  CVE-2020-1472")
    assert last == "2 of 5 ids known"
    told = [json.loads(line) for line in filled("seen", str(ids), "--json").out.splitlines()]
    assert [one["threat_id"] for one in told] == ["CVE-2021-44228", "CVE-2020-1472"]
    assert set(told[0]) == {"threat_id", "level", "last_activity", "last_activity_ms"}


def test_seen_of_what_is_written_to_it(filled: Program) -> None:
    done = filled("seen", "-", "--unknown", given="nobody\nCVE-2021-44228\n\x1b[2J\n")
    assert (done.code, done.out) == (0, "nobody\n\\x1b[2J\n1 of 3 ids known\n")
    done = filled("seen", "-", "--unknown", "--json", given="nobody\n")
    assert done.document == {"threat_id": "nobody"}


def test_a_file_that_is_not_there(filled: Program) -> None:
    done = filled("seen", "/nowhere/ids", "--json")
    assert done.code == 1
    assert done.error["type"] == "FeedError"
    assert "/nowhere/ids: cannot be opened" in done.error["error"]
