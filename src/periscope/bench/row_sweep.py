"""Row `sweep`: expiry into a real archive, and what a sweep costs that finds nothing."""

from __future__ import annotations

import time

from periscope.archive import Archive
from periscope.bench.boards import DAY_MS, lasting, lay_out, passing
from periscope.bench.effort import Effort
from periscope.bench.figures import Figure, figure
from periscope.bench.plan import Plan
from periscope.bench.rates import Rates, rate_figure, runs
from periscope.bench.stand import Stand, stand
from periscope.errors import BugError

ROW = "sweep"
PREFIX = "periscope_"
MOST = 100_000
IDLE = 20
LATER_MS = 2 * DAY_MS


async def sweep_row(plan: Plan) -> list[Figure]:
    """Up to 100,000 expire among what lasts, again and again; idle sweeps before and after."""
    count = min(plan.scale, MOST)
    rates, calls = Rates(), dict[str, list[float]]()
    async with stand() as on, on.archive() as archive:
        await lay_out(on, lasting, range(count, plan.scale))
        await lay_out(on, passing, range(count))
        idle = await _idle(on, archive)
        for run in runs(plan, ROW):
            if run:
                first = plan.scale + run * count
                await lay_out(on, passing, range(first, first + count))
            await on.record_calls()
            rates.note(count, await sweep_later(on, archive, count))
            for name, found in (await on.recorded_by_name()).items():
                calls.setdefault(name, []).extend(found)
        cleared = await _idle(on, archive)
    return [
        rate_figure(plan, ROW, "expired", "threats/s", rates),
        *[
            figure(ROW, "each call", plan.scale, "ms", found, on=name.removeprefix(PREFIX))
            for name, found in sorted(calls.items())
            if name.startswith(PREFIX)
        ],
        figure(ROW, "idle sweep", plan.scale, "ms", idle, on="before"),
        figure(ROW, "idle sweep", plan.scale, "ms", cleared, on="after"),
    ]


async def sweep_later(on: Stand, archive: Archive, count: int) -> Effort:
    """Let two days go by and sweep; exactly `count` must leave. The clock stays there."""
    on.periscope.functions.now_ms = time.time_ns() // 1_000_000 + LATER_MS
    effort = Effort()
    async with effort.measured(on.socket_path, count):
        stats = await on.periscope.sweep(archive)
    if stats.expired != count:
        raise BugError(f"of {count:,} threats {stats.expired:,} expired")
    return effort


async def _idle(on: Stand, archive: Archive) -> list[float]:
    """Milliseconds of sweeps that find nothing."""
    await on.periscope.sweep(archive)
    samples = []
    for _ in range(IDLE):
        begun = time.perf_counter()
        stats = await on.periscope.sweep(archive)
        samples.append((time.perf_counter() - begun) * 1000)
        if stats.expired or stats.settled:
            raise BugError("an idle sweep found something")
    return samples
