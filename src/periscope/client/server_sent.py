"""Server-sent events out of bytes as they come, cut anywhere."""

from __future__ import annotations

from typing import NamedTuple

MAX_FRAME_BYTES = 16 * 1024 * 1024


class FrameTooLong(ValueError):
    """A frame goes on and on: this is no stream of ours."""


class Frame(NamedTuple):
    """What came between two empty lines; `data` is None where it is no event."""

    kind: str
    data: bytes | None
    position: str | None


class Frames:
    """Takes bytes, gives frames."""

    def __init__(self) -> None:
        self._rest = b""
        self._lines: list[bytes] = []
        self._size = 0

    def feed(self, data: bytes) -> list[Frame]:
        """Return the frames that these bytes complete.

        Raises:
            FrameTooLong: one has more than 16 MiB.
        """
        *lines, self._rest = (self._rest + data).split(b"\n")
        frames = []
        for line in lines:
            line = line.removesuffix(b"\r")
            if line:
                self._lines.append(line)
                self._size += len(line)
            elif self._lines:
                frames.append(_frame(self._lines))
                self._lines, self._size = [], 0
        if self._size + len(self._rest) > MAX_FRAME_BYTES:
            raise FrameTooLong
        return frames


def _frame(lines: list[bytes]) -> Frame:
    kind, position = "message", None
    data: list[bytes] = []
    for line in lines:
        name, _, value = line.partition(b":")
        value = value.removeprefix(b" ")
        if name == b"data":
            data.append(value)
        elif name == b"event":
            kind = value.decode(errors="replace")
        elif name == b"id" and b"\0" not in value:
            position = value.decode(errors="replace")
    return Frame(kind, b"\n".join(data) if data else None, position)
