"""Row `stop`: the longest time for which one call of ours keeps the server from all others."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

from periscope.bench.boards import fill
from periscope.bench.figures import Figure, figure
from periscope.bench.plan import Plan
from periscope.bench.stand import Stand, stand
from periscope.bench.stop_work import Trial, trials
from periscope.bench.threats import report, threat_id
from periscope.bench.work import ingest, ingest_known
from periscope.periscope import Periscope

PREFIX = "periscope_"
LARGE_CONTENT_BYTES = 2000  # 500 of these are a chunk of about 1 MiB
LARGE_REPORTS = 5_000

Job = Callable[[Stand], Awaitable[Any]]


async def stop_row(plan: Plan) -> list[Figure]:
    """Every kind of call, each timed by the server itself."""
    figures = []
    for what, (prepare, job) in _ingests(plan.scale).items():
        plan.say(f"stop: {plan.scale:,}, {what}")
        figures += await _timed(plan, prepare, {what: job})
    plan.say(f"stop: {plan.scale:,}, reads")
    prepare = partial(fill, board="every bucket", count=plan.scale)
    figures += await _timed(plan, prepare, _reads("read", plan.calls // 10))
    prepare = partial(_fill_large, count=min(plan.scale, LARGE_REPORTS))
    figures += await _timed(plan, prepare, _reads("large reports, read", plan.calls // 10))
    for trial in trials(plan.scale):
        figures += await _tried(plan, trial)
    return figures


async def _tried(plan: Plan, trial: Trial) -> list[Figure]:
    """Analysts' and workers' calls, by the function that each of them is."""
    figures = []
    async with stand() as on:
        plan.say(f"stop: {plan.scale:,}, {', '.join(trial.jobs)}")
        await trial.prepare(on)
        for what, job in trial.jobs.items():
            await on.record_calls()
            await job(on)
            for name, calls in sorted((await on.recorded_by_name()).items()):
                if name.startswith(PREFIX):
                    told = f"{what}: {name.removeprefix(PREFIX).removesuffix('_2')}"
                    figures.append(figure("stop", told, plan.scale, "ms", calls))
    return figures


async def _timed(plan: Plan, prepare: Job, jobs: dict[str, Job]) -> list[Figure]:
    """Prepare a server, then let it time the calls of each job."""
    figures = []
    async with stand() as on:
        await prepare(on)
        await on.record_calls()
        for what, job in jobs.items():
            await job(on)
            calls = await on.recorded_calls(PREFIX)
            figures.append(figure("stop", what, plan.scale, "ms", calls))
    return figures


def _ingests(scale: int) -> dict[str, tuple[Job, Job]]:
    new, changed = partial(ingest, first=0), partial(report, edition=1)
    changes = partial(new, count=scale, make=changed)
    return {
        "ingest, new": (_nothing, partial(new, count=scale)),
        "ingest, half known": (_nothing, partial(ingest_known, count=scale, percent=50)),
        "ingest, changed": (partial(new, count=scale), changes),
        "ingest, large reports": (
            _nothing,
            partial(_fill_large, count=min(scale, LARGE_REPORTS)),
        ),
    }


def _reads(prefix: str, rounds: int) -> dict[str, Job]:
    asks: dict[str, Callable[[Periscope], Awaitable[Any]]] = {
        "top-100": lambda p: p.get_top_threats(100),
        "page of 1,000": lambda p: p.get_active_paginated(count=1000),
        "page of 1,000 by severity": lambda p: p.get_by_severity("HIGH", count=1000),
        "page of 1,000 by score range": lambda p: p.get_by_score_range(0.3, 0.6, count=1000),
        "1,000 by id": lambda p: p.get_threats(map(threat_id, range(1000))),
        "stats": lambda p: p.get_stats(),
    }
    return {
        f"{prefix} {what}": partial(_repeat, ask=ask, rounds=rounds) for what, ask in asks.items()
    }


async def _repeat(on: Stand, ask: Callable[[Periscope], Awaitable[Any]], rounds: int) -> None:
    for _ in range(rounds):
        await ask(on.periscope)


async def _nothing(on: Stand) -> None:
    """An empty store needs no preparation."""


async def _fill_large(on: Stand, count: int) -> None:
    await ingest(on, 0, count, partial(report, content_bytes=LARGE_CONTENT_BYTES))
