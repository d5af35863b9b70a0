"""Programs of version 0.1 work on a store that this version uses: the same calls, right answers."""

from __future__ import annotations

from typing import Any

import pytest
from redis.exceptions import ResponseError

from periscope import Level, Periscope
from periscope.header import FORMAT, pack_report
from periscope.keys import PartitionKeys

NOW = 1_790_000_000_000
OLD_POLICY = (
    "1 0.3 0.2 0.3 0.2 0.1 0.4 0.7 1.0 1800000.0"  # revision, weights, severities, constant
)


class OldProgram:
    """The calls of 0.1, in its layout: keys by name, none of those that came later."""

    def __init__(self, p: Periscope) -> None:
        self.client = p.functions.connections.client
        self.keys: PartitionKeys = p.keyspace.partitions[0]

    async def ingest(self, chunk: bytes, *reports: tuple[bytes, int, bytes], now: int = NOW) -> Any:
        k = self.keys
        names = [k.meta, k.ledger, k.board, k.sources, k.reply(chunk), k.reply(chunk)]
        names += [k.record(threat_id) for threat_id, _, _ in reports]
        packed = [
            pack_report(severity, 0, said[:8].ljust(8), bytes(6))
            + b'{"content":"%s","severity":"HIGH"}' % said
            for _, severity, said in reports
        ]
        args = ("1", now, 0, *packed)
        return await self.client.fcall("periscope_ingest", len(names), *names, *args)

    async def rank(self, now: int = NOW) -> Any:
        names = [self.keys.meta, self.keys.board]
        args = (OLD_POLICY, now, 0, -1, "", "", 10, 10, "", "")
        return await self.client.fcall_ro("periscope_rank", 2, *names, *args)

    async def stats(self) -> Any:
        k = self.keys
        names = [k.meta, k.board, k.short, k.long, k.ledger]
        return await self.client.fcall_ro("periscope_stats", 5, *names, NOW)

    async def verify(self, *ids: bytes) -> Any:
        names = [self.keys.meta, self.keys.board, *map(self.keys.record, ids)]
        return await self.client.fcall_ro("periscope_verify", len(names), *names)


@pytest.fixture
async def old(periscope: Periscope) -> OldProgram:
    periscope.functions.now_ms = NOW
    return OldProgram(periscope)


async def test_what_an_old_program_stores_the_new_one_works_with(
    periscope: Periscope, old: OldProgram
) -> None:
    assert await old.ingest(b"1", (b"t", 2, b"one"), (b"u", 1, b"one")) == [NOW, b"2a"]
    for analyst in ("ann", "bob"):
        threat = await periscope.record_interaction("t", analyst, "escalate")
    assert (threat.escalations, threat.analysts) == (2, 2)
    assert await old.ingest(b"2", (b"t", 2, b"one"), (b"u", 1, b"two")) == [NOW, b"1d1s"]


async def test_a_chunk_of_an_old_program_counts_once(old: OldProgram) -> None:
    assert await old.ingest(b"1", (b"t", 2, b"one")) == [NOW, b"1a"]
    assert await old.ingest(b"1", (b"t", 2, b"one"), now=NOW + 5) == [NOW, b"1a"]


async def test_a_report_of_an_old_program_recalls_knowledge(
    periscope: Periscope, old: OldProgram
) -> None:
    await old.ingest(b"1", (b"t", 3, b"one"))
    await periscope.decide("t", "ann", "true_positive_impact")
    assert (await old.stats())[3:5] == [1, 0]
    assert await old.ingest(b"2", (b"t", 3, b"two")) == [NOW, b"1s"]
    threat = await periscope.get_threat("t")
    assert threat is not None
    assert (threat.level, threat.home) == (Level.WORKING, Level.SHORT_TERM)


async def test_an_old_program_ranks_only_what_is_open_in_level_1(
    periscope: Periscope, old: OldProgram
) -> None:
    await old.ingest(b"1", *[(i, 3, b"one") for i in (b"a", b"b", b"c", b"d")])
    await periscope.decide("a", "ann", "true_positive_impact")
    await periscope.record_interaction("b", "ann", "dismiss")
    await periscope.record_interaction("c", "ann", "escalate")
    now, total, flat, records = await old.rank()
    top = await periscope.get_top_threats()
    assert (now, total, len(records)) == (NOW, 2, 2)
    assert [i.decode() for i in flat[::3]] == [t.threat_id for t in top] == ["c", "d"]
    assert [float(score) for score in flat[2::3]] == [t.score for t in top]


async def test_an_old_program_counts_and_verifies(periscope: Periscope, old: OldProgram) -> None:
    await old.ingest(b"1", *[(i, 3, b"one") for i in (b"a", b"b")])
    await periscope.decide("a", "ann", "true_positive_impact")
    _, counts, unseen, short, long, ledger = await old.stats()
    assert (sum(counts), sum(unseen), short, long) == (1, 1, 1, 0)
    assert [int(count) for count in ledger] == [2, 2, 0, 0, 0, 0, 0, 0, 0]
    assert await old.verify(b"a", b"b", b"none") == [b"OK", b"OK", b"GONE"]


async def test_an_old_program_prepares_without_a_policy(
    periscope: Periscope, old: OldProgram
) -> None:
    """It brings none, and takes none away; a partition that it made waits for a new program."""
    meta = old.keys.meta
    assert await old.client.fcall("periscope_prepare", 1, meta, FORMAT, 1) == 1
    assert await old.client.hexists(meta, "policy")
    await old.client.delete(meta)
    assert await old.client.fcall("periscope_prepare", 1, meta, FORMAT, 1) == 1
    with pytest.raises(ResponseError, match="UNPREPARED"):
        await old.ingest(b"1", (b"t", 2, b"one"))
    await periscope.refresh()
    assert await periscope.add_threat("t", "one", "HIGH") == "added"
    assert await old.ingest(b"1", (b"u", 2, b"one")) == [NOW, b"1a"]


async def test_an_old_program_is_told_that_what_was_removed_is_a_duplicate(
    periscope: Periscope, old: OldProgram
) -> None:
    await old.client.hset(old.keys.removed, "t", "since")
    assert await old.ingest(b"1", (b"t", 2, b"one"), (b"u", 2, b"one")) == [NOW, b"1d1a"]
    ledger = await periscope.get_ledger()
    assert (ledger.suppressed, ledger.duplicates, ledger.added) == (1, 0, 1)
    assert await old.ingest(b"1", (b"t", 2, b"one"), (b"u", 2, b"one")) == [NOW, b"1d1a"]
