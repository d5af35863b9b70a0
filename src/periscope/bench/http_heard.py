"""What event streams brought, part by part, as events with the moments of their arrival."""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Sequence
from itertools import accumulate

import msgspec

from periscope.bench.http_tasks import Told

_FRAME = re.compile(rb"id: ([^\n]+)\nevent: (?:added|sighted)\ndata: ([^\n]+)\n")
_CHUNK = re.compile(rb"([0-9a-fA-F]+)\r\n")

Parts = Sequence[tuple[float, bytes]]


class _Event(msgspec.Struct):
    threat_ids: list[str]


_event = msgspec.json.Decoder(_Event).decode


def told_by(streams: Sequence[Parts], silent: int, cpu_s: float) -> Told:
    """Return what all streams told; `silent` of them did not tell the last.

    Events of which another stream did not tell are of those that fell behind: the stream that told
    the most is what the others are compared with.
    """
    found = [_events(parts) for parts in streams]
    most = max(found, key=len)
    same = [one for one in found if [name for name, _, _ in one] == [name for name, _, _ in most]]
    return Told(
        cpu_s=cpu_s,
        threats=[_event(data).threat_ids for _, data, _ in most],
        arrived=[[one[at][2] for one in same] for at in range(len(most))],
        fell_behind=max(silent, len(found) - len(same)),
    )


def _events(parts: Parts) -> list[tuple[bytes, bytes, float]]:
    """Return position, document and arrival of each event that names many threats."""
    whole = b"".join(part for _, part in parts)
    ends = list(accumulate(len(part) for _, part in parts))
    body, places = _unchunked(whole)
    found = []
    for frame in _FRAME.finditer(body):
        end = places[bisect_left(places, (frame.end(), 0))]
        at = frame.end() + end[1]
        found.append((frame[1], frame[2], parts[bisect_left(ends, at)][0]))
    return found


def _unchunked(whole: bytes) -> tuple[bytes, list[tuple[int, int]]]:
    """Return the body without the frames of its chunks, and where it came over the wire.

    That is where each chunk ends in the body, and how much more stood before that on the wire.
    """
    at = whole.index(b"\r\n\r\n") + 4
    body, places = bytearray(), []
    while (head := _CHUNK.match(whole, at)) is not None:
        at, size = head.end(), int(head[1], 16)
        extra = at - len(body)
        body += whole[at : at + size]
        places.append((len(body), extra))
        at += size + 2
    return bytes(body), places
