"""A light HTTP client for load: bytes made beforehand, one request at a time on a connection.

What a client library spends on a request would be measured with the service otherwise.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Any

from periscope.errors import BugError

HOST = "127.0.0.1"
_END = b"\r\n\r\n"
_LENGTH = b"content-length: "


class Line(asyncio.Protocol):
    """One connection to a service on this machine, kept alive."""

    def __init__(self) -> None:
        self._held = bytearray()
        self._waiter: asyncio.Future[bytes] | None = None
        self._transport: Any = None

    @classmethod
    async def open(cls, port: int) -> Line:
        """Connect."""
        _, line = await asyncio.get_running_loop().create_connection(cls, HOST, port)
        return line

    async def ask(self, request: bytes) -> bytes:
        """Send a request as it is; return the body of its answer.

        Raises:
            BugError: the answer is not 200, or none came.
        """
        self._waiter = asyncio.get_running_loop().create_future()
        self._transport.write(request)
        return await self._waiter

    def close(self) -> None:
        """Close it."""
        self._transport.close()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep it."""
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        """Take a part of an answer; a whole one goes to whoever waits."""
        held = self._held
        held += data
        head = held.find(_END)
        if head < 0:
            return
        at = held.find(_LENGTH, 0, head) + len(_LENGTH)
        end = head + len(_END) + int(held[at : held.index(b"\r", at)])
        if len(held) < end:
            return
        body, is_good = bytes(held[head + len(_END) : end]), held.startswith(b"HTTP/1.1 200")
        held.clear()
        if is_good:
            self._tell(body, None)
        else:
            self._tell(b"", BugError(f"the service refused: {body[:300]!r}"))

    def connection_lost(self, exc: Exception | None) -> None:
        """Whoever waits gets nothing any more."""
        self._tell(b"", BugError("the service closed the connection"))

    def _tell(self, body: bytes, failure: BugError | None) -> None:
        if self._waiter is None or self._waiter.done():
            return
        if failure is None:
            self._waiter.set_result(body)
        else:
            self._waiter.set_exception(failure)


class Listener(asyncio.Protocol):
    """One event stream: each part of it is kept with the moment of its arrival."""

    def __init__(self, heard: Callable[[Listener, bytes], None]) -> None:
        self.parts: list[tuple[float, bytes]] = []
        self.is_open = True
        self._heard = heard
        self._transport: Any = None

    @classmethod
    async def open(
        cls, port: int, request: bytes, heard: Callable[[Listener, bytes], None]
    ) -> Listener:
        """Connect and ask; `heard` is called with each part."""
        loop = asyncio.get_running_loop()
        transport, listener = await loop.create_connection(lambda: cls(heard), HOST, port)
        transport.write(request)
        return listener

    def close(self) -> None:
        """Close it."""
        self._transport.close()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep it."""
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        """Keep a part."""
        self.parts.append((time.monotonic(), data))
        self._heard(self, data)

    def connection_lost(self, exc: Exception | None) -> None:
        """Nothing comes any more."""
        self.is_open = False
        self._heard(self, b"")


def request_of(path: str, key: str, body: bytes | None = None, media: str = "json") -> bytes:
    """Return a request as it goes over the wire: a POST where there is a body."""
    head = (
        f"{'GET' if body is None else 'POST'} {path} HTTP/1.1\r\n"
        f"Host: {HOST}\r\nAuthorization: Bearer {key}\r\n"
    )
    if body is not None:
        head += f"Content-Type: application/{media}\r\nContent-Length: {len(body)}\r\n"
    return head.encode() + b"\r\n" + (body or b"")
