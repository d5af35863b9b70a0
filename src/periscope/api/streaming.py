"""Answers that go on: parts sent as they come, to clients that take them in time, until they go."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator
from http import HTTPStatus
from typing import Any

from litestar.types import Receive, Scope, Send

from periscope.errors import PeriscopeError

log = logging.getLogger("periscope.api")


class Unread(PeriscopeError):
    """A client does not take its answer: no fault of the service, and nothing to be told to it."""

    http_status = HTTPStatus.REQUEST_TIMEOUT


class Streamed:
    """An ASGI application that answers with parts.

    A client that does not take a part within `timeout_s` is cut off; so is the answer where `parts`
    raises once it has begun, so that no client takes it for whole. `parts` is closed in any case,
    and as soon as the client has gone.
    """

    def __init__(
        self,
        parts: AsyncIterator[bytes],
        media_type: str,
        timeout_s: float,
        headers: dict[str, str] | None = None,
    ) -> None:
        self._parts = parts
        self._timeout_s = timeout_s
        self._headers = {"content-type": media_type, **(headers or {})}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the parts until there are none, or nobody who takes them."""
        sending = asyncio.create_task(self._send(send))
        leaving = asyncio.create_task(_until_gone(receive))
        try:
            await asyncio.wait({sending, leaving}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in (sending, leaving):
                task.cancel()
            await asyncio.wait({sending, leaving})
            await _close(self._parts)
        if not sending.cancelled():
            sending.result()

    async def _send(self, send: Send) -> None:
        pairs = [(name.encode(), value.encode()) for name, value in self._headers.items()]
        head: Any = {"type": "http.response.start", "status": 200, "headers": pairs}
        await send(head)
        async for part in self._parts:
            if part:
                await self._pass_on(send, part, more=True)
        await self._pass_on(send, b"", more=False)

    async def _pass_on(self, send: Send, part: bytes, *, more: bool) -> None:
        message: Any = {"type": "http.response.body", "body": part, "more_body": more}
        try:
            async with asyncio.timeout(self._timeout_s):
                await send(message)
        except TimeoutError:
            log.info("a client took no part of its answer for %g s: cut off", self._timeout_s)
            raise Unread("no part of the answer was taken in time") from None


async def begun(parts: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """Wait for the first part: what is wrong is raised before the answer begins.

    And what `parts` holds is given back in any case: one that never began would close nothing.
    """
    return _Begun(await anext(parts, b""), parts)


class _Begun(AsyncIterator[bytes]):
    """Parts of which the first has come: to close them closes them, whoever has taken none."""

    def __init__(self, first: bytes, parts: AsyncIterator[bytes]) -> None:
        self._first: bytes | None = first
        self._parts = parts

    async def __anext__(self) -> bytes:
        first, self._first = self._first, None
        return await anext(self._parts) if first is None else first

    async def aclose(self) -> None:
        await _close(self._parts)


async def _until_gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


async def _close(parts: Any) -> None:
    with contextlib.suppress(RuntimeError):  # it is being closed already
        await parts.aclose()
