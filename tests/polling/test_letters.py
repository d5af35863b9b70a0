"""Dead letters: kept before anything goes on, bounded, private, read again after a fix."""

from __future__ import annotations

import json
import multiprocessing
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from periscope import FeedUnknown, Periscope
from periscope.errors import FeedError
from periscope.feeds import ReadOptions
from periscope.models import Severity, Unreadable
from periscope.polling import DeadLetters, Letter, replay
from periscope.polling.deadletters import letter
from tests.polling.scene import add, lines, report, stored

HOSTILE = [
    b"plain",
    "caf\u00e9 \u202e\x1b[2J".encode(),
    b"\xff\xfe\x00bytes",
    b"",
    b'{"a": "\\ud800"}',
    b"x" * 65_536,
]


@pytest.fixture
def letters(tmp_path: Path) -> DeadLetters:
    return DeadLetters(tmp_path / "letters")


def some(count: int, size: int = 10, feed: str = "f") -> Iterator[Letter]:
    for number in range(count):
        yield letter(feed, "doc", Unreadable("bad", None, f"line {number}", b"x" * size))


@pytest.mark.parametrize("data", HOSTILE)
def test_a_record_is_kept_byte_for_byte(letters: DeadLetters, data: bytes) -> None:
    kept = letter("f", "doc\ud800", Unreadable("why\n\ud800", "id\ud800", "line 1", data))
    letters.add("f", [kept])
    (found,) = letters.read("f")
    assert (found, found.data) == (kept, data)
    assert found.cut is (len(data) >= 65_536)


def test_the_same_letter_is_listed_once(letters: DeadLetters) -> None:
    for _ in range(3):
        letters.add("f", some(5))
    assert len(list(letters.read("f"))) == 5
    assert letters.kept("f").letters == 5


def test_it_is_nobody_elses_to_read(letters: DeadLetters, tmp_path: Path) -> None:
    letters.add("f", some(1))
    folder = tmp_path / "letters"
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert {stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()} == {0o600}


