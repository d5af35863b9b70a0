"""`periscope bench seed`: the table of an indexed, pipelined store, measured here at each scale."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

from periscope.bench.acting import by_callers
from periscope.bench.contest import many
from periscope.bench.effort import Effort, used_bytes
from periscope.bench.figures import Figure, figure
from periscope.bench.plan import Plan
from periscope.bench.rates import Rates, rate_figure
from periscope.bench.seed_hits import hits
from periscope.bench.seed_ways import CALLERS, Way, naive_way, our_way
from periscope.bench.stand import Stand, stand
from periscope.errors import BugError

ROW = "seed"
INGEST, TOP, SEVERITY = "ingest", "top-100", "page by severity"
SCAN, MIXED, MEMORY = "scan", f"mixed, {CALLERS} callers", "memory"
SCANNED = 100_000
REPEATED_TO = 100_000  # beyond it one run of ingest is long enough


async def seed_figures(plan: Plan) -> list[Figure]:
    """All figures at one scale, of both ways, each on a server of its own."""
    figures = []
    for make in (our_way, naive_way):
        ingested = Rates()
        for _ in range(plan.runs - 1 if plan.scale <= REPEATED_TO else 0):
            async with stand() as fresh:
                await _ingest(make(fresh, plan.scale), ingested)
        async with stand() as on:
            way = make(on, plan.scale)
            plan.say(f"{ROW}: {plan.scale:,}, {way.name}")
            before = await used_bytes(on.socket_path)
            await _ingest(way, ingested)
            held = await used_bytes(on.socket_path) - before
            figures += [
                rate_figure(plan, ROW, INGEST, "threats/s", ingested, on=way.name),
                figure(ROW, MEMORY, plan.scale, "MB", [held / 1e6], on=way.name),
                *await _reads(plan, on, way),
                *await hits(plan, on, way, ROW),
                await _mixed(plan, on, way),
            ]
    return figures


async def _ingest(way: Way, rates: Rates) -> None:
    effort = await way.ingest()
    rates.note(effort.done, effort)


async def _reads(plan: Plan, on: Stand, way: Way) -> list[Figure]:
    return [
        await _asked(plan, on, way.name, TOP, way.top),
        await _asked(plan, on, way.name, SEVERITY, way.severity_page),
        await _scanned(plan, on, way),
    ]


async def _asked(
    plan: Plan, on: Stand, name: str, what: str, ask: Callable[[], Awaitable[Any]]
) -> Figure:
    await ask()
    effort, samples = Effort(), []
    async with effort.measured(on.socket_path, plan.calls):
        for _ in range(plan.calls):
            begun = time.perf_counter()
            await ask()
            samples.append((time.perf_counter() - begun) * 1000)
    return figure(ROW, what, plan.scale, "ms", samples, on=name, effort=effort)


async def _scanned(plan: Plan, on: Stand, way: Way) -> Figure:
    """A walk over everything, or over the first 100,000."""
    expected, rates, effort = min(plan.scale, SCANNED), Rates(), Effort()
    async with effort.measured(on.socket_path, expected):
        met = await _count(way.scan(), expected)
    if met != expected:
        raise BugError(f"a scan by {way.name} of {expected:,} threats met {met:,}")
    rates.note(expected, effort)
    return rate_figure(plan, ROW, SCAN, "threats/s", rates, on=way.name)


async def _count(items: AsyncIterator[Any], most: int) -> int:
    met = 0
    async for _ in items:
        met += 1
        if met == most:
            break
    return met


async def _mixed(plan: Plan, on: Stand, way: Way) -> Figure:
    rates, count, first = Rates(), many(plan, CALLERS), 0
    for _ in range(plan.runs * 2):
        effort = await by_callers(on, CALLERS, range(first, first + count), way.mixed)
        rates.note(count, effort)
        first += count
    return rate_figure(plan, ROW, MIXED, "op/s", rates, on=way.name)
