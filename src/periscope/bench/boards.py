"""Boards to rank: written directly, since hours of work by analysts cannot be waited for."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

from periscope.bench.plain import Entry, arrived, chunks, place_of, send, server_part
from periscope.bench.stand import Stand
from periscope.bench.threats import blocks, report
from periscope.engine import CHUNK_REPORTS
from periscope.intake import Intake, Packed
from periscope.models import SEVERITIES
from periscope.policy import BUCKETS

DAY_MS = 24 * 60 * 60 * 1000
TOUCHED_IN_TEN = 1


class Work(NamedTuple):
    """What analysts did to a threat, and how long before now the last of it was."""

    interactions: int
    escalations: int
    age_ms: int
    severity: int | None = None


def untouched(number: int, count: int) -> Work:
    """As an import leaves it: 500 threats share a millisecond, the next 500 come 5 ms later."""
    return Work(0, 0, (count - number) // CHUNK_REPORTS * 5)


def worked(number: int, count: int) -> Work:
    """A day's queue: one in ten was worked on, most of them a little, some of them escalated."""
    mixed = _mixed(number)
    if mixed % 10 >= TOUCHED_IN_TEN:
        return Work(0, 0, mixed % DAY_MS)
    interactions = 1 + min(mixed >> 8 & 15, mixed >> 12 & 15)
    escalations = min(mixed >> 16 & 3, mixed >> 18 & 3, interactions)
    return Work(interactions, escalations, (mixed % DAY_MS) // 6)


def every_bucket(number: int, count: int) -> Work:
    """The worst case: all 176 buckets hold as many, of every age up to a day."""
    severity, rest = divmod(number % BUCKETS, BUCKETS // 4)
    escalations, interactions = divmod(rest, 11)
    return Work(interactions, escalations, _mixed(number) % DAY_MS, severity)


BOARDS: dict[str, Callable[[int, int], Work]] = {
    "untouched": untouched,
    "worked": worked,
    "every bucket": every_bucket,
}


async def fill(stand: Stand, board: str, count: int) -> None:
    """Write `count` threats as `board` describes them: records, and their places."""
    now_ms = time.time_ns() // 1_000_000
    for block in blocks(0, count):
        works = [BOARDS[board](number, count) for number in block]
        entries = list(_entries(block, works, now_ms))
        await send(stand, list(chunks(stand.keys, entries)))


def _entries(numbers: Sequence[int], works: Sequence[Work], now_ms: int) -> Iterator[Entry]:
    items = []
    for number, work in zip(numbers, works, strict=True):
        item = report(number)
        if work.severity is not None:
            item["severity"] = SEVERITIES[work.severity].value
        items.append(item)
    packed, _ = Intake(bytes(16)).prepare(items, 0)
    for one, work in zip(packed, works, strict=True):
        yield _entry(one, work, now_ms - work.age_ms)


def _entry(packed: Packed, work: Work, moment_ms: int) -> Entry:
    threat_id, payload = packed
    header = arrived(moment_ms)._replace(
        interactions=work.interactions,
        escalations=work.escalations,
        analysts=min(work.interactions, 3),
    )
    place = place_of(payload[0], work.escalations, work.interactions, moment_ms)
    return Entry(threat_id, server_part(header) + payload, place)


def _mixed(number: int) -> int:
    return (number * 0x9E3779B97F4A7C15 >> 16) % 2**40
