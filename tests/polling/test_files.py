"""Files, directories and growing logs as feeds: nothing skipped, nothing twice, nothing hostile."""

from __future__ import annotations

import asyncio
import gzip
import json
import os
import shutil
import socket
import threading
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from periscope import Periscope
from periscope.polling import Feeds
from tests.conftest import OpenHere
from tests.polling.scene import add, done, lines, numbered, report, run_once, stored


@pytest.fixture
async def here(open_here: OpenHere, tmp_path: Path) -> AsyncIterator[Periscope]:
    async with open_here(data_dir=str(tmp_path / "data")) as p:
        client = p.functions.connections.client
        await client.flushall()
        await p.refresh()
        yield p
        assert (await p.get_ledger(deep=True)).balanced
        await client.flushall()


async def test_a_file_is_read_once_and_again_when_it_says_something_else(
    here: Periscope, tmp_path: Path
) -> None:
    path = tmp_path / "feed.ndjson"
    path.write_text(lines(numbered(0, 5)))
    await add(here, "file", path)
    assert done(await run_once(here)) == {"documents": 1, "read": 5, "added": 5}
    assert done(await run_once(here)) == {}
    os.utime(path, (1, 1))  # another time, the same content: the position moves, nothing is read
    assert done(await run_once(here)) == {"documents": 1}
    assert done(await run_once(here)) == {}
    path.write_text(lines(numbered(0, 6)))
    assert done(await run_once(here)) == {"documents": 1, "read": 6, "added": 1, "duplicates": 5}


async def test_a_file_that_is_being_written_waits(here: Periscope, tmp_path: Path) -> None:
    path = tmp_path / "feed.ndjson"
    path.write_text(lines(["a"]))
    feeds = await add(here, "file", path, settle="1h")
    assert done(await run_once(here)) == {}
    await feeds.add_feed("f", kind="file", place=str(path), settle="0s", replace=True)
    assert done(await run_once(here)) == {"documents": 1, "read": 1, "added": 1}


async def test_a_definition_that_names_another_place_begins_anew(
    here: Periscope, tmp_path: Path
) -> None:
    one, two = tmp_path / "one.ndjson", tmp_path / "two.ndjson"
    one.write_text(lines(["a"]))
    shutil.copy2(one, two)
    feeds = await add(here, "file", one)
    await run_once(here)
    await feeds.add_feed("f", kind="file", place=str(two), settle="0s", replace=True)
    assert done(await run_once(here)) == {"documents": 1, "read": 1, "duplicates": 1}


async def test_of_a_directory_each_new_or_changed_file_oldest_first(
    here: Periscope, tmp_path: Path
) -> None:
    folder = tmp_path / "drop"
    (folder / "sub").mkdir(parents=True)
    for number, name in enumerate(("z.ndjson", "a.ndjson", "sub/m.ndjson", ".hidden", "b.txt")):
        (folder / name).write_text(json.dumps(report("same", observed_at=1000 + number)) + "\n")
        os.utime(folder / name, (1000 + number, 1000 + number))
    feeds = await add(here, "directory", folder, pattern="**/*.ndjson")
    assert done(await run_once(here)) == {
        "documents": 3,
        "read": 3,
        "added": 1,
        "sightings": 2,
    }, "in the order of their times, each later one is something newer"
    assert done(await run_once(here)) == {}
    (folder / "a.ndjson").write_text(lines(["changed"]))
    (folder / "z.ndjson").unlink()
    assert done(await run_once(here)) == {"documents": 1, "read": 1, "added": 1}
    info = await feeds.get_feed("f")
    assert info.status.counts.documents == 4
    (folder / "z.ndjson").write_text(lines(["back"]))
    os.utime(folder / "z.ndjson", (1000, 1000))
    assert done(await run_once(here)) == {"documents": 1, "read": 1, "added": 1}


async def test_one_bad_file_does_not_stop_the_others(here: Periscope, tmp_path: Path) -> None:
    folder = tmp_path / "drop"
    folder.mkdir()
    (folder / "1.bin").write_bytes(b"\x00\x01\x02" * 100)
    (folder / "2.ndjson").write_text(lines(["a"]))
    (folder / "3.ndjson").write_text("{nonsense\n" + lines(["b"]))
    await add(here, "directory", folder)
    ended = await run_once(here)
    assert ended.error is not None
    assert "1.bin" in ended.error
    assert (ended.counts.added, ended.counts.dead_letters) == (2, 1)
    assert await stored(here) == {"a", "b"}
    (folder / "1.bin").write_text(lines(["mended"]))
    assert done(await run_once(here)) == {"documents": 1, "read": 1, "added": 1}


