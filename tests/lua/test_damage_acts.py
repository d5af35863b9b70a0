"""Functions that act, promote, settle, wake, let go, take in: refused whole on damage, or none."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any

import pytest
from redis.exceptions import ResponseError

from periscope import Periscope
from periscope.acts import pack_act
from periscope.functions import Functions
from periscope.header import FORMAT
from periscope.keys import NOISE_KEYS, SINGLE_KEYS, PartitionKeys
from periscope.marks import MarkedReport, Packed, pack_marks
from periscope.models import Mark
from tests.conftest import OpenHere
from tests.lua.test_damage import as_list, as_text, dump, newer_record, other_level, short_record
from tests.support.marking import add_marked
from tests.support.servers import ServerProcess, free_port

NOW = 1_790_000_000_000
HOUR = 3_600_000
IDS = [b"latched", b"recalled", b"expired", b"snoozed"]
MARKED = ("ingest_3", "suppressed_forget", "suppressed_outlived")
CALLS = (
    "act",
    "snooze",
    "promote",
    "promote_2",
    "settle",
    "settle_2",
    "wake",
    "depart",
    "ingest_2",
    *MARKED,
)
VERBS: dict[str, tuple[str, tuple[Any, ...]]] = {
    "act": ("view", ()),
    "snooze": ("snooze", (0, "a note", HOUR)),
}
Damage = Callable[[Any, bytes], Awaitable[None]]


async def a_store(p: Periscope) -> PartitionKeys:
    """One threat for each function to work on, all of them overtaken, latched or to be woken."""
    p.functions.now_ms = NOW
    for one in IDS:
        await p.add_threat(one.decode(), "x", "CRITICAL", {"industry": "finance"})
    for threat_id in ("latched", "recalled"):
        for analyst in ("ann", "bob"):
            await p.record_interaction(threat_id, analyst, "escalate")
    await p.decide("recalled", "ann", "true_positive_impact")
    await p.recall("recalled", "ann")
    await p.decide("expired", "ann", "inconclusive")
    await p.snooze("snoozed", "ann", timedelta(hours=1))
    reports = [{"threat_id": i, "content": "x", "severity": "LOW"} for i in ("noise", "latched")]
    await add_marked(p, reports, [Mark("rule:r"), Mark("rule:r")])
    p.functions.now_ms = NOW + 2 * HOUR
    return p.keyspace.partitions[0]


async def command(functions: Functions, keys: PartitionKeys, name: str) -> tuple[Any, ...]:
    """The call as the product makes it, on all threats at once."""
    names = [*keys.singles]
    rules = (functions.rules.packed, functions.moment)
    args: tuple[Any, ...]
    if name == "ingest_2":
        return ingest_unmarked(functions, keys)
    if name == "ingest_3":
        return ingest_marked(functions, keys)
    if name in MARKED:
        args = (b"noise",) if name == "suppressed_forget" else (NOW + 31 * 24 * HOUR, 10)
        return ("FCALL", f"periscope_{name}", 4, keys.meta, *keys.noise, *args)
    if name in VERBS:
        names += [keys.reply(b"c"), keys.reply(b"c")]
    elif name.endswith("_2") or name == "wake":
        names.append(keys.reply(b"c"))
    for threat_id in IDS:
        names += [keys.record(threat_id), keys.analysts(threat_id)]
    args = rules
    if name in VERBS:
        verb, own = VERBS[name]
        acts = [pack_act(verb, i.decode(), "eve", f"r-{i.decode()}", own).payload for i in IDS]
        name, args = "act", (*rules, "0", "0", *acts)
    elif name == "depart":
        _, records = await functions.threats(keys, functions.rules, IDS)
        revisions = [int.from_bytes(r[7:11], "little") for r in records]
        args = (*rules, "batch", "", *revisions)
    return ("FCALL", f"periscope_{name}", len(names), *names, *args)


def ingest_unmarked(functions: Functions, keys: PartitionKeys) -> tuple[Any, ...]:
    """The call of programs before 0.4."""
    names = [*keys.singles, keys.reply(b"c"), keys.reply(b"c"), *map(keys.record, IDS)]
    args = (functions.rules.packed, functions.moment, 0, *[bytes(21) + b"{}"] * len(IDS))
    return ("FCALL", "periscope_ingest_2", len(names), *names, *args)


def ingest_marked(functions: Functions, keys: PartitionKeys) -> tuple[Any, ...]:
    """New and known threats, marked, unmarked and outdone; another cause than before."""
    reports: list[Packed] = [(one, b"\2" + bytes(20) + b"{}") for one in (b"new", *IDS[1:])]
    for one, severity in ((b"latched", 0), (b"latched", 3), (b"noise", 0), (b"noise", 3)):
        marked = MarkedReport((one, bytes((severity,)) + bytes(20) + b"{}"))
        marked.ground, marked.said = (0, 0, 0), "\x08\0list:one\0\0\x07\0a title"
        reports.append(marked)
    return functions.ingest_command(keys, b"c", b"c", 0, reports, pack_marks(reports))


async def newer_entry(client: Any, key: bytes) -> None:
    await change_entry(client, key, lambda packed: b"\2" + packed[1:])


async def short_entry(client: Any, key: bytes) -> None:
    await change_entry(client, key, lambda packed: packed[:-1])


async def empty_entry(client: Any, key: bytes) -> None:
    await change_entry(client, key, lambda packed: b"")


async def change_entry(client: Any, key: bytes, change: Callable[[bytes], bytes]) -> None:
    await client.hset(key, "noise", change(await client.hget(key, "noise")))


async def no_number(client: Any, key: bytes) -> None:
    await client.hset(key, "rule:r", "many")


async def newer_meta(client: Any, key: bytes) -> None:
    await client.hset(key, "format", str(FORMAT + 1))


async def no_meta(client: Any, key: bytes) -> None:
    await client.delete(key)


async def bad_counters(client: Any, key: bytes) -> None:
    fields = ("received", "added", "sightings", "archived_seen", "archived_unseen", "removed")
    await client.hset(key, mapping=dict.fromkeys(fields, "many"))


async def bad_bytes(client: Any, key: bytes) -> None:
    """What a stream has in bytes is counted by each function that writes to it."""
    await client.hset(key, mapping={"event_bytes": "many", "audit_bytes": "many"})


SINGLES: list[tuple[str, Damage]] = [
    *[(name, as_list) for name in SINGLE_KEYS],
    ("meta", as_text),
    ("meta", newer_meta),
    ("meta", no_meta),
    ("meta", bad_bytes),
    ("board", as_text),
]
RECORDS: list[tuple[str, Damage]] = [
    (f"record {i.decode()}", damage)
    for i in IDS
    for damage in (as_list, short_record, newer_record, other_level)
]
ANALYSTS: list[tuple[str, Damage]] = [(f"analysts {i.decode()}", as_list) for i in IDS]
CASES = [(call, name, damage) for call in CALLS for name, damage in (*SINGLES, *RECORDS)]
CASES = [case for case in CASES if case[0] not in MARKED[1:] or case[1] == "meta"]
CASES = [case for case in CASES if case[0] not in MARKED[1:] or case[2].__name__ != "bad_bytes"]
CASES += [
    (call, name, damage)
    for call in MARKED
    for name, damage in (
        *[(name, as_list) for name in NOISE_KEYS],
        *[("suppressed", damage) for damage in (newer_entry, short_entry, empty_entry)],
        ("suppressed_causes", no_number),
    )
]
CASES += [(call, *case) for call in VERBS for case in ANALYSTS]
CASES += [("depart", "analysts expired", as_list)]
CASES += [(call, "ledger", bad_counters) for call in ("depart", "ingest_2", "ingest_3")]


def damaged_key(keys: PartitionKeys, name: str) -> bytes:
    kind, _, threat_id = name.partition(" ")
    if threat_id:
        return (
            keys.record(threat_id.encode())
            if kind == "record"
            else keys.analysts(threat_id.encode())
        )
    return getattr(keys, name)  # type: ignore[no-any-return]


@pytest.mark.parametrize(
    ("call", "name", "damage"), CASES, ids=[f"{c}-{n}-{d.__name__}" for c, n, d in CASES]
)
async def test_damage_refuses_the_call_whole(
    open_here: OpenHere, call: str, name: str, damage: Damage
) -> None:
    async with open_here(namespace="damage") as p:
        client = p.functions.connections.client
        await client.flushall()
        await p.refresh()
        keys = await a_store(p)
        sent = await command(p.functions, keys, call)
        await damage(client, damaged_key(keys, name))
        before = await dump(client)
        with pytest.raises(ResponseError):
            await client.execute_command(*sent)
        assert await dump(client) == before
        await client.flushall()


@pytest.mark.parametrize("call", CALLS)
async def test_without_damage_the_call_changes_the_store(open_here: OpenHere, call: str) -> None:
    """Or the tests above would prove nothing."""
    async with open_here(namespace="damage") as p:
        client = p.functions.connections.client
        await client.flushall()
        await p.refresh()
        keys = await a_store(p)
        sent = await command(p.functions, keys, call)
        before = await dump(client)
        await client.execute_command(*sent)
        assert await dump(client) != before
        assert (await p.get_ledger(deep=True)).balanced
        await client.flushall()


LACKING = (
    *("mset", "zadd", "zrem", "hset", "hdel", "hincrby", "xadd", "xtrim", "set", "setrange"),
    *("unlink", "rename"),
)


async def test_a_user_who_lacks_a_command_is_refused_whole() -> None:
    process = ServerProcess(port=free_port()).start()
    try:
        async with Periscope.open(process.url) as p:
            await refuse_each(p)
    finally:
        process.stop()


async def refuse_each(p: Periscope) -> None:
    """Every function under every lack either does its work whole or nothing at all."""
    client, keys, torn = p.functions.connections.client, await a_store(p), []
    for lacking in LACKING:
        rule = ("reset", "on", "nopass", "~*", "&*", "+@all", f"-{lacking}")
        await client.execute_command("ACL", "SETUSER", "half", *rule)
        for call in CALLS:
            sent = await command(p.functions, keys, call)
            before = await dump(client)
            refusal = await as_half(client, sent)
            if refusal is not None and await dump(client) != before:
                torn.append(f"{call} without {lacking}: {refusal}")
            await client.flushall()
            await p.refresh()
            keys = await a_store(p)
    assert not torn


async def as_half(client: Any, sent: tuple[Any, ...]) -> ResponseError | None:
    """Send it as the user who lacks a command; what the server refuses it with, if it does."""
    async with client.client() as alone:
        await alone.execute_command("AUTH", "half", "x")
        try:
            await alone.execute_command(*sent)
        except ResponseError as exc:
            return exc
        finally:
            await alone.connection.disconnect()
    return None
