"""One request never keeps the others waiting, whatever it sends; and none leaves anything behind.

What is measured is the CPU time that the event loop's thread uses between two ticks: how long the
loop was held up, whatever else this machine does.
"""

from __future__ import annotations

import asyncio
import gc
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from weakref import ref

import httpx
import pytest

from periscope import Periscope
from periscope.api import Service
from tests.api.conftest import Served
from tests.support.patience import PATIENCE

MOST_S = 0.1 * PATIENCE
TICK_S = 0.002
MIB = 1 << 20
JSON = {"content-type": "application/json"}
NDJSON = {"content-type": "application/x-ndjson"}


@asynccontextmanager
async def unhindered() -> AsyncIterator[None]:
    """Fails if the loop was held up for longer than is promised while the body ran."""
    longest = 0.0

    async def tick() -> None:
        nonlocal longest
        while True:
            before = time.thread_time()
            await asyncio.sleep(TICK_S)
            longest = max(longest, time.thread_time() - before)

    task = asyncio.create_task(tick())
    try:
        yield
    finally:
        await asyncio.sleep(2 * TICK_S)
        task.cancel()
    assert 0 < longest < MOST_S, longest


def report(number: int) -> bytes:
    return b'{"threat_id":"t%d","content":"%064d","severity":"LOW"}' % (number, number)


def reports(count: int) -> list[bytes]:
    return [report(number) for number in range(count)]


@pytest.mark.parametrize(
    ("path", "headers", "body"),
    [
        ("/v1/reports", JSON, b"[" + b"1," * (15 * MIB) + b"1]"),
        ("/v1/reports", NDJSON, b"1\n" * (2 * MIB - 1)),
        ("/v1/interactions/batch", JSON, b"[" + b"1," * (15 * MIB) + b"1]"),
        ("/v1/interactions/batch", NDJSON, b"\n" * (30 * MIB)),
        ("/v1/seen", JSON, b'{"ids":[' + b'"a",' * (7 * MIB) + b'"a"]}'),
    ],
    ids=["array", "lines", "acts", "empty-lines", "ids"],
)
async def test_millions_of_values_are_refused_at_once(
    served: Served, path: str, headers: dict[str, str], body: bytes
) -> None:
    async with unhindered():
        answer = await served.admin.post(path, content=body, headers=headers)
    assert answer.status_code == 413
    assert answer.json()["type"].endswith(":body-too-large")


FAT = b'{"threat_id":"f","content":"c","severity":"LOW","metadata":{"a":[%s1]}}' % (
    b"{}," * 700_000
)


@pytest.mark.parametrize(("headers", "body"), [(NDJSON, FAT), (NDJSON, FAT * 2), (JSON, FAT)])
async def test_a_report_of_a_million_values_is_rejected_at_once(
    served: Served, headers: dict[str, str], body: bytes
) -> None:
    body = body.replace(b"}{", b"}\n{") if headers is NDJSON else b"[%s]" % body
    async with unhindered():
        answer = await served.admin.post("/v1/reports", content=body, headers=headers)
    told: Any = answer.json()
    assert told["rejected"] == told["received"] == body.count(b"threat_id")
    assert told["rejections"][0]["reason"] == "metadata: more than 65,536 bytes as JSON"


async def test_brackets_without_end_are_refused_at_once(served: Served) -> None:
    async with unhindered():
        answer = await served.admin.post("/v1/reports", content=b"[" * (15 * MIB), headers=JSON)
    assert answer.status_code == 400


@pytest.mark.parametrize(
    "bad",
    [
        b"{}",
        b'{"threat_id":"x","content":"","severity":"LOW","n":1e999}',
        b'{"threat_id":"x","content":"\\ud83d","severity":"LOW"}',
    ],
    ids=["empty", "number", "half a character"],
)
async def test_a_long_array_with_a_bad_report(served: Served, bad: bytes) -> None:
    body = b"[" + b",".join([*reports(100_000), bad]) + b"]"
    async with unhindered():
        answer = await served.admin.post("/v1/reports", content=body, headers=JSON)
    told: Any = answer.json()
    assert (told["received"], told["added"], told["rejected"]) == (100_001, 100_000, 1)
    assert told["rejections"][0]["index"] == 100_000


async def test_an_array_that_breaks_off_stores_nothing(served: Served) -> None:
    body = b"[" + b",".join(reports(5000))
    answer = await served.admin.post("/v1/reports", content=body, headers=JSON)
    assert answer.status_code == 400
    assert (await served.tenant.periscope.get_ledger()).received == 0


async def test_long_answers_are_made_piece_by_piece(served: Served) -> None:
    await served.tenant.periscope.add_threats_batch(map(json.loads, reports(20_000)))
    ids = [f"t{number}" for number in range(100_000)]
    async with unhindered():
        seen = await served.admin.post("/v1/seen", json={"ids": ids})
        exported = await served.admin.get("/v1/export?format=csv")
    assert len(seen.json()["known"]) == 20_000
    assert exported.text.count("\n") == 20_001


async def test_a_service_that_ended_leaves_nothing_behind(served: Served) -> None:
    """What it was asked may be remembered of its handlers, but they hold it, whole."""

    async def used_and_ended() -> ref[Periscope]:
        service = await Service(served.service.settings).start()
        headers = {"Authorization": f"Bearer {served.secret}"}
        async with httpx.AsyncClient(base_url=service.url, headers=headers) as client:
            assert (await client.get("/v1/threats?limit=1")).status_code == 200
        await service.close()
        return ref(service.tenants.all[0].periscope)

    first, second, _ = [await used_and_ended() for _ in range(3)]  # a frame may hold the last
    gc.collect()
    assert (first(), second()) == (None, None)
