"""A key that is not as it was left refuses the call whole: check first, then write."""

from __future__ import annotations

from typing import Any

import pytest

from periscope import PeriscopeError, StoreDamaged
from periscope.access.calls import AccessCalls
from periscope.access_keys import AccessKeys
from tests.access.support import plain_client
from tests.conftest import OpenHere
from tests.lua.test_damage import as_list, as_text, dump

KEYS = AccessKeys("damage")


async def no_revision(client: Any, key: bytes) -> None:
    await client.hset(key, "revision", "many")


async def bad_sum(client: Any, key: bytes) -> None:
    await client.hset(key, "audit_bytes", "many")


CASES = [
    ("access", as_text),
    ("access", as_list),
    ("access", no_revision),
    ("attempts", as_text),
    ("attempts", as_list),
    ("session", as_list),
    ("bucket", as_text),
    ("bucket", as_list),
    ("meta", as_list),
    ("meta", bad_sum),
    ("audit", as_text),
    ("reply", as_list),
]


async def change(calls: AccessCalls, name: str) -> None:
    """The change that meets this key."""
    match name:
        case "access":
            await calls.put(0, {"k:x": b"{}"})
        case "attempts":
            await calls.attempt("x")
        case "session":
            await calls.read_session("x")
        case "bucket":
            await calls.spend("x", 1.0, 1, 1, 1)
        case _:
            await calls.remark("ann", "note", {"subject": "x"})


@pytest.mark.parametrize(("name", "damage"), CASES, ids=[f"{n}-{d.__name__}" for n, d in CASES])
async def test_a_damaged_key_stays_as_it_is(
    open_here: OpenHere, monkeypatch: pytest.MonkeyPatch, name: str, damage: Any
) -> None:
    async with open_here(namespace="damage") as p:
        client, (keys,) = plain_client(p), p.keyspace.partitions
        await client.flushall()
        await p.refresh()
        places = {
            "access": KEYS.access,
            "attempts": KEYS.attempts("x"),
            "session": KEYS.session("x"),
            "bucket": KEYS.bucket("x"),
            "meta": keys.meta,
            "audit": keys.audit,
            "reply": keys.reply(b"0" * 24),
        }
        monkeypatch.setattr("periscope.access.calls.urandom", bytes)
        await damage(client, places[name])
        before = await dump(client)
        if name == "reply":  # any value there says: it was done
            await change(AccessCalls(p.functions, p.keyspace), name)
        else:
            with pytest.raises(StoreDamaged):
                await change(AccessCalls(p.functions, p.keyspace), name)
        assert await dump(client) == before
        await client.flushall()


BAD_CALLS: list[tuple[str, list[bytes], tuple[Any, ...]]] = [
    ("periscope_access_put", [KEYS.control, KEYS.access], (0,)),
    ("periscope_access_put", [KEYS.control, KEYS.access], (0, "k:a")),
    ("periscope_access_put", [KEYS.control, KEYS.access], (0, *["k:a", "x"] * 17)),
    ("periscope_access_put", [KEYS.control, KEYS.access], (0, "k:a", "x" * 65_537)),
    ("periscope_access_used", [KEYS.access], ("a",)),
    ("periscope_access_used", [KEYS.access], ("a", 1) * 501),
    ("periscope_session", [KEYS.session("x")], ("x", 0, 0)),
    ("periscope_session", [KEYS.session("x")], ("x", "long", 0)),
    ("periscope_session", [KEYS.session("x")], ("x" * 65_537, 1000, 0)),
    ("periscope_spend", [KEYS.bucket("x")], ("0", 1, 1, 1, "")),
    ("periscope_spend", [KEYS.bucket("x")], ("inf", 1, 1, 1, "")),
    ("periscope_spend", [KEYS.bucket("x")], ("nan", 1, 1, 1, "")),
    ("periscope_spend", [KEYS.bucket("x")], ("1", 1, 2, 2, "")),
    ("periscope_spend", [KEYS.bucket("x")], ("1", 5, 1, 2, "")),
    ("periscope_spend", [KEYS.bucket("x")], ("1", 5, 1, 0, "")),
    ("periscope_spend", [KEYS.bucket("x")], ("1", 5, -1, -1, "")),
    ("periscope_spend", [KEYS.bucket("x")], ("x", "x", "x", "x", "")),
]


@pytest.mark.parametrize(("name", "keys", "args"), BAD_CALLS)
async def test_calls_that_make_no_sense_change_nothing(
    open_here: OpenHere, name: str, keys: list[bytes], args: tuple[Any, ...]
) -> None:
    async with open_here(namespace="damage") as p:
        before = await dump(plain_client(p))
        with pytest.raises(PeriscopeError):
            await p.functions.call(name, keys, args)
        assert await dump(plain_client(p)) == before
        await plain_client(p).flushall()
