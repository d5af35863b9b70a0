"""Raw calls with marks: those that are not packed as they must be write nothing."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from redis.exceptions import ResponseError

from periscope import Mark, Periscope
from periscope.marks import MarkedReport, Packed, in_parts, pack_marks
from tests.support.marking import add_marked

GROUND = [0, 0, 0]
SAID = "\x08\0list:one\0\0\0\0"
REPORT = bytes(21) + b"{}"
WRONG: list[Any] = [
    *(b"\xff", b"\xc1 nonsense", 7, None, [], {}, [[], [], []], [[GROUND], [1]]),
    *([[GROUND], [1, 1], [SAID, SAID]], [[GROUND], [1], []], [[], [1], [SAID]]),
    *([[GROUND], [2], [SAID]], [[GROUND], [-1], [SAID]], [[GROUND], ["1"], [SAID]]),
    *([[[0, 0]], [1], [SAID]], [[[0, 0, "x"]], [1], [SAID]], [[[0, 0, -1]], [1], [SAID]]),
    *([[[0, 0.5, 0]], [1], [SAID]], [[[2**48, 0, 0]], [1], [SAID]], [[7], [1], [SAID]]),
    *([[GROUND], [1], [""]], [[GROUND], [1], [7]], [[GROUND], [1], [SAID + "x"]]),
    *([[GROUND], [1], [SAID[:-1]]], [[GROUND], [1], ["\0\0\0\0\0\0"]]),
    [[GROUND], [1], ["\x01\x02" + "x" * 257 + "\0\0\0\0"]],
    [[GROUND], [1], [SAID[:-2] + "\x79\0" + "x" * 121]],
]


async def ingest(p: Periscope, marks: bytes) -> Any:
    (keys,) = p.keyspace.partitions
    command = p.functions.ingest_command(keys, b"c", b"c", 0, [(b"t", REPORT)], marks)
    return await p.functions.connections.client.execute_command(*command)


@pytest.mark.parametrize("marks", WRONG, ids=repr)
async def test_marks_that_do_not_fit_write_nothing(periscope: Periscope, marks: Any) -> None:
    packed = marks if isinstance(marks, bytes) else msgspec.msgpack.encode(marks)
    with pytest.raises(ResponseError, match="BAD_CALL"):
        await ingest(periscope, packed)
    ledger = await periscope.get_ledger(deep=True)
    assert (ledger.received, ledger.records) == (0, 0)
    client, (keys,) = periscope.functions.connections.client, periscope.keyspace.partitions
    assert not await client.exists(*keys.noise, keys.reply(b"c"))


async def test_marks_that_fit_are_taken_once(periscope: Periscope) -> None:
    packed = msgspec.msgpack.encode([[GROUND], [1], [SAID]])
    first = await ingest(periscope, packed)
    assert first[1] == b"1x"
    assert await ingest(periscope, packed) == await ingest(periscope, b"") == first
    entry = await periscope.get_suppressed_entry("t")
    assert entry is not None
    assert (entry.count, entry.cause) == (1, "list:one")
    assert (await periscope.get_ledger()).received == 1


def marked(count: int) -> list[Packed]:
    found: list[Packed] = []
    for number in range(count):
        one = MarkedReport((b"m%d" % number, REPORT))
        one.ground, one.said = (0, 0, 0), SAID
        found.append(one)
    return found


@pytest.mark.parametrize(
    ("noise", "others", "parts"),
    [(0, 0, 1), (0, 500, 1), (1, 499, 1), (250, 250, 1), (251, 249, 2), (500, 0, 2), (5, 0, 1)],
)
def test_a_chunk_has_fewer_reports_where_many_are_marked(
    noise: int, others: int, parts: int
) -> None:
    reports = [*marked(noise), *[(b"t%d" % number, REPORT) for number in range(others)]]
    found = in_parts(reports, 250)
    assert len(found) == parts
    assert [one for part in found for one in part] == reports
    assert bool(pack_marks(found[0])) is (noise > 0)


async def test_a_long_batch_of_both_is_counted_to_the_last(periscope: Periscope) -> None:
    """Chunks that are cut in two are stored in order: the last word of each threat counts."""
    reports = [
        {"threat_id": f"t{number % 1700}", "content": f"{number}", "severity": "LOW"}
        for number in range(5100)
    ]
    marks = [None if number % 1700 % 3 else Mark("list:one") for number in range(5100)]
    result = await add_marked(periscope, [*reports, {}], [*marks, None])
    noise = sum(mark is not None for mark in marks)
    assert (result.suppressed, result.rejected_count) == (noise, 1)
    assert (result.added, result.sightings) == ((5100 - noise) // 3, (5100 - noise) // 3 * 2)
    async for threat in periscope.get_all_active():
        assert int(threat.content) == 3400 + int(threat.threat_id[1:])
