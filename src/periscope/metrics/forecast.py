"""When something is full: what is left of it, over how fast it grew of late."""

from __future__ import annotations

from collections import deque
from math import inf
from statistics import linear_regression

WINDOW_S = 3600.0
EVERY_S = 15.0
LEAST_S = 60.0


class Forecast:
    """Seconds until something is full: (limit - used) / slope, at least 0.

    The slope is that of the line through the samples of the last hour with the least squares (a
    sample each 15 s at most); from a minute of samples on, and +Inf unless it rises.
    """

    def __init__(self) -> None:
        self._samples: deque[tuple[float, float]] = deque()

    def seconds(self, at_s: float, used: float, limit: float) -> float | None:
        """Note what is used at a moment of a steady clock; None as long as nobody can tell."""
        samples = self._samples
        while samples and samples[0][0] < at_s - WINDOW_S:
            samples.popleft()
        if not samples or at_s - samples[-1][0] >= EVERY_S:
            samples.append((at_s, used))
        if at_s - samples[0][0] < LEAST_S:
            return None
        past = samples if samples[-1][0] == at_s else [*samples, (at_s, used)]
        slope, _ = linear_regression(*zip(*past, strict=True))
        return max(0.0, limit - used) / slope if slope > 0 else inf
