"""The short way of usual acts (65_swift.lua): same replies and same store as by the long one."""

from __future__ import annotations

from random import Random
from typing import Any

import pytest

from periscope import Periscope
from periscope.acts import ActReply, PackedAct, pack_act
from periscope.chunks import ActChunk
from periscope.library import read_library
from tests.support.servers import ServerProcess

NOW = 1_790_000_000_000
MINUTE = 60_000
THREATS = 30
SHORT_WAYS = (b"if alone and record then", b"if revision == sightings + 1")
VERBS: tuple[str, ...] = ("view",) * 6 + (
    "investigate",
    "monitor",
    "escalate",
    "escalate",
    "dismiss",
    "claim",
)
VERBS += ("release", "undo", "decide", "reopen", "recall", "comment", "snooze")
ARGS: dict[str, tuple[Any, ...]] = {
    "claim": (20 * MINUTE,),
    "release": (1,),
    "decide": (1, "{}"),
    "reopen": ("{}",),
    "snooze": (0, "a note", 20 * MINUTE),
    "comment": ("{}",),
}


def acts_of(random: Random, step: int, past: list[PackedAct]) -> list[PackedAct]:
    """A chunk: most threats once, so that the short way is taken; some twice, some acts again."""
    acts = random.choices(past, k=2) if past else []
    for number in range(12):
        verb = random.choice(VERBS)
        known = verb == "undo" or random.random() < 0.05
        request = f"r-{random.randrange(step)}-{number}" if known and step else f"r-{step}-{number}"
        threat = f"t{random.randrange(THREATS + 1)}"
        acts.append(pack_act(verb, threat, f"a{random.randrange(3)}", request, ARGS.get(verb, ())))
    return acts


async def contents(client: Any, key: bytes) -> Any:
    match await client.type(key):
        case b"string":
            return await client.get(key)
        case b"hash":
            return await client.hgetall(key)
        case b"zset":
            return await client.zrange(key, 0, -1, withscores=True)
        case b"stream":  # its ids are of the clock
            return [fields for _, fields in await client.xrange(key)]
        case other:
            raise AssertionError(other)


async def empty(p: Periscope) -> None:
    """Remove all but the control key: fingerprints are keyed by its secret."""
    client = p.functions.connections.client
    async for key in client.scan_iter():
        if b":control}" not in key:
            await client.delete(key)
    await p.refresh()
    p.functions.now_ms = NOW


async def history(p: Periscope) -> tuple[list[list[ActReply]], dict[bytes, Any]]:
    """Replies and store after the same acts, whatever way they take."""
    await empty(p)
    client, keys = p.functions.connections.client, p.keyspace.partitions[0]
    random, replies = Random(11), []
    past: list[PackedAct] = []
    for number in range(THREATS):
        severity = ("LOW", "MEDIUM", "HIGH", "CRITICAL")[number % 4]
        await p.add_threat(f"t{number}", "x", severity, {"industry": "finance"})
    for step in range(60):
        p.functions.now_ms = NOW + step * 2 * MINUTE
        if step % 10 == 5:
            await p.wake_snoozed_threats()
        if step % 10 == 1:  # unseen ones with a sighting have a place of their own
            for number in range(THREATS):
                await p.add_threat(f"t{number}", f"more {step}", "HIGH", {})
        chunk = ActChunk(keys, acts_of(random, step, past), full=step % 3 > 0)
        past += chunk.acts
        command = chunk.command(p.functions, chunk.chunk_id)
        replies.append(chunk.parse(await client.execute_command(*command)))
    assert (await p.get_ledger(deep=True)).balanced
    found = {key: await contents(client, key) async for key in client.scan_iter()}
    return replies, {key: kept for key, kept in found.items() if b":reply:" not in key}


async def test_both_ways_leave_the_same_store() -> None:
    process = ServerProcess().start()
    try:
        async with Periscope.open(process.url) as p:
            short_replies, short_store = await history(p)
            code = read_library().code
            for way in SHORT_WAYS:
                assert way in code
                code = code.replace(way, b"if false" + way.removeprefix(way.partition(b" then")[0]))
            client = p.functions.connections.client
            await client.execute_command("FUNCTION", "LOAD", "REPLACE", code)
            long_replies, long_store = await history(p)
    finally:
        process.stop()
    assert short_replies == long_replies
    assert short_store == long_store
    words = {reply.word for chunk in short_replies for reply in chunk}
    assert {"DONE", "AGAIN", "CONFLICT", "UNKNOWN", "CLAIMED", "NOT_LAST"} <= words


@pytest.mark.parametrize("full", ["0", "1", "2"])
async def test_acts_as_older_programs_pack_them(periscope: Periscope, full: str) -> None:
    """One array of verb, analyst, request, arguments: library 2 took nothing else."""
    p = periscope
    client, keys = p.functions.connections.client, p.keyspace.partition_of(b"old")
    await p.add_threat("old", "x", "LOW")
    acts = [b"\x94" + pack_act("view", "old", "ann", f"r{n}").payload + b"\x90" for n in range(2)]
    names = [*keys.singles, keys.reply(b"c"), keys.reply(b"c")]
    names += [keys.record(b"old"), keys.analysts(b"old")] * 2
    head = (p.functions.rules.packed, p.functions.moment, full, "0")
    reply = await client.execute_command("FCALL", "periscope_act", len(names), *names, *head, *acts)
    words = reply[1][::5] if full == "2" else reply[1]
    assert [one[0] if full == "1" else one for one in words] == [b"DONE", b"DONE"]
    threat = await p.get_threat("old")
    assert threat is not None
    assert (threat.interactions, threat.analysts) == (2, 1)
