"""A place that cannot be used is refused in one clear line; a path is made with care."""

from __future__ import annotations

import os
import signal
import sqlite3
import stat
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from periscope.archive import open_archive
from periscope.archive import postgres as dialect
from periscope.errors import ArchiveError, ArchiveMismatch, PeriscopeError, SettingInvalid
from tests.archive.postgres_server import NOBODY, PASSWORD, PostgresServer
from tests.archive.samples import depart, departure
from tests.support.disk import small_disk


async def refusal(place: str | Path) -> str:
    with pytest.raises(PeriscopeError) as caught:
        await open_archive(place, wait_ms=50)
    text = str(caught.value)
    assert "\n" not in text
    assert PASSWORD not in text
    return text


async def test_a_file_is_made_with_its_folders_for_its_owner_only(tmp_path: Path) -> None:
    path = tmp_path / "a" / "b" / "archive.db"
    archive = await open_archive(path)
    assert archive.shown == str(path)
    assert len(bytes.fromhex(archive.identity)) == 16
    await depart(archive, departure("t"))
    assert {stat.S_IMODE(file.stat().st_mode) for file in path.parent.iterdir()} == {0o600}
    await archive.close()
    again = await open_archive(str(path))
    assert again.identity == archive.identity
    await again.close()


async def test_places_that_are_none(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    for place in ("", "a\0b", "mysql://host/db"):
        with pytest.raises(SettingInvalid):
            await open_archive(place)
    assert "is a folder" in await refusal(tmp_path)
    assert "not a folder" in await refusal(tmp_path / "file" / "archive.db")


async def test_files_that_are_no_archive_stay_as_they_are(tmp_path: Path) -> None:
    text, other = tmp_path / "text", tmp_path / "other.db"
    text.write_text("Dear diary, this is no database at all." * 100)
    with sqlite3.connect(other) as connection:
        connection.execute("CREATE TABLE cats (name TEXT)")
    connection.close()
    before = [text.read_bytes(), other.read_bytes()]
    assert "not a SQLite file" in await refusal(text)
    assert "another program" in await refusal(other)
    assert [text.read_bytes(), other.read_bytes()] == before


async def test_an_archive_of_a_newer_version_is_refused(place: str) -> None:
    await (await open_archive(place)).close()
    change(place, "UPDATE periscope_meta SET value = '2' WHERE name = 'schema_version'")
    assert "made by a newer Periscope (schema 2, this program knows 1)" in await refusal(place)
    change(place, "DELETE FROM periscope_meta")
    assert "no version or identity" in await refusal(place)


def change(place: str, sql: str) -> None:
    if "://" in place:
        with psycopg.connect(place) as server:
            server.execute(sql.encode())
        return
    connection = sqlite3.connect(place, isolation_level=None)
    connection.execute(sql)
    connection.close()


async def test_a_replaced_archive_is_never_taken_for_the_old_one(place: str) -> None:
    archive = await open_archive(place)
    await archive.prepare("b", 0, [departure("t")])
    change(place, "UPDATE periscope_meta SET value = 'ab' WHERE name = 'identity'")
    with pytest.raises(ArchiveMismatch):
        await archive.confirm("unknown", [])  # after an error the connection is made anew
    with pytest.raises(ArchiveMismatch, match="is another one than before"):
        await archive.counts()
    await archive.close()


async def test_a_file_taken_away_is_noticed_before_anything_is_written(tmp_path: Path) -> None:
    path = tmp_path / "archive.db"
    archive = await open_archive(path)
    path.rename(tmp_path / "away.db")
    for _ in range(2):
        with pytest.raises(ArchiveError, match=r"moved or replaced|No such file"):
            await archive.prepare("b", 0, [departure("t")])
    assert not path.exists()
    (tmp_path / "away.db").rename(path)
    await depart(archive, departure("t"))
    await archive.close()


async def test_a_locked_file_is_waited_for_and_then_named(tmp_path: Path) -> None:
    path = tmp_path / "archive.db"
    archive = await open_archive(path, wait_ms=50)
    holder = sqlite3.connect(path, isolation_level=None)
    holder.execute("BEGIN IMMEDIATE")
    with pytest.raises(ArchiveError, match="locked by another process"):
        await archive.prepare("b", 0, [departure("t")])
    assert await archive.counts() == {}  # reading goes on
    holder.execute("ROLLBACK")
    await depart(archive, departure("t"))
    holder.close()
    await archive.close()


@pytest.fixture
def full_soon(tmp_path: Path) -> Iterator[Path]:
    with small_disk(tmp_path / "disk", "1m"):
        yield tmp_path / "disk"


async def test_a_full_disk_refuses_whole_steps_and_heals(full_soon: Path) -> None:
    archive = await open_archive(full_soon / "archive.db")
    await depart(archive, departure("t"), batch_id="first")
    ballast = full_soon / "ballast"
    with pytest.raises(OSError, match="No space"):
        ballast.write_bytes(bytes(2 * 1024 * 1024))
    batch = [departure(f"u{n}", record=bytes(4000)) for n in range(20)]
    with pytest.raises(ArchiveError, match=r"disk (is full|failed)"):
        await archive.prepare("b", 0, batch)
    ballast.unlink()
    assert await archive.pending() == []
    await archive.prepare("b", 0, batch)
    assert await archive.confirm("b", [True] * 20) == 20
    assert await archive.counts() == {"expired_seen": 21}
    await archive.close()


@pytest.fixture
def as_nobody(tmp_path: Path) -> Iterator[Path]:
    """A folder that is ours, while we are not root: a root may write anything."""
    home = Path("/tmp") / f"psa-{os.getpid()}"  # below tmp_path nobody may not go
    home.mkdir()
    root = os.geteuid() == 0
    if root:
        os.chown(home, NOBODY, NOBODY)
        os.seteuid(NOBODY)
    yield home
    if root:
        os.seteuid(0)
    for path in home.iterdir():
        path.unlink()
    home.rmdir()


async def test_a_read_only_file_is_named(as_nobody: Path) -> None:
    path = as_nobody / "archive.db"
    await (await open_archive(path)).close()
    path.chmod(0o400)
    with pytest.raises(ArchiveError, match="check the owner and mode"):
        await depart(await open_archive(path), departure("t"))
    path.chmod(0o000)
    assert "check the owner and mode" in await refusal(path)


async def test_a_damaged_file_is_named(tmp_path: Path) -> None:
    path = tmp_path / "archive.db"
    archive = await open_archive(path)
    await depart(archive, *(departure(f"t{n}") for n in range(200)))
    await archive.close()
    data = bytearray(path.read_bytes())
    data[8192:] = os.urandom(len(data) - 8192)
    path.write_bytes(data)
    with pytest.raises(ArchiveError, match="damaged"):
        await (await open_archive(path)).history()


async def test_postgres_that_cannot_be_used(postgres: PostgresServer) -> None:
    database = postgres.make_database()
    assert "password authentication failed" in await refusal(postgres.tcp_url(database, "wrong"))
    assert "does not exist" in await refusal(postgres.tcp_url("nowhere"))
    assert "refused" in await refusal(f"postgresql://u:{PASSWORD}@127.0.0.1:1/db")
    assert "cannot be read" in await refusal(f"postgresql://u:{PASSWORD}%@127.0.0.1/db")
    archive = await open_archive(postgres.tcp_url(database))
    assert archive.shown == f"postgresql://***@127.0.0.1:{postgres.port}/{database}"
    await archive.close()


async def test_postgres_that_only_reads_is_named(postgres: PostgresServer) -> None:
    database = postgres.make_database()
    postgres.say(f"ALTER DATABASE {database} SET synchronous_commit = off")
    archive = await open_archive(postgres.url(database))
    await depart(archive, departure("t"))
    postgres.say("CREATE ROLE guest LOGIN; GRANT pg_read_all_data TO guest")
    guest = await open_archive(postgres.url(database).replace("periscope@", "guest@"))
    assert await guest.counts() == {"expired_seen": 1}
    with pytest.raises(ArchiveError, match=r"permission denied .*; grant it"):
        await guest.prepare("b", 0, [departure("t")])
    await guest.close()
    await archive.close()


async def test_a_cut_connection_is_made_again_once(postgres: PostgresServer) -> None:
    archive = await open_archive(postgres.url(postgres.make_database()))
    await archive.prepare("b", 0, [departure("t")])
    for _ in range(3):
        postgres.say(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE application_name = 'periscope'"
        )
        assert await archive.confirm("b", [True]) == 1
    assert await archive.counts() == {"expired_seen": 1}
    await archive.close()


async def test_another_writer_is_waited_for_and_then_named(postgres: PostgresServer) -> None:
    place = postgres.url(postgres.make_database())
    archive = await open_archive(place, wait_ms=50)
    with psycopg.connect(place) as holder:
        holder.execute("SELECT value FROM periscope_meta WHERE name = 'identity' FOR UPDATE")
        with pytest.raises(ArchiveError, match="another writer holds the archive"):
            await archive.prepare("b", 0, [departure("t")])
        assert await archive.counts() == {}
    await depart(archive, departure("t"))
    await archive.close()


async def test_a_stopped_server_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its kernel still takes packets: nothing but a clock ends the wait."""
    monkeypatch.setattr(dialect, "ANSWER_S", 0.3)
    monkeypatch.setitem(dialect.CONNECT, "connect_timeout", "2")
    server = PostgresServer().make().start()
    try:
        archive = await open_archive(server.url(server.make_database()))
        server.signal(signal.SIGSTOP)
        try:
            with pytest.raises(ArchiveError):
                await archive.counts()
        finally:
            server.signal(signal.SIGCONT)
        monkeypatch.setattr(dialect, "ANSWER_S", 30.0)
        assert await archive.counts() == {}
        await archive.close()
    finally:
        server.stop()
