"""What a row is told: its scale, how often to run, and whom to tell how far it is."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import NamedTuple

from periscope.bench.figures import Figure


class Plan(NamedTuple):
    """One row at one scale."""

    scale: int
    runs: int
    say: Callable[[str], None]
    profile: bool = False

    @property
    def calls(self) -> int:
        """How often a query is asked: a tail needs hundreds, a small trial does not."""
        return max(50, min(500, self.scale // 40))


Row = Callable[[Plan], Awaitable[list[Figure]]]
