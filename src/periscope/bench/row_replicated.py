"""Row `replicated`: what it costs to wait for a replica as well."""

from __future__ import annotations

from periscope.bench.effort import Effort
from periscope.bench.figures import Figure, figure
from periscope.bench.pair import Pair, pair
from periscope.bench.plan import Plan
from periscope.bench.rates import Rates, rate_figure, runs
from periscope.bench.singly import single_acts
from periscope.bench.threats import blocks, report
from periscope.errors import BugError
from periscope.settings import Acknowledgement

ROW = "replicated"
MOST = 100_000
ACTS = 200
LEVELS: tuple[Acknowledgement, ...] = ("durable", "replicated")


async def replicated_row(plan: Plan) -> list[Figure]:
    """Ingest, and acts awaited one by one, on one pair of servers: replicated against durable."""
    count = min(plan.scale, MOST)
    rates = {level: Rates() for level in LEVELS}
    waits: dict[str, list[float]] = {level: [] for level in LEVELS}
    async with pair() as servers:
        for _ in runs(plan, ROW):
            for level in LEVELS:
                rates[level].note(count, await _one(servers, level, count, waits[level]))
    durable = rates["durable"]
    return [
        rate_figure(plan, ROW, "durable", "threats/s", durable),
        rate_figure(plan, ROW, "replicated", "threats/s", rates["replicated"], "durable", durable),
        *[
            figure(ROW, "each act, one caller", plan.scale, "ms", waits[level], on=level)
            for level in LEVELS
        ],
    ]


async def _one(servers: Pair, level: Acknowledgement, count: int, waits: list[float]) -> Effort:
    await servers.empty()
    effort = Effort()
    async with servers.open(level) as p:
        for block in blocks(0, count):
            items = [report(number) for number in block]
            async with effort.measured(servers.socket_path, len(items)):
                result = await p.add_threats_batch(items)
            if result.committed != len(items):
                raise BugError(f"of {len(items):,} reports only {result.committed:,} were stored")
        waits += await single_acts(p, ACTS, count)
    return effort
