"""Rows `limit`, `ingest`, `ingest-resident` and `durability`: how fast reports go in."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial

from periscope.bench.effort import Effort
from periscope.bench.figures import Figure, figure
from periscope.bench.plain import fill_plainly
from periscope.bench.plan import Plan
from periscope.bench.profiling import profiled
from periscope.bench.rates import Rates, rate_figure, runs
from periscope.bench.stand import DURABILITIES, Stand, stand
from periscope.bench.threats import report
from periscope.bench.work import ingest, ingest_known
from periscope.settings import Durability

UNIT = "threats/s"
PLAIN = "plain SET NX and ZADD"
KNOWN_PERCENTS = (1, 50, 100)
RESIDENT = "ingest-resident"
RESIDENT_BATCH = 100_000
INTO_THE_SCALE = "into the scale"
RESIDENT_GROWTH = "into the scale, growth"

Job = Callable[[Stand], Awaitable[Effort]]


async def on_fresh(job: Job, durability: Durability = "durable") -> Effort:
    """Do a job on a server of its own."""
    async with stand(durability) as fresh:
        return await job(fresh)


async def limit_row(plan: Plan) -> list[Figure]:
    """Packed records as plain commands."""
    rates = {durability: Rates() for durability in DURABILITIES}
    job = partial(fill_plainly, first=0, count=plan.scale)
    for _ in runs(plan, "limit"):
        for durability, of in rates.items():
            of.note(plan.scale, await on_fresh(job, durability))
    return [_rate_figure(plan, "limit", PLAIN, of, on=name) for name, of in rates.items()]


async def ingest_row(plan: Plan) -> list[Figure]:
    """The limit, new reports, and mixes of new and known ones, in turns; durable, and then fast.

    Fast is the harder one: without fsync to wait for, only the work is left to compare.
    """
    figures = []
    for durability in DURABILITIES:
        rates = {name: Rates() for name in _jobs(plan)}
        for _ in runs(plan, f"ingest, {durability}"):
            for name, job in _jobs(plan).items():
                rates[name].note(plan.scale, await on_fresh(job, durability))
        figures += _ingest_figures(plan, rates, durability)
    if plan.profile:
        await on_fresh(partial(profiled, count=min(plan.scale, RESIDENT_BATCH)))
    return figures


async def resident_row(plan: Plan) -> list[Figure]:
    """The same batch into an empty store and into one that holds the scale, in turns."""
    count = _batch_of(plan.scale)
    empty, resident = Rates(), Rates()
    async with stand() as full:
        await fill_plainly(full, 0, plan.scale)
        first = plan.scale
        for _ in runs(plan, RESIDENT):
            empty.note(count, await on_fresh(partial(ingest, first=0, count=count)))
            resident.note(count, await ingest(full, first, count))
            first += count
    return [
        _rate_figure(plan, RESIDENT, "into an empty store", empty),
        _rate_figure(plan, RESIDENT, INTO_THE_SCALE, resident, "empty store", empty),
    ]


def resident_growth(figures: list[Figure]) -> list[Figure]:
    """The rate into the largest scale, against that into the smallest with batches as large."""
    found = [one for one in figures if (one.row, one.what) == (RESIDENT, INTO_THE_SCALE)]
    found.sort(key=lambda one: one.scale)
    alike = [one for one in found if _batch_of(one.scale) == _batch_of(found[-1].scale)]
    if len(alike) < 2:
        return []
    small, large = alike[0].spread.median, alike[-1].spread.median
    return [
        figure(
            *(RESIDENT, RESIDENT_GROWTH, alike[-1].scale, UNIT, [large]),
            ratios=[large / small],
            ratio_to=f"median at {alike[0].scale:,}",
        )
    ]


def _batch_of(scale: int) -> int:
    return min(scale, RESIDENT_BATCH)


async def durability_row(plan: Plan) -> list[Figure]:
    """Acknowledged when fsynced, against acknowledged when in memory, in turns."""
    durable, fast = Rates(), Rates()
    job = partial(ingest, first=0, count=plan.scale)
    for _ in runs(plan, "durability"):
        fast.note(plan.scale, await on_fresh(job, "fast"))
        durable.note(plan.scale, await on_fresh(job, "durable"))
    return [
        _rate_figure(plan, "durability", "fast", fast),
        _rate_figure(plan, "durability", "durable", durable, "fast", fast),
    ]


def _jobs(plan: Plan) -> dict[str, Job]:
    jobs: dict[str, Job] = {
        "limit": partial(fill_plainly, first=0, count=plan.scale),
        "new": partial(ingest, first=0, count=plan.scale),
    }
    for percent in KNOWN_PERCENTS:
        jobs[f"{percent} % known"] = partial(ingest_known, count=plan.scale, percent=percent)
    jobs["100 % changed"] = partial(_ingest_changed, count=plan.scale)
    return jobs


async def _ingest_changed(on: Stand, count: int) -> Effort:
    await ingest(on, 0, count)
    return await ingest(on, 0, count, partial(report, edition=1))


def _ingest_figures(plan: Plan, rates: dict[str, Rates], durability: str) -> list[Figure]:
    limit, new = rates.pop("limit"), rates.pop("new")
    known = [
        _rate_figure(plan, "ingest", name, of, "new", new, on=durability)
        for name, of in rates.items()
    ]
    return [
        _rate_figure(plan, "limit", PLAIN, limit, on=durability),
        _rate_figure(plan, "ingest", "new", new, "limit", limit, on=durability),
        *known,
    ]


def _rate_figure(
    plan: Plan,
    row: str,
    what: str,
    rates: Rates,
    ratio_to: str | None = None,
    to: Rates | None = None,
    on: str | None = None,
) -> Figure:
    return rate_figure(plan, row, what, UNIT, rates, ratio_to, to, on)
