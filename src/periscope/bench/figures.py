"""What a row of the bench says: a figure, all its samples, and whether it reaches its target."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from statistics import median

import msgspec

from periscope.bench.effort import Effort
from periscope.bench.targets import Target, target_of


class Spread(msgspec.Struct, frozen=True):
    """Samples in short: median, extremes and percentiles (by nearest rank)."""

    median: float
    lowest: float
    highest: float
    p50: float
    p99: float
    p999: float

    @classmethod
    def of(cls, samples: Sequence[float]) -> Spread:
        """The spread of at least one sample."""
        ordered = sorted(samples)
        p50, p99, p999 = (_percentile(ordered, per_mille) for per_mille in (500, 990, 999))
        return cls(median(ordered), ordered[0], ordered[-1], p50, p99, p999)


class Figure(msgspec.Struct, frozen=True, kw_only=True):
    """One line of the table.

    `ratios` holds one ratio for each pair of interleaved runs; `ratio` is their median. CPU is told
    twice: as microseconds for each threat or call, which a busy machine hardly changes, and as a
    share of one core while the clock ran (1.0 is a core that never rested). `on` says what the row
    was measured on where there are several: a board, or a durability.
    """

    row: str
    what: str
    scale: int
    unit: str
    samples: list[float]
    spread: Spread
    on: str | None = None
    ratio: float | None = None
    ratios: list[float] = []
    ratio_to: str | None = None
    client_us: float | None = None
    server_us: float | None = None
    client_share: float | None = None
    server_share: float | None = None
    target: str | None = None
    reached: bool | None = None


def figure(
    row: str,
    what: str,
    scale: int,
    unit: str,
    samples: Iterable[float],
    *,
    on: str | None = None,
    ratios: Iterable[float] = (),
    ratio_to: str | None = None,
    effort: Effort | None = None,
) -> Figure:
    """A figure, judged by the target of its row."""
    kept, ratio_samples = list(samples), list(ratios)
    spread = Spread.of(kept)
    ratio = median(ratio_samples) if ratio_samples else None
    target = target_of(row, what, scale)
    return Figure(
        row=row,
        what=what,
        scale=scale,
        unit=unit,
        samples=kept,
        spread=spread,
        on=on,
        ratio=ratio,
        ratios=ratio_samples,
        ratio_to=ratio_to,
        client_us=effort.client_us if effort else None,
        server_us=effort.server_us if effort else None,
        client_share=effort.client_share if effort else None,
        server_share=effort.server_share if effort else None,
        target=str(target) if target else None,
        reached=_reached(target, spread, ratio),
    )


def pairs(ours: Sequence[float], theirs: Sequence[float]) -> list[float]:
    """The ratio of each run to the run beside it: noise that hits both cancels out."""
    return [one / other for one, other in zip(ours, theirs, strict=True)]


def _reached(target: Target | None, spread: Spread, ratio: float | None) -> bool | None:
    if target is None:
        return None
    value = ratio if target.of == "ratio" else getattr(spread, target.of)
    return None if value is None else target.reached_by(value)


def _percentile(ordered: Sequence[float], per_mille: int) -> float:
    rank = -(-len(ordered) * per_mille // 1000)
    return ordered[max(1, rank) - 1]
