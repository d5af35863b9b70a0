"""Events as they happen, over however many connections that takes; and whole lists."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from typing import Any

import msgspec

from periscope.client.patience import Patience
from periscope.client.problems import ApiProblem, Gone, ServiceUnavailable, Unreachable, unreachable
from periscope.client.server_sent import Frame, Frames, FrameTooLong
from periscope.client.transport import Call, Transport
from periscope.shapes import EventDocument, Problem, ThreatDocument

EVENT_STREAM = "text/event-stream"
_event = msgspec.json.Decoder(EventDocument).decode
_threat = msgspec.json.Decoder(ThreatDocument).decode
_LOST = ("lost", "broken")


class Following:
    """One who follows: where they are, and the connection that they have just now."""

    def __init__(
        self, transport: Transport, query: Mapping[str, Any], since: str | None, silence_s: float
    ) -> None:
        self._transport = transport
        self._query = query
        self._silence_s = silence_s
        self.position = since

    async def events(self, retry_s: float) -> AsyncGenerator[EventDocument, None]:
        """Give events; connect again, and go on where they are, whenever the connection ends."""
        patience = Patience(retry_s)
        while True:
            try:
                async with aclosing(self._connection()) as events:
                    async for event in events:
                        patience = Patience(retry_s)
                        yield event
                exc: ApiProblem = unreachable("the stream ended", is_certain=False)
            except (ServiceUnavailable, Unreachable) as gone:
                exc = gone
            await patience.bear(exc)

    async def _connection(self) -> AsyncGenerator[EventDocument, None]:
        headers = {"Accept": EVENT_STREAM}
        if self.position is not None:
            headers["Last-Event-ID"] = self.position
        call = Call("GET", "/v1/events", self._query, headers=headers)
        frames = Frames()
        async with aclosing(self._transport.stream(call, self._silence_s)) as parts:
            async for part in parts:
                for frame in _fed(frames, part):
                    if frame.kind == "ended" and frame.data is not None:
                        _check_end(frame.data)
                        return
                    event = _read(frame)
                    self.position = frame.position or self.position
                    if event is not None:
                        yield event


def _fed(frames: Frames, part: bytes) -> list[Frame]:
    try:
        return frames.feed(part)
    except FrameTooLong:
        raise _odd("an event without an end") from None


def _read(frame: Frame) -> EventDocument | None:
    if frame.data is None:
        return None
    try:
        return _event(frame.data)
    except msgspec.MsgspecError as exc:
        raise _odd(str(exc)) from None


def _check_end(data: bytes) -> None:
    """Raise if nothing can go on where this ended."""
    why = msgspec.json.decode(data, type=dict[str, Any]).get("why")
    if why in _LOST:
        told = "events since that position are no longer kept; read the state anew, then follow"
        raise Gone(Problem("urn:periscope:problem:events-lost", "Events are lost.", 410, told, "-"))


def _odd(what: str) -> ApiProblem:
    return ApiProblem(
        Problem("urn:periscope:client:unexpected", "This is not as expected.", 0, what, "-")
    )


async def documents(parts: AsyncGenerator[bytes, None]) -> AsyncGenerator[ThreatDocument, None]:
    """Give the threats of an export of lines."""
    rest = b""
    async for part in parts:
        *lines, rest = (rest + part).split(b"\n")
        for line in lines:
            yield _threat(line)
    if rest.strip():
        yield _threat(rest)
