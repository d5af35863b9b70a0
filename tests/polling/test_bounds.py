"""What is fetched costs the memory of a piece, however large it is; measured from outside."""

from __future__ import annotations

import asyncio
import gzip
import json
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web as http

from tests.polling.misp_feed import uuid_of
from tests.polling.taxii_server import indicator
from tests.polling.web import Handler, Web
from tests.support.history import say
from tests.support.patience import BUSY_S

pytestmark = pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="needs /proc")
MIB = 1024 * 1024
BODY = 160 * MIB


@pytest.fixture
async def web() -> AsyncIterator[Web]:
    async with Web() as started:
        yield started


async def cost(
    kind: str, web: Web, path: str, small: str, max_bytes: int = 1024 * MIB
) -> dict[str, Any]:
    child = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.polling.child", kind),
        *(web.url(path), str(max_bytes), web.url(small)),
        stdout=asyncio.subprocess.PIPE,
    )
    async with asyncio.timeout(90):
        out, _ = await child.communicate()
    told: dict[str, Any] = json.loads(out)
    say(f"fetching {kind} {path}: {told}")
    return told


def streamed(pieces: int, piece: bytes, head: bytes = b"", tail: bytes = b"") -> Handler:
    async def answer(request: http.Request) -> http.StreamResponse:
        response = http.StreamResponse()
        await response.prepare(request)
        await response.write(head)
        for _ in range(pieces):
            await response.write(piece)
        await response.write(tail)
        await response.write_eof()
        return response

    return answer


async def test_a_large_document_costs_a_piece(web: Web) -> None:
    web.on("/large", streamed(BODY // MIB, b"x" * MIB))
    web.says("/small", "x")
    told = await cost("http", web, "/large", "/small")
    assert (told["bytes"], told["error"]) == (BODY, None)
    assert told["grown_mib"] <= 16


async def test_a_large_page_costs_a_record(web: Web) -> None:
    objects = ", ".join(json.dumps(indicator(number)) for number in range(3_000)).encode()
    ends = (b'{"objects": [', b"{}]}")
    web.on("/api/collections/a/objects/", streamed(40, objects + b", ", *ends))
    web.says("/api/collections/b/objects/", "{}")
    told = await cost("taxii", web, "/api/collections/a/", "/api/collections/b/")
    assert told["error"] is None
    assert told["bytes"] > 30 * MIB
    assert told["grown_mib"] <= 24


@pytest.mark.parametrize(
    ("kind", "path"), [("taxii", "/taxii2/"), ("misp", "/manifest.json"), ("http", "/feed")]
)
async def test_a_bomb_costs_little(web: Web, kind: str, path: str) -> None:
    """Small as it travels, endless when unpacked: refused where it would be unpacked."""
    bomb = gzip.compress(bytes(400 * MIB))
    web.says(path, bomb, Content_Encoding="gzip")
    web.says("/small/", "{}")
    web.says("/small/manifest.json", "{}")
    told = await cost(kind, web, path, "/small/")
    assert told["grown_mib"] <= 32
    assert told["took_s"] < 1 + BUSY_S
    if kind == "http":
        assert told["bytes"] == len(bomb)
    else:
        assert told["error"]
        assert told["documents"] == 0


async def test_a_manifest_of_100_000_events_is_bounded(web: Web) -> None:
    tags = [{"name": f"tag {number}", "colour": "#ffffff"} for number in range(8)]
    entries = {
        uuid_of(number): {"timestamp": str(number), "Tag": tags} for number in range(100_000)
    }
    web.says("/manifest.json", json.dumps(entries))
    web.says(f"/{uuid_of(0)}.json", status=401)
    web.says("/small/manifest.json", "{}")
    told = await cost("misp", web, "/manifest.json", "/small/")
    assert "401" in told["error"]
    assert told["grown_mib"] <= 160
