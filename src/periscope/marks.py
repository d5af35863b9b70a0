"""Marks on reports that are noise, on their way to the server, which decides what they mean."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec

from periscope.models import MAX_SOURCE_BYTES, Mark

MAX_CAUSE_BYTES = 256
MAX_TITLE_BYTES = 120
MAX_NUMBER = 2**48 - 1

log = logging.getLogger("periscope")

# Says of a valid report whether it is noise, and why. It is given the fields of `Report` by name,
# as they came: those with a default may be missing, and a severity is in any case.
Marker = Callable[[Mapping[str, Any]], Mark | None]

# A report ready to be sent: its id, and the header's report part with the body.
Packed = tuple[bytes, bytes]


class MarkedReport(tuple[bytes, bytes]):
    """A report ready to be sent, with its mark, and what its suppressed entry shows of it."""

    mark: Mark
    source: str
    title: str


class Marking:
    """Puts marks on reports; `was_used` once there was one, from then on.

    A marker that raises, or that answers what is no mark, costs nobody a report: those go in
    unmarked, and the log says so, once for each marker.
    """

    def __init__(self) -> None:
        self.was_used = False
        self._marker: Marker | None = None
        self._told = False

    @property
    def marker(self) -> Marker | None:
        """What says which reports are noise; None marks nothing, and costs nothing."""
        return self._marker

    @marker.setter
    def marker(self, marker: Marker | None) -> None:
        self._marker, self._told = marker, False

    def all(self, given: Sequence[Mapping[str, Any]], packed: Sequence[Packed]) -> list[Packed]:
        """The packed reports, those that are noise with their marks; `given` are their fields."""
        return [self.one(fields, report) for fields, report in zip(given, packed, strict=True)]

    def one(self, fields: Mapping[str, Any], packed: Packed) -> Packed:
        """The packed report, with its mark if it is noise."""
        marker = self._marker
        if marker is None:
            return packed
        try:
            mark = marker(fields)
            if mark is None:
                return packed
            marked = MarkedReport(packed)
            marked.mark, marked.source = _checked(mark), _source(fields)
            marked.title = _title(fields)
        except Exception as exc:  # a marker is anybody's code: no report may be lost by it
            self._tell(exc)
            return packed
        self.was_used = True
        return marked

    def _tell(self, exc: Exception) -> None:
        # Not its text, which may be that of a hostile report.
        if not self._told:
            self._told = True
            log.error(
                "what says which reports are noise failed (%s): its reports go in unmarked",
                type(exc).__name__,
            )


def pack_marks(reports: Sequence[Packed]) -> bytes:
    """The marks of a chunk as periscope_ingest_3 takes them; empty where none is marked."""
    grounds: dict[Mark, int] = {}
    marks = [
        (grounds.setdefault(report.mark, len(grounds) + 1), report.source, report.title)
        if isinstance(report, MarkedReport)
        else 0
        for report in reports
    ]
    return msgspec.msgpack.encode((list(grounds), marks)) if grounds else b""


def _checked(mark: Mark) -> Mark:
    """The mark as plain values that the server takes.

    Raises:
        TypeError, ValueError: it is none.
    """
    cause, *numbers = mark
    if not isinstance(cause, str) or not 0 < len(cause.encode()) <= MAX_CAUSE_BYTES:
        raise ValueError("a cause is a text of 1 to 256 bytes")
    if len(numbers) != 3 or not all(type(n) is int and 0 <= n <= MAX_NUMBER for n in numbers):
        raise ValueError("most, window_ms and until_ms are whole numbers from 0 on")
    return mark


def _source(fields: Mapping[str, Any]) -> str:
    source: str = fields.get("source") or ""
    if len(source.encode()) > MAX_SOURCE_BYTES:
        raise ValueError("the source is too long for a valid report")
    return source


def _title(fields: Mapping[str, Any]) -> str:
    """What a person can tell the report by, in a line of bounded length."""
    title = (fields.get("metadata") or {}).get("title")
    if not isinstance(title, str) or not title.strip():
        title = fields["content"].lstrip()[:MAX_TITLE_BYTES].partition("\n")[0]
    return title.strip()[:MAX_TITLE_BYTES].encode()[:MAX_TITLE_BYTES].decode(errors="ignore")
