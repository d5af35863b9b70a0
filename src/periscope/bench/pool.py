"""`periscope bench pool`: how many connections this machine needs, found by trying."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from statistics import median

import msgspec

from periscope.bench.acting import by_callers
from periscope.bench.boards import fill
from periscope.bench.figures import Spread
from periscope.bench.machine import Machine, look_around
from periscope.bench.seed_ways import our_way
from periscope.bench.stand import CONNECTIONS, Stand, stand

SIZES = (1, 2, 4, 8, 16, 32)
CALLERS = (1, 10, 50, 200, 1000)
JUDGED_AT = 200
NEAR = 0.95  # of the best rate is as good: the rest is noise, and connections are not free
FORMAT = 1
RESIDENT = 20_000


class Cell(msgspec.Struct, frozen=True):
    """One pool size with so many callers: op/s of each run, milliseconds of all awaits."""

    connections: int
    callers: int
    rates: list[float]
    wait_ms: Spread

    @property
    def rate(self) -> float:
        """The median of the runs."""
        return median(self.rates)


class PoolDocument(msgspec.Struct, frozen=True):
    """What `bench pool --json` writes."""

    format: int
    ran_on: Machine
    runs: int
    cells: list[Cell]
    recommended: int
    reason: str


class _Tries:
    """What one pool size did with so many callers."""

    def __init__(self) -> None:
        self.rates: list[float] = []
        self.waits: list[float] = []


async def sweep_pools(
    calls: int,
    runs: int,
    say: Callable[[str], None],
    sizes: Sequence[int] = SIZES,
    callers: Sequence[int] = CALLERS,
) -> PoolDocument:
    """Try every pool size with every number of callers, `runs` times in turns; `calls` each.

    A call is an await of `add_threat`, `get_threat` or `record_interaction`, a third each, on a
    durable server that holds 20,000 threats: a fresh one for each size and run.
    """
    ran_on = await look_around()
    tries = {(size, many): _Tries() for size in sizes for many in callers}
    for run in range(runs):
        for size in sizes:
            say(f"pool: {size} connections, run {run + 1} of {runs}")
            async with stand(connections=size) as on:
                await fill(on, "untouched", RESIDENT)
                await _try(on, calls, {many: tries[size, many] for many in callers})
    cells = [
        Cell(size, many, tried.rates, Spread.of(tried.waits))
        for (size, many), tried in tries.items()
    ]
    return PoolDocument(FORMAT, ran_on, runs, cells, *recommend(cells))


async def _try(on: Stand, calls: int, tries: dict[int, _Tries]) -> None:
    job, first = our_way(on, RESIDENT).mixed, 0
    for callers, tried in tries.items():
        # A single caller is slow: fewer calls say as much.
        count = max(callers, calls if callers > 1 else calls // 8)
        effort = await by_callers(on, callers, range(first, first + count), job, tried.waits)
        tried.rates.append(count / effort.wall_s)
        first += count


def recommend(cells: Sequence[Cell]) -> tuple[int, str]:
    """The smallest pool whose rate is within 5 % of the best at 200 callers, and why."""
    most = max(cell.callers for cell in cells)
    at = JUDGED_AT if any(cell.callers == JUDGED_AT for cell in cells) else most
    judged = sorted((c for c in cells if c.callers == at), key=lambda cell: cell.connections)
    best = max(judged, key=lambda cell: cell.rate)
    good = next(cell for cell in judged if cell.rate >= NEAR * best.rate)
    same = "that is the default" if good.connections == CONNECTIONS else f"not {CONNECTIONS}"
    if good is best:
        compared = "the best of all sizes"
    else:
        compared = f"{good.rate / best.rate:.0%} of the best, which needs {best.connections}"
    return good.connections, (
        f"{good.connections} connections ({same}): with {at} callers the smallest pool within "
        f"5 % of the best rate; {good.rate:,.0f} op/s, {compared}"
    )
