"""Accounts, signing in, being locked out, and what ends a session."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import pytest
from argon2 import PasswordHasher

from periscope import (
    AccessInvalid,
    AccessUnknown,
    Forbidden,
    LockedOut,
    Periscope,
    RateLimited,
    Unauthenticated,
)
from periscope.access import Access, Scope
from periscope.access.passwords import AT_ONCE, WAITING
from periscope.access_keys import AccessKeys
from tests.access.conftest import PASSWORD, Programs
from tests.access.support import is_refused, plain_client, within_a_second
from tests.conftest import OpenHere

WRONG = "wrong horse battery"
MINUTE_MS = 60_000


async def test_who_signs_in_is_known_by_the_session(access: Access) -> None:
    made = await access.create_account("ann", PASSWORD, ["read", "act"], by="root")
    token, session = await access.sign_in("ann", PASSWORD)
    assert (session.account, session.scopes) == ("ann", (Scope.READ, Scope.ACT))
    assert session.ends_ms - session.created_ms == 24 * 3_600_000
    found = await access.identify_session(token)
    assert (found.name, found.kind, found.analyst, found.prefix) == ("ann", "account", "ann", None)
    assert found.scopes == {Scope.READ, Scope.ACT}
    assert await access.accounts() == [made]


@pytest.mark.parametrize(
    "token", ["", "x" * 43, "x" * 42, "x" * 1_000_000, "é" * 43, None, "\0" * 43]
)
async def test_tokens_that_are_none(access: Access, token: Any) -> None:
    with pytest.raises(Unauthenticated, match="sign in"):
        await access.identify_session(token)


@pytest.mark.parametrize(
    ("field", "given"),
    [
        ("name", {"name": ""}),
        ("name", {"name": "key:siem"}),
        ("name", {"name": "Key:siem"}),
        ("name", {"name": "\uff2bEY:siem"}),
        ("name", {"name": "Periscope"}),
        ("name", {"name": "x" * 129}),
        ("name", {"name": "a\u202e\n"}),
        ("scopes", {"scopes": []}),
        ("password", {"password": "x" * 11}),
        ("password", {"password": "x" * 1025}),
        ("password", {"password": "\ud800" * 12}),
        ("password", {"password": b"x" * 12}),
        ("by", {"by": "\n"}),
    ],
)
async def test_what_cannot_be_is_refused_by_field(
    access: Access, field: str, given: dict[str, Any]
) -> None:
    with pytest.raises(AccessInvalid) as caught:
        await access.create_account(
            **{"name": "ann", "password": PASSWORD, "scopes": ["read"], "by": "root", **given}
        )
    assert caught.value.field == field
    assert await access.accounts() == []


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize("password", ["x" * 12, "x" * 1024, "пароль из слов", "\0" * 12, " " * 12])
async def test_any_characters_make_a_password(access: Access, password: str) -> None:
    await access.create_account("ann", password, ["read"], by="root")
    await access.sign_in("ann", password)
    with pytest.raises(Unauthenticated):
        await access.sign_in("ann", password + "y")


async def test_keyboards_differ_and_the_password_is_the_same(access: Access) -> None:
    await access.create_account("ann", "caf\u00e9 au lait 12", ["read"], by="root")
    await access.sign_in("ann", "cafe\u0301 au lait 12")


async def test_a_name_is_taken_once(access: Access) -> None:
    await access.create_account("ann", PASSWORD, ["read"], by="root")
    with pytest.raises(AccessInvalid, match="already"):
        await access.create_account("ann", PASSWORD, ["admin"], by="root")


async def test_unknown_and_wrong_are_told_alike(access: Access) -> None:
    await access.create_account("ann", PASSWORD, ["read"], by="root")
    told = []
    for name, password in (("ann", WRONG), ("nobody", PASSWORD), ("a\n", PASSWORD), ("ann", "x")):
        with pytest.raises(Unauthenticated) as caught:
            await access.sign_in(name, password)
        told.append(str(caught.value))
    assert set(told) == {"unknown name or wrong password"}


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize("name", ["ann", "nobody"])
async def test_five_failures_lock_out_for_longer_each_time(
    periscope: Periscope, access: Access, name: str
) -> None:
    await access.create_account("ann", PASSWORD, ["read"], by="root")
    now_ms = access._register.now_ms()
    for minutes in (1, 2, 4, 8, 16, 32, 60, 60):
        periscope.functions.now_ms = now_ms
        for _ in range(5):
            with pytest.raises(Unauthenticated):
                await access.sign_in(name, WRONG)
        with pytest.raises(LockedOut) as caught:
            await access.sign_in(name, PASSWORD)
        assert caught.value.retry_after_s == minutes * 60
        now_ms += minutes * MINUTE_MS
    periscope.functions.now_ms = now_ms
    if name == "ann":
        await access.sign_in(name, PASSWORD)
        for _ in range(4):  # and it begins anew
            with pytest.raises(Unauthenticated):
                await access.sign_in(name, WRONG)
        await access.sign_in(name, PASSWORD)


async def test_no_more_than_five_passwords_are_tried_however_many_come_at_once(
    programs: Programs,
) -> None:
    some = await programs.some(3)
    await some[0].create_account("ann", PASSWORD, ["read"], by="root")
    for one in some:
        await one._register.refresh()
    found = await asyncio.gather(
        *(one.sign_in("ann", WRONG) for one in some for _ in range(8)), return_exceptions=True
    )
    kinds = [type(one) for one in found]
    assert (kinds.count(Unauthenticated), kinds.count(LockedOut)) == (5, 19)


@pytest.mark.usefixtures("quick")
async def test_a_flood_of_sign_ins_waits_within_bounds(access: Access) -> None:
    with pytest.raises(Unauthenticated):
        await access.sign_in("somebody", WRONG)
    hold = threading.Event()
    busy = [access._passwords._threads.submit(hold.wait, 60) for _ in range(AT_ONCE)]
    tries = [asyncio.ensure_future(access.sign_in(f"nobody-{n}", WRONG)) for n in range(80)]
    done, waiting = await asyncio.wait(tries, timeout=2)
    assert len(waiting) == WAITING
    errors = [one.exception() for one in done]
    assert {getattr(one, "retry_after_s", None) for one in errors} == {2.0}
    assert {type(one) for one in errors} == {RateLimited}
    hold.set()
    found = await asyncio.gather(*waiting, return_exceptions=True)
    assert {type(one) for one in found} == {Unauthenticated}
    assert all(one.done() for one in busy)


@pytest.mark.parametrize("what", ["password", "scopes", "disable", "sign out"])
async def test_what_ends_a_session_ends_it_everywhere(programs: Programs, what: str) -> None:
    here, other = await programs.some(2)
    await here.create_account("ann", PASSWORD, ["read"], by="root")
    token, _ = await here.sign_in("ann", PASSWORD)
    assert (await other.identify_session(token)).name == "ann"
    if what == "password":
        await here.set_password("ann", "another password", by="root")
    elif what == "scopes":
        await here.set_scopes("ann", ["read", "act"], by="root")
    elif what == "disable":
        disabled = await here.disable_account("ann", by="root")
        assert disabled.disabled_ms is not None
    else:
        await here.sign_out(token)
        await here.sign_out(token)
    assert await is_refused(here.identify_session(token))

    async def gone() -> bool:
        return await is_refused(other.identify_session(token))

    await within_a_second(gone, "ended everywhere")


async def test_the_same_scopes_end_nothing(access: Access) -> None:
    await access.create_account("ann", PASSWORD, ["read"], by="root")
    token, _ = await access.sign_in("ann", PASSWORD)
    await access.set_scopes("ann", ["read"], by="root")
    assert (await access.identify_session(token)).name == "ann"


async def test_a_session_is_good_at_once_where_the_account_is_not_known_yet(
    programs: Programs,
) -> None:
    here, other = await programs.some(2)
    await here.create_account("ann", PASSWORD, ["read"], by="root")
    await here.set_password("ann", "another password", by="root")
    token, _ = await here.sign_in("ann", "another password")
    assert (await other.identify_session(token)).name == "ann"


async def test_a_disabled_account_signs_in_no_more_until_it_is_enabled(access: Access) -> None:
    await access.create_account("ann", PASSWORD, ["read"], by="root")
    token, _ = await access.sign_in("ann", PASSWORD)
    await access.disable_account("ann", by="root")
    await access.disable_account("ann", by="root")
    with pytest.raises(Unauthenticated, match="unknown name or wrong password"):
        await access.sign_in("ann", PASSWORD)
    enabled = await access.enable_account("ann", by="root")
    assert enabled.disabled_ms is None
    assert await is_refused(access.identify_session(token))
    await access.sign_in("ann", PASSWORD)


async def test_a_session_ends_after_a_day_and_after_eight_hours_unused(
    periscope: Periscope, access: Access
) -> None:
    await access.create_account("ann", PASSWORD, ["read"], by="root")
    token, session = await access.sign_in("ann", PASSWORD)
    client = periscope.functions.connections.client
    (key,) = [key async for key in client.scan_iter("*:session:*")]
    assert 8 * 3_600_000 - 60_000 < await client.pttl(key) <= 8 * 3_600_000
    await client.pexpire(key, 5_000)
    await access.identify_session(token)  # the first use in this program renews it
    assert await client.pttl(key) > 7 * 3_600_000
    periscope.functions.now_ms = session.ends_ms - 60_000
    access._sessions._known.clear()
    await access._register.refresh()
    await access.identify_session(token)
    assert await client.pttl(key) <= 60_000  # never beyond its end
    periscope.functions.now_ms = session.ends_ms
    await access._register.refresh()
    assert await is_refused(access.identify_session(token))


async def test_a_use_does_not_bring_an_ended_session_back(
    periscope: Periscope, access: Access
) -> None:
    client = periscope.functions.connections.client
    assert not await access._calls.keep_session("0" * 64, b"{}", 1000, renew=True)
    assert [key async for key in client.scan_iter("*:session:*")] == []


async def test_a_password_hashed_with_less_is_hashed_anew(
    periscope: Periscope, access: Access
) -> None:
    await access.create_account("ann", PASSWORD, ["read"], by="root")
    client, name = plain_client(periscope), AccessKeys("periscope").access
    text = (await client.hget(name, "a:ann")).decode()
    before = access._register.accounts["ann"].password
    weak = PasswordHasher(time_cost=1, memory_cost=1024).hash(PASSWORD)
    assert before is not None
    await client.hset(name, mapping={"a:ann": text.replace(before, weak)})
    await client.hincrby(name, "revision", 1)
    await access._register.refresh()
    token, _ = await access.sign_in("ann", PASSWORD)
    after = access._register.accounts["ann"].password
    assert after not in (before, weak)
    assert after is not None
    assert "m=65536" in after
    assert (await access.identify_session(token)).name == "ann"
    await access.sign_in("ann", PASSWORD)


async def test_changes_want_an_account(access: Access) -> None:
    for call in (
        access.set_password("nobody", PASSWORD, by="root"),
        access.set_scopes("nobody", ["read"], by="root"),
        access.disable_account("nobody", by="root"),
        access.enable_account("nobody", by="root"),
    ):
        with pytest.raises(AccessUnknown):
            await call


async def test_another_password_ends_the_lock_out(access: Access) -> None:
    await access.create_account("ann", PASSWORD, ["read"], by="root")
    for _ in range(5):
        with pytest.raises(Unauthenticated):
            await access.sign_in("ann", WRONG)
    await access.set_password("ann", "another password", by="root")
    await access.sign_in("ann", "another password")


ISSUER = "https://id.example"


async def test_an_issuer_vouches_for_its_own_accounts_only(access: Access) -> None:
    await access.create_account("ann", PASSWORD, ["admin"], by="root")
    with pytest.raises(Forbidden):
        await access.sign_in_as("ann", ["read"], issuer=ISSUER)
    token, _ = await access.sign_in_as("bob", ["read"], issuer=ISSUER)
    assert (await access.identify_session(token)).scopes == {Scope.READ}
    with pytest.raises(Forbidden):
        await access.sign_in_as("bob", ["admin"], issuer="https://other.example")
    with pytest.raises(AccessInvalid, match="vouches"):
        await access.set_password("bob", PASSWORD, by="root")
    with pytest.raises(Unauthenticated):
        await access.sign_in("bob", PASSWORD)
    second, _ = await access.sign_in_as("bob", ["read", "act"], issuer=ISSUER)
    assert await is_refused(access.identify_session(token))
    assert Scope.ACT in (await access.identify_session(second)).scopes
    await access.disable_account("bob", by="root")
    with pytest.raises(Forbidden):
        await access.sign_in_as("bob", ["read"], issuer=ISSUER)


async def test_failures_are_forgotten_after_a_success_or_two_hours(
    periscope: Periscope, access: Access
) -> None:
    await access.create_account("ann", PASSWORD, ["read"], by="root")
    with pytest.raises(Unauthenticated):
        await access.sign_in("ann", WRONG)
    client = plain_client(periscope)
    (key,) = [key async for key in client.scan_iter("*:attempts:*")]
    assert b"ann" not in key
    assert 7_190_000 < await client.pttl(key) <= 7_200_000
    await access.sign_in("ann", PASSWORD)
    assert not await client.exists(key)


async def test_namespaces_know_nothing_of_each_other(access: Access, open_here: OpenHere) -> None:
    await access.create_account("ann", PASSWORD, ["read"], by="root")
    key, secret = await access.create_key("siem", ["read"], by="root", rate_per_s=1, burst=1)
    token, _ = await access.sign_in("ann", PASSWORD)
    who = await access.identify_key(secret)
    async with open_here(namespace="periscope2") as p, Access(p) as other:
        for call in (
            other.identify_key(secret),
            other.identify_session(token),
            other.sign_in("ann", PASSWORD),
        ):
            with pytest.raises(Unauthenticated):
                await call
        with pytest.raises(AccessUnknown):
            await other.revoke_key(key.prefix, by="root")
        await other.sign_out(token)
        assert await other.keys() == []
        assert await other.accounts() == []
        assert await other.first_key() is not None
        await other.spend(who)
    await access.spend(who)  # of its own bucket, which nobody has touched
    assert (await access.identify_session(token)).name == "ann"
    assert [one.prefix for one in await access.keys()] == [key.prefix]
