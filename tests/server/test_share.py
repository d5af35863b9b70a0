"""Several users, one server: it starts with the first and ends with the last."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import pytest

from periscope.errors import StoreError, StoreUnavailable
from periscope.server import EmbeddedServer, server_status, stop_server
from periscope.server.locks import LockFile

from .helpers import User, client, gone, pid_of


async def test_first_starts_and_last_stops(data_dir: Path) -> None:
    first = await EmbeddedServer.join(data_dir)
    second = await EmbeddedServer.join(data_dir)
    pid = await pid_of(first)
    assert await pid_of(second) == pid

    await first.leave()
    assert await pid_of(second) == pid
    await second.leave()

    await gone(pid)
    assert not second.socket_path.exists()


async def test_what_was_written_is_there_after_a_restart(data_dir: Path) -> None:
    server = await EmbeddedServer.join(data_dir)
    async with client(server) as c:
        await c.set("threat", b"\x00\xff\r\n")
    await server.leave()

    server = await EmbeddedServer.join(data_dir)
    async with client(server) as c:
        assert await c.get("threat") == b"\x00\xff\r\n"
    await server.leave()


async def test_leave_can_be_repeated(data_dir: Path) -> None:
    first = await EmbeddedServer.join(data_dir)
    second = await EmbeddedServer.join(data_dir)
    await first.leave()
    await first.leave()
    assert (await server_status(data_dir)).in_use
    await second.leave()


async def test_the_server_is_nobodys_child_and_leaves_no_zombie(data_dir: Path) -> None:
    server = await EmbeddedServer.join(data_dir)
    pid = await pid_of(server)
    with pytest.raises(ChildProcessError):
        os.waitpid(pid, os.WNOHANG)
    assert os.getsid(pid) != os.getsid(0)
    await server.leave()


async def test_eight_processes_join_at_the_same_instant(data_dir: Path) -> None:
    users = await asyncio.gather(*(User.start(data_dir) for _ in range(8)))
    await asyncio.gather(*(user.joined() for user in users))
    assert len({user.server_pid for user in users}) == 1
    assert len({user.socket_path for user in users}) == 1

    await asyncio.gather(*(user.leave() for user in users))
    await gone(users[0].server_pid)


async def test_joining_and_leaving_in_a_wild_mix_loses_nothing(data_dir: Path) -> None:
    users = await asyncio.gather(*(User.start(data_dir, "cycles", "10") for _ in range(4)))
    assert [await user.ended() for user in users] == [0] * 4
    assert not (await server_status(data_dir)).running

    server = await EmbeddedServer.join(data_dir)
    async with client(server) as c:
        assert await c.get("cycles") == b"40"
    await server.leave()


async def test_the_starter_may_go_before_the_others(data_dir: Path) -> None:
    starter = await (await User.start(data_dir)).joined()
    server = await EmbeddedServer.join(data_dir)
    await starter.leave()
    assert await pid_of(server) == starter.server_pid
    await server.leave()
    await gone(starter.server_pid)


async def test_processes_with_different_environments_share_one_server(
    data_dir: Path, tmp_path: Path
) -> None:
    server = await EmbeddedServer.join(data_dir)
    user = await (await User.start(data_dir, env={"XDG_RUNTIME_DIR": str(tmp_path)})).joined()
    assert user.socket_path == str(server.socket_path)
    await user.leave()
    await server.leave()


@pytest.mark.parametrize(("before", "then"), [("fast", "durable"), ("durable", "fast")])
async def test_durable_wins(data_dir: Path, before: str, then: str) -> None:
    first = await EmbeddedServer.join(data_dir, durability=before)  # type: ignore[arg-type]
    assert first.durability == before
    second = await EmbeddedServer.join(data_dir, durability=then)  # type: ignore[arg-type]
    assert second.durability == "durable"
    async with client(second) as c:
        assert (await c.config_get("appendfsync"))["appendfsync"] == "always"
    await first.leave()
    await second.leave()


async def test_status_and_stop(data_dir: Path) -> None:
    assert not (await server_status(data_dir)).running
    assert not data_dir.exists(), "asking must not create anything"
    assert not await stop_server(data_dir)

    server = await EmbeddedServer.join(data_dir)
    status = await server_status(data_dir)
    assert (status.running, status.in_use, status.ready) == (True, True, True)
    assert status.socket_path == server.socket_path
    assert status.durability == "durable"
    assert status.used_memory_bytes is not None
    assert status.free_bytes is not None
    with pytest.raises(StoreError, match="used by another process"):
        await stop_server(data_dir)

    assert await stop_server(data_dir, force=True)
    status = await server_status(data_dir)
    assert (status.running, status.in_use, status.ready) == (False, True, False)
    await server.leave()
    assert not (await server_status(data_dir)).in_use


async def test_an_idle_server_is_seen_and_stopped(data_dir: Path) -> None:
    user = await (await User.start(data_dir)).joined()
    await user.kill()
    status = await server_status(data_dir)
    assert (status.running, status.in_use, status.pid) == (True, False, user.server_pid)
    assert await stop_server(data_dir)
    await gone(user.server_pid)


async def test_a_starter_that_hangs_is_named(data_dir: Path) -> None:
    server = await EmbeddedServer.join(data_dir)
    hanging = LockFile(data_dir / "start.lock")
    assert hanging.try_exclusive()

    with pytest.raises(StoreUnavailable, match="starting or stopping"):
        await EmbeddedServer.join(data_dir, start_timeout_s=0.05)
    status = await server_status(data_dir)
    assert (status.running, status.in_use) == (True, True)

    hanging.close()
    await server.leave()


async def test_a_cancelled_join_leaves_no_lock(data_dir: Path) -> None:
    joining = asyncio.create_task(EmbeddedServer.join(data_dir))
    for _ in range(5):
        await asyncio.sleep(0)
    joining.cancel()
    with pytest.raises(asyncio.CancelledError):
        await joining
    server = await EmbeddedServer.join(data_dir)
    async with client(server) as c:
        assert await c.ping()
    await server.leave()
    assert not (await server_status(data_dir)).running
