"""What was promised for an indexed, pipelined system of this kind, at two scales."""

from __future__ import annotations

from periscope.bench.seed import INGEST, MEMORY, MIXED, SEVERITY, TOP

# threats/s, milliseconds, op/s and megabytes, by number of threats.
PROMISED: dict[tuple[int, str], float] = {
    (10_000, INGEST): 15_000,
    (10_000, TOP): 10,
    (10_000, SEVERITY): 10,
    (10_000, MIXED): 20_000,
    (10_000, MEMORY): 60,
    (100_000, INGEST): 12_000,
    (100_000, TOP): 50,
    (100_000, SEVERITY): 50,
    (100_000, MIXED): 18_000,
    (100_000, MEMORY): 500,
}
