"""Row `restart`: how long after a kill everything is back."""

from __future__ import annotations

import os
import signal
import time
from contextlib import suppress

from periscope.bench.effort import info
from periscope.bench.figures import Figure, figure
from periscope.bench.plan import Plan
from periscope.bench.rates import runs
from periscope.bench.stand import Stand, stand
from periscope.bench.work import ingest
from periscope.errors import BugError
from periscope.server.process import ask

ROW = "restart"


async def restart_row(plan: Plan) -> list[Figure]:
    """The durable server of the scale is killed, and started by the next call that needs it."""
    seconds = []
    async with stand() as on:
        await ingest(on, 0, plan.scale)
        for _ in runs(plan, ROW):
            await _kill(on)
            begun = time.perf_counter()
            stats = await on.periscope.get_stats()
            seconds.append(time.perf_counter() - begun)
            if stats.queue != plan.scale:
                raise BugError(f"of {plan.scale:,} threats {stats.queue:,} are back")
    return [figure(ROW, "killed, until all are back", plan.scale, "s", seconds)]


async def _kill(on: Stand) -> None:
    """Kill the server (SIGKILL), and wait until nobody answers at its socket."""
    pid = int((await info(on.socket_path, "server"))["process_id"])
    os.kill(pid, signal.SIGKILL)
    with suppress(OSError):
        while True:
            await ask(on.socket_path, ("PING",))
