"""The limit: packed records sent as plain commands, as fast as a server takes them.

One SET NX for each record and one ZADD for each chunk, several chunks under way, over one blocking
socket and from bytes that were built before the clock starts. No client can be quicker at storing
the same keys, values and board scores with commands that refuse to overwrite.
"""

from __future__ import annotations

import asyncio
import socket
import time
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import NamedTuple

from hiredis import pack_command

from periscope.batch import CHUNK_ENTRIES
from periscope.bench.effort import Effort
from periscope.bench.stand import Stand
from periscope.bench.threats import Item, blocks, report
from periscope.errors import BugError
from periscope.header import FORMAT, HEADER_BYTES, NO_SOURCE, REPORT_BYTES, Header, pack_header
from periscope.intake import Intake
from periscope.keys import PartitionKeys
from periscope.policy import BUCKETS

IN_FLIGHT = 8
SPAN = 2**42


class Entry(NamedTuple):
    """What is stored of a threat: its record, its place on the board, and among the exceptions."""

    threat_id: bytes
    record: bytes
    place: int
    exception: int | None = None


class PlainChunk(NamedTuple):
    """Commands as they go over the wire, and the replies that they must get."""

    reports: int
    commands: bytes
    replies: bytes


def arrivals(items: Sequence[Item], now_ms: int) -> list[Entry]:
    """What our ingest stores of these reports when they arrive at `now_ms`."""
    packed, rejected = Intake(bytes(16)).prepare(items, 0)
    if rejected:
        raise BugError(f"the bench made a report that is rejected: {rejected[0].reason}")
    head = server_part(arrived(now_ms))
    return [
        Entry(threat_id, head + payload, place_of(payload[0], 0, 0, now_ms))
        for threat_id, payload in packed
    ]


def arrived(now_ms: int) -> Header:
    """The header of a threat that arrives, without the fields that its report fills."""
    zeros = dict.fromkeys(Header._fields, 0)
    moments = dict.fromkeys(("first_seen", "last_activity", "entered"), now_ms)
    marks = {"format": FORMAT, "level": 1, "revision": 1}
    texts = {"fingerprint": bytes(8), "source": NO_SOURCE}
    return Header(**zeros | moments | marks | texts)  # type: ignore[arg-type]


def server_part(header: Header) -> bytes:
    """The bytes of a header that the server writes; the report brings the rest."""
    return pack_header(header)[: HEADER_BYTES - REPORT_BYTES]


def place_of(severity: int, escalations: int, interactions: int, last_activity_ms: int) -> int:
    """The board score of an open threat."""
    bucket = severity * (BUCKETS // 4) + min(escalations, 3) * 11 + min(interactions, 10)
    return bucket * SPAN + last_activity_ms


def chunks(keys: PartitionKeys, entries: Iterable[Entry]) -> Iterator[PlainChunk]:
    """The entries as chunks of plain commands."""
    source = iter(entries)
    while part := list(islice(source, CHUNK_ENTRIES)):
        words: list[bytes] = []
        exceptions: list[bytes] = []
        commands = []
        for threat_id, record, place, exception in part:
            commands.append(_packed("SET", keys.record(threat_id), record, "NX"))
            words += (b"%d" % place, threat_id)
            if exception is not None:
                exceptions += (b"%d" % exception, threat_id)
        commands.append(_packed("ZADD", keys.board, *words))
        replies = b"+OK\r\n" * len(part) + b":%d\r\n" % len(part)
        if exceptions:
            commands.append(_packed("ZADD", keys.exceptions, *exceptions))
            replies += b":%d\r\n" % (len(exceptions) // 2)
        yield PlainChunk(len(part), b"".join(commands), replies)


async def send(stand: Stand, prepared: Sequence[PlainChunk]) -> Effort:
    """Send the chunks; return what it took.

    Raises:
        BugError: something was there already, or the server refused.
    """
    effort, done = Effort(), sum(chunk.reports for chunk in prepared)
    connection = socket.socket(socket.AF_UNIX)
    connection.connect(str(stand.socket_path))
    try:
        async with effort.measured(stand.socket_path, done):
            await asyncio.to_thread(_pump, connection, prepared)
    finally:
        connection.close()
    return effort


async def fill_plainly(stand: Stand, first: int, count: int) -> Effort:
    """Store reports from number `first` on in the plain way, block by block."""
    effort = Effort()
    for block in blocks(first, count):
        now_ms = time.time_ns() // 1_000_000
        entries = arrivals([report(number) for number in block], now_ms)
        effort.add(await send(stand, list(chunks(stand.keys, entries))))
        await stand.count_added(len(entries))
    return effort


def _packed(*words: bytes | str) -> bytes:
    packed: bytes = pack_command(words)  # type: ignore[arg-type]
    return packed


def _pump(connection: socket.socket, prepared: Sequence[PlainChunk]) -> None:
    waiting: deque[bytes] = deque()
    for chunk in prepared:
        if len(waiting) == IN_FLIGHT:
            _expect(connection, waiting.popleft())
        connection.sendall(chunk.commands)
        waiting.append(chunk.replies)
    while waiting:
        _expect(connection, waiting.popleft())


def _expect(connection: socket.socket, replies: bytes) -> None:
    found = connection.recv(len(replies), socket.MSG_WAITALL)
    if found != replies:
        raise BugError(f"the server answered {found[:100]!r} to a plain command")
