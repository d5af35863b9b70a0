"""API keys: what is shown once, who is recognised by it, and for how long."""

from __future__ import annotations

import asyncio
import re
import time
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from periscope import AccessInvalid, AccessUnknown, Periscope, Severity, Unauthenticated
from periscope.access import Access, Limits, Scope
from periscope.access_keys import AccessKeys
from tests.access.conftest import Programs
from tests.access.support import is_refused, plain_client, within_a_second
from tests.support.history import say


async def test_a_key_is_recognised_with_all_that_it_may(access: Access) -> None:
    limits = Limits(("siem", "edr"), (Severity.HIGH,), ("AMBER", "CLEAR"))
    key, secret = await access.create_key(
        "siem-1",
        ["read", Scope.INGEST],
        by="ann",
        limits=Limits(("siem", "edr"), ("high",), ("tlp:amber", "clear")),  # type: ignore[arg-type]
        analyst="robot",
        rate_per_s=2.5,
        burst=40,
    )
    assert re.fullmatch(r"psk_[0-9A-Za-z]{8}_[0-9A-Za-z]{43}", secret)
    assert secret[4:12] == key.prefix
    found = await access.identify_key(secret)
    assert (found.name, found.kind, found.prefix) == ("key:siem-1", "key", key.prefix)
    assert found.scopes == {Scope.INGEST, Scope.READ}
    assert key.scopes == (Scope.INGEST, Scope.READ)
    assert found.limits == key.limits == limits
    assert (found.analyst, found.rate_per_s, found.burst) == ("robot", 2.5, 40)
    assert (key.created_by, key.expires_ms, key.revoked_ms) == ("ann", None, None)


async def test_admin_includes_all(access: Access) -> None:
    key, secret = await access.create_key("root", ["admin"], by="ann")
    found = await access.identify_key(secret)
    assert key.scopes == (Scope.ADMIN,)
    assert all(found.may(scope) for scope in Scope)
    assert not found.limits


@pytest.mark.parametrize(
    "change",
    [
        lambda s: s[:-1] + ("A" if s[-1] != "A" else "B"),
        lambda s: s[:-1],
        lambda s: s + "A",
        lambda s: s[:4] + ("A" if s[4] != "A" else "B") + s[5:],
        lambda s: s.swapcase(),
        lambda s: s[4:],
        lambda s: s.replace("psk_", "PSK_"),
        lambda s: " " + s,
        lambda s: s + "\n",
        lambda s: s[:-1] + "\0",
        lambda s: s[:-1] + "é",
        lambda s: s[:-1] + "\ud800",
        lambda s: s[:13] + "A" * 1_000_000,
        lambda s: s * 20_000,
        lambda s: "",
        lambda s: "psk_" + "A" * 52,
        lambda s: s[:12],
        lambda s: s.encode(),
        lambda s: None,
    ],
)
async def test_hostile_secrets_are_all_refused_alike(access: Access, change: Any) -> None:
    _, secret = await access.create_key("siem", ["ingest"], by="ann")
    with pytest.raises(Unauthenticated) as caught:
        await access.identify_key(change(secret))
    assert str(caught.value) == "unknown, expired or revoked API key"
    assert (await access.identify_key(secret)).name == "key:siem"


async def test_a_new_key_is_good_everywhere_within_a_second(programs: Programs) -> None:
    here, *others = await programs.some(4)
    _, secret = await here.create_key("siem", ["ingest"], by="ann")
    assert (await here.identify_key(secret)).name == "key:siem"
    for one in others:

        async def good(one: Access = one) -> bool:
            return not await is_refused(one.identify_key(secret))

        await within_a_second(good, "good everywhere")


async def test_a_revoked_key_is_refused_everywhere_within_a_second(programs: Programs) -> None:
    here, *others = await programs.some(4)
    key, secret = await others[0].create_key("siem", ["ingest"], by="ann")
    late = await programs.another()
    assert not await is_refused(late.identify_key(secret))
    revoked = await here.revoke_key(key.prefix, by="bob")
    assert revoked.revoked_ms is not None
    assert revoked.revoked_by == "bob"
    assert await is_refused(here.identify_key(secret))
    for one in (*others, late):

        async def gone(one: Access = one) -> bool:
            return await is_refused(one.identify_key(secret))

        await within_a_second(gone, "refused everywhere")


