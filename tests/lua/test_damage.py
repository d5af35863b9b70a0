"""An error leaves every key byte for byte as it was: check first, then write."""

from __future__ import annotations

from typing import Any

import pytest

from periscope import BatchInterrupted, BugError, Periscope, StoreDamaged, StoreUnsuitable
from periscope.acts import parse_acts
from periscope.calls import Calls
from periscope.functions import parse_ingest
from periscope.header import FORMAT, HEADER_BYTES
from tests.conftest import OpenHere

NOW = 1_790_000_000_000
KNOWN = [{"threat_id": f"t{i}", "content": "before", "severity": "LOW"} for i in range(3)]
CHANGED = [
    {"threat_id": "new-1", "content": "x", "severity": "HIGH"},
    {"threat_id": "t1", "content": "after", "severity": "HIGH", "source": "another"},
    {"threat_id": "new-2", "content": "x", "severity": "HIGH"},
]
FRESH = [{"threat_id": f"fresh-{i}", "content": "x", "severity": "HIGH"} for i in range(3)]


async def dump(client: Any) -> dict[bytes, Any]:
    """All keys. A hash field by field: one that has just grown moves when it is read."""
    hashes = {key async for key in client.scan_iter(_type="HASH")}
    found = {key: await client.hgetall(key) for key in hashes}
    return found | {
        key: await client.dump(key) async for key in client.scan_iter() if key not in hashes
    }


async def as_list(client: Any, key: bytes) -> None:
    await client.delete(key)
    await client.rpush(key, "not what it was")


async def as_text(client: Any, key: bytes) -> None:
    await client.delete(key)
    await client.set(key, "not what it was")


async def short_record(client: Any, key: bytes) -> None:
    await client.set(key, b"\1short")


async def newer_record(client: Any, key: bytes) -> None:
    await client.setrange(key, 0, bytes((FORMAT + 1,)))


async def other_level(client: Any, key: bytes) -> None:
    await client.setrange(key, 1, b"\7")


async def bad_counter(client: Any, key: bytes) -> None:
    await client.hset(key, "received", "many")


async def newer_meta(client: Any, key: bytes) -> None:
    await client.hset(key, "format", "99")


DAMAGES = [
    ("meta", as_list),
    ("meta", newer_meta),
    ("ledger", as_text),
    ("ledger", bad_counter),
    ("board", as_text),
    ("board", as_list),
    ("sources", as_list),
    ("record", as_list),
    ("record", short_record),
    ("record", newer_record),
    ("record", other_level),
]


@pytest.mark.parametrize("reports", [CHANGED, FRESH], ids=["changed", "fresh"])
@pytest.mark.parametrize(("name", "damage"), DAMAGES, ids=[f"{n}-{d.__name__}" for n, d in DAMAGES])
async def test_a_damaged_key_refuses_the_chunk_whole(
    open_here: OpenHere, name: str, damage: Any, reports: list[dict[str, Any]]
) -> None:
    if name == "record" and reports is FRESH:
        reports = [*FRESH, KNOWN[1] | {"content": "more"}]
    async with open_here(namespace="damage") as p:
        client = p.functions.connections.client
        await client.flushall()
        await p.refresh()
        await p.add_threats_batch(KNOWN)
        (keys,) = p.keyspace.partitions
        await damage(client, keys.record(b"t1") if name == "record" else getattr(keys, name))
        before = await dump(client)
        with pytest.raises(BatchInterrupted) as caught:
            await p.add_threats_batch(reports)
        assert await dump(client) == before
        assert isinstance(caught.value.__cause__, StoreDamaged | StoreUnsuitable)
        assert caught.value.refused == len(reports)
        assert (caught.value.result.committed, caught.value.unknown) == (0, 0)
        await client.flushall()


@pytest.mark.parametrize("damage", [as_text, as_list])
async def test_a_damaged_board_is_told_by_reads(open_here: OpenHere, damage: Any) -> None:
    async with open_here(namespace="damage") as p:
        client = p.functions.connections.client
        await p.add_threats_batch(KNOWN)
        await damage(client, p.keyspace.partitions[0].board)
        for read in (p.get_top_threats(), p.get_stats(), p.get_active_paginated()):
            with pytest.raises(StoreDamaged, match="not of the type"):
                await read
        await client.flushall()


async def test_lost_records_and_places_are_found(open_here: OpenHere) -> None:
    async with open_here(namespace="damage") as p:
        client = p.functions.connections.client
        await client.flushall()
        await p.refresh()
        await p.add_threats_batch(KNOWN)
        (keys,) = p.keyspace.partitions
        await client.delete(keys.record(b"t0"))
        await client.zrem(keys.board, "t1")
        await client.zincrby(keys.board, 1, "t2")
        ledger = await p.get_ledger(deep=True)
        assert ledger.faults == {"NO_RECORD": 1, "NOT_ON_BOARD": 1, "MISPLACED": 1}
        assert not ledger.balanced
        with pytest.raises(StoreDamaged):
            await p.get_top_threats()
        await client.flushall()


async def test_a_body_that_is_no_report_is_told(periscope: Periscope) -> None:
    await periscope.add_threat("t", "x", "LOW")
    (keys,) = periscope.keyspace.partitions
    client = periscope.functions.connections.client
    await client.setrange(keys.record(b"t"), HEADER_BYTES, b"!")
    with pytest.raises(StoreDamaged, match="body of threat 't'"):
        await periscope.get_threat("t")


async def test_a_flushed_store_is_prepared_again(periscope: Periscope) -> None:
    await periscope.functions.connections.client.flushall()
    result = await periscope.add_threats_batch(KNOWN)
    assert result.added == 3
    await periscope.functions.connections.client.flushall()
    assert await periscope.get_top_threats() == []


async def test_unknown_replies_are_bugs() -> None:
    for reply, expected in (([1, b"3z"], 3), ([1, b"3a"], 4), ([1, b""], 1), (b"OK", 1), (7, 1)):
        with pytest.raises(BugError, match="periscope_ingest_3 answered"):
            parse_ingest(reply, expected)


ACTS = [[1, [b"MAYBE"]], [1, [b"DONE", b"DONE"]], [1, [[b"PERHAPS", b"", b"", b""]]], b"OK", [1]]


@pytest.mark.parametrize("reply", ACTS)
async def test_unknown_replies_to_acts_are_bugs(reply: Any) -> None:
    with pytest.raises(BugError, match="periscope_act answered"):
        parse_acts(reply, 1)


@pytest.mark.parametrize(
    ("name", "reply"),
    [
        ("promote", [NOW, [b"MAYBE"]]),
        ("promote", [NOW, []]),
        ("settle", [NOW, [b"DONE", b"DONE"]]),
        ("depart", [NOW, b"x"]),
        ("depart", [NOW, b"dd"]),
    ],
)
async def test_unknown_replies_of_workers_functions_are_bugs(
    periscope: Periscope, monkeypatch: pytest.MonkeyPatch, name: str, reply: Any
) -> None:
    async def answer(*_: Any, **__: Any) -> Any:
        return reply

    functions, (keys,) = periscope.functions, periscope.keyspace.partitions
    batch: list[Any] = ["batch", [(b"t", 1)]] if name == "depart" else [b"batch", [b"t"]]
    with monkeypatch.context() as patched:
        patched.setattr(functions, "call", answer)
        with pytest.raises(BugError):
            await getattr(Calls(functions), name)(keys, functions.rules, *batch)
