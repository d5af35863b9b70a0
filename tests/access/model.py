"""The bucket as it is meant, in exact fractions."""

from __future__ import annotations

from fractions import Fraction
from math import ceil, floor


class Bucket:
    """Holds `burst` at most, gets `rate_per_s` a second, and begins full."""

    def __init__(self, rate_per_s: float, burst: int) -> None:
        self.rate_per_ms = Fraction(rate_per_s) / 1000
        self.burst = burst
        self.tokens, self.at_ms = Fraction(burst), 0

    def take(self, wanted: int, least: int, now_ms: int) -> tuple[int, int]:
        """As many as there are, from `least` to `wanted`; or none, and when there may be."""
        passed = max(0, now_ms - self.at_ms)
        there = min(Fraction(self.burst), self.tokens + passed * self.rate_per_ms)
        given = min(wanted, floor(there))
        if given < least:
            return 0, max(1, ceil((least - there) / self.rate_per_ms))
        self.tokens, self.at_ms = there - given, now_ms
        return given, 0
