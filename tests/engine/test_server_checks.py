"""One line says what is wrong with a server, and what to do."""

from __future__ import annotations

from typing import Any

import pytest

from periscope import Periscope, SettingInvalid, StoreUnavailable, StoreUnsuitable
from periscope.connection.fitness import _check_role, _check_version
from tests.support.servers import ServerProcess, free_port


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--requirepass", "secret"], "needs a password|refuses these credentials"),
        (["--maxmemory", "100mb", "--maxmemory-policy", "allkeys-lru"], "evicts keys when full"),
        (["--replicaof", "127.0.0.1 1"], "replica"),
    ],
)
async def test_unsuitable_servers_are_refused(options: list[str], message: str) -> None:
    process = ServerProcess(*options, port=free_port()).start()
    try:
        with pytest.raises(StoreUnsuitable, match=message) as caught:
            await Periscope.open(process.url).start()
        assert "\n" not in str(caught.value)
    finally:
        process.stop()


async def test_a_password_is_used_and_never_shown() -> None:
    process = ServerProcess("--requirepass", "s3cret", port=free_port()).start()
    try:
        url = process.url.replace("redis://", "valkey://:s3cret@")
        async with Periscope.open(url) as p:
            assert await p.get_top_threats() == []
            assert "s3cret" not in str(p.settings.shown())
        wrong = process.url.replace("redis://", "redis://:s3cret-not@")
        with pytest.raises(StoreUnsuitable) as caught:
            await Periscope.open(wrong).start()
        assert "s3cret" not in str(caught.value)
    finally:
        process.stop()


async def test_a_server_that_is_not_there() -> None:
    for url in (f"redis://127.0.0.1:{free_port()}", "unix:///nowhere/at/all.sock"):
        with pytest.raises(StoreUnavailable, match="cannot reach the server at") as caught:
            await Periscope.open(url).start()
        assert "\n" not in str(caught.value)


async def test_a_port_that_is_no_server() -> None:
    import asyncio

    async def greet(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 mail ready\r\n")
        await writer.drain()
        writer.close()

    listener = await asyncio.start_server(greet, "127.0.0.1", 0)
    async with listener:
        port = listener.sockets[0].getsockname()[1]
        with pytest.raises(StoreUnavailable):
            await Periscope.open(f"redis://127.0.0.1:{port}").start()


@pytest.mark.parametrize("url", ["http://x", "localhost:6379", "", "://", "redis"])
async def test_urls_that_are_none(url: str) -> None:
    if not url:
        return
    with pytest.raises(SettingInvalid, match="redis://, rediss://"):
        await Periscope.open(url).start()


VERSIONS: list[tuple[dict[str, Any], bool]] = [
    ({"redis_version": "6.2.14"}, False),
    ({"redis_version": "7.0.0"}, True),
    ({"redis_version": "8.2.1"}, True),
    ({"redis_version": "7.2.4", "valkey_version": "7.2.5"}, True),
    ({"redis_version": "7.2.4", "valkey_version": "7.1.9"}, False),
    ({"redis_version": "7.2.4", "valkey_version": "9.1.2"}, True),
]


@pytest.mark.parametrize(("info", "suitable"), VERSIONS)
def test_versions(info: dict[str, Any], suitable: bool) -> None:
    if suitable:
        _check_version(info, "redis://x")
    else:
        with pytest.raises(StoreUnsuitable, match="Periscope needs"):
            _check_version(info, "redis://x")


def test_a_primary_may_be_used() -> None:
    _check_role({"role": "master"}, "redis://x")


async def test_partitions_are_fixed_once_stored(server: ServerProcess) -> None:
    async with Periscope.open(server.url, namespace="fixed", partitions=4):
        pass
    async with Periscope.open(server.url, namespace="fixed") as p:
        assert len(p.keyspace.partitions) == 4
    with pytest.raises(SettingInvalid, match="this database has 4"):
        await Periscope.open(server.url, namespace="fixed", partitions=2).start()
