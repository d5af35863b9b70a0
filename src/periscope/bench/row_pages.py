"""Row `pages`: a walk over the whole queue in pages of 100, first pages against last."""

from __future__ import annotations

import time
from statistics import median

from periscope.bench.boards import fill
from periscope.bench.effort import Effort
from periscope.bench.figures import Figure, figure
from periscope.bench.plan import Plan
from periscope.bench.stand import Stand, stand
from periscope.errors import BugError

PAGE = 100
ENDS = 50
PAGE_BOARDS = ("untouched", "worked")


async def pages_row(plan: Plan) -> list[Figure]:
    """A walk over each of two boards."""
    figures = []
    for board in PAGE_BOARDS:
        plan.say(f"pages: {plan.scale:,}, board {board}")
        async with stand() as on:
            await fill(on, board, plan.scale)
            effort = Effort()
            async with effort.measured(on.socket_path, -(-plan.scale // PAGE)):
                samples = await _walk(on, plan.scale)
            figures += _figures(plan, board, samples, effort)
    return figures


async def _walk(on: Stand, expected: int) -> list[float]:
    """Milliseconds of each page."""
    samples: list[float] = []
    cursor, met = None, 0
    while cursor is not None or not samples:
        begun = time.perf_counter()
        page = await on.periscope.get_active_paginated(cursor, PAGE)
        samples.append((time.perf_counter() - begun) * 1000)
        cursor, met = page.next_cursor, met + len(page)
    if met != expected:
        raise BugError(f"a walk over {expected:,} threats met {met:,}")
    return samples


def _figures(plan: Plan, board: str, samples: list[float], effort: Effort) -> list[Figure]:
    # The last page may be short; whole ones are compared.
    whole = samples[: plan.scale // PAGE] or samples
    ends = min(ENDS, max(1, len(whole) // 2))
    first, last = whole[:ends], whole[-ends:]
    ratio = median(last) / median(first)
    rows, common = "pages", (plan.scale, "ms")
    return [
        figure(rows, "each page", *common, samples, on=board, effort=effort),
        figure(rows, "first pages", *common, first, on=board),
        figure(rows, "last pages", *common, last, on=board, ratios=[ratio], ratio_to="first pages"),
        figure(rows, "whole walk", plan.scale, "s", [effort.wall_s], on=board),
    ]
