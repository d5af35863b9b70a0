"""Edges that random tests meet too seldom: shared vectors, bounds of replies, raw calls."""

from __future__ import annotations

from datetime import timedelta
from itertools import product
from typing import Any

import pytest
from redis.exceptions import ResponseError

from periscope import Periscope, Policy
from periscope.acts import pack_act
from periscope.functions import Functions, RankQuery
from periscope.header import HEADER_BYTES, pack_header, unpack_header
from periscope.models import SEVERITIES
from periscope.scoring import score
from tests.support.boards import Placed, lay_out

NOW = 1_790_000_000_000
AGES = (0, 1, 999, 1_800_000, 5_400_001, 86_400_000, NOW)


async def test_scores_agree_bit_for_bit_in_every_bucket(periscope: Periscope) -> None:
    """The shared vectors: 176 buckets, ages from nothing to decades."""
    board = [
        Placed(f"{s}-{e}-{i}-{age}", s, NOW - age, i, e)
        for (s, e, i), age in product(product(range(4), range(4), range(11)), AGES)
    ]
    await lay_out(periscope, board)
    rules, (keys,) = periscope.functions.rules, periscope.keyspace.partitions
    ranked = await periscope.functions.rank(
        keys, rules, RankQuery(), len(board), records=0, as_of_ms=NOW
    )
    told = {threat_id.decode(): value for threat_id, _, value in ranked.places}
    for t in board:
        expected = score(
            Policy(), SEVERITIES[t.severity], t.interactions, t.escalations, NOW - t.last_activity
        )
        assert told[t.threat_id] == expected == t.score(NOW), t


async def test_exactly_a_page_has_no_next(periscope: Periscope) -> None:
    await lay_out(periscope, [Placed(f"t{i}", 1, NOW) for i in range(10)])
    assert (await periscope.get_active_paginated(count=10)).next_cursor is None
    assert (await periscope.get_active_paginated(count=9)).next_cursor is not None


async def test_a_total_ends_where_the_next_severity_begins(periscope: Periscope) -> None:
    await lay_out(periscope, [Placed("medium", 1, 0), Placed("low", 0, NOW)])
    assert (await periscope.get_by_severity("LOW")).total == 1


async def test_replies_are_cut_at_a_mebibyte(periscope: Periscope) -> None:
    content = "x" * 60_000
    ids = [f"t{i}" for i in range(60)]
    await periscope.add_threats_batch(
        {"threat_id": i, "content": content, "severity": "LOW"} for i in ids
    )
    functions, (keys,) = periscope.functions, periscope.keyspace.partitions
    _, records = await functions.threats(keys, functions.rules, [i.encode() for i in ids])
    ranked = await functions.rank(keys, functions.rules, RankQuery(), 60, records=60)
    for found in (records, ranked.records):
        assert 1_000_000 < sum(map(len, found)) < 1_200_000


async def test_a_reply_is_remembered_for_ten_minutes(periscope: Periscope) -> None:
    await periscope.add_threat("t", "x", "LOW")
    (keys,) = periscope.keyspace.partitions
    client = periscope.functions.connections.client
    (reply,) = [key async for key in client.scan_iter(match=b"*:reply:*")]
    assert 590_000 < await client.pttl(reply) <= 600_000
    assert reply.startswith(keys.reply(b""))


async def ingest(functions: Functions, keys: Any, *args: Any, records: int = 1) -> Any:
    names = (keys.meta, keys.ledger, keys.board, keys.sources, keys.reply(b"c"), keys.reply(b"c"))
    ids = [keys.record(b"t%d" % i) for i in range(records)]
    client = functions.connections.client
    return await client.fcall("periscope_ingest", 6 + records, *names, *ids, *args)


GOOD_REPORT = bytes(21) + b"{}"
RAW = [
    ("1", "", "0", b"short"),
    ("1", "", "0", b"\x09" + GOOD_REPORT),
    ("1", "", "many", GOOD_REPORT),
    ("1", "", "", GOOD_REPORT),
    ("1", "", "-7", GOOD_REPORT),
    ("1", "", "1.5", GOOD_REPORT),
    ("x", "", "0", GOOD_REPORT),
    ("1", "", "0"),
    ("1", "", "0", GOOD_REPORT, GOOD_REPORT),
]


@pytest.mark.parametrize("args", RAW)
async def test_raw_calls_that_do_not_fit_write_nothing(periscope: Periscope, args: Any) -> None:
    (keys,) = periscope.keyspace.partitions
    with pytest.raises(ResponseError, match="BAD_CALL"):
        await ingest(periscope.functions, keys, *args)
    ledger = await periscope.get_ledger(deep=True)
    assert (ledger.received, ledger.records) == (0, 0)


