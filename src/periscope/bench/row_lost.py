"""Row `lost`: after everything at once, is every acknowledged threat there, once, and counted?"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager

from periscope.archive import Archive
from periscope.bench.acting import Job, by_callers
from periscope.bench.figures import Figure, figure
from periscope.bench.plan import Plan
from periscope.bench.row_sweep import LATER_MS
from periscope.bench.stand import Stand, stand
from periscope.bench.threats import blocks, report, threat_id
from periscope.bench.work import FAR, ingest

ROW = "lost"
WRONG = "lost, doubled or miscounted"
MOST = 100_000
CALLERS = 200
SINGLE_OF = 10  # for ten threats of the batch, one comes by a single call, with its acts
ANALYSTS = ("ann", "bob")
PAGE = 10_000
UPKEEP_EVERY_S = 0.05


async def lost_row(plan: Plan) -> list[Figure]:
    """Batches beside 200 callers, and what workers do; two days later, what may leave leaves."""
    count = min(plan.scale, MOST)
    alone = range(FAR, FAR + max(CALLERS, count // SINGLE_OF))
    plan.say(
        f"lost: {count:,} in batches, {len(alone):,} by {CALLERS} callers, all that can happen"
    )
    async with stand() as on, on.archive() as archive:
        async with _upkeep(on, archive):
            await asyncio.gather(ingest(on, 0, count), by_callers(on, CALLERS, alone, _work(on)))
        await _expire(on, archive)
        wrong = await wrong_of_all(on, archive, range(count), alone)
    return [
        figure(ROW, "acknowledged and compared", plan.scale, "threats", [count + len(alone)]),
        figure(ROW, WRONG, plan.scale, "threats", [wrong]),
    ]


@asynccontextmanager
async def _upkeep(on: Stand, archive: Archive) -> AsyncIterator[None]:
    """What workers do, again and again while the body runs, and once more after it."""
    ended = asyncio.Event()

    async def keep_up() -> None:
        while True:
            last = ended.is_set()
            await on.periscope.promote_eligible_threats()
            await on.periscope.sweep(archive)
            await on.periscope.archive_audit(archive)
            if last:
                return
            await asyncio.sleep(UPKEEP_EVERY_S)

    task = asyncio.create_task(keep_up())
    try:
        yield
        ended.set()
        await task
    finally:
        task.cancel()


def _work(on: Stand) -> Job:
    """One threat by a single call, escalated by everybody: if it is grave, it is promoted."""

    async def work(number: int) -> None:
        one = report(number)
        await on.periscope.add_threat(
            one["threat_id"], one["content"], one["severity"], one["metadata"]
        )
        for analyst in ANALYSTS:
            await on.periscope.record_interaction(one["threat_id"], analyst, "escalate")

    return work


async def _expire(on: Stand, archive: Archive) -> None:
    """Two days later whatever may leave does."""
    on.periscope.functions.now_ms = (await on.periscope.get_stats()).as_of_ms + LATER_MS
    await on.periscope.sweep(archive)


async def wrong_of_all(on: Stand, archive: Archive, batch: range, alone: range) -> int:
    """How many are nowhere, in two places, or have other counts than what was acknowledged."""
    departed = await _departed(archive)
    wrong = sum(times - 1 for times in departed.values())
    for numbers, acts in ((batch, 0), (alone, len(ANALYSTS))):
        for block in blocks(numbers.start, len(numbers)):
            wrong += await _wrong_of(on, block, acts, departed)
    ledger = await on.periscope.get_ledger(deep=True, archive=archive)
    known = len(batch) + len(alone)
    return wrong + abs(ledger.added - known) + (0 if ledger.balanced else 1)


async def _wrong_of(on: Stand, numbers: Iterable[int], acts: int, departed: Counter[str]) -> int:
    ids = [threat_id(number) for number in numbers]
    here = {one.threat_id: one for one in await on.periscope.get_threats(ids)}
    places = sum((one in here) + (one in departed) != 1 for one in ids)
    return places + sum(one.interactions != acts for one in here.values())


async def _departed(archive: Archive) -> Counter[str]:
    """How often each threat is in the archive."""
    found: Counter[str] = Counter()
    before: int | None = None
    while rows := await archive.history(limit=PAGE, before=before):
        found.update(one.threat_id for _, one in rows)
        before = rows[-1][0]
    return found
