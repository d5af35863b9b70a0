"""Marks on reports that are noise, on their way to the server, which decides what they mean."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from types import NoneType
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
    """A report ready to be sent, with its mark.

    `ground` is most, window_ms and until_ms of the mark; `said` what a suppressed entry shows of
    the report: cause, source and title, each after its length in bytes (17_suppressed.lua).
    """

    ground: tuple[int, int, int]
    said: str


class Marking:
    """Puts marks on reports; `was_used` once there was one, from then on.

    A marker that raises, or that answers what is no mark, costs nobody a report: those go in
    unmarked, and the log says so, once for each marker.
    """

    def __init__(self) -> None:
        self.was_used = False
        self._marker: Marker | None = None
        self._told = False
        self._checked: Mark | None = None

    @property
    def marker(self) -> Marker | None:
        """What says which reports are noise; None marks nothing, and costs nothing."""
        return self._marker

    @marker.setter
    def marker(self, marker: Marker | None) -> None:
        self._marker, self._told = marker, False

    def all(self, given: Sequence[Mapping[str, Any]], packed: list[Packed]) -> list[Packed]:
        """The packed reports, those that are noise with their marks; `given` are their fields."""
        if self._marker is None:
            return packed
        try:
            marks = list(map(self._marker, given))
        except Exception:  # whichever it was: each is asked by itself
            return [self.one(fields, one) for fields, one in zip(given, packed, strict=True)]
        if not set(map(type, marks)) - {NoneType}:  # by type: comparing is their own code
            return packed
        return [
            one if mark is None else self._marked(mark, fields, one)
            for mark, fields, one in zip(marks, given, packed, strict=True)
        ]

    def one(self, fields: Mapping[str, Any], packed: Packed) -> Packed:
        """The packed report, with its mark if it is noise."""
        try:
            mark = None if self._marker is None else self._marker(fields)
        except Exception as exc:  # a marker is anybody's code: no report may be lost by it
            self._tell(exc)
            return packed
        return packed if mark is None else self._marked(mark, fields, packed)

    def _marked(self, mark: Mark, fields: Mapping[str, Any], packed: Packed) -> Packed:
        try:
            if mark is not self._checked:  # mostly the same object: that of a rule or a list
                _check(mark)
                self._checked = mark
            marked = MarkedReport(packed)
            marked.ground = mark[1:]
            marked.said = _said(mark.cause, _source(fields), _title(fields))
        except Exception as exc:  # so is what it answers, and what it was asked about
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
    grounds: dict[tuple[int, int, int], int] = {}
    whose, said = [0] * len(reports), [""] * len(reports)
    for position, report in enumerate(reports):
        if isinstance(report, MarkedReport):
            whose[position] = grounds.setdefault(report.ground, len(grounds) + 1)
            said[position] = report.said
    return msgspec.msgpack.encode((list(grounds), whose, said)) if grounds else b""


def in_parts(reports: Sequence[Packed], most: int) -> list[Sequence[Packed]]:
    """The reports in as few equal parts as it takes for `most` marked ones in each, about."""
    marked = sum(isinstance(report, MarkedReport) for report in reports)
    parts = max(1, -(-marked // most))
    size = max(1, -(-len(reports) // parts))
    return [reports[at : at + size] for at in range(0, len(reports), size)] or [reports]


def _check(mark: Mark) -> None:
    """Check that it is a mark that the server takes.

    Raises:
        TypeError, ValueError: it is none.
    """
    if type(mark) is not Mark:
        raise TypeError("a mark is a Mark")
    cause, *numbers = mark
    if type(cause) is not str or not 0 < len(cause.encode()) <= MAX_CAUSE_BYTES:
        raise ValueError("a cause is a text of 1 to 256 bytes")
    if not all(type(number) is int and 0 <= number <= MAX_NUMBER for number in numbers):
        raise ValueError("most, window_ms and until_ms are whole numbers from 0 on")


def _said(*texts: str) -> str:
    # Lengths in 7 bits are characters of one byte: so the whole is text, which msgpack carries.
    packed = ""
    for text in texts:
        high, low = divmod(len(text.encode()), 128)
        packed += chr(low) + chr(high) + text
    return packed


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
