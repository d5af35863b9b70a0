"""The store killed, frozen, emptied: nobody is let in by what was known once."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator

import pytest

from periscope import Periscope, StoreUnavailable
from periscope.access import Access
from tests.access.conftest import PASSWORD
from tests.access.support import is_refused, plain_client
from tests.support.patience import BUSY_S
from tests.support.servers import ServerProcess, free_port


@pytest.fixture
async def own() -> AsyncIterator[ServerProcess]:
    server = ServerProcess(
        "--appendonly", "yes", "--appendfsync", "always", port=free_port()
    ).start()
    yield server
    server.stop()


@pytest.mark.parametrize("how", ["killed", "frozen"])
async def test_away_means_unavailable_and_never_allowed(own: ServerProcess, how: str) -> None:
    p = Periscope.open(own.url, retry_s=0.0, operation_timeout_s=5.0)
    async with p, Access(p) as access:
        _, secret = await access.create_key("siem", ["ingest"], by="ann", rate_per_s=1)
        await access.create_account("ann", PASSWORD, ["read"], by="root")
        token, _ = await access.sign_in("ann", PASSWORD)
        await access.identify_session(token)
        who = await access.identify_key(secret)
        own.kill() if how == "killed" else own.freeze()
        gone_at = time.monotonic()
        while time.monotonic() - gone_at < 1.0:  # for less than a second what is known holds
            try:
                await access.identify_key(secret)
            except StoreUnavailable:
                break
            await asyncio.sleep(0.01)
        for call in (
            access.identify_key(secret),
            access.identify_key("psk_" + "A" * 52),
            access.identify_session(token),
            access.sign_in("ann", PASSWORD),
            access.spend(who),
        ):
            began = time.monotonic()
            with pytest.raises(StoreUnavailable):
                await call
            assert time.monotonic() - began < 0.5 + BUSY_S
        own.start() if how == "killed" else own.thaw()
        back_at = time.monotonic()
        while await _fails(access, secret):
            assert time.monotonic() - back_at < 10
            await asyncio.sleep(0.05)
        assert (await access.identify_key(secret)).name == "key:siem"
        assert (await access.identify_session(token)).name == "ann"


async def _fails(access: Access, secret: str) -> bool:
    try:
        await access.identify_key(secret)
    except StoreUnavailable:
        return True
    return False


async def test_an_emptied_store_knows_nobody(periscope: Periscope, access: Access) -> None:
    _, secret = await access.create_key("siem", ["ingest"], by="ann")
    await access.identify_key(secret)
    await plain_client(periscope).flushall()
    await access._register.refresh()
    assert await is_refused(access.identify_key(secret))
    assert await access.keys() == []
    await periscope.refresh()


async def test_a_full_store_lets_people_in_and_revokes(own: ServerProcess) -> None:
    p = Periscope.open(own.url, retry_s=0.0)
    async with p, Access(p) as access:
        key, secret = await access.create_key("siem", ["ingest"], by="ann", rate_per_s=9)
        await access.create_account("ann", PASSWORD, ["read"], by="root")
        await plain_client(p).config_set("maxmemory", "1")
        token, _ = await access.sign_in("ann", PASSWORD)
        assert (await access.identify_session(token)).name == "ann"
        await access.spend(await access.identify_key(secret))
        await access.revoke_key(key.prefix, by="ann")
        assert await is_refused(access.identify_key(secret))
        assert [one.action for one in await p.get_recent_audit()][-1] == "revoke_key"
        await plain_client(p).config_set("maxmemory", "0")
