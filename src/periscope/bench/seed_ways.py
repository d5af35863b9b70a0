"""What `periscope bench seed` measures, done by Periscope and by one redis-py call each."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from functools import partial
from typing import Any, NamedTuple

from periscope.bench.acting import STRIDE, Job, by_callers, interaction
from periscope.bench.effort import Effort
from periscope.bench.naive import Naive
from periscope.bench.stand import Stand
from periscope.bench.threats import report, threat_id
from periscope.bench.work import FAR, ingest

CALLERS = 200
NAIVE_ADDS = 20_000

OURS, NAIVE = "periscope", "one call each"


class Way(NamedTuple):
    """One way of doing everything; `mixed` adds, reads and acts, a third each."""

    name: str
    ingest: Callable[[], Awaitable[Effort]]
    top: Callable[[], Awaitable[Any]]
    severity_page: Callable[[], Awaitable[Any]]
    scan: Callable[[], AsyncIterator[Any]]
    mixed: Job
    exists: Callable[[str], Awaitable[bool]]


def our_way(on: Stand, scale: int) -> Way:
    """The public interface; reports go in as one batch."""
    p = on.periscope

    async def mixed(number: int) -> None:
        if number % 3 == 0:
            await p.add_threat(**report(2 * FAR + number))
        elif number % 3 == 1:
            await p.get_threat(threat_id(number * STRIDE % scale))
        else:
            await p.record_interaction(**interaction(number, scale))

    return Way(
        OURS,
        partial(ingest, on, 0, scale),
        partial(p.get_top_threats, 100),
        partial(p.get_by_severity, "HIGH"),
        p.get_all_active,
        mixed,
        p.threat_exists,
    )


def naive_way(on: Stand, scale: int) -> Way:
    """Plain redis-py; what is not timed of the filling is written in pipelines."""
    naive = Naive(on.client)

    async def mixed(number: int) -> None:
        if number % 3 == 0:
            await naive.add(report(2 * FAR + number))
        elif number % 3 == 1:
            await naive.get(threat_id(number * STRIDE % scale))
        else:
            await naive.act(number, scale)

    return Way(
        NAIVE,
        partial(_fill_naively, on, naive, scale),
        partial(naive.top, 100),
        partial(naive.severity_page, "HIGH"),
        naive.scan,
        mixed,
        naive.exists,
    )


async def _fill_naively(on: Stand, naive: Naive, scale: int) -> Effort:
    """The last 20,000 one by one, by 200 callers; a million of them would take minutes."""
    timed = min(scale, NAIVE_ADDS)
    await naive.fill(range(scale - timed))
    items = {number: report(number) for number in range(scale - timed, scale)}

    async def add(number: int) -> None:
        await naive.add(items[number])

    return await by_callers(on, CALLERS, range(scale - timed, scale), add)
