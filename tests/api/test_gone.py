"""Clients that go away, or do not take what they asked for: nothing of theirs stays behind."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from periscope.api.app import create_app
from periscope.api.streaming import Unread
from tests.api.conftest import Served

Serve = Callable[..., Awaitable[Served]]
LINE = b'{"threat_id":"a","content":"c","severity":"LOW"}\n'


async def ask(served: Served, path: str, send: Callable[[Any], Awaitable[None]]) -> None:
    """Ask the application itself, as a server would whose client takes the answer by `send`."""

    async def receive() -> Any:
        await asyncio.Event().wait()

    scope: Any = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": "GET",
        "scheme": "http",
        "path": path,
        "raw_path": path.encode(),
        "root_path": "",
        "query_string": b"",
        "headers": [(b"host", b"x"), (b"authorization", b"Bearer " + served.secret.encode())],
    }
    await create_app(served.service.tenants)(scope, receive, send)


async def test_a_stream_that_never_began_listens_no_longer(served: Served) -> None:
    async def gone(message: Any) -> None:
        raise ConnectionError("the client is gone")

    before = served.tenant.hub.subscribers
    with pytest.raises(ConnectionError):
        await ask(served, "/v1/events", gone)
    assert served.tenant.hub.subscribers == before
    assert served.service.tenants.streams == 0


async def test_whoever_takes_no_answer_is_cut_off_and_is_no_fault(
    serve: Serve, caplog: pytest.LogCaptureFixture
) -> None:
    served = await serve(serve_body_timeout_s=0.1)

    async def stuck(message: Any) -> None:
        if message["type"] == "http.response.body":
            await asyncio.Event().wait()

    with caplog.at_level(logging.INFO), pytest.raises(Unread):
        await ask(served, "/v1/export", stuck)
    assert "took no part of its answer for 0.1 s" in caplog.text
    assert not [one for one in caplog.records if one.levelno >= logging.WARNING]


@pytest.mark.parametrize("path", ["/v1/reports", "/v1/reports?format=ndjson"])
async def test_a_body_that_stops_coming_is_not_taken_for_whole(serve: Serve, path: str) -> None:
    served = await serve(serve_body_timeout_s=0.3)
    reader, writer = await asyncio.open_connection("127.0.0.1", served.service.port)
    head = (
        f"POST {path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {served.secret}\r\n"
        "Content-Type: application/x-ndjson\r\nContent-Length: 5000000\r\n\r\n"
    )
    writer.write(head.encode() + LINE)
    try:
        told = (await reader.readuntil(b"\r\n\r\n")).partition(b"\r\n")[0]
        assert told == b"HTTP/1.1 408 Request Timeout"
        problem = json.loads(await reader.readuntil(b"}"))
        assert problem["type"] == "urn:periscope:problem:body-timeout"
        assert "of what came before, 1 were stored" in problem["detail"]
    finally:
        writer.close()
        await writer.wait_closed()
