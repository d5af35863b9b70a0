"""A chart of the seed table: ingest, top 100 and memory against the number of threats, as SVG.

Written by hand, so that nothing has to be installed for it. It brings its own background, light or
dark as the reader's system is, since a page shows it as an image.
"""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from math import ceil, floor, log10
from typing import NamedTuple

from periscope.bench.figures import Figure
from periscope.bench.machine import Machine
from periscope.bench.promises import PROMISED
from periscope.bench.report import Document
from periscope.bench.seed import INGEST, MEMORY, ROW, TOP
from periscope.bench.seed_ways import NAIVE, OURS
from periscope.errors import UsageError

WIDTH, HEIGHT = 1020, 378
PANEL, GAP, LEFT, TOP_EDGE, BOTTOM = 258, 72, 62, 122, 318
DOT = 4
STEEP = 2  # times the value before: a line that rises so much would cross a number above it
LIGHT = {"paper": "#fcfcfd", "ink": "#1f2430", "soft": "#667085", "grid": "#e4e7ec"}
DARK = {"paper": "#14171f", "ink": "#e6e9f0", "soft": "#98a2b3", "grid": "#2b3140"}
COLOURS = {"ours": ("#0f766e", "#2dd4bf"), "naive": ("#b45309", "#f59e0b")}
PANELS = (
    (INGEST, "Ingest, threats a second", "higher is better"),
    (TOP, "Top 100 with records, ms (p50)", "lower is better"),
    (MEMORY, "Memory of the server, MB", "lower is better"),
)
SERIES = (
    ("ours", "Periscope, durable"),
    ("naive", "one redis-py call each"),
    ("promised", "promised for such a system"),
)

Point = tuple[float, float]


class Axis(NamedTuple):
    """A logarithmic axis from `least` to `most`, drawn from pixel `start` to `end`."""

    least: float
    most: float
    start: float
    end: float

    def at(self, value: float) -> float:
        """Where a value stands."""
        share = (log10(value) - log10(self.least)) / (log10(self.most) - log10(self.least))
        return round(self.start + share * (self.end - self.start), 1)

    @property
    def decades(self) -> list[float]:
        """The powers of ten on it."""
        return [10.0**n for n in range(ceil(log10(self.least)), floor(log10(self.most)) + 1)]


def draw(document: Document) -> str:
    """The chart of these results, the same bytes for the same results.

    Raises:
        UsageError: they hold no seed table with two scales.
    """
    figures = [one for one in document.figures if one.row == ROW]
    scales = sorted({one.scale for one in figures})
    if len(scales) < 2:
        raise UsageError("the chart needs results of `bench seed` at two scales or more")
    parts = [_head(document.ran_on), *_legend()]
    for number, (what, title, sense) in enumerate(PANELS):
        left = LEFT + number * (PANEL + GAP)
        parts += _panel(left, title, sense, scales, _points(figures, what, scales))
    return "\n".join([*parts, "</svg>"]) + "\n"


def _points(figures: Sequence[Figure], what: str, scales: Sequence[int]) -> dict[str, list[Point]]:
    found = {(one.on, one.scale): one.spread.median for one in figures if one.what == what}
    named = {"ours": OURS, "naive": NAIVE}
    points = {
        name: [(float(n), found[on, n]) for n in scales if (on, n) in found]
        for name, on in named.items()
    }
    promised = [(float(n), PROMISED[n, what]) for n in scales if (n, what) in PROMISED]
    return {**points, "promised": promised}


def _panel(
    left: float, title: str, sense: str, scales: Sequence[int], points: dict[str, list[Point]]
) -> list[str]:
    x, y = _axes(left, scales, [value for line in points.values() for _, value in line])
    parts = [
        _text(left - 40, TOP_EDGE - 30, title, "title"),
        _text(left - 40, TOP_EDGE - 14, sense, "soft"),
    ]
    parts += _grid(x, y, scales)
    for name in ("promised", "naive", "ours"):
        parts += _line(name, [(x.at(a), y.at(b)) for a, b in points[name]])
    return parts + _values(points, x, y)


def _values(points: dict[str, list[Point]], x: Axis, y: Axis) -> list[str]:
    """The numbers of our line: above it, where a rising line leaves room on the left."""
    parts, last = [], 0.0
    for scale, value in points["ours"]:
        rising = 0 < last * STEEP < value
        place = (x.at(scale) - 8, "end") if rising else (x.at(scale), "middle")
        spot = y.at(value) - 8 if rising else _beside(scale, value, points, y)
        parts.append(_text(place[0], spot, _short(value), "value", place[1]))
        last = value
    return parts


def _axes(left: float, scales: Sequence[int], values: Sequence[float]) -> tuple[Axis, Axis]:
    least, most = floor(log10(min(values) * 0.8)), ceil(log10(max(values) * 1.25))
    across = Axis(scales[0] / 1.35, scales[-1] * 1.35, left, left + PANEL)
    return across, Axis(10.0**least, 10.0**most, BOTTOM, TOP_EDGE)