async def test_links_pipes_and_devices(
    here: Periscope, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """None of them is opened, and none of them keeps the others from being read."""
    folder, outside = tmp_path / "drop", tmp_path / "secret.ndjson"
    folder.mkdir()
    outside.write_text(lines(["secret"]))
    (folder / "good.ndjson").write_text(lines(["good"]))
    (folder / "inside.ndjson").symlink_to("good.ndjson")
    (folder / "outside.ndjson").symlink_to(outside)
    (folder / "nowhere.ndjson").symlink_to("gone")
    (folder / "loop.ndjson").symlink_to("loop.ndjson")
    os.mkfifo(folder / "pipe.ndjson")
    (folder / "zero.ndjson").symlink_to("/dev/zero")
    with socket.socket(socket.AF_UNIX) as plug:
        monkeypatch.chdir(folder)  # a socket's path must be short
        plug.bind("plug.ndjson")
    await add(here, "directory", folder)
    ended = await asyncio.wait_for(run_once(here), 10)
    assert ended.error is not None
    assert "and 3 more" in ended.error
    assert await stored(here) == {"good"}


@pytest.mark.parametrize("what", ["pipe", "directory", "device", "nothing", "nul"])
async def test_what_is_no_file_is_refused_at_once(
    here: Periscope, tmp_path: Path, what: str
) -> None:
    place = tmp_path / "x"
    if what == "pipe":
        os.mkfifo(place)
    elif what == "directory":
        place.mkdir()
    elif what == "device":
        place = Path("/dev/zero")
    await add(here, "file", place)
    ended = await asyncio.wait_for(run_once(here), 5)
    assert ended.error is not None
    assert str(place) in ended.error
    assert "\n" not in ended.error


async def test_too_many_files_are_told(
    here: Periscope, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("periscope.polling.directory_source.MAX_FILES", 3)
    for number in range(4):
        (tmp_path / f"{number}.ndjson").write_text(lines([str(number)]))
    await add(here, "directory", tmp_path, pattern="*.ndjson")
    ended = await run_once(here)
    assert ended.error is not None
    assert "4 files match, 3 is the limit" in ended.error


async def follow(here: Periscope, log: Path) -> Feeds:
    return await add(here, "file", log, follow=True, format="ndjson")


async def test_what_is_appended_is_read_line_by_line(here: Periscope, tmp_path: Path) -> None:
    log = tmp_path / "eve.json"
    log.write_text(lines(["a", "b"]))
    await follow(here, log)
    assert done(await run_once(here)) == {"documents": 1, "read": 2, "added": 2}
    half = lines(["c"])
    with log.open("a") as file:
        file.write(half[:10])
    assert done(await run_once(here)) == {}
    with log.open("a") as file:
        file.write(half[10:] + lines(["d"]))
    assert done(await run_once(here)) == {"documents": 1, "read": 2, "added": 2}
    assert done(await run_once(here)) == {}


async def test_a_renamed_log_is_read_to_its_end_first(here: Periscope, tmp_path: Path) -> None:
    log = tmp_path / "eve.json"
    log.write_text(lines(["a"]))
    await follow(here, log)
    await run_once(here)
    with log.open("a") as late:
        late.write(lines(["b"]))
        late.flush()
        log.rename(tmp_path / "eve.json.1")
        log.touch()
        assert done(await run_once(here)) == {"documents": 1, "read": 1, "added": 1}
        late.write(lines(["c"]) + lines(["torn"])[:-1])  # who writes has not turned to it yet
        late.flush()
        assert done(await run_once(here)) == {"documents": 1, "read": 1, "added": 1}
    log.write_text(lines(["d"]))
    assert done(await run_once(here)) == {"documents": 2, "read": 2, "added": 2}
    assert await stored(here) == {"a", "b", "c", "torn", "d"}


async def test_a_log_that_was_rotated_several_times_between_two_looks(
    here: Periscope, tmp_path: Path
) -> None:
    log = tmp_path / "eve.json"
    log.write_text(lines(["a"]))
    await follow(here, log)
    await run_once(here)
    written = ["a"]
    for turn in range(4):
        with log.open("a") as file:
            file.write(lines([f"end{turn}"]))
        for number in range(turn, -1, -1):
            older = tmp_path / f"eve.json.{number}" if number else log
            older.rename(tmp_path / f"eve.json.{number + 1}")
        time.sleep(0.02)
        log.write_text(lines([f"begin{turn}"]))
        written += [f"end{turn}", f"begin{turn}"]
    (tmp_path / "eve.json.bak").write_text(lines(["unrelated"]))
    (tmp_path / "eve-stats.json").write_text(lines(["unrelated"]))
    ended = await run_once(here)
    assert done(ended)["added"] == 8
    assert await stored(here) == set(written)
    assert done(await run_once(here)) == {}


async def test_a_log_that_was_copied_and_cut_off(here: Periscope, tmp_path: Path) -> None:
    log = tmp_path / "eve.json"
    log.write_text(lines(numbered(0, 10)))
    await follow(here, log)
    await run_once(here)
    with log.open("a") as file:
        file.write(lines(["late"]))
    shutil.copy(log, tmp_path / "eve.json.1")
    with log.open("r+") as file:
        file.truncate(0)
    with log.open("a") as file:
        file.write(lines(["anew"]))
    assert done(await run_once(here)) == {"documents": 2, "read": 2, "added": 2}
    assert await stored(here) == {*numbered(0, 10), "late", "anew"}


async def test_cut_off_and_grown_beyond_where_it_was(here: Periscope, tmp_path: Path) -> None:
    log = tmp_path / "eve.json"
    log.write_text(lines(["a"]))
    await follow(here, log)
    await run_once(here)
    log.write_text(lines(numbered(0, 50)))
    assert done(await run_once(here))["added"] == 50


async def test_a_log_whose_rest_is_gone_is_said(
    here: Periscope, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    log = tmp_path / "eve.json"
    log.write_text(lines(["a"]))
    await follow(here, log)
    await run_once(here)
    (tmp_path / "new").write_text(lines(["b"]))
    (tmp_path / "new").rename(log)
    assert done(await run_once(here))["added"] == 1
    assert "what came after the last look may be lost" in caplog.text


async def test_a_log_without_its_name_is_told_and_read(here: Periscope, tmp_path: Path) -> None:
    log = tmp_path / "eve.json"
    log.write_text(lines(["a"]))
    await follow(here, log)
    await run_once(here)
    with log.open("a") as file:
        file.write(lines(["b"]))
    log.rename(tmp_path / "eve.json.1")
    assert done(await run_once(here))["added"] == 1
    (tmp_path / "eve.json.1").unlink()
    ended = await run_once(here)
    assert ended.error is not None
    assert "no such file" in ended.error


@pytest.mark.parametrize("way", ["rename", "copytruncate"])
async def test_rotation_under_load_loses_nothing(
    here: Periscope, tmp_path: Path, way: str, caplog: pytest.LogCaptureFixture
) -> None:
    """A writer that rotates some thirty times while the log is followed."""
    log, total, stop = tmp_path / "eve.json", 6_000, threading.Event()
    log.touch()
    await follow(here, log)
    await run_once(here)

    def write() -> None:
        file = log.open("a")
        for number in range(total):
            file.write(lines([f"t{number}"]))
            if number % 7 == 0:
                file.flush()
            if number % 200 == 199:
                file.flush()
                keep = tmp_path / f"eve.json.{number:06}"
                if way == "rename":
                    log.rename(keep)
                    file.write(lines([f"after{number}"]))
                    file.close()
                    file = log.open("a")
                else:
                    shutil.copy(log, keep)
                    os.truncate(log, 0)
                    file.write(lines([f"after{number}"]))
                time.sleep(0.03)
        file.close()
        stop.set()

    writer = threading.Thread(target=write)
    writer.start()
    while not stop.is_set():
        assert (await run_once(here)).error is None
    writer.join()
    for _ in range(3):
        assert (await run_once(here)).error is None
    after = {f"after{number}" for number in range(199, total, 200)}
    left = {*numbered(0, total), *after} - await stored(here)
    assert not left, (sorted(left)[:20], caplog.text)


async def test_names_that_no_terminal_should_see(
    here: Periscope, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Files whose names are no UTF-8, or hold lines and escapes; one of them cannot be read."""
    folder = tmp_path / "drop"
    folder.mkdir()
    for name in (b"\xff\xfe", b"a\nb\x1b[2J", b"x" * 200, b"bad \xff"):
        place = os.fsencode(folder) + b"/" + name
        Path(os.fsdecode(place)).write_text(lines([ascii(name)]) + "{bad\n")
    Path(os.fsdecode(os.fsencode(folder) + b"/bad \xff")).write_bytes(b"\x00\x01" * 99)
    feeds = await add(here, "directory", folder)
    ended = await run_once(here)
    assert ended.error is not None
    assert "\\udcff" in ended.error
    assert (ended.counts.added, ended.counts.dead_letters) == (3, 3)
    assert len(list(feeds.letters.read("f"))) == 3
    assert (await feeds.get_feed("f")).status.last_error == ended.error
    assert caplog.text.encode(), "no lone surrogate, which a log's file could not take"


async def test_a_bomb_costs_its_own_document_only(here: Periscope, tmp_path: Path) -> None:
    folder = tmp_path / "drop"
    folder.mkdir()
    (folder / "1.gz").write_bytes(gzip.compress(b" " * 200_000_000))
    (folder / "2.ndjson").write_text(lines(["good"]))
    await add(here, "directory", folder)
    ended = await asyncio.wait_for(run_once(here), 20)
    assert ended.counts.added == 1
    assert ended.error is not None or ended.counts.rejected == 1
