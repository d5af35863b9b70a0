"""How fast the index may work: as fast as it likes while nothing else does, else at a tenth."""

from __future__ import annotations

import time

BUSY_SHARE = 0.15  # of a core: what the rest of the process takes when it counts as busy
SHARE_WHEN_BUSY = 0.08  # of a core, for the index
SHARE_WHEN_IDLE = 0.75
LATE_S = 0.01  # so late, and half as much is taken,
MOST_LATE = 7  # or an eighth
LONGEST_REST_S = 2.0
READ_S = 4e-6  # of the event loop, for each record read: it is not measured one by one


class Pace:
    """Measures what this process does beside the index, and says how long that may rest."""

    def __init__(self) -> None:
        self._process_s = time.process_time()
        self._wall_s = time.monotonic()
        self._own_s = self._late_s = 0.0
        self.spent_s = 0.0  # in all
        self.is_busy = False

    def spent(self, seconds: float, records: int) -> None:
        """Note work of the index: CPU seconds of its thread, and records that were read for it."""
        own = seconds + records * READ_S
        self._own_s += own
        self.spent_s += own

    def rested(self, late_s: float) -> None:
        """Note how much longer a rest took than asked for: others had the loop, or the core."""
        self._late_s = max(0.0, late_s)

    def rest_s(self) -> float:
        """How long to rest after the work noted since the last time this was asked."""
        process_s, wall_s = time.process_time(), time.monotonic()
        own, passed = self._own_s, max(1e-6, wall_s - self._wall_s)
        others = max(0.0, process_s - self._process_s - own) / passed
        self.is_busy = others > BUSY_SHARE or self._late_s > LATE_S
        # Where the machine has not enough for all, what is taken is missing elsewhere.
        share = SHARE_WHEN_IDLE
        if self.is_busy:
            share = SHARE_WHEN_BUSY / (1.0 + min(self._late_s / LATE_S, MOST_LATE))
        self._process_s, self._wall_s, self._own_s = process_s, wall_s, 0.0
        return min(LONGEST_REST_S, own / share - own)
