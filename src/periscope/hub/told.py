"""An event and its frame of a server-sent event stream, made once for all who are told."""

from __future__ import annotations

import json

import msgspec

from periscope import documents
from periscope.positions import Places, read_places
from periscope.work import Event

STORE_AWAY = b": store-away\n\n"
STORE_BACK = b": store-back\n\n"
_FRAME_BYTES = 200
_ID_BYTES = 3


class Told:
    """An event, with all that is derived from it at its first use."""

    __slots__ = ("_frame", "_places", "event", "given_bytes", "size")

    def __init__(self, event: Event) -> None:
        self.event = event
        ids = sum(map(len, event.threat_ids)) + _ID_BYTES * len(event.threat_ids)
        self.size = _FRAME_BYTES + 2 * len(event.position) + ids
        """About the bytes of its frame."""
        self.given_bytes = 0
        """The sizes of all events of its ring, up to and with this one."""
        self._frame: bytes | None = None
        self._places: Places | None = None

    @property
    def frame(self) -> bytes:
        """`id`, `event` and one line of `data`: plain ASCII without a control character."""
        if self._frame is None:
            event = self.event
            head = f"id: {event.position}\nevent: {event.kind}\ndata: "
            self._frame = head.encode() + _line(documents.event(event)) + b"\n\n"
        return self._frame

    @property
    def places(self) -> Places:
        """Its position, partition by partition."""
        if self._places is None:
            self._places = read_places(self.event.position) or ()
        return self._places


def mark(position: str) -> bytes:
    """A frame that is no event, and moves a reader's `Last-Event-ID`."""
    return f": \nid: {position}\n\n".encode()


def _line(document: documents.Document) -> bytes:
    line = msgspec.json.encode(document)
    if not line.isascii():
        line = json.dumps(document, separators=(",", ":")).encode()
    return line.replace(b"\x7f", b"\\u007f")