async def test_an_older_policy_is_refused_and_a_newer_one_brings_the_partition_forward(
    periscope: Periscope,
) -> None:
    (keys,) = periscope.keyspace.partitions
    client = periscope.functions.connections.client
    await ingest(periscope.functions, keys, "7", "", "0", GOOD_REPORT)
    assert await client.hget(keys.meta, "policy_revision") == b"7"
    await client.delete(keys.reply(b"c"))
    with pytest.raises(ResponseError, match="STALE_POLICY"):
        await ingest(periscope.functions, keys, "6", "", "0", GOOD_REPORT)
    with pytest.raises(ResponseError, match="STALE_POLICY"):
        await client.fcall_ro("periscope_threats", 1, keys.meta, "6", "")
    await client.hset(keys.meta, "policy_revision", "1")
    await client.delete(keys.record(b"t0"))
    await client.zrem(keys.board, "t0")
    await client.delete(keys.ledger)


@pytest.mark.parametrize("count", ["1.5", "0x10", " 5", "-5", "1e3", "9007199254740992"])
async def test_a_counter_that_is_no_count_is_refused(periscope: Periscope, count: str) -> None:
    (keys,) = periscope.keyspace.partitions
    client = periscope.functions.connections.client
    await client.hset(keys.ledger, "received", count)
    with pytest.raises(ResponseError, match="DAMAGED"):
        await ingest(periscope.functions, keys, "1", "", "0", GOOD_REPORT)
    await client.delete(keys.ledger)


async def test_a_dismissed_threat_stays_so_when_seen_again(periscope: Periscope) -> None:
    report = {"threat_id": "t", "content": "x", "severity": "MEDIUM"}
    await periscope.add_threats_batch([report])
    (keys,) = periscope.keyspace.partitions
    client = periscope.functions.connections.client
    record: Any = await client.get(keys.record(b"t"))
    header = unpack_header(record)
    dismissed = header._replace(status=1, status_severity=1)
    await client.setrange(keys.record(b"t"), 0, pack_header(dismissed))
    await client.zincrby(keys.board, 176 * 2**42, "t")
    await periscope.add_threats_batch([report | {"content": "again"}])
    assert await periscope.get_top_threats() == []
    await periscope.add_threats_batch([report | {"severity": "HIGH"}])
    assert [t.threat_id for t in await periscope.get_top_threats()] == ["t"]
    record = await client.get(keys.record(b"t"))
    assert len(record) > HEADER_BYTES


async def raw_act(p: Periscope, verb: str, *args: Any) -> Any:
    """One act as it travels, whatever it says."""
    (keys,) = p.keyspace.partitions
    reply = keys.reply(b"c")
    names = (*keys.singles, reply, reply, keys.record(b"t"), keys.analysts(b"t"))
    head = (p.functions.rules.packed, NOW, "0", "0")
    payload = pack_act(verb, "t", "ann", "r", args).payload
    client = p.functions.connections.client
    return await client.fcall("periscope_act", len(names), *names, *head, payload)


@pytest.mark.parametrize(
    "args", [("soon", ""), (None, ""), ([], ""), (0, "", "long"), (0, "", {})], ids=repr
)
async def test_an_end_that_is_no_number_writes_nothing(periscope: Periscope, args: Any) -> None:
    periscope.functions.now_ms = NOW
    await periscope.add_threat("t", "x", "LOW")
    with pytest.raises(ResponseError, match="BAD_CALL"):
        await raw_act(periscope, "snooze", *args)
    assert (await periscope.get_by_status("snoozed")).total == 0


@pytest.mark.parametrize(
    ("args", "word"),
    [
        ((NOW, ""), b"PAST"),
        ((NOW + 0.9, ""), b"PAST"),
        ((-1, ""), b"PAST"),
        ((float("nan"), ""), b"PAST"),
        ((0, "", 0), b"PAST"),
        ((float("inf"), ""), b"TOO_FAR"),
        ((2**42, ""), b"TOO_FAR"),
        ((0, "", 2**62), b"TOO_FAR"),
        ((NOW + 1.9, ""), b"DONE"),
        ((0, ""), b"DONE"),
    ],
    ids=repr,
)
async def test_ends_at_the_edges(periscope: Periscope, args: Any, word: bytes) -> None:
    periscope.functions.now_ms = NOW
    await periscope.add_threat("t", "x", "LOW")
    assert await raw_act(periscope, "snooze", *args) == [NOW, [word]]
    snoozed = (await periscope.get_by_status("snoozed")).items
    assert [threat.snoozed_until_ms for threat in snoozed] == (
        [] if word != b"DONE" else [NOW + 1 if args[0] else None]
    )


async def test_a_clock_at_its_end_lists_no_other_key(periscope: Periscope) -> None:
    """Moments beyond the 42 bits of a place must not reach into what stands behind."""
    periscope.functions.now_ms = NOW
    await periscope.add_threat("t", "x", "LOW")
    await periscope.snooze("t", "ann", timedelta(days=3653))
    periscope.functions.now_ms = 2**47
    assert (await periscope.wake_snoozed_threats()).woken_ids == ["t"]
    periscope.functions.now_ms = NOW
