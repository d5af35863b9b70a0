"""What row `stop` times of analysts' and workers' calls, each on a board that makes it hard."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any, NamedTuple

from periscope.bench.acting import interact, make_eligible
from periscope.bench.boards import DAY_MS, fill, lasting, lay_out, passing
from periscope.bench.row_sweep import sweep_later
from periscope.bench.stand import Stand
from periscope.bench.threats import threat_id
from periscope.policy import Policy

MOST = 100_000
KNOWN = 10_000
PAGE = 1000
PAGES = 20
HELD = 500

Job = Callable[[Stand], Awaitable[Any]]


class Trial(NamedTuple):
    """A stand's preparation, and what is done on it by name."""

    prepare: Job
    jobs: dict[str, Job]


def trials(scale: int) -> list[Trial]:
    """All of them, on boards of this scale."""
    known, expired = max(1, min(KNOWN, scale // 2)), min(scale, MOST)
    acts = partial(interact, numbers=range(expired), resident=scale)
    return [
        Trial(partial(fill, board="worked", count=scale), {"interactions in batches": acts}),
        Trial(partial(_eligible, scale=scale, count=known), {"promotion": _promote}),
        Trial(
            partial(_expiring, scale=scale, count=expired),
            {"sweep": partial(_sweep, count=expired)},
        ),
        Trial(
            partial(_knowledge, scale=scale, count=known),
            {
                "page of 1,000 of level 2": _short_term,
                "page of 1,000 of level 3": _long_term,
            },
        ),
        Trial(partial(_neglected, scale=scale), {"page of 1,000 overdue": _overdue}),
        Trial(partial(fill, board="every bucket", count=scale), {"next": _pull}),
    ]


async def _eligible(on: Stand, scale: int, count: int) -> None:
    await fill(on, "untouched", scale)
    await make_eligible(on, range(count))


async def _promote(on: Stand) -> None:
    await on.periscope.promote_eligible_threats()


async def _expiring(on: Stand, scale: int, count: int) -> None:
    await lay_out(on, lasting, range(count, scale))
    await lay_out(on, passing, range(count))


async def _sweep(on: Stand, count: int) -> None:
    async with on.archive() as archive:
        await sweep_later(on, archive, count)


async def _knowledge(on: Stand, scale: int, count: int) -> None:
    """Half of `count` in level 2, half in level 3, some of which decay."""
    p, half = on.periscope, count // 2
    await fill(on, "untouched", scale)
    await make_eligible(on, range(half))
    await p.promote_eligible_threats()
    await make_eligible(on, range(half, count))
    easy = Policy(long_term_confidence=0.5, long_term_consolidations=1)
    await p.set_policy(easy)
    await p.promote_eligible_threats()
    for number in range(half, min(count, half + 2 * PAGE)):
        await p.decide(threat_id(number), "a", "benign_expected")


async def _short_term(on: Stand) -> None:
    for _ in range(PAGES):
        await on.periscope.get_short_term(count=PAGE)


async def _long_term(on: Stand) -> None:
    for _ in range(PAGES):
        await on.periscope.get_long_term(count=PAGE)


async def _neglected(on: Stand, scale: int) -> None:
    """Two days later everything unseen is overdue."""
    await fill(on, "worked", scale)
    on.periscope.functions.now_ms = time.time_ns() // 1_000_000 + 2 * DAY_MS


async def _overdue(on: Stand) -> None:
    cursor = None
    for _ in range(PAGES):
        page = await on.periscope.get_overdue(cursor=cursor, count=PAGE)
        cursor = page.next_cursor


async def _pull(on: Stand) -> None:
    for number in range(HELD):
        await on.periscope.claim_next(f"analyst-{number}")
