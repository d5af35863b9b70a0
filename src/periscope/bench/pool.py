"""`periscope bench pool`: how many connections this machine needs, found by trying."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from statistics import median

import msgspec

from periscope.bench.acting import by_callers
from periscope.bench.figures import Spread
from periscope.bench.machine import Machine, look_around
from periscope.bench.seed_ways import our_way
from periscope.bench.stand import CONNECTIONS, Stand, stand
from periscope.bench.work import ingest

SIZES = (1, 2, 4, 8, 16, 32)
CALLERS = (1, 10, 50, 200, 1000)
JUDGED_AT = 200
NEAR = 0.95  # of the best rate is as good: connections are not free
FORMAT = 2
RESIDENT = 20_000
# What waits for the same partition travels together: with a single one three connections are ever
# made, whatever the pool allows. So many are what a cluster has.
PARTITIONS = 64
RESTING_LOAD = 0.5


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
    """What `bench pool --json` writes; `caveat` is why not to rely on it, empty if nothing is."""

    format: int
    ran_on: Machine
    runs: int
    partitions: int
    cells: list[Cell]
    recommended: int
    reason: str
    caveat: str


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
    durable server that holds 20,000 threats in 64 partitions: a fresh one for each size and run.
    """
    ran_on = await look_around()
    tries = {(size, many): _Tries() for size in sizes for many in callers}
    for run in range(runs):
        # In turn the other way round: who comes last is not always the same.
        for size in sizes[:: -1 if run % 2 else 1]:
            say(f"pool: {size} connections, run {run + 1} of {runs}")
            async with stand(connections=size, partitions=PARTITIONS) as on:
                await ingest(on, 0, RESIDENT)
                await _try(on, calls, {many: tries[size, many] for many in callers})
    cells = [
        Cell(size, many, tried.rates, Spread.of(tried.waits))
        for (size, many), tried in tries.items()
    ]
    size, reason = recommend(cells)
    caveat = caveat_of(ran_on.load_1m)
    return PoolDocument(FORMAT, ran_on, runs, PARTITIONS, cells, size, reason, caveat)


async def _try(on: Stand, calls: int, tries: dict[int, _Tries]) -> None:
    job, first = our_way(on, RESIDENT).mixed, 0
    for callers, tried in tries.items():
        # A single caller is slow: fewer calls say as much.
        count = max(callers, calls if callers > 1 else calls // 8)
        effort = await by_callers(on, callers, range(first, first + count), job, tried.waits)
        tried.rates.append(count / effort.wall_s)
        first += count


def caveat_of(load_1m: float) -> str:
    """Why the recommendation may be worth little; empty if the machine was at rest before."""
    if load_1m <= RESTING_LOAD:
        return ""
    return (
        f"the machine was not at rest (load {load_1m:.2f} before the first try): "
        "what is told here may be its other work; repeat it when it rests"
    )


def recommend(cells: Sequence[Cell]) -> tuple[int, str]:
    """A pool size for 200 callers, and why: the default, unless the runs show a better one.

    Better is a size whose slowest run is faster than the default's fastest, and whose median is by
    more than 5 %. Of several the smallest that is not, in the same sense, worse than the best.
    """
    judged = _judged(cells)
    usual = next((c for c in judged if c.connections == CONNECTIONS), judged[0])
    best = max(judged, key=lambda cell: cell.rate)
    better = [cell for cell in judged if _is_better(cell, usual)]
    good = next((cell for cell in better if not _is_better(best, cell)), usual)
    told = f"with {good.callers} callers {good.rate:,.0f} op/s"
    if good is not usual:
        return good.connections, (
            f"{good.connections} connections (not {usual.connections}): {told}, "
            f"{good.rate / usual.rate:.2f} times the rate of {usual.connections}, in every run"
        )
    default = " (the default)" if good.connections == CONNECTIONS else ""
    return good.connections, f"{good.connections} connections{default}: {told}; {_noise(judged)}"


def _judged(cells: Sequence[Cell]) -> list[Cell]:
    """The cells of the number of callers by which pools are judged, small pools first."""
    most = max(cell.callers for cell in cells)
    at = JUDGED_AT if any(cell.callers == JUDGED_AT for cell in cells) else most
    return sorted((c for c in cells if c.callers == at), key=lambda cell: cell.connections)


def _is_better(one: Cell, other: Cell) -> bool:
    apart = len(one.rates) > 1 and min(one.rates) > max(other.rates)
    return apart and one.rate * NEAR > other.rate


def _noise(judged: Sequence[Cell]) -> str:
    if any(len(cell.rates) < 2 for cell in judged):
        return "one run cannot tell a difference from noise"
    spread = max((max(cell.rates) - min(cell.rates)) / cell.rate for cell in judged)
    return (
        "no other size is faster by more than the noise "
        f"(runs of one size differ by up to {spread:.0%})"
    )
