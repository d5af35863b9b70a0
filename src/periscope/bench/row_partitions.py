"""Row `partitions`: what it costs to have many of them, on one server."""

from __future__ import annotations

import time

from periscope.bench.effort import Effort
from periscope.bench.figures import Figure, figure
from periscope.bench.plan import Plan
from periscope.bench.rates import Rates, rate_figure, runs
from periscope.bench.stand import Stand, stand
from periscope.bench.work import ingest

ROW = "partitions"
COUNTS = (1, 8, 64)
MOST = 100_000


async def partitions_row(plan: Plan) -> list[Figure]:
    """Ingest, and the top 100 afterwards, with 1, 8 and 64 partitions, in turns."""
    count = min(plan.scale, MOST)
    rates = {partitions: Rates() for partitions in COUNTS}
    tops = {partitions: Effort() for partitions in COUNTS}
    waits: dict[int, list[float]] = {partitions: [] for partitions in COUNTS}
    for _ in runs(plan, ROW):
        for partitions in COUNTS:
            async with stand(partitions=partitions) as on:
                rates[partitions].note(count, await ingest(on, 0, count))
                waits[partitions] += await _tops(on, plan.calls // 5, tops[partitions])
    one = rates[1]
    figures = []
    for partitions in COUNTS:
        told, of = f"{partitions} partition{'s' * (partitions > 1)}", rates[partitions]
        to = None if partitions == 1 else one
        figures += [
            rate_figure(plan, ROW, "ingest", "threats/s", of, "one partition", to, told),
            _top_figure(plan, waits[partitions], told, tops[partitions]),
        ]
    return figures


def _top_figure(plan: Plan, waits: list[float], told: str, effort: Effort) -> Figure:
    return figure(ROW, "top-100", plan.scale, "ms", waits, on=told, effort=effort)


async def _tops(on: Stand, count: int, effort: Effort) -> list[float]:
    samples = []
    async with effort.measured(on.socket_path, count):
        for _ in range(count):
            begun = time.perf_counter()
            await on.periscope.get_top_threats(100)
            samples.append((time.perf_counter() - begun) * 1000)
    return samples