async def test_a_program_whose_tasks_starve_still_asks_before_it_answers(
    programs: Programs,
) -> None:
    here, other = await programs.some(2)
    key, secret = await here.create_key("siem", ["ingest"], by="ann")
    await other._register.refresh()
    assert not await is_refused(other.identify_key(secret))
    for task in other._tasks:
        task.cancel()  # as if nothing in the background ever got its turn
    await here.revoke_key(key.prefix, by="ann")
    other._register.read_at -= 1.0  # a second later
    assert await is_refused(other.identify_key(secret))


async def test_a_key_ends_when_it_is_to_end(periscope: Periscope, access: Access) -> None:
    _, secret = await access.create_key("a", ["read"], by="ann", expires=timedelta(hours=1))
    later = datetime.now(UTC) + timedelta(minutes=30)
    other, second = await access.create_key("b", ["read"], by="ann", expires=later)
    assert other.expires_ms == int(later.timestamp() * 1000)
    now_ms = access._register.now_ms()
    for passed, good in ((0, [True, True]), (31, [True, False]), (61, [False, False])):
        periscope.functions.now_ms = now_ms + passed * 60_000
        await access._register.refresh()
        found = [not await is_refused(access.identify_key(one)) for one in (secret, second)]
        assert found == good, passed
    assert [one.state(now_ms + 61 * 60_000) for one in await access.keys()] == ["expired"] * 2


@pytest.mark.parametrize(
    ("field", "given"),
    [
        ("name", {"name": ""}),
        ("name", {"name": "x" * 101}),
        ("name", {"name": "a\nb"}),
        ("name", {"name": " a"}),
        ("name", {"name": "\ud800"}),
        ("scopes", {"scopes": []}),
        ("scopes", {"scopes": ["root"]}),
        ("by", {"by": ""}),
        ("analyst", {"analyst": "a\x1b"}),
        ("analyst", {"analyst": "key:other"}),
        ("rate_per_s", {"rate_per_s": 0}),
        ("rate_per_s", {"rate_per_s": float("nan")}),
        ("rate_per_s", {"rate_per_s": float("inf")}),
        ("burst", {"rate_per_s": 1, "burst": 0}),
        ("burst", {"burst": 5}),
        ("expires", {"expires": timedelta(0)}),
        ("expires", {"expires": datetime(2020, 1, 1, tzinfo=UTC)}),
        ("expires", {"expires": datetime(2030, 1, 1)}),  # noqa: DTZ001
        ("expires", {"expires": timedelta(days=40_000)}),
        ("sources", {"limits": Limits(sources=("a\0",))}),
        ("sources", {"limits": Limits(sources=tuple(map(str, range(101))))}),
        ("severities", {"limits": Limits(severities=("SEVERE",))}),  # type: ignore[arg-type]
        ("tlp", {"limits": Limits(tlp=("PURPLE",))}),
    ],
)
async def test_what_cannot_be_is_refused_by_field(
    periscope: Periscope, access: Access, field: str, given: dict[str, Any]
) -> None:
    wanted = {"name": "k", "scopes": ["read"], "by": "ann", **given}
    with pytest.raises(AccessInvalid) as caught:
        await access.create_key(**wanted)
    assert caught.value.field == field
    assert await access.keys() == []
    assert await periscope.get_recent_audit() == []


async def test_names_are_taken_until_they_are_revoked(access: Access) -> None:
    first, _ = await access.create_key("siem", ["read"], by="ann")
    with pytest.raises(AccessInvalid, match="there is an API key 'siem'"):
        await access.create_key("siem", ["read"], by="ann")
    await access.revoke_key(first.prefix, by="ann")
    second, _ = await access.create_key("siem", ["read"], by="ann")
    assert [one.prefix for one in await access.keys()] == [first.prefix, second.prefix]


async def test_revoking_is_repeatable_and_wants_a_key(access: Access) -> None:
    key, _ = await access.create_key("siem", ["read"], by="ann")
    once = await access.revoke_key(key.prefix, by="ann")
    assert await access.revoke_key(key.prefix, by="bob") == once
    with pytest.raises(AccessUnknown):
        await access.revoke_key("nobody's", by="ann")


async def test_the_last_use_is_noted_by_the_minute(periscope: Periscope, access: Access) -> None:
    key, secret = await access.create_key("siem", ["read"], by="ann")

    async def used() -> bool:
        return (await access.keys())[0].last_used_ms is not None

    assert not await used()
    await access.identify_key(secret)
    await within_a_second(used, "noted")
    noted = (await access.keys())[0].last_used_ms
    await access.identify_key(secret)
    assert access._keyring.uses_to_note() == {}
    assert list(access._keyring.uses_to_note(at_once=True)) == [key.prefix]
    assert noted is not None
    assert 0 <= access._register.now_ms() - noted < 60_000


