"""A rough way to a service on loopback: connections are cut, held up and doubled as it is told."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator
from contextlib import suppress
from enum import Enum
from typing import NamedTuple, Self

HELD_UP_S = 0.05


class Harm(Enum):
    """What is done to a connection."""

    CUT_REQUEST = "the connection is reset after so many bytes of requests"
    CUT_ANSWER = "the connection is reset after so many bytes of answers"
    DELAY = "every piece is held up a little"
    DOUBLE = "all that is sent reaches the service twice, over two connections"


class Mood(NamedTuple):
    """What a connection meets, and after how many bytes."""

    harm: Harm
    after: int = 0


class RoughProxy:
    """Forwards to a port; each connection has the next of `moods`, and when there is none, none."""

    def __init__(self, port: int, moods: Iterable[Mood] = ()) -> None:
        self._port = port
        self.moods: Iterator[Mood] = iter(moods)
        self.met = 0
        self._serving: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        return self

    async def __aexit__(self, *exc: object) -> None:
        self._server.close()
        for task in self._serving:
            task.cancel()
        await asyncio.gather(*self._serving, return_exceptions=True)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._serving.add(task)
        try:
            with suppress(OSError, asyncio.CancelledError):  # cancelled: the proxy is closed
                await self._forward(reader, writer, next(self.moods, None))
        finally:
            writer.transport.abort()
            self._serving.discard(task)

    async def _forward(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, mood: Mood | None
    ) -> None:
        harm = None if mood is None else mood.harm
        after = 0 if mood is None else mood.after
        ups = [await asyncio.open_connection("127.0.0.1", self._port)]
        if harm is Harm.DOUBLE:
            self.met += 1
            ups.append(await asyncio.open_connection("127.0.0.1", self._port))
        pause_s = HELD_UP_S if harm is Harm.DELAY else 0.0
        up_writers = [one[1] for one in ups]
        bounds = (after if harm is Harm.CUT_REQUEST else None,)
        there = asyncio.create_task(self._pump(reader, up_writers, *bounds, pause_s))
        back = [asyncio.create_task(_drain(one[0])) for one in ups[1:]]
        bound = after if harm is Harm.CUT_ANSWER else None
        back.append(asyncio.create_task(self._pump(ups[0][0], [writer], bound, pause_s)))
        try:
            await asyncio.wait({there, back[-1]}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in (there, *back):
                task.cancel()
            await asyncio.gather(there, *back, return_exceptions=True)
            for up in up_writers:
                up.close()

    async def _pump(
        self,
        reader: asyncio.StreamReader,
        writers: list[asyncio.StreamWriter],
        bound: int | None,
        pause_s: float,
    ) -> None:
        """Pass bytes on until their end, or until `bound` of them have passed."""
        passed = 0
        while data := await reader.read(16_384):
            await asyncio.sleep(pause_s)
            rest = data if bound is None else data[: max(0, bound - passed)]
            for writer in writers:
                writer.write(rest)
                await writer.drain()
            passed += len(data)
            if bound is not None and passed > bound:
                self.met += 1
                return


async def _drain(reader: asyncio.StreamReader) -> None:
    """Take answers that nobody waits for."""
    while await reader.read(65_536):
        pass
