"""Keys and accounts where the database is repartitioned, moved to another server, or restored."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from redis.asyncio import Redis

from periscope import Moving, Periscope, Policy, Settings
from periscope.access import Access
from periscope.access_keys import AccessKeys
from periscope.archive import Archive, open_archive
from periscope.backup import backup, restore
from periscope.keys import control_key
from periscope.moving import repartition
from periscope.moving.state import COPYING, SWITCHING, Move
from tests.access.conftest import PASSWORD
from tests.access.support import is_refused, plain_client
from tests.conftest import OpenHere
from tests.support.servers import ServerProcess

pytestmark = pytest.mark.usefixtures("quick")


@pytest.fixture
async def other() -> AsyncIterator[ServerProcess]:
    server = ServerProcess().start()
    yield server
    server.stop()


@pytest.fixture
async def secrets(open_here: OpenHere) -> AsyncIterator[tuple[str, str]]:
    """A good key and a revoked one of a database with an account `ann`, which nobody has open."""
    async with Redis.from_url(open_here.url) as client:
        await client.flushall()
        async with open_here() as p, Access(p) as access:
            await p.add_threat("t", "x", "HIGH")
            _, good = await access.create_key("good", ["read"], by="ann")
            bad, revoked = await access.create_key("bad", ["read"], by="ann")
            await access.revoke_key(bad.prefix, by="ann")
            await access.create_account("ann", PASSWORD, ["act"], by="ann")
        yield good, revoked
        await client.flushall()


def settings(url: str) -> Settings:
    return Settings.load({}, url=url, retry_s=0.0)


async def check(url: str, good: str, revoked: str) -> None:
    async with Periscope(settings(url)) as p, Access(p) as access:
        assert (await access.identify_key(good)).name == "key:good"
        assert await is_refused(access.identify_key(revoked))
        await access.sign_in("ann", PASSWORD)
        await access.create_key("another", ["read"], by="ann")


async def test_repartitioned_they_stay(
    open_here: OpenHere, secrets: tuple[str, str], archive: Archive
) -> None:
    await repartition(settings(open_here.url), archive, 3)
    await check(open_here.url, *secrets)


async def test_to_another_server_they_come_along_and_nothing_is_left(
    open_here: OpenHere, secrets: tuple[str, str], archive: Archive, other: ServerProcess
) -> None:
    here = settings(open_here.url)
    await repartition(here, archive, 2, to=other.url, delete_source=True)
    await check(other.url, *secrets)
    async with Redis.from_url(open_here.url) as client:
        assert not await client.exists(AccessKeys("periscope").access)


async def test_they_change_while_a_move_copies_and_stand_still_when_it_carries_them(
    periscope: Periscope, access: Access
) -> None:
    client, control = plain_client(periscope), control_key("periscope")
    key, _ = await access.create_key("a", ["read"], by="ann")
    policy = Policy()
    move = Move("0" * 20, "me", "repartition", 1, 2, 1, "redis://there", repr(policy), 1, 1, 1)
    for phase, stands_still in ((COPYING, False), (SWITCHING, True)):
        noted = Move(**{**{n: getattr(move, n) for n in move.__struct_fields__}, "phase": phase})
        await client.hset(control, "move", noted.note)
        if stands_still:
            with pytest.raises(Moving, match="change what belongs to no threat when that is done"):
                await access.revoke_key(key.prefix, by="ann")
        else:
            await access.create_key("b", ["read"], by="ann")
    await client.hdel(control, "move")
    await access.revoke_key(key.prefix, by="ann")


async def test_a_backup_is_of_threats_and_not_of_who_may_reach_them(
    open_here: OpenHere,
    secrets: tuple[str, str],
    archive: Archive,
    other: ServerProcess,
    tmp_path: Path,
) -> None:
    place = tmp_path / "backup"
    async with open_here() as p:
        await backup(p, archive, place)
    for secret in secrets:
        assert secret.encode() not in place.read_bytes()
    empty = await open_archive(tmp_path / "restored.db")
    await restore(settings(other.url), empty, place)
    await empty.close()
    async with Periscope(settings(other.url)) as p, Access(p) as access:
        assert await p.get_threat("t") is not None
        for secret in secrets:
            assert await is_refused(access.identify_key(secret))
        assert await access.accounts() == []
        assert await access.first_key() is not None
