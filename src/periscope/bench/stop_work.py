"""What row `stop` times of analysts' and workers' calls, each on a board that makes it hard."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from functools import partial
from typing import Any, NamedTuple

from periscope.bench.acting import ANALYSTS, STRIDE, by_callers, interact, make_eligible
from periscope.bench.boards import DAY_MS, HOUR_MS, fill, lasting, lay_out, passing
from periscope.bench.row_sweep import sweep_later
from periscope.bench.stand import Stand
from periscope.bench.threats import threat_id
from periscope.bench.work import ingest
from periscope.errors import BugError
from periscope.policy import Policy
from periscope.work import Event

MOST = 100_000
KNOWN = 10_000
PAGE = 1000
PAGES = 20
HELD = 500
CALLERS = 200
SINGLE = 20_000
FOLLOWED = 20_000
LATE = 5_000  # more, so that somebody who began a moment late hears enough as well
FOLLOW_EVERY_S = 0.02
SETTLING_MS = 2 * HOUR_MS

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
        Trial(
            partial(fill, board="worked", count=scale),
            {
                "interactions in batches": acts,
                "single interactions": partial(_act_singly, scale=scale),
                "the audit trail archived": _archive_audit,
            },
        ),
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
        Trial(
            partial(fill, board="untouched", count=scale),
            {
                "ids seen": partial(_see, count=expired),
                "a filter filled and kept up": partial(_follow, scale=scale),
                "events": partial(_listen, scale=scale),
            },
        ),
        Trial(partial(_recalled, scale=scale, count=known), {"settling": _settle}),
    ]


async def _act_singly(on: Stand, scale: int) -> None:
    """As analysts do: one act each, and the threat is answered; whoever waits travels together."""
    p = on.periscope

    async def act(number: int) -> None:
        who = f"analyst-{number % ANALYSTS}"
        await p.record_interaction(threat_id(number * STRIDE % scale), who, "investigate")

    await by_callers(on, CALLERS, range(min(SINGLE, scale)), act)


async def _archive_audit(on: Stand) -> None:
    async with on.archive() as archive:
        await on.periscope.archive_audit(archive)


async def _see(on: Stand, count: int) -> None:
    await on.periscope.seen(map(threat_id, range(count)), exact=True)


async def _follow(on: Stand, scale: int) -> None:
    """The filter of this process: filled from what there is, then kept up with what comes."""
    await on.periscope.membership_ready()
    await ingest(on, scale, FOLLOWED)
    now_ms = time.time_ns() // 1_000_000
    while True:
        await asyncio.sleep(FOLLOW_EVERY_S)
        if (on.periscope.membership.as_of_ms or 0) > now_ms:
            return


async def _listen(on: Stand, scale: int) -> None:
    """Somebody follows the events while reports come in."""
    listening = asyncio.create_task(_hear(on.periscope.events(), FOLLOWED))
    await asyncio.sleep(FOLLOW_EVERY_S)  # it begins with what comes from now on
    await ingest(on, scale + FOLLOWED, FOLLOWED + LATE)
    await listening


async def _hear(events: AsyncIterator[Event], count: int) -> None:
    heard = 0
    async for event in events:
        heard += len(event.threat_ids)
        if heard >= count:
            return


async def _recalled(on: Stand, scale: int, count: int) -> None:
    """Threats of level 2 that analysts took up again."""
    await _eligible(on, scale, count)
    await _promote(on)

    async def recall(number: int) -> None:
        await on.periscope.recall(threat_id(number), "a")

    await by_callers(on, CALLERS, range(count), recall)


async def _settle(on: Stand) -> None:
    """Two hours later they go home."""
    on.periscope.functions.now_ms = time.time_ns() // 1_000_000 + SETTLING_MS
    async with on.archive() as archive:
        stats = await on.periscope.sweep(archive)
    if not stats.settled:
        raise BugError("nothing settled")


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