def test_the_older_half_goes_when_there_is_no_room(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    letters = DeadLetters(tmp_path, max_bytes=20_000)
    for first in range(0, 300, 10):
        letters.add("f", list(some(300, 50))[first : first + 10])
    kept = letters.kept("f")
    assert kept.size <= 20_000
    assert (kept.letters + kept.dropped, kept.dropped > 0) == (300, True)
    assert [one.place for one in letters.read("f")][-1] == "line 299"
    assert "the oldest" not in caplog.text
    assert "oldest were dropped" in caplog.text
    letters.drop("f", [next(letters.read("f")).id])
    assert letters.kept("f").dropped == kept.dropped, "what was dropped for want of room stays told"


def test_a_torn_line_spoils_no_other(letters: DeadLetters, tmp_path: Path) -> None:
    letters.add("f", some(2))
    path = tmp_path / "letters" / "f.ndjson"
    path.write_bytes(path.read_bytes()[:-20])
    letters.add("f", list(some(3))[2:])
    assert [one.place for one in letters.read("f")] == ["line 0", "line 2"]


def test_some_are_dropped_or_all(letters: DeadLetters) -> None:
    letters.add("f", some(4))
    first, *_, last = letters.read("f")
    assert letters.drop("f", [first.id, last.id, "none"]) == 2
    assert [one.place for one in letters.read("f")] == ["line 1", "line 2"]
    assert letters.drop("f") == 2
    assert letters.feeds() == []
    assert letters.drop("f") == 0


def test_where_they_cannot_be_written_the_feed_does_not_go_on(tmp_path: Path) -> None:
    (tmp_path / "letters").write_text("a file where the directory should be")
    with pytest.raises(FeedError, match="does not go on"):
        DeadLetters(tmp_path / "letters").add("f", some(1))


@pytest.mark.parametrize("name", ["../x", "", "A", "x/y", ".."])
def test_no_name_leads_out_of_the_directory(letters: DeadLetters, name: str) -> None:
    with pytest.raises(FeedUnknown):
        list(letters.read(name))


def write(folder: Path, feed: str, first: int) -> None:
    for number in range(first, first + 40):
        one = letter(feed, "doc", Unreadable("bad", None, f"line {number}", b"x" * 200))
        DeadLetters(folder, 20_000).add(feed, [one])


def test_many_processes_write_at_once(tmp_path: Path) -> None:
    spawn = multiprocessing.get_context("spawn")
    writers = [spawn.Process(target=write, args=(tmp_path, "f", n * 40)) for n in range(3)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join(60)
        assert writer.exitcode == 0
    kept = DeadLetters(tmp_path).kept("f")
    assert kept.letters + kept.dropped == 120


async def test_they_are_kept_before_the_position_that_covers_them(
    periscope: Periscope, tmp_path: Path
) -> None:
    place = tmp_path / "feed.ndjson"
    place.write_text(lines(["a"]) + "{bad\n")
    feeds = await add(periscope, "file", place)
    feeds.letters = DeadLetters(tmp_path / "feed.ndjson" / "nowhere")
    ended = await feeds.run_feed("f")
    assert ended.error is not None
    assert "does not go on" in ended.error
    feeds.letters = DeadLetters(tmp_path / "letters")
    ended = await feeds.run_feed("f")
    assert (ended.counts.duplicates, ended.counts.dead_letters) == (1, 1)
    await periscope.functions.connections.client.flushall()
    await periscope.refresh()


REJECTED: dict[str, Any] = report("deep", metadata={"a": "x" * 70_000})


async def test_what_the_engine_refuses_is_kept_too(periscope: Periscope, tmp_path: Path) -> None:
    place = tmp_path / "feed.ndjson"
    place.write_text(lines(["a"]) + json.dumps(REJECTED) + "\n")
    feeds = await add(periscope, "file", place)
    feeds.letters = DeadLetters(tmp_path / "letters")
    await feeds.run_feed("f")
    (one,) = feeds.letters.read("f")
    assert (one.place, one.threat_id, one.format, one.cut) == ("report 2", "deep", "ndjson", True)
    assert "metadata" in one.reason
    await feeds.remove_feed("f")


FIXED = ReadOptions(default_severity=Severity.LOW)
NO_SEVERITY = '{"threat_id": "mended", "content": "c"}'
CASES = {
    "ndjson": NO_SEVERITY + "\n{nonsense\n",
    "json": f"[{NO_SEVERITY}, 3]",
    "csv": 'threat_id,content,severity\nmended,"a, b",strange\nx,y\n',
}


@pytest.mark.parametrize("name", CASES)
async def test_after_a_fix_they_are_read_again(
    periscope: Periscope, tmp_path: Path, name: str
) -> None:
    place = tmp_path / f"feed.{name}"
    place.write_text(CASES[name])
    feeds = await add(periscope, "file", place, format=name)
    feeds.letters = letters = DeadLetters(tmp_path / "letters")
    ended = await feeds.run_feed("f")
    assert (ended.counts.rejected, ended.counts.dead_letters) == (2, 2), ended
    options = FIXED
    if name == "csv":
        table = tmp_path / "severity.toml"
        table.write_text('[words]\nstrange = "LOW"\n')
        from periscope.feeds import SeverityTable

        options = ReadOptions(severity_map=SeverityTable.load(table))
    once = await replay(periscope, letters, "f", options)
    assert (once.added, once.dropped, len(once.failed)) == (1, 1, 1), once
    assert await stored(periscope) == {"mended"}
    again = await replay(periscope, letters, "f", options)
    assert (again.dropped, len(again.failed)) == (0, 1)
    assert len(list(letters.read("f"))) == 1
    await feeds.remove_feed("f")


async def test_replay_tells_what_is_not_whole(periscope: Periscope, letters: DeadLetters) -> None:
    problem = Unreadable("bad", None, "line 1", b'{"threat_id": "' + b"x" * 70_000)
    letters.add("f", [letter("f", "doc", problem, format="ndjson")])
    letters.add("f", [letter("f", "doc", Unreadable("too long"), format="ndjson")])
    done = await replay(periscope, letters, "f", FIXED)
    assert (done.dropped, len(done.cut), done.tried) == (0, 2, 2)
    assert len(list(letters.read("f"))) == 2


async def test_ids_choose(periscope: Periscope, letters: DeadLetters) -> None:
    for name in ("a", "b"):
        problem = Unreadable("bad", None, name, json.dumps({"id": name}).encode())
        letters.add("f", [letter("f", "doc", problem, format="ndjson")])
    first, second = letters.read("f")
    done = await replay(periscope, letters, "f", FIXED, ids=[second.id])
    assert (done.added, done.dropped) == (1, 1)
    assert [one.id for one in letters.read("f")] == [first.id]
    assert await run_nothing(periscope, letters) == 0


async def run_nothing(periscope: Periscope, letters: DeadLetters) -> int:
    return (await replay(periscope, letters, "nobody", FIXED)).tried
