"""JSON bodies are taken exactly as their shapes say."""

from __future__ import annotations

import asyncio
import gzip

import pytest

from tests.api.conftest import Served
from tests.api.support import put, refused

COMMENT = b'{"text":"a word","analyst_id":"ann"}'
CUT_SHORT = gzip.compress(COMMENT, mtime=0)[:-9]


@pytest.mark.parametrize(
    ("body", "headers", "status", "kind", "field"),
    [
        (b"", {}, 400, "body-missing", None),
        (b"{", {}, 400, "body-unreadable", None),
        (b"\xff", {}, 400, "body-unreadable", None),
        (b"null", {}, 422, "body-unfit", None),
        (b"[]", {}, 422, "body-unfit", None),
        (b"[" * 100_000, {}, 422, "body-unfit", None),
        (b'{"text":' + b"[" * 100_000, {}, 422, "body-unfit", "text"),
        (b'{"text":NaN}', {}, 400, "body-unreadable", None),
        (b'{"text":"\\ud800","analyst_id":"a"}', {}, 400, "body-unreadable", None),
        (COMMENT, {"content-type": "text/plain"}, 415, "media-type-unknown", "Content-Type"),
        (COMMENT, {"content-encoding": "br"}, 415, "encoding-unknown", "Content-Encoding"),
        (CUT_SHORT, {"content-encoding": "gzip"}, 400, "body-unreadable", None),
    ],
)
async def test_what_is_no_body(
    served: Served, body: bytes, headers: dict[str, str], status: int, kind: str, field: str | None
) -> None:
    await put(served, "t")
    given = {"content-type": "application/json", **headers}
    answer = await served.admin.post("/v1/threats/t/comment", content=body, headers=given)
    refused(answer, status, kind, field)


async def test_a_body_that_is_long_when_unpacked_is_refused(served: Served) -> None:
    await put(served, "t")
    body = gzip.compress(b'{"text":"%s"}' % (b"x" * (33 << 20)))
    headers = {"content-type": "application/json", "content-encoding": "gzip"}
    answer = await served.admin.post("/v1/threats/t/comment", content=body, headers=headers)
    refused(answer, 400, "body-unreadable")


async def test_packed_bodies_and_bodies_left_out(served: Served) -> None:
    await put(served, "t")
    headers = {"content-type": "application/json; charset=utf-8", "content-encoding": "gzip"}
    packed = gzip.compress(COMMENT, mtime=0)
    answer = await served.admin.post("/v1/threats/t/comment", content=packed, headers=headers)
    assert answer.is_success, answer.text
    client = await served.key("act", analyst="ann")
    assert (await client.post("/v1/threats/t/reopen")).is_success
    assert (await client.post("/v1/threats/t/reopen", json={})).is_success


@pytest.mark.parametrize(
    ("key", "status"), [("", 401), ("Authorization: Bearer {secret}\r\n", 413)]
)
async def test_whoever_is_refused_in_the_midst_of_sending_gets_the_answer(
    served: Served, key: str, status: int
) -> None:
    """The connection was closed on what was still coming: a reset, which destroys the answer."""
    reader, writer = await asyncio.open_connection("127.0.0.1", served.service.port)
    head = "POST /v1/threats/t/comment HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
    length = "Content-Length: 99000000\r\n\r\n"
    writer.write((head + key.format(secret=served.secret) + length).encode())
    first = await asyncio.wait_for(reader.readline(), 5)
    for _ in range(20):
        writer.write(b"x" * 50_000)
        await writer.drain()
    writer.write_eof()
    rest = await asyncio.wait_for(reader.read(), 5)
    assert first.startswith(b"HTTP/1.1 %d " % status)
    assert b"connection: close" in rest.lower()
    writer.close()
    await writer.wait_closed()
