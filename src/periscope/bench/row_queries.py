"""Row `queries`: how long answers take, as the client sees it and as the server does."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from itertools import pairwise
from typing import Any

from periscope.bench.boards import BOARDS, fill
from periscope.bench.effort import Effort
from periscope.bench.figures import Figure, figure
from periscope.bench.plan import Plan
from periscope.bench.stand import Stand, stand
from periscope.bench.threats import threat_id
from periscope.periscope import Periscope

SERVER_TOP = "top-100, server"
GROWTH = "top-100, server, growth"

Ask = Callable[[int], Awaitable[Any]]


async def queries_row(plan: Plan) -> list[Figure]:
    """Every query on every board."""
    figures = []
    for board in BOARDS:
        plan.say(f"queries: {plan.scale:,}, board {board}")
        async with stand() as on:
            await fill(on, board, plan.scale)
            for what, ask in _questions(on.periscope, plan.scale).items():
                figures += await _ask_often(plan, on, board, what, ask)
    return figures


def growth(figures: list[Figure]) -> list[Figure]:
    """The server's median for top-100 at each scale, against the next smaller scale."""
    found = []
    for board in BOARDS:
        tops = [f for f in figures if f.what == SERVER_TOP and f.on == board]
        tops.sort(key=lambda one: one.scale)
        found += [_growth_of(small, large) for small, large in pairwise(tops)]
    return found


def _questions(periscope: Periscope, scale: int) -> dict[str, Ask]:
    return {
        "top-100": lambda turn: periscope.get_top_threats(100),
        "get_threat": lambda turn: periscope.get_threat(threat_id(turn * 7919 % scale)),
        "page by severity": lambda turn: periscope.get_by_severity("HIGH"),
        "page by score range": lambda turn: periscope.get_by_score_range(0.3, 0.6),
        "threat_exists": lambda turn: periscope.threat_exists(threat_id(turn * 7919 % scale)),
    }


async def _ask_often(plan: Plan, on: Stand, board: str, what: str, ask: Ask) -> list[Figure]:
    await ask(0)
    if what == "top-100":
        await on.record_calls()
    effort, samples = Effort(), []
    async with effort.measured(on.socket_path, plan.calls):
        for turn in range(plan.calls):
            begun = time.perf_counter()
            await ask(turn)
            samples.append((time.perf_counter() - begun) * 1000)
    found = [figure("queries", what, plan.scale, "ms", samples, on=board, effort=effort)]
    if what == "top-100":
        calls = await on.recorded_calls("periscope_rank")
        found.append(figure("queries", SERVER_TOP, plan.scale, "ms", calls, on=board))
    return found


def _growth_of(small: Figure, large: Figure) -> Figure:
    return figure(
        "queries",
        GROWTH,
        large.scale,
        "ms",
        [large.spread.p50],
        on=large.on,
        ratios=[large.spread.p50 / small.spread.p50],
        ratio_to=f"p50 at {small.scale:,}",
    )