async def test_a_note_of_use_brings_no_key_back(periscope: Periscope, access: Access) -> None:
    await access._calls.note_used({"AAAAAAAA": 1})
    client = periscope.functions.connections.client
    assert not await client.exists(AccessKeys("periscope").access)


async def test_a_key_of_a_newer_program_is_none_here(periscope: Periscope, access: Access) -> None:
    """What this program does not understand must not make a key wider than it was meant."""
    key, secret = await access.create_key("siem", ["read"], by="ann", limits=Limits(("siem",)))
    client, name = plain_client(periscope), AccessKeys("periscope").access
    text = await client.hget(name, f"k:{key.prefix}")
    newer = text.replace(b'"sources"', b'"countries":["NZ"],"sources"')
    assert newer != text
    await client.hset(name, mapping={f"k:{key.prefix}": newer})
    await client.hincrby(name, "revision", 1)
    await access._register.refresh()
    assert await is_refused(access.identify_key(secret))


async def test_many_at_once_are_all_made(programs: Programs) -> None:
    some = await programs.some(3)
    made = await asyncio.gather(
        *(
            one.create_key(f"{n}-{i}", ["read"], by="ann")
            for n, one in enumerate(some)
            for i in range(20)
        )
    )
    assert len({key.prefix for key, _ in made}) == 60
    assert {one.name for one in await some[0].keys()} == {key.name for key, _ in made}


async def test_of_many_who_want_a_name_one_gets_it(programs: Programs) -> None:
    some = await programs.some(3)
    found = await asyncio.gather(
        *(one.create_key("siem", ["read"], by="ann") for one in some), return_exceptions=True
    )
    assert sorted(type(one) is AccessInvalid for one in found) == [False, True, True]
    assert [one.name for one in await some[0].keys()] == ["siem"]


async def test_recognising_a_key_costs_no_round_trip(
    access: Access, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, secret = await access.create_key("siem", ["read"], by="ann")
    read, asked = access._calls.read, 0

    async def counted(known_revision: int) -> Any:
        nonlocal asked
        asked += 1
        return await read(known_revision)

    monkeypatch.setattr(access._calls, "read", counted)
    times, began, cpu = 50_000, time.perf_counter(), time.process_time()
    for _ in range(times):
        await access.identify_key(secret)
    passed = time.perf_counter() - began
    assert asked <= 2 + passed / 0.9  # nothing in the background had a turn meanwhile
    cpu_us = (time.process_time() - cpu) / times * 1e6
    say(f"an API key is recognised in {cpu_us:.2f} us of CPU")


async def test_the_oldest_that_are_good_no_more_make_room(
    access: Access, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("periscope.access.keyring.MOST_KEYS", 3)
    made = [(await access.create_key(f"k{n}", ["read"], by="ann"))[0] for n in range(3)]
    with pytest.raises(AccessInvalid, match="are the limit"):
        await access.create_key("k3", ["read"], by="ann")
    for key in (made[1], made[2]):
        await access.revoke_key(key.prefix, by="ann")
    await access.create_key("k4", ["read"], by="ann")
    assert [one.name for one in await access.keys()] == ["k0", "k2", "k4"]


@pytest.mark.parametrize(
    ("limits", "given", "permitted"),
    [
        (Limits(), ("any", Severity.LOW, None), True),
        (Limits(("siem",)), ("siem", Severity.LOW, None), True),
        (Limits(("siem",)), ("SIEM", Severity.LOW, None), False),
        (Limits(severities=(Severity.HIGH,)), ("x", Severity.LOW, None), False),
        (Limits(tlp=("CLEAR", "GREEN")), ("x", Severity.LOW, "GREEN"), True),
        (Limits(tlp=("CLEAR", "GREEN")), ("x", Severity.LOW, "RED"), False),
        (Limits(tlp=("CLEAR", "GREEN")), ("x", Severity.LOW, None), False),
        (Limits(("siem",), (Severity.LOW,), ("RED",)), ("siem", Severity.LOW, "RED"), True),
        (Limits(("siem",), (Severity.LOW,), ("RED",)), ("siem", Severity.HIGH, "RED"), False),
    ],
)
def test_what_limits_permit(
    limits: Limits, given: tuple[str, Severity, str | None], permitted: bool
) -> None:
    assert limits.permit(*given) is permitted
    assert bool(limits) is (limits != Limits())
