"""Boards to rank: written directly, since hours of work by analysts cannot be waited for."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

from periscope.batch import CHUNK_ENTRIES
from periscope.bench.plain import SPAN, Entry, arrived, chunks, place_of, send, server_part
from periscope.bench.stand import Stand
from periscope.bench.threats import blocks, report
from periscope.intake import Intake
from periscope.marks import Packed
from periscope.models import SEVERITIES
from periscope.policy import BUCKETS

HOUR_MS = 60 * 60 * 1000
DAY_MS = 24 * HOUR_MS
TOUCHED_IN_TEN = 1


class Work(NamedTuple):
    """What happened to a threat, and how long before now the last of it was.

    `known_ms` is for how long it was known by then: more than 0 of an unseen one are sightings.
    """

    interactions: int
    escalations: int
    age_ms: int
    severity: int | None = None
    known_ms: int = 0


def untouched(number: int, count: int) -> Work:
    """As an import leaves it: 500 threats share a millisecond, the next 500 come 5 ms later."""
    return Work(0, 0, (count - number) // CHUNK_ENTRIES * 5)


def worked(number: int, count: int) -> Work:
    """A day's queue: one in ten was worked on, some escalated; of the rest every other sighted."""
    mixed = _mixed(number)
    if mixed % 10 >= TOUCHED_IN_TEN:
        return Work(0, 0, mixed % DAY_MS, known_ms=(mixed >> 20 & 1) * (1 + mixed % (DAY_MS // 3)))
    interactions = 1 + min(mixed >> 8 & 15, mixed >> 12 & 15)
    escalations = min(mixed >> 16 & 3, mixed >> 18 & 3, interactions)
    return Work(interactions, escalations, (mixed % DAY_MS) // 6)


def every_bucket(number: int, count: int) -> Work:
    """The worst case: all 176 buckets hold as many, of every age up to a day."""
    severity, rest = divmod(number % BUCKETS, BUCKETS // 4)
    escalations, interactions = divmod(rest, 11)
    return Work(interactions, escalations, _mixed(number) % DAY_MS, severity)


def lasting(number: int, count: int) -> Work:
    """What never expires, in all buckets that can hold it: open CRITICAL and HIGH threats."""
    return every_bucket(number % (BUCKETS // 2) + BUCKETS // 2, count)._replace(
        age_ms=number % 1000
    )


def passing(number: int, count: int) -> Work:
    """Fresh ones that expire within a day, half of them unseen: MEDIUM and LOW."""
    interactions = number % 2 * (1 + number % 7)
    return Work(interactions, 0, number % 1000, number % 4 // 2)


Layout = Callable[[int, int], Work]

BOARDS: dict[str, Layout] = {
    "untouched": untouched,
    "worked": worked,
    "every bucket": every_bucket,
}


async def fill(stand: Stand, board: str, count: int) -> None:
    """Write `count` threats as `board` describes them: records, places, and the ledger."""
    await lay_out(stand, BOARDS[board], range(count))


async def lay_out(stand: Stand, layout: Layout, numbers: range) -> None:
    """Write the threats of these numbers as `layout` describes them."""
    now_ms = time.time_ns() // 1_000_000
    for block in blocks(numbers.start, len(numbers)):
        works = [layout(number, len(numbers)) for number in block]
        entries = list(_entries(block, works, now_ms))
        await send(stand, list(chunks(stand.keys, entries)))
        await stand.count_added(len(entries))


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
        sightings=int(work.known_ms > 0),
        first_seen=moment_ms - work.known_ms,
    )
    place = place_of(payload[0], work.escalations, work.interactions, moment_ms)
    sighted = work.known_ms and not work.interactions
    exception = payload[0] * SPAN + header.first_seen if sighted else None
    return Entry(threat_id, server_part(header) + payload, place, exception)


def _mixed(number: int) -> int:
    return (number * 0x9E3779B97F4A7C15 >> 16) % 2**40