def _beside(scale: float, value: float, points: dict[str, list[Point]], y: Axis) -> float:
    """Above the dot, or below it where another line passes closely above."""
    others = [b for name in ("naive", "promised") for a, b in points[name] if a == scale]
    crowded = any(0 <= y.at(value) - y.at(b) < 22 for b in others)
    return y.at(value) + (19 if crowded else -12)


def _grid(x: Axis, y: Axis, scales: Sequence[int]) -> list[str]:
    parts = []
    for value in y.decades:
        parts.append(_rule(x.start, y.at(value), x.end, y.at(value)))
        parts.append(_text(x.start - 8, y.at(value) + 4, _short(value), "soft", "end"))
    for scale in scales:
        parts.append(_rule(x.at(scale), y.start, x.at(scale), y.end))
        parts.append(_text(x.at(scale), y.start + 18, _short(scale), "soft", "middle"))
    middle = (x.start + x.end) / 2
    return [*parts, _text(middle, y.start + 40, "threats held", "soft", "middle")]


def _line(name: str, spots: Sequence[Point]) -> list[str]:
    path = " ".join(f"{a:g},{b:g}" for a, b in spots)
    parts = [f'<polyline class="line {name}" points="{path}"/>'] if len(spots) > 1 else []
    return parts + [_mark(name, a, b) for a, b in spots]


def _mark(name: str, x: float, y: float) -> str:
    if name == "promised":
        return f'<path class="mark" d="M{x:g},{y - 5:g} l5,5 l-5,5 l-5,-5 z"/>'
    return f'<circle class="dot {name}" cx="{x:g}" cy="{y:g}" r="{DOT}"/>'


def _legend() -> list[str]:
    parts, x = [], LEFT - 40
    for name, words in SERIES:
        parts += _line(name, [] if name == "promised" else [(x, 58), (x + 22, 58)])
        if name == "promised":
            parts.append(_mark(name, x + 11, 58))
        parts.append(_text(x + 32, 62, words, "soft"))
        x += 190
    return parts


def _head(ran_on: Machine) -> str:
    told = f"{ran_on.server} on {ran_on.cores} cores, {ran_on.cpu}; {ran_on.date[:10]}"
    labels = escape(f"Ingest rate, top-100 latency and memory against threats held; {told}")
    return "\n".join(
        (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" '
            f'width="{WIDTH}" height="{HEIGHT}" role="img" aria-label="{labels}">',
            f"<style>{_style()}</style>",
            f'<rect class="paper" width="{WIDTH}" height="{HEIGHT}" rx="10"/>',
            _text(LEFT - 40, 30, "From ten thousand threats to millions, on one server", "head"),
            _text(WIDTH - 22, 30, told, "soft", "end"),
        )
    )


def _style() -> str:
    dark = _colours(DARK, 1)
    return (
        "text{font:12px system-ui,'Segoe UI',Helvetica,Arial,sans-serif}"
        ".head{font-size:16px;font-weight:600}.title{font-size:13px;font-weight:600}"
        ".value{font-weight:600}.line{fill:none;stroke-width:2.5}.naive.line{stroke-width:1.5}"
        ".grid{stroke-width:1}.mark{fill:none;stroke-width:1.5}"
        f"{_colours(LIGHT, 0)}@media (prefers-color-scheme:dark){{{dark}}}"
    )


def _colours(of: dict[str, str], which: int) -> str:
    rules = [
        f".paper{{fill:{of['paper']}}}.head,.title,.value{{fill:{of['ink']}}}",
        f".soft{{fill:{of['soft']}}}.grid{{stroke:{of['grid']}}}.mark{{stroke:{of['soft']}}}",
    ]
    for name, colours in COLOURS.items():
        rules.append(f".line.{name}{{stroke:{colours[which]}}}.dot.{name}{{fill:{colours[which]}}}")
    return "".join(rules)


def _text(x: float, y: float, words: str, kind: str, side: str = "start") -> str:
    anchor = "" if side == "start" else f' text-anchor="{side}"'
    return f'<text class="{kind}" x="{x:g}" y="{y:g}"{anchor}>{escape(words)}</text>'


def _rule(x1: float, y1: float, x2: float, y2: float) -> str:
    return f'<line class="grid" x1="{x1:g}" y1="{y1:g}" x2="{x2:g}" y2="{y2:g}"/>'


def _short(value: float) -> str:
    """A number in few characters: 190K, 5M, 0.42."""
    for bound, letter in ((1e6, "M"), (1e3, "K")):
        if value >= bound:
            return f"{value / bound:.3g}{letter}"
    return f"{value:.3g}" if value >= 1 else f"{value:.2g}"
