"""Request bodies: bounded in size and in the time between two parts; whole, or as a stream."""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import AsyncIterator, Iterator
from math import inf
from time import monotonic
from typing import Any

from litestar import Request

from periscope.api.problems import RequestRefused
from periscope.errors import FeedError
from periscope.feeds.compression import expand
from periscope.feeds.problems import TooLong

PIPE_BYTES = 1024 * 1024
"""Bytes that a body's reader may be behind; beyond them the sender waits."""
SLICE_BYTES = 64 * 1024
MOST_VALUES = 1_500_000
"""Values of a JSON document at most, which are decoded in less than a tenth of a second."""
ENCODINGS = ("gzip", "zstd", "identity")


class BrokenOff(RequestRefused):
    """The body ended before it was whole: its sender went away, or sent what is no HTTP.

    It is answered all the same, as the sender may still be there.
    """

    def __init__(self) -> None:
        super().__init__(400, "body-broken-off", "the body ended before it was whole")


def encoding_of(request: Request[Any, Any, Any]) -> str:
    """Return how the body is packed.

    Raises:
        RequestRefused: in a way that is not read here.
    """
    given = request.headers.get("content-encoding", "identity").strip().lower()
    if given not in ENCODINGS:
        raise RequestRefused(
            415,
            "encoding-unknown",
            f"bodies are taken as they are, or packed with gzip or zstd; not {given[:40]!r}",
            field="Content-Encoding",
            headers={"Accept-Encoding": "gzip, zstd"},
        )
    return given


def stated_length(request: Request[Any, Any, Any]) -> int | None:
    """Return the length that the client states; None for a body that comes in chunks."""
    given = request.headers.get("content-length")
    return int(given) if given is not None and given.isdigit() else None


def check_length(request: Request[Any, Any, Any], most: int) -> None:
    """Refuse a body that says itself that it is too large, before any of it is read.

    Raises:
        RequestRefused: it is.
    """
    if (stated_length(request) or 0) > most:
        raise too_large(most)


def too_large(most: int) -> RequestRefused:
    """Return the refusal of a body that is longer than `most` bytes."""
    return RequestRefused(
        413, "body-too-large", f"the body is longer than {most:,} bytes; send it in parts"
    )


def check_values(body: bytes, separator: bytes = b",", most: int = MOST_VALUES) -> None:
    """Refuse a body with more values than any that makes sense: decoding one holds up all others.

    Raises:
        RequestRefused: it has so many separators.
    """
    if body.count(separator) >= most:
        raise RequestRefused(
            413, "body-too-large", f"the body has {most:,} values or more; send it in parts"
        )


def slices(body: bytes) -> Iterator[bytes]:
    """Give a body in parts, so that whoever cuts it into lines does not cut all of it at once."""
    return (body[at : at + SLICE_BYTES] for at in range(0, len(body), SLICE_BYTES))


async def parts(
    request: Request[Any, Any, Any], timeout_s: float, ends_at: float = inf
) -> AsyncIterator[bytes]:
    """Give the body as it comes; all of it until `ends_at`, of the monotonic clock.

    Raises:
        BrokenOff: it ended early.
        RequestRefused: no part of it came in time.
    """
    while True:
        try:
            async with asyncio.timeout(min(timeout_s, ends_at - monotonic())):
                message: Any = await request.receive()
        except TimeoutError:
            raise RequestRefused(
                408, "body-timeout", f"the body, or a part of it, did not come in {timeout_s:g} s"
            ) from None
        if message["type"] == "http.disconnect":
            raise BrokenOff
        if message.get("body"):
            yield bytes(message["body"])
        if not message.get("more_body"):
            return


async def whole(request: Request[Any, Any, Any], most: int, timeout_s: float) -> bytes:
    """Return a body of at most `most` bytes, unpacked.

    Raises:
        RequestRefused: as `parts`; or it is longer, or cannot be unpacked.
    """
    encoding = encoding_of(request)
    return await unpacked(await as_sent(request, most, timeout_s), encoding, most)


async def as_sent(request: Request[Any, Any, Any], most: int, timeout_s: float) -> bytes:
    """Return a body of at most `most` bytes, still packed if it is.

    Raises:
        RequestRefused: as `parts`; or it is longer.
    """
    check_length(request, most)
    found: list[bytes] = []
    size = 0
    async for part in parts(request, timeout_s):
        size += len(part)
        if size > most:
            raise too_large(most)
        found.append(part)
    return b"".join(found)


async def unpacked(body: bytes, encoding: str, most: int) -> bytes:
    """Return a body as it was before it was packed.

    Raises:
        RequestRefused: it cannot be unpacked, or is longer than `most` bytes then.
    """
    return body if encoding == "identity" else await asyncio.to_thread(_unpacked, body, most)


def _unpacked(body: bytes, most: int) -> bytes:
    try:
        return b"".join(expand(iter((body,)), most))
    except TooLong:
        raise too_large(most) from None
    except FeedError as exc:
        raise RequestRefused(
            400, "body-unreadable", f"the body cannot be unpacked: {exc}"
        ) from None


class Pipe:
    """A body as a stream of bytes that a thread reads while the event loop still receives it."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._parts: deque[bytes] = deque()
        self._held = 0
        self._changed = threading.Condition()
        self._room = asyncio.Event()
        self._ended = False
        self.failure: BaseException | None = None
        """Why the source ended before it was whole."""

    async def fill(self, source: AsyncIterator[bytes]) -> None:
        """Pass on all of a source; ends early when nobody reads any more.

        Raises what the source raises; the reader is told that it ended.
        """
        try:
            async for part in source:
                self._put(part)
                while self._held > PIPE_BYTES and not self._ended:
                    self._room.clear()
                    await self._room.wait()
                if self._ended:
                    return
        except BaseException as exc:
            self.failure = exc
            raise
        finally:
            self.close()

    def read(self, size: int = -1) -> bytes:
        """Return the next bytes, at most `size`; nothing at the end. For a thread: it waits.

        Raises:
            OSError: the body ended before it was whole.
        """
        with self._changed:
            while not self._parts and not self._ended:
                self._changed.wait()
            if not self._parts:
                if self.failure is not None:
                    raise OSError("the body ended early")
                return b""
            part = self._parts.popleft()
            if 0 <= size < len(part):
                self._parts.appendleft(part[size:])
                part = part[:size]
            self._held -= len(part)
        self._loop.call_soon_threadsafe(self._room.set)
        return part

    def close(self) -> None:
        """Say that nothing more comes, or that nobody reads any more. Safe to repeat."""
        with self._changed:
            self._ended = True
            self._changed.notify_all()
        self._room.set()

    def _put(self, part: bytes) -> None:
        with self._changed:
            self._parts.append(part)
            self._held += len(part)
            self._changed.notify_all()
