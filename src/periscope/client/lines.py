"""From whatever a caller gives as a report to a line of JSON, and lines to bodies."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from secrets import token_hex
from typing import Any

import msgspec

from periscope.errors import ReportRejected
from periscope.models import MAX_ID_BYTES, Rejection, Report

BODY_REPORTS = 1000
BODY_BYTES = 1024 * 1024


class _Named(msgspec.Struct):
    threat_id: str | None = None


_named = msgspec.json.Decoder(_Named).decode


@dataclass(slots=True, eq=False)
class Body:
    """Reports that travel together: their lines, their indices among all, the ids among them.

    `token` stays the same however often it is sent: so it counts once.
    """

    lines: list[bytes] = field(default_factory=list)
    indices: list[int] = field(default_factory=list)
    ids: set[str] = field(default_factory=set)
    size: int = 0
    token: str = field(default_factory=lambda: token_hex(16))

    def has_room(self, line: bytes) -> bool:
        """Does the line fit? The first always does."""
        return not self.lines or (
            len(self.lines) < BODY_REPORTS and self.size + len(line) < BODY_BYTES
        )

    def add(self, index: int, line: bytes, threat_id: str | None) -> None:
        """Take a line."""
        self.lines.append(line)
        self.indices.append(index)
        self.size += len(line) + 1
        if threat_id is not None:
            self.ids.add(threat_id)


class Packer:
    """Puts reports into bodies; what cannot travel is rejected here, with the reason."""

    def __init__(self) -> None:
        self.met = 0
        self.rejected: list[Rejection] = []

    def pack(self, items: Sequence[Any]) -> Iterator[Body]:
        """Give the bodies that hold these items, in their order."""
        body = Body()
        for index, item in enumerate(items, self.met):
            try:
                line = line_of(item)
            except ReportRejected as exc:
                self.rejected.append(Rejection(index, id_of(item), str(exc)))
                continue
            if not body.has_room(line):
                yield body
                body = Body()
            body.add(index, line, id_of(item))
        self.met += len(items)
        if body.lines:
            yield body


def line_of(item: Any) -> bytes:
    """Return a report as one line of JSON.

    Raises:
        ReportRejected: it cannot be written as JSON without changing it, or is far too long.
    """
    if isinstance(item, bytes | bytearray):
        line = bytes(item).translate(_LINE_ENDS).strip()
    else:
        line = _encoded(item)
    if not 0 < len(line) < BODY_BYTES:
        raise ReportRejected("report: empty, or longer than 1 MiB", field="report")
    return line


def id_of(item: Any) -> str | None:
    """Return the id of what may be a report, as far as one can be told."""
    try:
        if isinstance(item, bytes | bytearray):
            found: Any = _named(item).threat_id
        else:
            found = item["threat_id"] if isinstance(item, dict) else item.threat_id
    except Exception:  # any object may come, and raise anything
        return None
    return found[:MAX_ID_BYTES] if isinstance(found, str) else None


def _encoded(item: Any) -> bytes:
    try:
        if isinstance(item, Report):
            item = {name: value for name, value in _fields(item) if value is not None}
        return _encoder.encode(item).encode()
    except RecursionError:
        raise ReportRejected("report: nested too deep", field="report") from None
    except Exception as exc:  # any object may come, and raise anything
        raise ReportRejected(f"report: {exc}", field="report") from None


def _fields(item: Report) -> list[tuple[str, Any]]:
    return list(msgspec.structs.asdict(item).items())


def _moment(value: Any) -> str:
    if isinstance(value, datetime):
        return value.isoformat()
    raise TypeError(f"{type(value).__name__} is not JSON; give it as text")


# Not msgspec, which writes NaN as null, a set as a list and bytes as base64: changed unseen.
_encoder = json.JSONEncoder(
    ensure_ascii=False, allow_nan=False, separators=(",", ":"), default=_moment
)
_LINE_ENDS = bytes.maketrans(b"\r\n", b"  ")
