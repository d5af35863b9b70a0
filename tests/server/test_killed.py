"""Processes that are killed, stopped and cut off at the worst moment."""

from __future__ import annotations

import asyncio
import os
import signal
from pathlib import Path
from typing import Any

import pytest
from redis.exceptions import ConnectionError as RedisConnectionError

from periscope.errors import StoreUnavailable
from periscope.server import EmbeddedServer, server_status, stop_server
from periscope.server import life as server_life

from .helpers import User, alive, client, gone, pid_of, wait_until


async def test_a_killed_user_leaves_the_server_to_the_next(data_dir: Path) -> None:
    killed = await (await User.start(data_dir)).joined()
    await killed.kill()
    assert alive(killed.server_pid)

    server = await EmbeddedServer.join(data_dir)
    assert await pid_of(server) == killed.server_pid
    await server.leave()
    await gone(killed.server_pid)


@pytest.mark.parametrize(
    ("when", "what"),
    [
        ("before", "_prepare_socket"),
        ("before", "_run"),
        ("after", "_run"),
        ("before", "ask_info"),
        ("before", "_ready"),
    ],
)
async def test_killed_while_starting(data_dir: Path, when: str, what: str) -> None:
    starter = await User.start(data_dir, "die", when, what)
    assert await starter.ended() == -signal.SIGKILL

    server = await EmbeddedServer.join(data_dir)
    async with client(server) as c:
        assert await c.set("alive", 1)
    await server.leave()
    assert not (await server_status(data_dir)).running


@pytest.mark.parametrize(("when", "what"), [("before", "request_shutdown"), ("before", "stop")])
async def test_killed_while_leaving(data_dir: Path, when: str, what: str) -> None:
    user = await (await User.start(data_dir, "die", when, what)).joined()
    assert user.process.stdin is not None
    user.process.stdin.write(b"leave\n")
    await user.ended()

    server = await EmbeddedServer.join(data_dir)
    await server.leave()
    await gone(user.server_pid)


async def test_a_killed_server_is_started_again(data_dir: Path) -> None:
    server = await EmbeddedServer.join(data_dir)
    async with client(server) as c:
        await c.set("threat", 1)
    pid = await pid_of(server)
    os.kill(pid, signal.SIGKILL)
    assert server.socket_path.exists(), "a killed server cannot remove its socket"

    other = await EmbeddedServer.join(data_dir)
    assert await pid_of(other) != pid
    await server.revive()
    async with client(server) as c:
        assert await c.get("threat") == b"1"
    await server.leave()
    assert (await server_status(data_dir)).running
    await other.leave()
    assert not (await server_status(data_dir)).running


async def test_tasks_that_all_revive_at_once_start_one_server(data_dir: Path) -> None:
    server = await EmbeddedServer.join(data_dir)
    os.kill(await pid_of(server), signal.SIGKILL)
    await asyncio.gather(*(server.revive() for _ in range(5)))
    await asyncio.gather(*(server.leave() for _ in range(5)))
    assert not (await server_status(data_dir)).running
    with pytest.raises(StoreUnavailable, match="already left"):
        await server.revive()


async def test_leaving_a_killed_server(data_dir: Path) -> None:
    server = await EmbeddedServer.join(data_dir)
    os.kill(await pid_of(server), signal.SIGKILL)
    await server.leave()
    assert not (await server_status(data_dir)).running


async def _write_until_cut_off(connected: Any, writer: int, acknowledged: list[int]) -> None:
    """Write numbers in pairs; note how many were acknowledged."""
    number = 0
    try:
        while True:
            number += 1
            async with connected.pipeline(transaction=True) as pipe:
                pipe.set(f"a{writer}", number)
                pipe.set(f"b{writer}", number)
                await pipe.execute()
            acknowledged[writer] = number
    except RedisConnectionError:
        pass


@pytest.mark.parametrize("attempt", range(3))
async def test_no_acknowledged_write_is_lost_when_the_server_is_killed(
    data_dir: Path, attempt: int
) -> None:
    server = await EmbeddedServer.join(data_dir)
    acknowledged = [0] * 8
    async with client(server) as c:
        writers = [_write_until_cut_off(c, w, acknowledged) for w in range(len(acknowledged))]
        writing = asyncio.gather(*writers)
        await wait_until(lambda: min(acknowledged) > 50, "every writer is at work")
        os.kill(await pid_of(server), signal.SIGKILL)
        await writing

    await server.revive()
    async with client(server) as c:
        for writer, number in enumerate(acknowledged):
            a, b = await c.mget(f"a{writer}", f"b{writer}")
            assert a == b, "a torn transaction"
            assert number <= int(a) <= number + 1
    await server.leave()


async def test_killed_during_a_rewrite_with_its_child_still_at_work(data_dir: Path) -> None:
    server = await EmbeddedServer.join(data_dir)
    pid = await pid_of(server)
    async with client(server) as c:
        for number in range(100):
            await c.set(f"threat-{number}", number)
        await c.config_set("rdb-key-save-delay", 10_000)
        assert await c.bgrewriteaof()
        await c.set("late", 1)
        assert (await c.info("persistence"))["aof_rewrite_in_progress"] == 1
        os.kill(pid, signal.SIGKILL)
    await gone(pid)  # while its child may still hold the lock, for a second or two

    await server.revive()
    async with client(server) as c:
        assert await c.dbsize() == 101
    await server.leave()
    assert not (await server_status(data_dir)).running


async def test_a_server_that_does_not_stop_is_reported_and_can_be_forced(data_dir: Path) -> None:
    server = await EmbeddedServer.join(data_dir)
    pid = await pid_of(server)
    os.kill(pid, signal.SIGSTOP)
    with pytest.raises(StoreUnavailable, match="did not stop in time"):
        await server.leave(timeout_s=0.1)
    assert alive(pid)

    assert await stop_server(data_dir, force=True, timeout_s=0.1)
    await gone(pid)


async def test_a_lost_socket_is_replaced_when_nobody_else_is_there(
    data_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server_life, "LOST_SOCKET_S", 0.05)
    killed = await (await User.start(data_dir)).joined()
    await killed.kill()
    Path(killed.socket_path).unlink()

    server = await EmbeddedServer.join(data_dir)
    assert await pid_of(server) != killed.server_pid
    await gone(killed.server_pid)
    await server.leave()


async def test_a_lost_socket_is_reported_while_others_are_connected(
    data_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server_life, "LOST_SOCKET_S", 0.05)
    server = await EmbeddedServer.join(data_dir)
    server.socket_path.unlink()
    with pytest.raises(StoreUnavailable, match="cannot be reached"):
        await EmbeddedServer.join(data_dir)
    await server.leave()
    assert not (await server_status(data_dir)).running


async def test_a_stranger_with_the_servers_process_id_is_not_hit(data_dir: Path) -> None:
    """The id in the directory is of a process that has ended; somebody else has it now."""
    server = await EmbeddedServer.join(data_dir)
    stranger = await asyncio.create_subprocess_exec("sleep", "60")
    pid = await pid_of(server)
    (data_dir / "server.pid").write_text(str(stranger.pid))
    os.kill(pid, signal.SIGSTOP)
    with pytest.raises(StoreUnavailable):
        await stop_server(data_dir, force=True, timeout_s=0.1)
    assert alive(stranger.pid)

    os.kill(pid, signal.SIGKILL)
    stranger.kill()
    await stranger.wait()
    await server.leave()
