"""Keys, accounts and rates on a cluster: the trail is in another slot than the keys."""

from __future__ import annotations

import asyncio

import pytest

from periscope import Periscope, RateLimited, Unauthenticated
from periscope.access import Access


async def test_keys_and_sessions_work(p: Periscope) -> None:
    async with Access(p) as access:
        key, secret = await access.create_key("siem", ["ingest"], by="ann", rate_per_s=1, burst=5)
        who = await access.identify_key(secret)
        found = await asyncio.gather(*(access.spend(who) for _ in range(8)), return_exceptions=True)
        assert sum(isinstance(one, RateLimited) for one in found) == 3
        await access.create_account("ann", "correct horse battery", ["read"], by="ann")
        token, _ = await access.sign_in("ann", "correct horse battery")
        assert (await access.identify_session(token)).name == "ann"
        await access.sign_out(token)
        await access.revoke_key(key.prefix, by="ann")
        for call in (access.identify_key(secret), access.identify_session(token)):
            with pytest.raises(Unauthenticated):
                await call
    actions = [one.action for one in await p.get_recent_audit() if not one.threat_id]
    assert actions == ["create_key", "create_account", "sign_in", "sign_out", "revoke_key"]
