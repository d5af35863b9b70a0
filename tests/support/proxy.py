"""A TCP proxy on loopback that cuts connections at chosen moments, replies undelivered."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from pathlib import Path
from typing import Self


class CuttingProxy:
    """Forwards to a UNIX socket. `cut_after_bytes` of a connection's replies, it is cut; with
    `garbage`, bytes that are no reply come first. `cuts` says how often."""

    def __init__(
        self, target: Path, *, cuts: int, cut_after_bytes: int, garbage: bytes = b""
    ) -> None:
        self.target = target
        self.cuts = cuts
        self.cut_after_bytes = cut_after_bytes
        self.garbage = garbage
        self.armed = False
        self.done = 0
        self._serving: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        return self

    async def __aexit__(self, *exc: object) -> None:
        self._server.close()
        for task in self._serving:
            task.cancel()
        await asyncio.gather(*self._serving, return_exceptions=True)

    async def on_cut(self) -> None:
        """What happens before a connection is cut."""

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._serving.add(task)
        try:
            with suppress(OSError, asyncio.CancelledError):  # cancelled: the proxy is closed
                await self._forward(reader, writer)
        finally:
            writer.close()
            self._serving.discard(task)

    async def _forward(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        up_reader, up_writer = await asyncio.open_unix_connection(self.target)
        forward = asyncio.create_task(self._pump(reader, up_writer))
        try:
            await self._replies(up_reader, writer)
        finally:
            forward.cancel()
            up_writer.close()

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            while data := await reader.read(65536):
                writer.write(data)
                await writer.drain()
            writer.write_eof()

    async def _replies(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        passed = 0
        while data := await reader.read(65536):
            if self.armed and self.done < self.cuts and passed + len(data) > self.cut_after_bytes:
                self.done += 1
                await self.on_cut()
                writer.write(self.garbage)
                await writer.drain()
                return
            passed += len(data) if self.armed else 0
            writer.write(data)
            await writer.drain()
