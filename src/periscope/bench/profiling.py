"""Where the client's time goes while it ingests, by function."""

from __future__ import annotations

import cProfile
import io
import pstats

from rich.console import Console

from periscope.bench.effort import Effort
from periscope.bench.stand import Stand
from periscope.bench.work import ingest

LINES = 20


async def profiled(on: Stand, count: int) -> Effort:
    """Ingest under the profiler and print its table on stderr; rates under it mean nothing."""
    profile = cProfile.Profile()
    profile.enable()
    effort = await ingest(on, 0, count)
    profile.disable()
    text = io.StringIO()
    pstats.Stats(profile, stream=text).strip_dirs().sort_stats("tottime").print_stats(LINES)
    Console(stderr=True, highlight=False).print(text.getvalue(), markup=False)
    return effort
