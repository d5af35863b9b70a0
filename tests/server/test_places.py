"""Directories of all kinds: odd names, long paths, wrong owners, read-only, full, gone."""

from __future__ import annotations

import asyncio
import os
import platform
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from redis.exceptions import RedisError

from periscope.errors import StoreFull, StoreUnsuitable
from periscope.server import EmbeddedServer, server_status, stop_server
from periscope.server import home as server_home
from tests.support.disk import Resize, small_disk

from .helpers import User, alive, client, gone, pid_of, wait_until

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to mount or to chown")
needs_linux = pytest.mark.skipif(sys.platform != "linux", reason="needs /proc, or a tmpfs")


@pytest.mark.parametrize(
    "name",
    [
        "with spaces",
        "quotes ' and \" and \\",
        "naïve-данные-数据",
        "$HOME;#%n{}",
        "x" * 200 + "/" + "y" * 200,
    ],
)
async def test_any_path_will_do(data_dir: Path, name: str) -> None:
    place = data_dir / name
    for _ in range(2):
        server = await EmbeddedServer.join(place)
        async with client(server) as c:
            assert await c.incr("starts")
        await server.leave()
    assert (place / "appendonlydir").is_dir()


async def test_symlinks_lead_to_one_server(data_dir: Path, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(data_dir)
    data_dir.mkdir()
    first = await EmbeddedServer.join(data_dir)
    second = await EmbeddedServer.join(tmp_path / "link" / ".." / "link")
    assert second.socket_path == first.socket_path
    assert await pid_of(second) == await pid_of(first)
    await first.leave()
    await second.leave()


async def test_only_its_user_can_open_anything(data_dir: Path) -> None:
    data_dir.mkdir(mode=0o755)
    server = await EmbeddedServer.join(data_dir)
    secret = [data_dir, *data_dir.rglob("*"), server.socket_path, server.socket_path.parent]
    assert [path for path in secret if path.stat().st_mode & 0o077] == []
    await server.leave()


async def test_a_runtime_directory_with_a_long_path_is_not_used(
    data_dir: Path, runtime_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    long = runtime_dir / ("x" * 100)
    long.mkdir()
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(long))
    server = await EmbeddedServer.join(data_dir)
    assert server.socket_path.parent == Path(f"/tmp/periscope-{os.geteuid()}")
    await server.leave()


@pytest.mark.parametrize("kind", ["open to others", "symlink", "file"])
async def test_a_socket_directory_that_is_not_ours_alone_is_refused(
    data_dir: Path, runtime_dir: Path, tmp_path: Path, kind: str
) -> None:
    place = runtime_dir / "periscope"
    if kind == "open to others":
        place.mkdir()
        place.chmod(0o755)
    elif kind == "symlink":
        place.symlink_to(tmp_path)
    else:
        place.touch()
    with pytest.raises(StoreUnsuitable, match="only its owner"):
        await EmbeddedServer.join(data_dir)


async def test_a_file_in_place_of_the_directory(data_dir: Path) -> None:
    data_dir.touch()
    with pytest.raises(StoreUnsuitable, match="cannot use the data directory"):
        await EmbeddedServer.join(data_dir)


@needs_root
async def test_a_strangers_open_directory_is_refused(data_dir: Path) -> None:
    data_dir.mkdir()
    os.chown(data_dir, 12_345, 12_345)
    data_dir.chmod(0o777)
    with pytest.raises(StoreUnsuitable, match="belongs to another user"):
        await EmbeddedServer.join(data_dir)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
async def test_a_directory_without_write_permission(data_dir: Path) -> None:
    data_dir.mkdir(mode=0o500)
    with pytest.raises(StoreUnsuitable, match="Permission denied"):
        await EmbeddedServer.join(data_dir)


async def test_a_system_without_a_server_program(
    data_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(platform, "machine", lambda: "mips")
    with pytest.raises(StoreUnsuitable, match="give the URL"):
        await EmbeddedServer.join(data_dir)


@needs_linux
async def test_our_settings_do_not_reach_the_servers_environment(
    data_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PERISCOPE_URL", "redis://:password@example.org")
    server = await EmbeddedServer.join(data_dir)
    assert b"PERISCOPE_" not in Path(f"/proc/{await pid_of(server)}/environ").read_bytes()
    await server.leave()


# ---- gone ---------------------------------------------------------------------------------------


async def test_a_directory_deleted_under_the_server(data_dir: Path) -> None:
    server = await EmbeddedServer.join(data_dir)
    pid = await pid_of(server)
    shutil.rmtree(data_dir)
    with pytest.raises(StoreUnsuitable):
        server.free_bytes()
    with pytest.raises(StoreUnsuitable, match="removed or replaced"):
        await server.revive()
    await server.leave()
    await gone(pid)


async def test_a_directory_deleted_and_made_again_is_a_new_one(data_dir: Path) -> None:
    old = await EmbeddedServer.join(data_dir)
    old_pid = await pid_of(old)
    shutil.rmtree(data_dir)
    new = await EmbeddedServer.join(data_dir)
    new_pid = await pid_of(new)
    assert new_pid != old_pid

    await old.leave()

    await gone(old_pid)
    assert await pid_of(new) == new_pid
    await new.leave()
    await gone(new_pid)


async def test_a_directory_moved_under_the_server(data_dir: Path, tmp_path: Path) -> None:
    server = await EmbeddedServer.join(data_dir)
    pid = await pid_of(server)
    data_dir.rename(tmp_path / "moved")
    other = await EmbeddedServer.join(tmp_path / "moved")
    assert await pid_of(other) == pid
    await other.leave()
    await server.leave()
    await gone(pid)


# ---- room ---------------------------------------------------------------------------------------


async def test_too_little_room_is_refused_before_the_start(
    data_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server_home, "MIN_FREE_BYTES", 2**62)
    with pytest.raises(StoreFull, match=r"free some space.*") as refused:
        await EmbeddedServer.join(data_dir)
    assert str(data_dir) in str(refused.value)
    assert not (await server_status(data_dir)).running


@pytest.fixture(name="small_disk")
def _small_disk(data_dir: Path) -> Iterator[Resize]:
    """A file system of 80 MiB at the data directory, and what changes it."""
    with small_disk(data_dir) as resize:
        yield resize
        asyncio.run(stop_server(data_dir, force=True))


async def _write_until_refused(server: EmbeddedServer) -> int:
    """Write one MiB after the other; return how many were acknowledged."""
    acknowledged = 0
    async with client(server) as c:
        try:
            while True:
                await c.set(f"block-{acknowledged}", os.urandom(2**20))
                acknowledged += 1
        except (RedisError, OSError):
            return acknowledged


async def _count(server: EmbeddedServer) -> int:
    async with client(server) as c:
        return int(await c.dbsize())


async def test_disk_full_under_durable(data_dir: Path, small_disk: Resize) -> None:
    server = await EmbeddedServer.join(data_dir)
    pid = await pid_of(server)
    acknowledged = await _write_until_refused(server)
    await gone(pid)  # a durable server ends rather than lie
    assert acknowledged > 10
    with pytest.raises(StoreFull, match="free some space"):
        await server.revive()

    assert small_disk("size=400m")
    await server.revive()
    assert acknowledged <= await _count(server) <= acknowledged + 1
    await server.leave()


async def test_disk_full_under_fast(data_dir: Path, small_disk: Resize) -> None:
    server = await EmbeddedServer.join(data_dir, durability="fast")
    pid = await pid_of(server)
    acknowledged = await _write_until_refused(server)
    assert acknowledged > 10

    reader = await EmbeddedServer.join(data_dir, durability="fast")
    assert acknowledged <= await _count(reader) <= acknowledged + 1, "reads go on"
    await reader.leave()
    with pytest.raises(StoreFull, match="in memory only"):
        await EmbeddedServer.join(data_dir)
    with pytest.raises(StoreFull, match="goes on running to keep them"):
        await server.leave()
    assert alive(pid)

    assert small_disk("size=400m")
    server = await EmbeddedServer.join(data_dir, durability="fast")
    await _until_written(server)
    await server.leave()
    await gone(pid)
    server = await EmbeddedServer.join(data_dir)
    assert acknowledged <= await _count(server) <= acknowledged + 1
    await server.leave()


async def _until_written(server: EmbeddedServer) -> None:
    async with client(server) as c:
        async with asyncio.timeout(10):
            while (await c.info("persistence"))["aof_last_write_status"] != "ok":
                await asyncio.sleep(0.05)


async def test_a_read_only_disk(data_dir: Path, small_disk: Resize) -> None:
    server = await EmbeddedServer.join(data_dir)
    await server.leave()
    await wait_until(lambda: small_disk("ro"), "the last file of the server is closed")
    with pytest.raises(StoreUnsuitable, match="Read-only"):
        await EmbeddedServer.join(data_dir)
    assert small_disk("rw")


async def test_user_processes_find_the_full_disk_too(data_dir: Path, small_disk: Resize) -> None:
    assert small_disk("size=40m")
    user = await User.start(data_dir)
    assert await user.ended() == 1
